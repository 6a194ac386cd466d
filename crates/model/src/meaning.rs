//! What a map means: each address's translation, however it is written down in tables.

use std::collections::BTreeMap;
use std::fmt;

use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};

use crate::rights::Rights;

/// What an address translates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Translation {
    /// Where.
    pub output: PhysAddr,
    /// What it grants.
    pub rights: Rights,
    /// The index of the memory's type.
    pub memory: u8,
}

impl Translation {
    /// The translation of the address `bytes` higher, where the two are neighbours in memory too.
    #[must_use]
    pub const fn above(self, bytes: u64) -> Self {
        Self { output: self.output.wrapping_add(bytes), ..self }
    }
}

impl fmt::Display for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} type {}", self.output, self.rights, self.memory)
    }
}

/// A set of addresses with their translations, kept as runs of neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// By first address: the last address, and what the first one translates to.
    pieces: BTreeMap<u64, (u64, Translation)>,
}

/// Neighbouring addresses that are mapped to neighbouring memory, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The addresses.
    pub range: VirtRange,
    /// What the first of them translates to.
    pub translation: Option<Translation>,
}

impl Meaning {
    /// What `address` translates to.
    #[must_use]
    pub fn get(&self, address: VirtAddr) -> Option<Translation> {
        let at = address.value();
        let (first, (last, translation)) = self.pieces.range(..=at).next_back()?;
        (at <= *last).then(|| translation.above(at - first))
    }

    /// Makes the addresses of `range` translate as `translation` and what follows it, or not.
    pub fn set(&mut self, range: VirtRange, translation: Option<Translation>) {
        let (mut first, mut last) = (range.start().value(), range.last().value());
        self.cut(first);
        if let Some(above) = last.checked_add(1) {
            self.cut(above);
        }
        let covered: Vec<u64> = self.pieces.range(first..=last).map(|(at, _)| *at).collect();
        for at in covered {
            self.pieces.remove(&at);
        }
        let Some(mut translation) = translation else { return };
        if let Some((below, (end, other))) = self.pieces.range(..first).next_back()
            && end.checked_add(1) == Some(first)
            && other.above(first - below) == translation
        {
            (first, translation) = (*below, *other);
        }
        if let Some(above) = last.checked_add(1)
            && let Some((end, other)) = self.pieces.get(&above).copied()
            && translation.above(above - first) == other
        {
            self.pieces.remove(&above);
            last = end;
        }
        self.pieces.insert(first, (last, translation));
    }

    /// Parts the piece around `at` so that one starts there.
    fn cut(&mut self, at: u64) {
        let Some((first, (last, translation))) = self.pieces.range_mut(..at).next_back() else {
            return;
        };
        if *last >= at {
            let upper = (*last, translation.above(at - first));
            *last = at - 1;
            self.pieces.insert(at, upper);
        }
    }

    /// The pieces of `range` in ascending order, holes included.
    #[must_use]
    pub fn pieces(&self, range: VirtRange) -> Vec<Piece> {
        let mut found = Vec::new();
        let mut next = range.start().value();
        let mut push = |first: u64, last: u64, translation| {
            let range = VirtRange::new(VirtAddr::new(first), last - first + 1);
            found.extend(range.map(|range| Piece { range, translation }));
        };
        let end = range.last().value();
        let below = self.pieces.range(..next).next_back().map_or(next, |(first, _)| *first);
        for (first, (last, translation)) in self.pieces.range(below..=end) {
            if *last < next {
                continue;
            }
            if *first > next {
                push(next, first - 1, None);
                next = *first;
            }
            let until = (*last).min(end);
            push(next, until, Some(translation.above(next - first)));
            if until == end {
                return found;
            }
            next = until + 1;
        }
        push(next, end, None);
        found
    }

    /// The addresses that translate into the memory of `range`'s translations, other than itself.
    pub fn mapped(&self) -> impl Iterator<Item = Piece> {
        self.pieces.iter().filter_map(|(first, (last, translation))| {
            let range = VirtRange::new(VirtAddr::new(*first), last - first + 1)?;
            Some(Piece { range, translation: Some(*translation) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, bytes: u64) -> VirtRange {
        VirtRange::new(VirtAddr::new(start), bytes).unwrap()
    }

    fn to(output: u64) -> Translation {
        Translation { output: PhysAddr::new(output), rights: Rights::ALL, memory: 0 }
    }

    #[test]
    fn pieces_join_and_part_as_they_are_set() {
        let mut map = Meaning::default();
        map.set(range(0x1000, 0x1000), Some(to(0x8000)));
        map.set(range(0x3000, 0x1000), Some(to(0xa000)));
        map.set(range(0x2000, 0x1000), Some(to(0x9000)));
        assert_eq!(map.mapped().count(), 1);
        map.set(range(0x1800, 0x800), None);
        assert_eq!(map.get(VirtAddr::new(0x17ff)), Some(to(0x87ff)));
        assert_eq!(map.get(VirtAddr::new(0x1800)), None);
        assert_eq!(map.get(VirtAddr::new(0x3fff)), Some(to(0xafff)));
        let pieces = map.pieces(range(0, 0x5000));
        let ends: Vec<u64> = pieces.iter().map(|piece| piece.range.end().value()).collect();
        assert_eq!(ends, [0x1000, 0x1800, 0x2000, 0x4000, 0x5000]);
    }

    #[test]
    fn the_top_of_the_address_space_is_no_special_case() {
        let mut map = Meaning::default();
        let top = range(0xffff_ffff_ffff_f000, 0x1000);
        map.set(top, Some(to(0x1000)));
        assert_eq!(map.pieces(top).len(), 1);
        map.set(top, None);
        assert_eq!(map.pieces(top)[0].translation, None);
    }
}
