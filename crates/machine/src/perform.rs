//! The trait of whoever performs effects: the CPU, a recorder, a model.
#![expect(
    clippy::inline_always,
    reason = "of an effect that is built in the argument nothing is left but its instruction"
)]

use crate::{Barrier, Entry, Event, Invalidate, Span};

/// Performs the effects of table changes, and reads tables.
///
/// Effects happen in the order of the calls, as a CPU executes instructions in program order:
/// when they become visible to walkers and TLBs is what the barriers among them decide.
///
/// The trait is safe to call because the promise is made where a machine that touches a live map
/// is constructed; see `blockmap-hw`. It is statically dispatched: with an event built in the
/// argument, an inlined `perform` is the bare instruction.
pub trait Machine {
    /// Reads one entry, whole (single-copy atomic).
    fn load(&self, entry: Entry) -> u64;

    /// How many entries from the start of `span` on match `pattern`, up to the first that doesn't.
    fn scan(&self, span: Span, pattern: Pattern) -> u16;

    /// Reads the entries from `first` on into `words`: each whole, in whatever order.
    ///
    /// They are in one table: `first` and as many as `words` has never reach past its end.
    #[inline]
    fn read(&self, first: Entry, words: &mut [u64]) {
        for (index, word) in (first.index..).zip(words) {
            *word = self.load(Entry { table: first.table, index });
        }
    }

    /// How many entries from the start of `span` on are `first`, `first` and `step`, and so on, up to the
    /// first that isn't.
    #[inline]
    fn climb(&self, span: Span, first: u64, step: u64) -> u16 {
        let table = Entry { table: span.table, index: span.first };
        let entry = |number: u16| Entry { index: table.index.wrapping_add(number), ..table };
        let mut wanted = first;
        for number in 0..span.count {
            if self.load(entry(number)) != wanted {
                return number;
            }
            wanted = wanted.wrapping_add(step);
        }
        span.count
    }

    /// Performs one effect.
    fn perform(&self, event: Event);

    /// Performs a store to one entry.
    #[inline]
    fn store(&self, entry: Entry, value: u64) {
        self.perform(Event::Store { entry, value });
    }

    /// Performs a barrier.
    #[inline(always)]
    fn barrier(&self, barrier: Barrier) {
        self.perform(Event::Barrier(barrier));
    }

    /// Performs a TLB invalidation.
    #[inline(always)]
    fn invalidate(&self, invalidate: Invalidate) {
        self.perform(Event::Invalidate(invalidate));
    }
}

/// What an entry is compared with: it matches when its bits under `mask` equal `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The bits that count.
    pub mask: u64,
    /// What they must be; has no bits outside `mask`.
    pub value: u64,
}

impl Pattern {
    /// Whether `word` matches.
    #[inline]
    #[must_use]
    pub const fn matches(self, word: u64) -> bool {
        word & self.mask == self.value
    }
}
