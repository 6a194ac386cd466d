//! The largest leaf at a place, by example.

use super::*;
use crate::{Format, Granule, Half, Regime};
use proptest::prelude::*;

extern crate std;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn at(geometry: Geometry, input: u64, output: u64, bytes: u64) -> Option<u64> {
    geometry
        .largest_leaf(VirtAddr::new(input), PhysAddr::new(output), bytes, Leaves::Largest)
        .map(LeafSize::bytes)
}

#[test]
fn a_leaf_is_as_large_as_alignment_and_length_allow() {
    let kernel = Geometry::KERNEL_4K_48;
    let base = 0xffff_0000_0000_0000;
    assert_eq!(at(kernel, base, 4 * GIB, 600 * GIB), Some(GIB));
    assert_eq!(at(kernel, base, 4 * GIB, GIB - 1), Some(32 * MIB));
    assert_eq!(at(kernel, base, 32 * MIB, GIB), Some(32 * MIB));
    assert_eq!(at(kernel, base + 2 * MIB, 2 * MIB, GIB), Some(2 * MIB));
    assert_eq!(at(kernel, base, MIB, GIB), Some(64 * KIB));
    assert_eq!(at(kernel, base + 4 * KIB, MIB, GIB), Some(4 * KIB));
    assert_eq!(at(kernel, base, 0, 4 * KIB - 1), None);
    assert_eq!(at(kernel, base, 2 * KIB, GIB), None);
    assert_eq!(at(kernel, base, 1 << 48, GIB), None);
}

#[test]
fn pages_are_pages() {
    let size = Geometry::KERNEL_4K_48.largest_leaf(
        VirtAddr::new(0xffff_0000_0000_0000),
        PhysAddr::new(0),
        GIB,
        Leaves::Pages,
    );
    let size = size.unwrap();
    assert_eq!((size.level, size.run), (Level::L3, None));
    assert_eq!((size.bytes(), size.entries()), (4 * KIB, 1));
}

#[test]
fn sizes_of_the_other_granules_and_formats() {
    let new = |granule, format, bits| {
        let half = (Regime::El1And0, Half::Lower);
        Geometry::new(half, (granule, format), bits, 48).unwrap()
    };
    let lpa2 = new(Granule::Kib4, Format::Lpa2, 52);
    assert_eq!(at(lpa2, 0, 0, u64::MAX), Some(512 * GIB));
    let lpa2 = new(Granule::Kib16, Format::Lpa2, 52);
    assert_eq!(at(lpa2, 0, 0, u64::MAX), Some(64 * GIB));
    let large = new(Granule::Kib16, Format::Base, 48);
    assert_eq!(at(large, 0, 0, u64::MAX), Some(GIB));
    assert_eq!(at(large, 0, 2 * MIB, u64::MAX), Some(2 * MIB));
    let large = new(Granule::Kib64, Format::Base, 48);
    assert_eq!(at(large, 0, 0, u64::MAX), Some(16 * GIB));
    assert_eq!(at(large, 0, 2 * MIB, u64::MAX), Some(2 * MIB));
}

#[test]
fn no_leaf_is_larger_than_what_the_root_table_covers() {
    let half = (Regime::El1And0, Half::Lower);
    let small = Geometry::new(half, (Granule::Kib64, Format::Base), 25, 48).unwrap();
    assert_eq!(at(small, 0, 0, u64::MAX), Some(2 * MIB));
    let small = Geometry::new(half, (Granule::Kib4, Format::Base), 30, 48).unwrap();
    assert_eq!(at(small, 0, 0, u64::MAX), Some(32 * MIB));
    // Two blocks in the root, and a run would be of 32.
    let small = Geometry::new(half, (Granule::Kib64, Format::Base), 30, 48).unwrap();
    assert_eq!(small.run_size(Level::L2), None);
    assert_eq!(at(small, 0, 0, u64::MAX), Some(512 * MIB));
}

#[test]
fn a_run_is_as_many_entries_as_it_takes() {
    for geometry in Geometry::every().filter(|geometry| geometry.output_bits() == 48) {
        for run in Level::ALL.into_iter().filter_map(|level| geometry.run_size(level)) {
            assert_eq!(Some(run.entries()), geometry.run_entries(run.level));
            assert_eq!(run.bytes(), u64::from(run.entries()) * geometry.span_bytes(run.level));
            assert_eq!(geometry.run_bytes(run.level), Some(run.bytes()));
        }
    }
}

/// Every size that [`Leaves::Largest`] may choose.
fn sizes(geometry: Geometry) -> impl Iterator<Item = LeafSize> {
    Level::ALL.into_iter().flat_map(move |level| {
        let run = geometry.run_size(level).filter(|_| level > Level::L1);
        geometry.leaf_size(level).into_iter().chain(run)
    })
}

proptest! {
    #[test]
    fn no_legal_leaf_is_larger_than_the_largest(
        choice in any::<prop::sample::Index>(),
        (input, output, bytes) in any::<(u64, u64, u64)>(),
        (zeros, shift) in (0_u32..52, 0_u32..63),
    ) {
        let choice = choice.index(6000);
        let geometry = Geometry::every().nth(choice).unwrap();
        let mask = !((1 << zeros) - 1);
        let input = input & geometry.inputs().1.value() & mask;
        let output = output & geometry.highest_output().value() & mask;
        let bytes = bytes >> shift;
        let fits = sizes(geometry).filter(|size| {
            let last = u128::from(output) + u128::from(size.bytes()) - 1;
            (input | output).is_multiple_of(size.bytes())
                && size.bytes() <= bytes
                && last <= u128::from(geometry.highest_output().value())
        });
        let largest = fits.map(LeafSize::bytes).max();
        prop_assert_eq!(at(geometry, input, output, bytes), largest);
    }
}
