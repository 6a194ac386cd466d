//! Whether everything below an entry says the same, so that one leaf could say it.

use blockmap_machine::{Entry, Machine, PhysAddr};
use blockmap_vmsa::{Kind, Level, bits};

use crate::space::Place;
use crate::{Platform, Space};

/// What leaves say, and where the first of them leads: all that is left of them in a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) meaning: u64,
    pub(crate) output: PhysAddr,
}

impl Leaf {
    /// The leaf that follows this one by so many bytes and says the same.
    fn after(self, bytes: u64) -> Option<Self> {
        Some(Self { output: self.output.checked_add(bytes)?, ..self })
    }
}

/// Entries that are read at once; a part of every table of pages.
const CHUNK: usize = 64;

impl<P: Platform> Space<'_, P> {
    /// The leaf that an entry is, or that could stand for all that is below it. None that is held,
    /// or invalid.
    pub(crate) fn could_be(&self, place: Place) -> Option<Leaf> {
        let geometry = self.geometry();
        match (place.kind, place.level.next()) {
            (Kind::Leaf, _) if place.word & bits::HELD == 0 => Some(Leaf {
                meaning: geometry.leaf_meaning(place.word),
                output: geometry.leaf_output(place.level, place.word),
            }),
            (Kind::Table, Some(below)) => {
                let table = geometry.table_address(place.word);
                // A pointer that takes rights away, or says anything else, is left alone.
                // [table-denies-no-more-than-leaf]
                let is_plain = place.word == geometry.table_word(table);
                geometry.leaf_size(place.level).filter(|_| is_plain)?;
                let leaf = self.uniform((below, table))?;
                leaf.output.is_aligned(geometry.span_bytes(place.level)).then_some(leaf)
            }
            (
                Kind::Leaf | Kind::Table | Kind::PresentInvalid | Kind::Invalid | Kind::Reserved,
                _,
            ) => None,
        }
    }

    /// The first leaf of a table whose others follow it and say the same.
    fn uniform(&self, (level, table): (Level, PhysAddr)) -> Option<Leaf> {
        let last = self.geometry().granule().entries() - 1;
        let first = self.could_be(self.entry((level, table), 0))?;
        let follows = |index: u16| self.follows((level, table), index, first);
        // Where a part was changed it is seldom the whole rest: the end is likely to tell.
        if !follows(last) {
            return None;
        }
        let all_follow = match level {
            Level::L3 => self.all_pages_follow(table, first),
            Level::Minus1 | Level::L0 | Level::L1 | Level::L2 => None,
        };
        all_follow.unwrap_or_else(|| (1..last).all(follows)).then_some(first)
    }

    /// Whether all entries of a table of pages follow the one at index 0, `first`, many at a time;
    /// `None` where their words are no arithmetic progression.
    fn all_pages_follow(&self, table: PhysAddr, first: Leaf) -> Option<bool> {
        let geometry = self.geometry();
        let (entries, step) = (geometry.granule().entries(), geometry.page_bytes());
        if geometry.progression_bytes(first.output) < step * u64::from(entries) {
            return None;
        }
        let mut expected = geometry.leaf_word(Level::L3, first.output, first.meaning);
        let mut words = [0; CHUNK];
        for index in (0..entries).step_by(CHUNK) {
            self.machine().read(Entry { table, index }, &mut words);
            let mut differences = 0;
            for word in words {
                differences |= word ^ expected;
                expected = expected.wrapping_add(step);
            }
            if differences & !bits::CONTIGUOUS != 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Whether the entry at `index` could be the leaf that follows the one at index 0, `first`.
    fn follows(&self, (level, table): (Level, PhysAddr), index: u16, first: Leaf) -> bool {
        let bytes = self.geometry().span_bytes(level) * u64::from(index);
        let expected = first.after(bytes);
        expected.is_some() && self.could_be(self.entry((level, table), index)) == expected
    }

    /// Whether `count` entries from `index` on are leaves that follow each other, say the same, are
    /// not held, and may be a contiguous run; they are none yet.
    pub(crate) fn may_be_run(
        &self,
        (level, table): (Level, PhysAddr),
        index: u16,
        count: u16,
    ) -> bool {
        let geometry = self.geometry();
        let place = self.entry((level, table), index);
        if place.kind != Kind::Leaf || place.word & bits::CONTIGUOUS != 0 {
            return false;
        }
        let span = geometry.span_bytes(level);
        let Some(first) = self.could_be(place) else { return false };
        first.output.is_aligned(span * u64::from(count))
            && (1..count).rev().all(|offset| {
                let place = self.entry((level, table), index + offset);
                place.kind == Kind::Leaf
                    && self.could_be(place) == first.after(span * u64::from(offset))
            })
    }

    fn entry(&self, (level, table): (Level, PhysAddr), index: u16) -> Place {
        let entry = Entry { table, index };
        let word = self.machine().load(entry);
        Place { level, entry, word, kind: self.geometry().kind(level, word) }
    }
}
