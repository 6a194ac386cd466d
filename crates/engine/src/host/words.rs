//! Many words of a table at once, in the fewest instructions that a compiler makes of safe code.

use core::array;
use core::cell::Cell;
use core::hint::black_box;

use blockmap_machine::Pattern;

/// How many words a turn of a loop takes: as many as half the vector registers of common machines hold.
const TURN: usize = 16;

/// From this many turns on it pays to lay out the first of them.
const MANY: usize = 4;

/// Writes `first`, `first + step`, …
pub(super) fn fill(words: &[Cell<u64>], first: u64, step: u64) {
    if step == 0 {
        for word in words {
            word.set(first);
        }
        return;
    }
    let (turns, rest) = words.as_chunks::<TURN>();
    if turns.len() < MANY {
        fill_one_by_one(words, first, step);
        return;
    }
    let mut next = first;
    let row: [u64; TURN] = array::from_fn(|_| {
        let value = next;
        next = next.wrapping_add(step);
        value
    });
    let turn_step = next.wrapping_sub(first);
    // A compiler that sees that each is a step more than the one before makes them one by one.
    let mut row = black_box(row);
    for turn in turns {
        for (word, value) in turn.iter().zip(&mut row) {
            word.set(*value);
            *value = value.wrapping_add(turn_step);
        }
    }
    let filled = u64::try_from(words.len() - rest.len()).unwrap_or(0);
    fill_one_by_one(rest, first.wrapping_add(step.wrapping_mul(filled)), step);
}

#[inline]
fn fill_one_by_one(words: &[Cell<u64>], first: u64, step: u64) {
    let mut value = first;
    for word in words {
        word.set(value);
        value = value.wrapping_add(step);
    }
}

/// Clears the bits of `clear` in each word, then sets those of `set`.
pub(super) fn update(words: &[Cell<u64>], clear: u64, set: u64) {
    let (turns, rest) = words.as_chunks::<TURN>();
    for turn in turns {
        let changed = turn.each_ref().map(|word| word.get() & !clear | set);
        for (word, value) in turn.iter().zip(changed) {
            word.set(value);
        }
    }
    for word in rest {
        word.set(word.get() & !clear | set);
    }
}

/// How many words from the first on match `pattern`.
pub(super) fn matching(words: &[Cell<u64>], pattern: Pattern) -> usize {
    let (turns, _) = words.as_chunks::<TURN>();
    // Nearly always a turn matches as a whole, which takes few instructions to see.
    let match_all = |turn: &&[Cell<u64>; TURN]| {
        let differences = turn.iter().fold(0, |all, word| all | word.get() ^ pattern.value);
        differences & pattern.mask == 0
    };
    let passed = TURN * turns.iter().take_while(match_all).count();
    let left = words.get(passed..).unwrap_or_default();
    passed + left.iter().take_while(|word| pattern.matches(word.get())).count()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    /// Words of which no two are alike.
    fn unlike(count: usize) -> Vec<Cell<u64>> {
        let mut word = 1_u64;
        let mut next = || {
            word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Cell::new(word)
        };
        (0..count).map(|_| next()).collect()
    }

    fn values(words: &[Cell<u64>]) -> Vec<u64> {
        words.iter().map(Cell::get).collect()
    }

    #[test]
    fn every_word_is_filled_and_updated_as_if_it_were_alone() {
        for count in (0..200).chain([511, 512]) {
            let words = unlike(count);
            for step in [0, 0x1000, 0x1000_u64.wrapping_neg()] {
                let expected: Vec<u64> = (0..u64::try_from(count).unwrap())
                    .map(|number| 0x703_u64.wrapping_add(step.wrapping_mul(number)))
                    .collect();
                fill(&words, 0x703, step);
                assert_eq!(values(&words), expected, "{count} words, a step of {step:#x}");
            }
            let words = unlike(count);
            let expected: Vec<u64> =
                values(&words).iter().map(|word| word & !0xf0 | 0x81).collect();
            update(&words, 0xf0, 0x81);
            assert_eq!(values(&words), expected, "{count} words");
        }
    }

    #[test]
    fn words_match_up_to_the_first_that_differs_in_a_bit_that_counts() {
        let pattern = Pattern { mask: 0x3, value: 0x1 };
        for count in 0..100 {
            let words: Vec<Cell<u64>> = unlike(count);
            update(&words, 0x3, 0x1);
            assert_eq!(matching(&words, pattern), count);
            for at in 0..count {
                for bit in [0, 1] {
                    words[at].set(words[at].get() ^ 1 << bit);
                    assert_eq!(matching(&words, pattern), at, "of {count}, bit {bit}");
                    words[at].set(words[at].get() ^ 1 << bit);
                }
            }
        }
    }
}
