//! Tables that nobody should have written: reading them ends, and says what was left out.

use std::collections::BTreeMap;

use blockmap_dump::{
    Found, Outcome, ReadTable, Refusal, Run, Skipped, Style, Tree, What,
    vmsa::{
        Geometry, Kind, Level, Mair, bits,
        machine::{PhysAddr, VirtAddr},
    },
};
use proptest::prelude::*;

use crate::arena::{Arena, MAIR, Missing, geometries};

const KERNEL: Geometry = Geometry::KERNEL_4K_48;
const BASE: VirtAddr = VirtAddr::new(0xffff_0000_0000_0000);

/// A reader whose every table is full of words made from address and number.
struct Noise {
    seed: u64,
}

impl ReadTable for Noise {
    type Error = Missing;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Missing> {
        for (number, word) in (u64::from(first)..).zip(words) {
            let mixed =
                (self.seed ^ table.value() ^ number << 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            *word = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            // Mostly tables, so that the tree is deep.
            *word |= u64::from(number % 3 != 0) * (bits::VALID | bits::TABLE_OR_PAGE);
        }
        if table.value() >> 20 & 0xff == 0x55 {
            return Err(Missing(table));
        }
        Ok(())
    }
}

fn skipped(arena: &Arena) -> Vec<(Level, u64, Skipped<Missing>)> {
    arena
        .tree()
        .runs()
        .filter_map(|run| match run.what {
            What::Skipped(skipped) => Some((run.level, run.range.bytes(), skipped)),
            What::Gap | What::Leaves(_) | What::Reserved(_) => None,
        })
        .collect()
}

#[test]
fn a_table_that_leads_back_to_itself_is_left_out() {
    let mut arena = Arena::new(KERNEL);
    let table = arena.root();
    arena.set(table, 3, KERNEL.table_word(table));
    let below = arena.table_at(Level::L2, BASE);
    arena.set(below, 7, KERNEL.table_word(table));
    let refusal = Refusal::Loop;
    assert_eq!(
        skipped(&arena),
        [
            (Level::L3, 2 << 20, Skipped { table, refusal }),
            (Level::L1, 512 << 30, Skipped { table, refusal }),
        ]
    );
    assert_eq!(arena.tree().stat().skipped, 2);
    assert!(!arena.tree().wx().passed());
}

#[test]
fn a_walk_goes_no_deeper_than_the_last_level() {
    let mut arena = Arena::new(KERNEL);
    let root = arena.root();
    for index in 0..512 {
        arena.set(root, index, KERNEL.table_word(root));
    }
    let walk = arena.tree().walk(BASE);
    // At level 3 a table's encoding is a page's.
    assert_eq!(walk.output(), Some(root));
    assert_eq!(walk.steps().count(), 4);
}

#[test]
fn tables_that_multiply_are_bounded() {
    let mut arena = Arena::new(KERNEL);
    let tables: Vec<_> = (0..3).map(|_| arena.add_table()).collect();
    let root = arena.root();
    for index in 0..512 {
        for (table, next) in [(root, tables[0]), (tables[0], tables[1]), (tables[1], tables[2])] {
            arena.set(table, index, KERNEL.table_word(next));
        }
    }
    let limited = arena.tree().with_most_tables(100);
    assert_eq!(limited.entries().count(), 100 * 512);
    let stat = limited.stat();
    assert_eq!(stat.tables(), 100);
    assert_eq!(stat.skipped, 512 - 97 + 511 + 511);
}

#[test]
fn a_table_beyond_the_output_addresses_is_not_read() {
    let geometry = geometries()[1];
    assert_eq!(geometry.output_bits(), 40);
    let mut arena = Arena::new(geometry);
    let table = PhysAddr::new(1 << 40);
    arena.set(arena.root(), 0, geometry.table_word(table));
    let refusal = Refusal::Address;
    assert_eq!(skipped(&arena), [(Level::L2, 1 << 30, Skipped { table, refusal })]);
    let input = geometry.inputs().0;
    let outcome = Outcome::Skipped(Skipped { table, refusal });
    assert_eq!(*arena.tree().walk(input).outcome(), outcome);
}

#[test]
fn an_unreadable_table_is_named_and_the_rest_is_read() {
    let mut arena = Arena::new(KERNEL);
    let word = KERNEL.leaf_word(Level::L3, PhysAddr::new(0x4000_0000), bits::VALID);
    arena.put(Level::L3, BASE, word);
    arena.put(Level::L3, VirtAddr::new(BASE.value() + (4 << 20)), word);
    let table = arena.table_at(Level::L3, BASE);
    arena.remove(table);
    let refusal = Refusal::Unreadable(Missing(table));
    assert_eq!(skipped(&arena), [(Level::L3, 2 << 20, Skipped { table, refusal })]);
    assert_eq!(arena.tree().stat().mapped_bytes(), 4096);
    let mut text = String::new();
    let style = Style { mair: MAIR, markers: &[] };
    arena.tree().ptdump(style, &mut text).unwrap();
    let expected = format!("2M PTE SKIPPED table {table}: nothing is at {table}");
    assert!(text.lines().next().unwrap().ends_with(&expected), "{text}");
}

#[test]
fn a_root_that_cannot_be_read_is_all_that_is_told() {
    let arena = Arena::new(KERNEL);
    for root in [PhysAddr::new(0x1000), PhysAddr::new(1 << 50), PhysAddr::new(0x1001)] {
        let tree = Tree::new(KERNEL, root, &arena);
        let runs: Vec<_> = tree.runs().collect();
        assert_eq!(runs.len(), 1);
        assert!(matches!(runs[0].what, What::Skipped(Skipped { table, .. }) if table == root));
        assert_eq!(runs[0].range.bytes(), 1 << 48);
        assert_eq!(tree.stat().tables(), 0);
    }
}

/// A reader that leaves its mark in the words of a table it cannot read.
struct Scribbler(Arena);

impl ReadTable for Scribbler {
    type Error = Missing;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Missing> {
        let read = self.0.entries(table, first, words);
        if read.is_err() {
            words.fill(bits::VALID);
        }
        read
    }
}

#[test]
fn what_a_failed_reading_leaves_behind_is_not_looked_at() {
    let mut arena = Arena::new(KERNEL);
    let table = arena.table_at(Level::L3, BASE);
    arena.remove(table);
    let root = arena.root();
    let scribbler = Scribbler(arena);
    let runs: Vec<_> = Tree::new(KERNEL, root, &scribbler).runs().collect();
    let skipped = |run: &Run<Missing>| matches!(run.what, What::Skipped(_));
    let gaps = runs.iter().filter(|run| run.what == What::Gap).count();
    assert_eq!((skipped(&runs[0]), gaps, runs.len()), (true, 3, 4));
}

/// A reader that has the first hundred entries of every table.
struct Torn(Arena);

impl ReadTable for Torn {
    type Error = Missing;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Missing> {
        if usize::from(first) + words.len() > 100 {
            return Err(Missing(table));
        }
        self.0.entries(table, first, words)
    }
}

#[test]
fn the_rest_of_a_torn_table_is_left_out_and_what_was_read_stays() {
    let mut arena = Arena::new(KERNEL);
    let table = arena.table_at(Level::L1, BASE);
    let root = arena.root();
    let torn = Torn(arena);
    let found: Vec<_> = Tree::new(KERNEL, root, &torn)
        .runs()
        .map(|run| match run.what {
            What::Skipped(skipped) => (run.level, run.count(KERNEL), Some(skipped.table)),
            What::Gap | What::Leaves(_) | What::Reserved(_) => (run.level, run.count(KERNEL), None),
        })
        .collect();
    // Entries are read by 64.
    let expected = [
        (Level::L1, 64, None),
        (Level::L1, 448, Some(table)),
        (Level::L0, 63, None),
        (Level::L0, 448, Some(root)),
    ];
    assert_eq!(found, expected);
}

proptest! {
    // Tables of 64 KiB pages have 8192 entries, all of which are looked at several times.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn noise_is_covered_once_within_the_limit(
        geometry in prop::sample::select(geometries()),
        seed: u64,
        most in 0_u64..12,
    ) {
        let noise = Noise { seed };
        let tree = Tree::new(geometry, PhysAddr::new(0), &noise).with_most_tables(most);
        let (mut next, highest) = geometry.inputs();
        let mut tables = BTreeMap::new();
        let mut last = None;
        for entry in tree.entries() {
            prop_assert_eq!(entry.range.start(), next);
            match entry.found {
                Found::Word { kind: Kind::Table, .. } => {
                    *tables.entry(entry.level.number()).or_insert(0_u64) += 1;
                }
                Found::Word { .. } | Found::Skipped(_) => {
                    next = entry.range.end();
                    last = Some(entry.range.last());
                }
            }
        }
        prop_assert_eq!(last, Some(highest));
        prop_assert!(tables.values().sum::<u64>() <= most);
        let mut text = String::new();
        let style = Style { mair: Mair::new(seed), markers: &[] };
        tree.ptdump(style, &mut text).unwrap();
        let _ = (tree.wx(), tree.stat());
        prop_assert!(tree.walk(highest).steps().count() <= 5);
        prop_assert!(!tree.walk(highest).to_string().is_empty());
    }
}
