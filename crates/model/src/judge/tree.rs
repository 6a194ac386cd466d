//! Tables as the program has written them, and where in the tree walkers can meet each.

use blockmap_machine::{Entry, PhysAddr, VirtAddr, VirtRange};

use crate::program::Memory;
use crate::rights::Rights;
use crate::shape::Shape;

/// One table's words.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) words: Vec<Option<u64>>,
    /// Where walkers can meet it.
    pub(super) places: Vec<Place>,
    /// Words that have been overwritten and may still be read: by which CPU, and from which index on.
    pub(super) unpublished: Vec<(usize, u16, Vec<Option<u64>>)>,
    /// Whether it was given back and not written since.
    pub(super) is_free: bool,
}

/// A place in the tree at which walkers can meet a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) height: u32,
    /// The first address that its first entry translates.
    pub(super) start: VirtAddr,
    pub(super) allows: Rights,
    /// The stale pointer that leads there; `None` while an entry of a reachable table does.
    pub(super) by: Option<u64>,
}

impl Table {
    pub(super) fn get(&self, index: u16) -> Option<u64> {
        self.words.get(usize::from(index)).copied().flatten()
    }

    pub(super) fn set(&mut self, index: u16, word: Option<u64>) {
        let index = usize::from(index);
        if self.words.len() <= index {
            self.words.resize(index + 1, None);
        }
        self.words[index] = word;
    }

    /// Adds the table's words to a memory.
    pub(super) fn copy_to(&self, table: PhysAddr, memory: &mut Memory) {
        for (index, word) in (0..).zip(&self.words) {
            if let Some(word) = word {
                memory.write(Entry { table, index }, crate::program::Write::Value(*word));
            }
        }
    }
}

/// Neighbouring entries that say the same of neighbouring memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) first: u16,
    pub(super) count: u16,
    /// The first entry's word.
    pub(super) word: Option<u64>,
}

impl Segment {
    /// The addresses that the segment is for, in a table at `place`.
    pub(super) fn range(self, shape: Shape, place: Place) -> Option<VirtRange> {
        let bytes = shape.span(place.height);
        let start = place.start.wrapping_add(u64::from(self.first) * bytes);
        VirtRange::new(start, u64::from(self.count) * bytes)
    }
}

/// Parts words into segments: of invalid words, of words that differ by what they translate.
pub(super) fn segments(step: u64, first: u16, words: &[Option<u64>]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut expected = None;
    for (index, word) in (first..).zip(words) {
        let is_fault = word.is_some_and(|word| word & 1 == 0);
        match segments.last_mut() {
            Some(last) if expected == *word && !is_fault => last.count += 1,
            Some(last) if is_fault && last.word.is_some_and(|word| word & 1 == 0) => {
                last.count += 1;
            }
            Some(_) | None => segments.push(Segment { first: index, count: 1, word: *word }),
        }
        expected = word.map(|word| word.wrapping_add(step));
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_where_they_stop_being_alike() {
        let words = [0, 2, 0x1003, 0x2003, 0x3003, 0x5003].map(Some);
        let parts: Vec<(u16, u16)> = segments(0x1000, 4, &words)
            .iter()
            .map(|segment| (segment.first, segment.count))
            .collect();
        assert_eq!(parts, [(4, 2), (6, 3), (9, 1)]);
    }
}
