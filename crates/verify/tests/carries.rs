//! Mappings that cross the places where a descriptor keeps an output address's next bits apart,
//! mappings that end in tables which were there before, and tables that come back.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::Cell;

use blockmap::host::{Host, MAY_PARK};
use blockmap::{Mapping, Space};
use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap_verify::program::{attributes, range, words_for};
use blockmap_vmsa::{Access, Format, Geometry, Granule, Half, Leaves, Level, Regime};

fn with_space(geometry: Geometry, check: impl FnOnce(&Space<'_, Host<'_>>)) {
    let words: Vec<Cell<u64>> = words_for(geometry, 64);
    let host = Host::new(geometry, &words, &|_| ());
    let space = Space::new(&host, host.new_root().unwrap());
    check(&space);
    host.assert_idle();
}

/// Maps some leaves on both sides of `boundary`, which is in the middle of a table, and looks every
/// page of them up.
fn check_across(geometry: Geometry, boundary: u64, leaves: Leaves) {
    with_space(geometry, |space| {
        let page = geometry.page_bytes();
        let (before, after) = (40 * page, 70 * page);
        let run = geometry.run_size(Level::L3).unwrap().bytes();
        let start = VirtAddr::new((1 << 46) + 3 * run - before);
        let output = PhysAddr::new(boundary - before);
        let mapping = Mapping {
            range: VirtRange::new(start, before + after).unwrap(),
            output,
            attributes: attributes(Access::ReadWrite),
            leaves,
        };
        space.map(mapping).unwrap();
        for number in 0..110 {
            let expected = output.checked_add(number * page);
            let address = start.checked_add(number * page).unwrap();
            assert_eq!(space.translate(address), expected, "page {number} of {geometry:?}");
        }
    });
}

#[test]
fn output_addresses_carry_into_the_bits_that_are_kept_apart() {
    let lower = (Regime::El1And0, Half::Lower);
    for leaves in [Leaves::Pages, Leaves::Largest] {
        let lpa = Geometry::new(lower, (Granule::Kib64, Format::Lpa), 52, 52).unwrap();
        check_across(lpa, 1 << 48, leaves);
        check_across(lpa, 7 << 48, leaves);
        for granule in [Granule::Kib4, Granule::Kib16] {
            let lpa2 = Geometry::new(lower, (granule, Format::Lpa2), 52, 52).unwrap();
            check_across(lpa2, 1 << 50, leaves);
            check_across(lpa2, 3 << 50, leaves);
            check_across(lpa2, 1 << 48, leaves);
        }
    }
}

#[test]
fn every_table_of_an_unmapped_tree_comes_back() {
    with_space(Geometry::KERNEL_4K_48, |space| {
        let all = range(0xffff_0000_0000_0000, 2 << 30);
        space
            .map(Mapping {
                range: all,
                output: PhysAddr::new(1 << 30),
                attributes: attributes(Access::ReadWrite),
                leaves: Leaves::Largest,
            })
            .unwrap();
        space.split(range(0xffff_0000_1555_5000, 0x1000), &MAY_PARK).unwrap();
        space.split(range(0xffff_0000_5555_5000, 0x1000), &MAY_PARK).unwrap();
        assert_eq!(space.platform().tables_in_use(), 6);
        space.unmap(all, &MAY_PARK).unwrap();
        assert_eq!(space.platform().tables_in_use(), 1, "the root alone is left");
    });
}

#[test]
fn a_mapping_links_its_tables_behind_a_table_that_was_there() {
    with_space(Geometry::KERNEL_4K_48, |space| {
        let map = |start, bytes, output| {
            space.map(Mapping {
                range: range(start, bytes),
                output: PhysAddr::new(output),
                attributes: attributes(Access::ReadWrite),
                leaves: Leaves::Largest,
            })
        };
        // A page in the GiB in which the second mapping ends.
        map(0xffff_000b_9680_0000, 0x1000, 0x1000_0000).unwrap();
        let (start, bytes) = (0xffff_0007_8000_1000, 16 << 30);
        map(start, bytes, 0x8000_1000).unwrap();
        for offset in (0..bytes).step_by(1 << 20).chain([bytes - 0x1000]) {
            let address = VirtAddr::new(start + offset);
            assert_eq!(space.translate(address), Some(PhysAddr::new(0x8000_1000 + offset)));
        }
    });
}
