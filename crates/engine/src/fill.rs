//! Writing neighbouring leaves that map neighbouring memory.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

use blockmap_machine::{Entry, Event, Machine, PhysAddr};
use blockmap_vmsa::Level;

use crate::{Platform, Space};

/// Leaves of one table at `level` of which the one at index 0 maps `output`, or would.
#[derive(Clone, Copy)]
pub(crate) struct Progression {
    pub(crate) table: PhysAddr,
    pub(crate) level: Level,
    pub(crate) output: PhysAddr,
}

impl<P: Platform> Space<'_, P> {
    /// Fills the entries from `first` up to `end` of a progression of leaves that say `meaning`.
    #[inline(always)]
    pub(crate) fn fill_leaves(&self, leaves: Progression, (first, end): (u16, u16), meaning: u64) {
        let geometry = self.geometry();
        let bits = geometry.span_bits(leaves.level);
        let step = 1 << bits;
        let mut index = first;
        while index < end {
            let output = leaves.output.wrapping_add(step * u64::from(index));
            // Output address bits that are kept apart from the others don't add up by carrying.
            let unbroken = geometry.progression_bytes(output) >> bits;
            let count = (end - index).min(u16::try_from(unbroken).unwrap_or(u16::MAX));
            let span = Entry { table: leaves.table, index }.span(count);
            let value = geometry.leaf_word(leaves.level, output, meaning);
            self.machine().perform(Event::Fill { span, value, step });
            index += count;
        }
    }

    /// Fills neighbouring entries of a table that nothing points to with `words`, each given with its
    /// index: one effect for each stretch of them in arithmetic progression.
    pub(crate) fn fill_words(&self, table: PhysAddr, words: impl Iterator<Item = (u16, u64)>) {
        let fill = |(index, value, step, count): (u16, u64, u64, u16)| {
            let span = Entry { table, index }.span(count);
            self.machine().perform(Event::Fill { span, value, step });
        };
        let mut open = None;
        for (index, word) in words {
            open = match open {
                None => Some((index, word, 0, 1)),
                Some((first, value, _, 1)) => Some((first, value, word.wrapping_sub(value), 2)),
                Some((first, value, step, count))
                    if word == value.wrapping_add(step.wrapping_mul(u64::from(count))) =>
                {
                    Some((first, value, step, count + 1))
                }
                Some(done) => {
                    fill(done);
                    Some((index, word, 0, 1))
                }
            };
        }
        open.into_iter().for_each(fill);
    }

    /// Empties the entries from `first` up to `end` of a table that nothing points to.
    #[inline]
    pub(crate) fn fill_empty(&self, table: PhysAddr, (first, end): (u16, u16)) {
        if first < end {
            let span = Entry { table, index: first }.span(end - first);
            self.machine().perform(Event::Fill { span, value: 0, step: 0 });
        }
    }
}
