//! Changes that are known.

use blockmap_dump::vmsa::machine::PhysAddr;
use blockmap_dump::vmsa::{Access, Attributes, Level, Shareability};

use super::*;

const KERNEL: Geometry = Geometry::KERNEL_4K_48;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn leaves(level: Level, start: u64, bytes: u64, access: Access) -> Leaves {
    let shareability = Shareability::Inner;
    let meaning = KERNEL.meaning(Attributes { memory: Mair::NORMAL, shareability, access });
    let output = PhysAddr::new((1 << 30) + start);
    let range = VirtRange::new(VirtAddr::new((0xffff << 48) + start), bytes).unwrap();
    Leaves { range, level, mapped: Mapped { meaning, output, limits: Limits::NONE } }
}

fn compared(before: &[Leaves], after: &[Leaves]) -> Vec<(Kind, u64, u64, String)> {
    let survey = |leaves: &[Leaves]| Survey {
        geometry: KERNEL,
        leaves: leaves.to_vec(),
        skipped: Vec::new(),
        reserved: Vec::new(),
    };
    let (before, after) = (survey(before), survey(after));
    let sides = Sides { before: &before, after: &after, outputs: Outputs::Known };
    let found = changes(&sides, (Mair::KERNEL, &Regions::default()));
    let offset = |change: &Change| change.start.0 & 0xffff_ffff;
    found.iter().map(|change| (change.kind, offset(change), change.bytes, change.what())).collect()
}

#[test]
fn a_page_that_became_read_only_is_a_split_and_a_change() {
    let (data, fixed) = (Access::ReadWrite, Access::ReadOnly);
    let before = [leaves(Level::L2, 0, 4 * MIB, data)];
    let after = [
        leaves(Level::L3, 0, 4 * KIB, data),
        leaves(Level::L3, 4 * KIB, 4 * KIB, fixed),
        leaves(Level::L3, 8 * KIB, 2 * MIB - 8 * KIB, data),
        leaves(Level::L2, 2 * MIB, 2 * MIB, data),
    ];
    let expected = [
        (Kind::Split, 0, 2 * MIB, "2M -> 4K".to_owned()),
        (Kind::Changed, 4 * KIB, 4 * KIB, "rw- -> r--".to_owned()),
    ];
    assert_eq!(compared(&before, &after), expected);
    assert!(compared(&after, &after).is_empty());
}

#[test]
fn what_comes_and_goes_is_found_at_both_ends() {
    let data = Access::ReadWrite;
    let before = [leaves(Level::L3, 0, 16 * KIB, data)];
    let after = [leaves(Level::L3, 8 * KIB, 16 * KIB, data)];
    let says = "rw- normal in 4K".to_owned();
    let expected =
        [(Kind::Unmapped, 0, 8 * KIB, says.clone()), (Kind::Mapped, 16 * KIB, 8 * KIB, says)];
    assert_eq!(compared(&before, &after), expected);
    assert_eq!(compared(&[], &after).len(), 1);
}
