//! Areas whose memory is in the linear map too, for scenarios of both.

use blockmap::host::MAY_PARK;
use blockmap::{Mapping, Platform, Space, View, ViewChange};
use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap_model::program::{Intent, Meanwhile, Target};
use blockmap_vmsa::{Access, Leaves};

use crate::program::{attributes, range};
use crate::recorder::LINEAR;

/// Where areas begin.
pub const AREA: u64 = LINEAR + (1 << 40);

/// The linear map of scenarios: memory from 1 GiB on.
pub const LINEAR_VIEW: View = View::new(VirtAddr::new(LINEAR), PhysAddr::new(0x4000_0000));

/// Maps an area of `pieces`: bytes above the start of the linear map, and how many.
///
/// # Panics
/// If it can't be mapped.
#[must_use]
pub fn map_area<P: Platform>(space: &Space<'_, P>, pieces: &[(u64, u64)]) -> VirtRange {
    let mut bytes = 0;
    for (offset, length) in pieces {
        let mapping = Mapping {
            range: range(AREA + bytes, *length),
            output: PhysAddr::new(0x4000_0000 + offset),
            attributes: attributes(Access::ReadWrite),
            leaves: Leaves::Largest,
        };
        space.map(mapping).unwrap();
        bytes += length;
    }
    range(AREA, bytes)
}

/// Changes the area and its aliases.
pub(super) fn change<P>(space: &Space<'_, P>, area: VirtRange, change: ViewChange)
where
    P: Platform<MayPark = blockmap::host::MayPark>,
{
    space.change_views((area, LINEAR_VIEW), change, &MAY_PARK).unwrap();
}

/// What an area of `pieces` and their aliases become.
pub(super) fn intents(
    pieces: &[(u64, u64)],
    (of_area, of_aliases): (&[&str], &str),
) -> Vec<Intent> {
    let intend = |start, bytes, rights: &str| Intent {
        range: range(start, bytes),
        target: Target::Rights(rights.parse().unwrap()),
        meanwhile: Meanwhile::Accessible,
    };
    let bytes = pieces.iter().map(|(_, bytes)| bytes).sum();
    let area = of_area.iter().map(|rights| intend(AREA, bytes, rights));
    let aliases = pieces.iter().map(|(at, bytes)| intend(LINEAR + at, *bytes, of_aliases));
    area.chain(aliases).collect()
}
