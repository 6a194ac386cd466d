//! Contiguous runs are counted as such only if they are what they claim.

use blockmap_dump::{
    Stat,
    vmsa::{
        Geometry, Level, bits,
        machine::{PhysAddr, VirtAddr},
    },
};

use crate::arena::Arena;

const KERNEL: Geometry = Geometry::KERNEL_4K_48;
const BASE: u64 = 0xffff_0000_0000_0000;
const PAGE: u64 = bits::VALID | bits::ACCESSED | bits::CONTIGUOUS;

/// The statistics of pages, numbered from the half's start, each with what it says and the number
/// of the page of memory it leads to.
fn stat(pages: impl IntoIterator<Item = (u64, u64, u64)>) -> Stat {
    let mut arena = Arena::new(KERNEL);
    for (number, meaning, output) in pages {
        let word = KERNEL.leaf_word(Level::L3, PhysAddr::new(output << 12), meaning);
        arena.put(Level::L3, VirtAddr::new(BASE + (number << 12)), word);
    }
    arena.tree().stat()
}

fn runs_and_bad(stat: &Stat) -> (u64, u64) {
    (stat.level(Level::L3).runs, stat.misprogrammed)
}

#[test]
fn whole_aligned_groups_are_runs() {
    let found = stat((0..48).map(|n| (n, PAGE, 160 + n)));
    assert_eq!(runs_and_bad(&found), (3, 0));
    assert_eq!((found.tlb_entries(), found.mapped_bytes()), (3, 48 << 12));
}

#[test]
fn a_group_with_a_hole_is_none() {
    let found = stat((0..16).filter(|n| *n != 5).map(|n| (n, PAGE, 160 + n)));
    assert_eq!(runs_and_bad(&found), (0, 1));
    assert_eq!(found.tlb_entries(), 15);
}

#[test]
fn a_group_cut_off_at_either_end_is_none() {
    let found = stat((8..40).map(|n| (n, PAGE, 160 + n)));
    assert_eq!(runs_and_bad(&found), (1, 2));
}

#[test]
fn a_group_that_leads_to_an_unaligned_place_is_none() {
    let found = stat((0..32).map(|n| (n, PAGE, 161 + n)));
    assert_eq!(runs_and_bad(&found), (0, 2));
    let found = stat((0..16).map(|n| (n, PAGE, 160 + (n ^ 1))));
    assert_eq!(runs_and_bad(&found), (0, 1));
    let swapped = |n: u64| if n < 14 { n } else { n ^ 1 };
    let found = stat((0..16).map(|n| (n, PAGE, 160 + swapped(n))));
    assert_eq!(runs_and_bad(&found), (0, 1));
    let marked = |n: u64| if n < 4 { PAGE & !bits::ACCESSED } else { PAGE };
    let found = stat((0..16).map(|n| (n, marked(n), 161 + n)));
    assert_eq!(runs_and_bad(&found), (0, 1));
}

#[test]
fn a_group_that_differs_within_is_none_and_counts_once() {
    let read_only = PAGE | bits::READ_ONLY;
    let found = stat((0..16).map(|n| (n, if n == 7 { read_only } else { PAGE }, 160 + n)));
    assert_eq!(runs_and_bad(&found), (0, 1));
    let single = PAGE & !bits::CONTIGUOUS;
    let found = stat((0..16).map(|n| (n, if n == 7 { single } else { PAGE }, 160 + n)));
    assert_eq!(runs_and_bad(&found), (0, 1));
}

#[test]
fn hardware_may_mark_the_leaves_of_a_run_one_by_one() {
    let writable = PAGE | bits::DIRTY_MODIFIER;
    let found = stat((0..16).map(|n| {
        let marks = [0, bits::READ_ONLY, bits::READ_ONLY, bits::ACCESSED];
        let word = writable & !bits::ACCESSED | marks[n % 4];
        let number = u64::try_from(n).unwrap();
        (number, word, 160 + number)
    }));
    assert_eq!(runs_and_bad(&found), (1, 0));
    assert_eq!(found.tlb_entries(), 1);
}

#[test]
fn invalid_groups_are_no_runs_and_need_no_tlb() {
    let invalid = PAGE & !bits::VALID | bits::PRESENT;
    let found = stat((0..16).map(|n| (n, invalid, 160 + n)));
    assert_eq!(runs_and_bad(&found), (0, 0));
    assert_eq!((found.tlb_entries(), found.invalid_bytes()), (0, 16 << 12));
    let found = stat((0..16).map(|n| (n, if n < 4 { invalid } else { PAGE }, 160 + n)));
    assert_eq!(runs_and_bad(&found), (0, 1));
}
