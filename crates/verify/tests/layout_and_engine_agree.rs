//! What the layout plans is what the engine makes: as many tables, and the same leaves.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::Cell;

use blockmap::host::Host;
use blockmap::{Mapping, Space};
use blockmap_layout::{FirmwareMap, Image, LinearPlan, MemoryMap, Paint, Piece, Rodata};
use blockmap_machine::{Event, PhysAddr, PhysRange};
use blockmap_verify::program::{geometries, words_for};
use blockmap_verify::reference::Unit;
use blockmap_verify::tree::Tree;
use blockmap_vmsa::{Geometry, Leaves, MemoryIndex};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// More tables than this take too long to be read back.
const MOST_TABLES: u64 = 200;

/// A bank: how far above the last, how large, and how many bytes off a page its end is.
type Bank = (u64, u64, u64);

/// A multiple of one of the sizes that leaves have somewhere.
fn length(most: u64) -> impl Strategy<Value = u64> {
    let unit = select(vec![4096, 16384, 65536, 2 * MIB, 32 * MIB, 512 * MIB, GIB]);
    (unit, 0..=most).prop_map(|(unit, count)| unit * count)
}

fn bank() -> impl Strategy<Value = Bank> {
    (length(9), length(40), prop_oneof![4 => Just(0), 1 => 0..4096_u64])
}

/// An image, 2 MiB times the first number above the start of memory; the others are in 64 KiB.
fn image() -> impl Strategy<Value = (u64, [u64; 4])> {
    (0..40_u64, [1..80_u64, 1..80, 1..80, 1..80])
}

fn firmware(start: u64, banks: &[Bank], image: Option<(u64, [u64; 4])>) -> FirmwareMap {
    let mut firmware = FirmwareMap::new();
    let mut at = start;
    for (gap, bytes, ragged) in banks {
        at += gap;
        // Banks of no bytes are none.
        let _empty = firmware.add_bank(PhysAddr::new(at), bytes + ragged);
        at += bytes + ragged;
    }
    if let Some((place, parts)) = image {
        let base = (start + banks[0].0).next_multiple_of(2 * MIB) + place * 2 * MIB;
        let [before, text, between, rodata] = parts.map(|count| count * 65536);
        let range = |offset, bytes| PhysRange::new(PhysAddr::new(base + offset), bytes).unwrap();
        firmware.set_image(Image {
            load: range(0, before + text + between + rodata + 4097),
            text: range(before, text),
            rodata: range(before + text + between, rodata),
        });
    }
    firmware
}

fn units(geometry: Geometry, piece: Piece) -> impl Iterator<Item = Unit> {
    let meaning = geometry.meaning(piece.attributes);
    (0..piece.count).map(move |number| {
        let bytes = number * piece.size.bytes();
        Unit {
            input: piece.input.checked_add(bytes).unwrap(),
            output: piece.output.checked_add(bytes).unwrap(),
            size: piece.size,
            meaning,
        }
    })
}

/// Paints `plan` as a kernel does, with exactly the tables that it asks for, and compares.
fn check(geometry: Geometry, plan: &LinearPlan<'_>) {
    let planned = plan.table_counts().total();
    // And the root.
    let words: Vec<Cell<u64>> = words_for(geometry, usize::try_from(planned + 1).unwrap());
    let ignore = |_: &Event| ();
    let host = Host::new(geometry, &words, &ignore);
    let space = Space::new(&host, host.new_root().unwrap());
    for stretch in plan.stretches() {
        let range = plan.memory().linear().input_range(stretch.range).unwrap();
        let output = stretch.range.start();
        let attributes = stretch.attributes;
        space.map(Mapping { range, output, attributes, leaves: plan.leaves() }).unwrap();
    }
    host.assert_idle();
    assert_eq!(u64::from(host.tables_in_use()), planned + 1);
    let tree = Tree::read(&space);
    assert_eq!(tree.odd_entries, []);
    let expected: Vec<Unit> = plan.pieces().flat_map(|piece| units(geometry, piece)).collect();
    assert_eq!(tree.units.len(), expected.len());
    assert_eq!(tree.units.iter().zip(&expected).find(|(made, planned)| made != planned), None);
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 20_000, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn any_memory_is_painted_as_it_was_planned(
        geometry in select(geometries()),
        start in length(64),
        banks in vec(bank(), 1..5),
        holes in vec((length(99), length(3)), 0..3),
        image in proptest::option::of(image()),
        leaves in prop_oneof![3 => Just(Leaves::Largest), 1 => Just(Leaves::Pages)],
    ) {
        let mut firmware = firmware(start, &banks, image);
        for (offset, bytes) in holes {
            firmware.add_no_map(PhysAddr::new(start + offset), bytes).unwrap();
        }
        let memory = MemoryMap::new(&firmware, geometry);
        prop_assume!(memory.is_ok());
        let memory = memory.unwrap();
        let [writable, read_only] = [1, 0].map(|index| MemoryIndex::new(index).unwrap());
        let plan = LinearPlan::new(&memory, Paint { rodata: Rodata::On, writable, read_only }, leaves);
        prop_assume!(plan.table_counts().total() <= MOST_TABLES);
        check(geometry, &plan);
    }
}
