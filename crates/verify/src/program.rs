//! Random programs: sequences of operations, run on the engine and on the reference side by side.

use std::cell::Cell;
use std::sync::Mutex;

use blockmap::host::{Host, MAY_PARK};
use blockmap::{
    CollapseError, MapError, Mapping, Platform, ProtectError, RepaintError, Space, SplitError,
    Terms, UnmapError,
};
use blockmap_layout::Strategy;
use blockmap_machine::{Event, PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::cpu::SizeChange;
use blockmap_vmsa::{
    Access, Attributes, Change, Format, Geometry, Granule, Half, Leaves, Level, MemoryIndex,
    Regime, Shareability, TlbiForm, bits,
};

use crate::reference::{Reference, Unit};
use crate::tree::Tree;

/// One step of a program. Places are drawn as numbers and scaled to the geometry when it runs.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// Where: an address of the window once rounded down to a multiple of `grain`'s size.
    pub place: u64,
    /// How many of `length_grain`'s size, before clipping to the window.
    pub length: u64,
    /// Which leaf size the start is a multiple of: an index into the geometry's sizes.
    pub grain: usize,
    /// Which leaf size the length is a multiple of.
    pub length_grain: usize,
}

/// What a step does.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Maps with the largest leaves or with pages, output addresses shifted by some grains.
    Map {
        /// Which leaves.
        leaves: Leaves,
        /// The permissions.
        access: Access,
        /// How far the output is from the input, in grains of `skew_grain`.
        skew: u64,
        /// An index into the geometry's sizes.
        skew_grain: usize,
    },
    /// Unmaps.
    Unmap,
    /// Changes permissions.
    Protect(Change),
    /// Splits.
    Split,
    /// Makes pages of everything, where the slots are in one table.
    Repaint,
    /// Makes leaves as large as they may be.
    Collapse,
}

/// How sizes change while a program runs.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// While everybody uses them.
    Live,
    /// While all other CPUs are parked, by a CPU on which this happens.
    Parked(SizeChange),
}

/// Every geometry this crate runs programs on.
#[must_use]
pub fn geometries() -> Vec<Geometry> {
    let mut all = Vec::new();
    let halves = [(Regime::El1And0, Half::Upper), (Regime::El2, Half::Lower)];
    let formats = [
        (Granule::Kib4, Format::Base, [48, 39, 36]),
        (Granule::Kib4, Format::Lpa2, [52, 48, 40]),
        (Granule::Kib16, Format::Base, [48, 47, 36]),
        (Granule::Kib16, Format::Lpa2, [52, 48, 40]),
        (Granule::Kib64, Format::Base, [48, 52, 42]),
        (Granule::Kib64, Format::Lpa, [52, 48, 39]),
    ];
    for half in halves {
        for (granule, format, sizes) in formats {
            let output = if format == Format::Base { 48 } else { 52 };
            all.extend(
                sizes.map(|bits| Geometry::new(half, (granule, format), bits, output).unwrap()),
            );
        }
    }
    all
}

/// Runs a program on the engine and on the reference, and compares after every step.
///
/// # Panics
/// Where the two differ, naming the step.
pub fn run((geometry, way): (Geometry, Way), window: u64, steps: &[Step]) {
    let words = words_for(geometry, TABLES);
    let ignore = |_: &Event| ();
    let host = Host::new(geometry, &words, &ignore);
    let strategy = match way {
        Way::Live => Strategy::Live,
        Way::Parked(own) => {
            host.set_size_change(own);
            Strategy::Quiesce
        }
    };
    host.set_terms(Terms { strategy, tlbi: TlbiForm::Ranged });
    let space = Space::new(&host, host.new_root().unwrap());
    let reference = Mutex::new(Reference::new(geometry));
    for (number, step) in steps.iter().enumerate() {
        let Some(range) = place(geometry, window, step) else { continue };
        let before = Tree::read(&space);
        let done = perform((&space, &MAY_PARK), &reference, range, step.action);
        host.assert_idle();
        let after = Tree::read(&space);
        let context = format!("step {number} of {steps:#x?} on {geometry:?}, {way:?}");
        if done {
            let pair = first_difference(&after.units, reference.lock().unwrap().units());
            assert_eq!(pair, None, "(made, expected) in {context}");
        } else {
            assert_eq!(after, before, "an error changed something: {context}");
        }
        assert_eq!(after.odd_entries, [], "{context}");
        assert_eq!(after.empty_tables, [], "{context}");
        let tables = u32::try_from(after.tables.len()).unwrap();
        assert_eq!(host.tables_in_use(), tables, "a table was lost: {context}");
    }
}

/// The grain that is a geometry's largest leaf.
pub const LARGEST: usize = usize::MAX;

fn first_difference(made: &[Unit], expected: &[Unit]) -> Option<(Option<Unit>, Option<Unit>)> {
    let longest = made.len().max(expected.len());
    (0..longest)
        .map(|index| (made.get(index).copied(), expected.get(index).copied()))
        .find(|(made, expected)| made != expected)
}

/// How many tables a program may use: enough for most, not for all.
const TABLES: usize = 64;

/// Words for `tables` tables.
#[must_use]
pub fn words_for(geometry: Geometry, tables: usize) -> Vec<Cell<u64>> {
    vec![Cell::new(0); tables * usize::from(geometry.granule().entries())]
}

/// The sizes that leaves of a geometry have, from the page up.
#[must_use]
pub fn sizes(geometry: Geometry) -> Vec<u64> {
    let mut sizes: Vec<u64> = Level::ALL
        .iter()
        .flat_map(|level| [geometry.leaf_size(*level), geometry.run_size(*level)])
        .flatten()
        .map(blockmap_vmsa::LeafSize::bytes)
        .collect();
    sizes.sort_unstable();
    sizes
}

/// Where a step is, of a geometry and a window; `None` if that is no range.
pub(crate) fn place(geometry: Geometry, window: u64, step: &Step) -> Option<VirtRange> {
    let sizes = sizes(geometry);
    let size = |grain: usize| match grain {
        LARGEST => sizes[sizes.len() - 1],
        grain => sizes[grain % sizes.len()],
    };
    let (lowest, highest) = geometry.inputs();
    // A few of the largest leaves around some address, so that steps meet each other.
    let half = highest.value() - lowest.value();
    let reach = sizes[sizes.len() - 1].saturating_mul(3).min(half);
    let base = lowest.checked_add((window % (half - reach + 1)) & !(size(LARGEST) - 1))?;
    let offset = (step.place % reach) & !(size(step.grain) - 1);
    let start = base.checked_add(offset)?;
    let left = highest.value() - start.value() + 1;
    let bytes = size(step.length_grain).saturating_mul(step.length).min(left);
    VirtRange::new(start, bytes).filter(|range| geometry.translates(*range))
}

/// Performs a step on both; says whether it was done. What is refused must deserve it.
pub(crate) fn perform<P: Platform>(
    (space, may_park): (&Space<'_, P>, &P::MayPark),
    reference: &Mutex<Reference>,
    range: VirtRange,
    action: Action,
) -> bool {
    match action {
        Action::Map { leaves, access, skew, skew_grain } => {
            let mapping = mapping(space.geometry(), range, (leaves, access), (skew, skew_grain));
            let result = space.map(mapping);
            let mut reference = reference.lock().unwrap();
            match result {
                Ok(()) => assert!(!reference.touches(range), "mapped over {range}"),
                Err(MapError::AlreadyMapped(at)) => {
                    assert!(range.contains(at) && reference.touches(range), "{range} is free");
                    return false;
                }
                Err(MapError::OutOfTables(_) | MapError::OutputSize(_)) => return false,
                Err(error) => panic!("{error}"),
            }
            reference.map(mapping);
        }
        Action::Unmap => {
            let result = space.unmap(range, may_park);
            let mut reference = reference.lock().unwrap();
            match result {
                Ok(()) => {
                    assert!(reference.covers(range), "unmapped a hole in {range}");
                    reference.unmap(range);
                }
                Err(UnmapError::NotMapped(at)) => {
                    assert!(range.contains(at) && !reference.covers(range), "{range} is mapped");
                    return false;
                }
                Err(UnmapError::OutOfTables(_) | UnmapError::SizeChange(_)) => return false,
                Err(error) => panic!("{error}"),
            }
        }
        Action::Protect(change) => return protect((space, may_park), reference, range, change),
        Action::Split => match space.split(range, may_park) {
            Ok(()) => reference.lock().unwrap().split(range),
            Err(SplitError::OutOfTables(_) | SplitError::SizeChange(_)) => return false,
            Err(error) => panic!("{error}"),
        },
        Action::Collapse => return collapse((space, may_park), reference, range),
        Action::Repaint => {
            let ready = match space.plan_repaint(range, &[], may_park) {
                Ok(plan) => plan.reserve(),
                Err(RepaintError::LeafOfSlots(_) | RepaintError::SeveralTables(_)) => return false,
                Err(error) => panic!("{error}"),
            };
            let Ok(ready) = ready else { return false };
            ready.commit().unwrap();
            reference.lock().unwrap().repaint(range);
        }
    }
    true
}

fn collapse<P: Platform>(
    (space, may_park): (&Space<'_, P>, &P::MayPark),
    reference: &Mutex<Reference>,
    range: VirtRange,
) -> bool {
    let result = space.collapse(range, may_park);
    let mut reference = reference.lock().unwrap();
    match result {
        Ok(_) => reference.collapse(range),
        Err(CollapseError::SizeChange(_)) => return false,
        // What was collapsed before stays so.
        Err(CollapseError::OutOfTables(_)) => reference.resize(Tree::read(space).units),
        Err(error) => panic!("{error}"),
    }
    true
}

fn protect<P: Platform>(
    (space, may_park): (&Space<'_, P>, &P::MayPark),
    reference: &Mutex<Reference>,
    range: VirtRange,
    change: Change,
) -> bool {
    let regime = space.geometry().regime();
    let never = bits::privileged_execute_never(regime);
    let result = space.protect(range, change, may_park);
    let mut reference = reference.lock().unwrap();
    match result {
        Ok(()) => {
            assert!(reference.covers(range), "protected a hole in {range}");
            reference.protect(range, change);
            let is_open = |meaning: u64| meaning & (bits::READ_ONLY | never) == 0;
            let widened = matches!(change, Change::Execute | Change::ReadWrite);
            assert!(!widened || !reference.meanings(range).any(is_open), "W and X in {range}");
            true
        }
        Err(ProtectError::NotMapped(at)) => {
            assert!(range.contains(at) && !reference.covers(range), "{range} is mapped");
            false
        }
        Err(ProtectError::WritableAndExecutable(_)) => {
            let needs = if change == Change::Execute { bits::READ_ONLY } else { never };
            assert!(reference.meanings(range).any(|meaning| meaning & needs == 0));
            false
        }
        Err(ProtectError::OutOfTables(_) | ProtectError::SizeChange(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

fn mapping(
    geometry: Geometry,
    range: VirtRange,
    (leaves, access): (Leaves, Access),
    (skew, skew_grain): (u64, usize),
) -> Mapping {
    let sizes = sizes(geometry);
    let skew = sizes[skew_grain % sizes.len()].wrapping_mul(skew);
    let input = range.start().value() & ((1 << geometry.output_bits()) - 1);
    let page = geometry.page_bytes();
    let output = input.wrapping_add(skew) & geometry.highest_output().value() & !(page - 1);
    Mapping { range, output: PhysAddr::new(output), attributes: attributes(access), leaves }
}

/// Normal memory, index 0, inner shareable.
#[must_use]
pub fn attributes(access: Access) -> Attributes {
    let memory = MemoryIndex::new(0).unwrap();
    Attributes { memory, shareability: Shareability::Inner, access }
}

/// The range of `bytes` bytes from `start` on.
#[must_use]
pub fn range(start: u64, bytes: u64) -> VirtRange {
    VirtRange::new(VirtAddr::new(start), bytes).unwrap()
}
