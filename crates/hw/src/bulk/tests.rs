//! Every way to compare and to change many entries does the same to them, and nothing to others.

use super::*;

const VALUE: u64 = 0x0060_0000_4000_0703;

/// As many words as a table has, and some around them, the `odd` one another than the rest.
fn words(odd: usize, work: impl FnOnce(u64)) -> [u64; 520] {
    let mut words = core::array::from_fn(|index| VALUE + 0x1000 * u64::try_from(index).unwrap());
    if let Some(word) = words.get_mut(odd) {
        *word ^= 1;
    }
    work(words.as_mut_ptr().expose_provenance().try_into().unwrap());
    core::hint::black_box(words)
}

#[test]
fn each_way_to_change_entries_stores_the_same_words_and_no_others() {
    for (clear, set) in [(1, 1 << 11), (1 << 11, 1), (0, 1 << 53), (1 << 7, 0), (1, 1), (0, 0)] {
        for first in 0..3 {
            for count in (0..=512_u16).step_by(usize::from(EIGHT)) {
                let at = |start: u64| start + first * ENTRY_BYTES;
                let turns = (u64::from(count / MOST), u64::from(count % MOST / EIGHT));
                let pairs = words(9, |start| {
                    // SAFETY: there are as many words from there on.
                    unsafe { update_in_pairs(at(start), clear, set, count) };
                });
                let wide = words(9, |start| {
                    // SAFETY: as above; processes may use vector registers.
                    unsafe { vectors::update(at(start), (clear, set), turns) };
                });
                assert_eq!(pairs, wide, "{count} from {first} on, {clear:#x} and {set:#x}");
            }
        }
    }
}

#[test]
fn each_way_to_compare_entries_finds_the_same_first_that_does_not_match() {
    let patterns = [(0x703, 0x703), (1, 1), (3 | 1 << 55, 3), (1 << 55, 0), (0, 0)];
    for (mask, value) in patterns {
        let pattern = Pattern { mask, value };
        for odd in (0..520).step_by(7) {
            for turns in 1..=8 {
                words(odd, |start| {
                    // SAFETY: there are as many words from there on.
                    let pairs = unsafe { turns_that_match(start, pattern, turns) };
                    // SAFETY: as above; processes may use vector registers.
                    let left = unsafe { vectors::scan(start, pattern, turns.into()) };
                    assert_eq!(u64::from(turns - pairs), left, "{turns}, {odd}, {mask:#x}");
                });
            }
        }
    }
}
