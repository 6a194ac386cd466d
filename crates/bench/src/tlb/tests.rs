//! What a TLB of the model holds, and what goes.

use super::*;

const PAGE: u64 = 4 * KIB;
const ALONE: Leaf = Leaf { bytes: PAGE, four_alike: false };
const SMALL: Shape =
    Shape { sets: 2, ways: 2, sizes: &[PAGE, 64 * KIB], neighbours: Neighbours::Apart };
const NONE: Shape = Shape { sets: 1, ways: 1, ..SMALL };

/// A TLB whose first level holds one entry, so that the second shows.
fn tlb(second: Shape) -> Tlb {
    Tlb::new(Core { first: NONE, second, ..CORES[0] })
}

fn walks(tlb: &mut Tlb, addresses: &[u64], leaf: Leaf) -> usize {
    let walk = |address: &&u64| tlb.access(**address, leaf) == Found::Walk;
    addresses.iter().filter(walk).count()
}

#[test]
fn a_level_holds_as_many_entries_as_it_has() {
    let full = Shape { sets: 1, ways: 48, ..SMALL };
    let pages = |count: u64| (0..count).map(|page| page * PAGE).collect::<Vec<u64>>();
    let mut fits = tlb(full);
    assert_eq!(walks(&mut fits, &pages(48), ALONE), 48);
    assert_eq!(walks(&mut fits, &pages(48), ALONE), 0);
    let mut one_more = tlb(full);
    walks(&mut one_more, &pages(49), ALONE);
    assert_eq!(walks(&mut one_more, &pages(49), ALONE), 49, "each takes the next one's place");
}

#[test]
fn addresses_of_one_set_share_its_ways() {
    let mut tlb = tlb(SMALL);
    let even = [0, 2 * PAGE, 4 * PAGE];
    walks(&mut tlb, &even, ALONE);
    assert_eq!(walks(&mut tlb, &even, ALONE), 3, "two ways for three pages");
    assert_eq!(walks(&mut tlb, &[PAGE], ALONE), 1);
    assert_eq!(walks(&mut tlb, &[3 * PAGE, PAGE], ALONE), 1, "the odd set has room");
}

#[test]
fn the_least_recently_used_goes() {
    let mut tlb = tlb(SMALL);
    walks(&mut tlb, &[0, 2 * PAGE, 0, 4 * PAGE], ALONE);
    assert_eq!(tlb.access(0, ALONE), Found::Second);
    assert_eq!(tlb.access(2 * PAGE, ALONE), Found::Walk);
}

#[test]
fn a_contiguous_run_takes_one_entry_where_its_size_is_held() {
    let run = Leaf { bytes: 64 * KIB, four_alike: true };
    let pages: Vec<u64> = (0..16).map(|page| page * PAGE).collect();
    assert_eq!(walks(&mut tlb(SMALL), &pages, run), 1);
    let pages_only = |shape| Shape { sizes: &[PAGE], ..shape };
    let (first, second) = (pages_only(NONE), pages_only(SMALL));
    let mut small = Tlb::new(Core { first, second, ..CORES[0] });
    assert_eq!(walks(&mut small, &pages, run), 16);
}

#[test]
fn four_alike_pages_share_an_entry_where_the_core_has_them_do_so() {
    let alike = Leaf { four_alike: true, ..ALONE };
    let pages = [0, PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE];
    let sharing = Shape { neighbours: Neighbours::FourShare, ..SMALL };
    assert_eq!(walks(&mut tlb(sharing), &pages, alike), 2);
    assert_eq!(walks(&mut tlb(sharing), &pages, ALONE), 5);
    assert_eq!(walks(&mut tlb(SMALL), &pages, alike), 5);
}

#[test]
fn a_block_larger_than_all_sizes_is_broken_up() {
    let block = Leaf { bytes: GIB, four_alike: false };
    let mut a72 = Tlb::new(CORES[1]);
    assert_eq!(a72.access(0, block), Found::Walk);
    assert_eq!(a72.access(900 * MIB, block), Found::Second, "an entry of 1 MiB each in the first");
    assert_eq!(a72.access(900 * MIB + PAGE, block), Found::First);
}
