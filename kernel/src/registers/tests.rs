//! Regions of registers, and the pages that show them.

extern crate std;

use std::vec::Vec;

use blockmap::machine::PhysAddr;

use super::*;

const ROOM: u64 = 0xffff_8000_c100_0000;

fn region(start: u64, bytes: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), bytes).unwrap()
}

fn placed(bytes: u64, regions: &[PhysRange]) -> Vec<(u64, u64, u64)> {
    let room = VirtRange::new(VirtAddr::new(ROOM), bytes).unwrap();
    in_a_row(room, regions.iter().copied())
        .map(|placed| {
            assert_eq!(placed.pages.bytes(), placed.memory.bytes());
            (placed.registers.value() - ROOM, placed.pages.bytes(), placed.memory.start().value())
        })
        .collect()
}

#[test]
fn registers_within_a_page_are_found_within_a_page() {
    let at = VirtAddr::new(ROOM);
    let placed = place(at, region(0x2c00_1400, 0x1000), 0x1_0000).unwrap();
    assert_eq!(placed.registers, at.wrapping_add(0x400));
    assert_eq!(placed.memory, region(0x2c00_1000, 0x2000));
    assert_eq!(placed.pages.start(), at);
    let placed = place(at, region(0x0800_0000, 0x10_0000), 0x1_0000).unwrap();
    assert_eq!((placed.registers, placed.memory), (at, region(0x0800_0000, 0x1_0000)));
}

#[test]
fn two_regions_of_qemu_for_512_cpus_are_mapped_whole() {
    let first = region(0x080a_0000, 0xf6_0000);
    let second = region(0x40_0000_0000, 0x400_0000);
    let all = placed(80 << 20, &[first, second]);
    assert_eq!(all[0], (0xa_0000, 0xf6_0000, 0x080a_0000));
    assert_eq!(all[1], (0x100_0000, 0x400_0000, 0x40_0000_0000));
}

#[test]
fn what_finds_no_room_is_mapped_in_part_and_what_follows_not_at_all() {
    let all = [region(0x1000_0000, 3 << 20), region(0x2000_0000, 3 << 20)];
    assert_eq!(placed(6 << 20, &all), [(0, 3 << 20, 0x1000_0000), (4 << 20, 2 << 20, 0x2000_0000)]);
    assert_eq!(placed(4 << 20, &all).len(), 1);
    assert_eq!(
        placed(2 << 20, &[region(0x1010_0800, 4 << 20)]),
        [(0x10_0800, 1 << 20, 0x1010_0000)]
    );
}
