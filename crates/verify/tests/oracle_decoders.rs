//! Two readers of the manual: what `vmsa` and the model make of the same words and operands.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap_model::decode::Word;
use blockmap_model::maintenance::{Depth, Reach as Named};
use blockmap_model::rights::Rights;
use blockmap_verify::program::geometries;
use blockmap_verify::shape::shape;
use blockmap_vmsa::descriptor::{
    AccessFlag, Asids, Contiguity, Execution, Sharing, Stores, Unprivileged, Validity,
};
use blockmap_vmsa::{Descriptor, Format, Geometry, Granule, Half, Level, Reach, Regime};
use proptest::prelude::*;

const LINUX: &str = include_str!("../../vmsa/tests/linux-descriptors.txt");

fn levels(geometry: Geometry) -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(move |level| *level >= geometry.root_level())
}

/// Rights as text, from what a descriptor's fields say.
fn rights(
    regime: Regime,
    (stores, unprivileged): (Stores, Unprivileged),
    execution: Execution,
    is_table: bool,
) -> Rights {
    let (has_user, writes) = (regime.has_unprivileged(), stores == Stores::Allowed);
    let user = has_user && unprivileged == Unprivileged::Allowed;
    let user_writes = user && writes;
    // Memory that the unprivileged level may write is never executed at the privileged one.
    let is_shared = has_user && user_writes && !is_table;
    let executes =
        !is_shared && matches!(execution, Execution::Everyone | Execution::PrivilegedOnly);
    let may = matches!(execution, Execution::Everyone | Execution::UnprivilegedOnly);
    let user_executes = has_user && may && (user || !is_table);
    let letter = |grants: bool, letter: char| if grants { letter } else { '-' };
    let text = format!(
        "r{}{}:{}{}{}",
        letter(writes, 'w'),
        letter(executes, 'x'),
        letter(user, 'r'),
        letter(user_writes, 'w'),
        letter(user_executes, 'x'),
    );
    text.parse().unwrap()
}

/// Compares what the two make of a word.
fn check(geometry: Geometry, level: Level, word: u64) {
    let context = format!("{word:#x} at {level:?} of {geometry:?}");
    let shape = shape(geometry);
    let regime = geometry.regime();
    let fits = |output: PhysAddr| output <= geometry.highest_output();
    let read = shape.decode(level.levels_below(), word);
    match geometry.decode(level, word) {
        Descriptor::Invalid(_) | Descriptor::Reserved(_) => {
            assert_eq!(read, Word::Fault, "{context}");
        }
        Descriptor::Table(table) if !fits(table.next) => assert_eq!(read, Word::Fault, "{context}"),
        Descriptor::Table(table) => {
            let Word::Table { table: next, allows } = read else { panic!("{read:?}: {context}") };
            let access = (table.stores, table.unprivileged);
            let mut expected = rights(regime, access, table.execution, true);
            if !regime.has_unprivileged() {
                // Nobody is there to be denied anything.
                expected = expected.or(Rights::USER);
                if table.stores == Stores::Denied {
                    expected = expected.without(Rights::WRITES);
                }
            }
            assert_eq!((next, allows), (table.next, expected), "{context}");
        }
        Descriptor::Leaf(leaf)
            if leaf.validity == Validity::PresentInvalid
                || leaf.accessed == AccessFlag::Clear
                || !fits(leaf.output) =>
        {
            assert_eq!(read, Word::Fault, "{context}");
        }
        Descriptor::Leaf(leaf) => {
            let Word::Leaf(read) = read else { panic!("{read:?}: {context}") };
            let access = (leaf.stores, leaf.unprivileged);
            assert_eq!(read.output, leaf.output, "{context}");
            assert_eq!(read.rights, rights(regime, access, leaf.execution, false), "{context}");
            assert_eq!(read.memory, leaf.memory.value(), "{context}");
            assert_eq!(read.is_contiguous, leaf.contiguity != Contiguity::Single, "{context}");
            if regime.has_unprivileged() {
                assert_eq!(read.is_global, leaf.asids == Asids::Every, "{context}");
            }
            let has_field = leaf.sharing != Sharing::ByControl;
            assert_eq!(u64::from(read.shareability), if has_field { word >> 8 & 3 } else { 0 });
        }
    }
}

#[test]
fn shapes_are_the_same() {
    for geometry in geometries() {
        let shape = shape(geometry);
        assert_eq!(shape.top(), geometry.root_level().levels_below());
        assert_eq!(shape.inputs().start(), geometry.inputs().0);
        assert_eq!(shape.inputs().last(), geometry.inputs().1);
        for level in levels(geometry) {
            let height = level.levels_below();
            assert_eq!(shape.span(height), geometry.span_bytes(level));
            assert_eq!(shape.entries(height), u32::from(geometry.entries(level)));
            assert_eq!(shape.has_leaves(height), geometry.allows_leaf(level), "{geometry:?}");
            let run = geometry.run_entries(level).map_or(1, u64::from);
            assert_eq!(shape.run_entries(height), run, "{geometry:?} {level:?}");
        }
    }
}

#[test]
fn every_pair_of_bits_reads_the_same() {
    for geometry in geometries() {
        for level in levels(geometry) {
            for kind in [0b01, 0b11, 0x401, 0x403] {
                for one in 0..64 {
                    for other in 0..=one {
                        check(geometry, level, kind ^ 1 << one ^ 1 << other);
                    }
                }
            }
        }
    }
}

#[test]
fn the_words_of_running_kernels_read_the_same() {
    let half = (Regime::El1And0, Half::Upper);
    let geometry = Geometry::new(half, (Granule::Kib4, Format::Lpa2), 52, 52).unwrap();
    let mut count = 0;
    for line in LINUX.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let number: i8 = words[1].parse().unwrap();
        let level = Level::ALL.into_iter().find(|level| level.number() == number).unwrap();
        let word = u64::from_str_radix(words[2].trim_start_matches("0x"), 16).unwrap();
        check(geometry, level, word);
        count += 1;
    }
    assert!(count > 40);
}

proptest! {
    #[test]
    fn any_word_reads_the_same(word: u64, low in 0_u64..4, geometry in 0_usize..36) {
        let geometries = geometries();
        let geometry = geometries[geometry % geometries.len()];
        for level in levels(geometry) {
            check(geometry, level, word & !3 | low);
            check(geometry, level, word & !3 | 0x400 | low);
        }
    }

    #[test]
    fn an_invalidation_names_what_it_was_made_for(place: u64, pages in 1_u64..5000, geometry in 0_usize..36) {
        let geometries = geometries();
        let geometry = geometries[geometry % geometries.len()];
        let shape = shape(geometry);
        let page = geometry.page_bytes();
        let all = shape.inputs();
        let start = all.start().value() + place % (all.bytes() - pages * page) / page * page;
        let range = VirtRange::new(VirtAddr::new(start), pages * page).unwrap();
        for reach in [Reach::AllLevels, Reach::LastLevel] {
            let depth = if reach == Reach::AllLevels { Depth::All } else { Depth::Leaves };
            let one = shape.maintenance(geometry.invalidate_address(range.start(), reach));
            let first = VirtRange::new(range.start(), page);
            prop_assert_eq!((one.reach, one.depth), (first.map(Named::Within), depth));
            prop_assert_eq!(one.asid, None);
            let mut next = Some(range.start());
            for invalidate in geometry.invalidate_range(range, reach) {
                let ranged = shape.maintenance(invalidate);
                prop_assert_eq!((ranged.depth, ranged.asid), (depth, None));
                match ranged.reach {
                    Some(Named::Within(named)) => {
                        prop_assert!(next.is_some_and(|next| named.contains(next)), "{invalidate}");
                        next = Some(named.end());
                    }
                    Some(Named::Everything) => next = None,
                    None => prop_assert!(false, "{} names nothing", invalidate),
                }
            }
            let is_covered = next.is_none_or(|next| next > range.last() || next == VirtAddr::new(0));
            prop_assert!(is_covered, "{:?} up to {:?}", range, next);
        }
    }
}
