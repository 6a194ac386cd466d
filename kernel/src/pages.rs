//! Which pages of a block of 2 MiB are handed out: parts, each of neighbouring pages.
//!
//! ```
//! use blockmap_kernel::pages::Pages;
//!
//! let mut pages = Pages::new();
//! let first = pages.take(3).expect("all are free");
//! assert_eq!((first.start, first.end), (0, 3));
//! assert_eq!(pages.used(), 3);
//! pages.give_back(first);
//! assert!(pages.is_unused());
//! ```

use core::ops::Range;

/// How many pages a block has.
pub const PAGES: u32 = 512;

/// The pages of a block, each handed out or free.
#[derive(Clone, Debug)]
pub struct Pages {
    /// A bit for each page that is handed out.
    used: [u64; WORDS],
}

const WORDS: usize = 8;

impl Default for Pages {
    fn default() -> Self {
        Self::new()
    }
}

impl Pages {
    /// None is handed out.
    #[must_use]
    pub const fn new() -> Self {
        Self { used: [0; WORDS] }
    }

    /// Hands out the lowest `count` neighbouring pages that are free; `None` if there are none.
    pub fn take(&mut self, count: u32) -> Option<Range<u32>> {
        let mut run = 0..0;
        for page in 0..PAGES {
            run = if self.is_used(page) { page + 1..page + 1 } else { run.start..page + 1 };
            if count > 0 && run.end - run.start == count {
                run.clone().for_each(|page| self.flip(page));
                return Some(run);
            }
        }
        None
    }

    /// Takes pages back.
    ///
    /// # Panics
    /// If one of them was not handed out.
    pub fn give_back(&mut self, part: Range<u32>) {
        for page in part {
            assert!(self.is_used(page), "page {page} is given back and was not handed out");
            self.flip(page);
        }
    }

    /// How many pages are handed out.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.used.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.used() == 0
    }

    fn is_used(&self, page: u32) -> bool {
        let (word, bit) = place(page);
        self.used.get(word).is_some_and(|word| word & bit != 0)
    }

    fn flip(&mut self, page: u32) {
        let (word, bit) = place(page);
        if let Some(word) = self.used.get_mut(word) {
            *word ^= bit;
        }
    }
}

/// The word of a page, and its bit there.
fn place(page: u32) -> (usize, u64) {
    (usize::try_from(page / 64).unwrap_or(WORDS), 1 << (page % 64))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lowest_gap_that_fits_is_handed_out() {
        let mut pages = Pages::new();
        let parts: Vec<_> = (0..4).map(|_| pages.take(100).unwrap()).collect();
        assert_eq!(pages.take(113), None);
        pages.give_back(parts[1].clone());
        assert_eq!(pages.take(112), Some(400..512));
        assert_eq!(pages.take(101), None);
        assert_eq!(pages.take(40), Some(100..140));
        assert_eq!(pages.used(), 452);
    }

    #[test]
    fn no_pages_and_more_than_there_are_are_not_handed_out() {
        let mut pages = Pages::new();
        assert_eq!(pages.take(0), None);
        assert_eq!(pages.take(513), None);
        assert_eq!(pages.take(512), Some(0..512));
        assert_eq!(pages.take(1), None);
    }

    #[test]
    #[should_panic(expected = "page 7 is given back and was not handed out")]
    fn a_page_is_given_back_once() {
        Pages::new().give_back(7..8);
    }

    proptest! {
        #[test]
        fn parts_never_overlap(counts in proptest::collection::vec(1_u32..60, 1..40)) {
            let mut pages = Pages::new();
            let mut held: Vec<Range<u32>> = Vec::new();
            for (turn, count) in counts.into_iter().enumerate() {
                if turn % 3 == 2 {
                    pages.give_back(held.swap_remove(turn % held.len()));
                }
                if let Some(part) = pages.take(count) {
                    let apart = |one: &Range<u32>| one.end <= part.start || part.end <= one.start;
                    prop_assert!(held.iter().all(apart));
                    held.push(part);
                }
                let all: u32 = held.iter().map(|part| part.end - part.start).sum();
                prop_assert_eq!(pages.used(), all);
            }
        }
    }
}
