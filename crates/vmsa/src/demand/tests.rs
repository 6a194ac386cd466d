//! What changes demand, by example and over all fields.

use super::*;
use crate::{Change, bits};

/// A writable, never-executable block of Normal memory.
const BLOCK: u64 = 0x0060_0000_4000_0701;
const PAGE: u64 = BLOCK | bits::TABLE_OR_PAGE;
const TABLE: u64 = 0x5000_0003;

fn demand(level: Level, old: u64, new: u64) -> Demand {
    Geometry::KERNEL_4K_48.demand(level, old, new)
}

#[test]
fn what_faults_is_never_cached() {
    let absent = BLOCK & !bits::VALID;
    for faulting in [0, absent, absent | bits::PRESENT, BLOCK & !bits::ACCESSED] {
        assert_eq!(demand(Level::L1, faulting, BLOCK), Demand::Synchronise);
        assert_eq!(demand(Level::L1, faulting, TABLE), Demand::Synchronise);
        assert_eq!(demand(Level::L1, faulting, 0xff00), Demand::Nothing);
        assert_eq!(demand(Level::L1, BLOCK, faulting), Demand::Invalidate);
        assert_eq!(demand(Level::L1, TABLE, faulting), Demand::Invalidate);
    }
    // Reserved: valid, but no block may be there.
    assert_eq!(demand(Level::L0, BLOCK, TABLE), Demand::Synchronise);
}

/// Of any of these words: what a change takes away, one of them grants.
#[test]
fn a_change_is_invalidated_exactly_where_that_is_demanded() {
    let words = [
        PAGE,
        PAGE | bits::READ_ONLY,
        PAGE & !(bits::PXN | bits::UXN),
        PAGE & !bits::VALID | bits::PRESENT,
    ];
    for change in Change::ALL {
        let masks = change.masks(Geometry::KERNEL_4K_48.regime());
        let demands = words.map(|old| demand(Level::L3, old, masks.apply(old)));
        assert!(!demands.contains(&Demand::SizeChange), "{change:?}");
        let is_demanded = demands.contains(&Demand::Invalidate);
        assert_eq!(change.needs_invalidation(), is_demanded, "{change:?}: {demands:?}");
    }
}

#[test]
fn permissions_and_other_harmless_bits_need_no_break() {
    let harmless = [
        bits::READ_ONLY,
        bits::UNPRIVILEGED,
        bits::PXN,
        bits::UXN,
        bits::DIRTY_MODIFIER,
        bits::GUARDED,
        bits::NO_TRANSLATION,
        1 << 59,
    ];
    for bit in harmless {
        assert_eq!(demand(Level::L1, BLOCK, BLOCK ^ bit), Demand::Invalidate, "{bit:#x}");
    }
    assert_eq!(demand(Level::L1, BLOCK, BLOCK | bits::NOT_GLOBAL), Demand::Invalidate);
    for bit in [1 << 55, 1 << 58, 1 << 63] {
        assert_eq!(demand(Level::L1, BLOCK, BLOCK ^ bit), Demand::Nothing);
    }
    assert_eq!(demand(Level::L1, BLOCK, BLOCK), Demand::Nothing);
}

#[test]
fn what_a_walk_finds_elsewhere_or_otherwise_needs_a_break() {
    let broken = [
        (1 << 30, Why::OutputAddress),
        (bits::NON_SECURE, Why::OutputAddress),
        (1 << 2, Why::MemoryType),
        (1 << 8, Why::Shareability),
        (1 << 12, Why::ReservedBits),
        (bits::CONTIGUOUS | bits::READ_ONLY, Why::SizeAndMore),
    ];
    for (bit, why) in broken {
        assert_eq!(demand(Level::L1, BLOCK, BLOCK ^ bit), Demand::BreakBeforeMake(why));
    }
    let private = BLOCK | bits::NOT_GLOBAL;
    let global = Demand::BreakBeforeMake(Why::Global);
    assert_eq!(demand(Level::L1, private, BLOCK), global);
    let other = Demand::BreakBeforeMake(Why::OtherTable);
    assert_eq!(demand(Level::L1, TABLE, TABLE ^ 0x1000), other);
}

#[test]
fn a_size_change_is_nothing_else() {
    for (old, new) in [(BLOCK, TABLE), (TABLE, BLOCK), (BLOCK, BLOCK | bits::CONTIGUOUS)] {
        assert_eq!(demand(Level::L1, old, new), Demand::SizeChange);
        assert_eq!(demand(Level::L1, new, old), Demand::SizeChange);
    }
    assert_eq!(demand(Level::L3, PAGE, PAGE | bits::CONTIGUOUS), Demand::SizeChange);
    let (no_execute, no_stores, secure) = (0b11 << 59, 1 << 62, 1 << 63);
    assert_eq!(demand(Level::L1, BLOCK, TABLE | no_execute), Demand::SizeChange);
    let more = Demand::BreakBeforeMake(Why::SizeAndMore);
    assert_eq!(demand(Level::L1, BLOCK ^ bits::PXN, TABLE | no_execute), more);
    assert_eq!(demand(Level::L1, BLOCK, TABLE | no_stores), more);
    let (user, no_user) = (BLOCK | bits::UNPRIVILEGED, TABLE | 1 << 61);
    assert_eq!(demand(Level::L1, BLOCK, no_user), Demand::SizeChange);
    assert_eq!(demand(Level::L1, user, no_user), more);
    let elsewhere = Demand::BreakBeforeMake(Why::OutputAddress);
    assert_eq!(demand(Level::L1, BLOCK, TABLE | secure), elsewhere);
    assert_eq!(demand(Level::L1, TABLE, TABLE | no_execute), Demand::Invalidate);
    assert_eq!(demand(Level::L1, TABLE, TABLE | bits::ACCESSED), Demand::Nothing);
}

#[test]
fn no_change_of_rights_needs_a_break_in_any_geometry() {
    for geometry in Geometry::every() {
        let meaning = geometry.leaf_meaning(BLOCK) & !geometry.address_mask(16);
        let output = crate::machine::PhysAddr::new(0);
        let word = geometry.leaf_word(Level::L3, output, meaning & !(0b11 << 8));
        for change in Change::ALL {
            let new = change.masks(geometry.regime()).apply(word);
            let found = geometry.demand(Level::L3, word, new);
            assert!(matches!(found, Demand::Nothing | Demand::Invalidate), "{change:?}");
            let back = geometry.demand(Level::L3, new, word);
            let is_invalid = change == Change::Invalid;
            let expected = if is_invalid { Demand::Synchronise } else { found };
            assert_eq!(back, expected, "{change:?}");
        }
    }
}
