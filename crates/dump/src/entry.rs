//! Every entry of a tree, in the order of the addresses, tables before what they hold.

use blockmap_vmsa::{
    Geometry, Kind, Level,
    machine::{PhysAddr, VirtAddr, VirtRange},
};

use crate::{Limits, ReadTable, Tree};

/// Entries read at once: few enough for a stack, many enough to look at them one after the other.
const CHUNK: u16 = 64;

/// Why a table was not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal<E> {
    /// The reader could not give the words.
    #[error("{0}")]
    Unreadable(E),
    /// No table can be at this address: it is beyond the output addresses, or not aligned.
    #[error("no table can be at this address")]
    Address,
    /// The table holds, at some depth, an entry that leads back to it.
    #[error("it leads back to itself")]
    Loop,
    /// As many tables as [`Tree::with_most_tables`] allows were entered before.
    #[error("more tables than the limit")]
    TooManyTables,
}

/// A table whose entries, or the rest of them, are unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped<E> {
    /// The table.
    pub table: PhysAddr,
    /// Why it was left out.
    pub refusal: Refusal<E>,
}

/// What was found for a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<E> {
    /// An entry. When it leads to a table, the table has been opened, and its entries follow.
    Word {
        /// The entry.
        word: u64,
        /// What a walk does there.
        kind: Kind,
    },
    /// The entries of a table, of which at least one is in the range, could not be read.
    Skipped(Skipped<E>),
}

/// One entry of a tree, or a stretch of entries that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<E> {
    /// The addresses translated through the entry.
    pub range: VirtRange,
    /// The level of the table that holds the entry.
    pub level: Level,
    /// What the tables above the entry take away; not what the entry itself takes away.
    pub limits: Limits,
    /// The entry.
    pub found: Found<E>,
}

/// A table on the path to the entry that comes next.
#[derive(Clone, Copy, Debug)]
struct Open {
    table: PhysAddr,
    level: Level,
    base: VirtAddr,
    next: u16,
    limits: Limits,
}

/// The iterator over the entries of a tree. See [`Tree::entries`].
#[derive(Debug)]
pub struct Entries<'r, R: ReadTable> {
    tree: Tree<'r, R>,
    first: VirtAddr,
    last: VirtAddr,
    /// The open tables, root first; those from `depth` on are not open.
    path: [Open; Level::ALL.len()],
    depth: usize,
    tables_left: u64,
    /// Entries of the innermost open table, from `chunk_first` on: how many are in `chunk_count`.
    chunk: [u64; 64],
    chunk_first: u16,
    chunk_count: u16,
    root_refusal: Option<Refusal<R::Error>>,
}

impl<'r, R: ReadTable> Tree<'r, R> {
    /// Every entry, invalid ones included, in the order of the addresses. An entry that leads to a
    /// table comes before the table's entries; a table that could not be entered comes as one
    /// [`Found::Skipped`] in the place of that entry.
    #[must_use]
    pub fn entries(&self) -> Entries<'r, R> {
        let (lowest, highest) = self.geometry.inputs();
        let (first, last) = match self.within {
            Some(range) => (range.start().max(lowest), range.last().min(highest)),
            None => (lowest, highest),
        };
        let root = Open {
            table: self.root,
            level: self.geometry.root_level(),
            base: lowest,
            next: self.geometry.index(self.geometry.root_level(), first),
            limits: Limits::NONE,
        };
        let mut entries = Entries {
            tree: *self,
            first,
            last,
            path: [root; Level::ALL.len()],
            depth: 0,
            tables_left: self.most_tables,
            chunk: [0; 64],
            chunk_first: 0,
            chunk_count: 0,
            root_refusal: None,
        };
        if first <= last {
            entries.root_refusal = entries.enter(root).err();
        }
        entries
    }
}

impl<R: ReadTable> Entries<'_, R> {
    /// Opens a table and reads its first entries, or says why not and leaves all as it was.
    fn enter(&mut self, open: Open) -> Result<(), Refusal<R::Error>> {
        let above = self.path.get(..self.depth).unwrap_or_default();
        if !self.tree.can_hold_table(open.table) {
            return Err(Refusal::Address);
        }
        if above.iter().any(|other| other.table == open.table) {
            return Err(Refusal::Loop);
        }
        let Some(left) = self.tables_left.checked_sub(1) else {
            return Err(Refusal::TooManyTables);
        };
        self.fetch(open).map_err(Refusal::Unreadable)?;
        if let Some(slot) = self.path.get_mut(self.depth) {
            *slot = open;
            self.depth += 1;
            self.tables_left = left;
        }
        Ok(())
    }

    /// Reads the entries from `open.next` up to the next multiple of the chunk.
    fn fetch(&mut self, open: Open) -> Result<(), R::Error> {
        let end = (open.next - open.next % CHUNK + CHUNK).min(self.geometry().entries(open.level));
        let count = end - open.next;
        self.chunk_count = 0;
        let words = self.chunk.get_mut(..usize::from(count));
        let words = words.unwrap_or_default();
        self.tree.reader.entries(open.table, open.next, words)?;
        (self.chunk_first, self.chunk_count) = (open.next, count);
        Ok(())
    }

    /// The entry that comes next in the innermost open table.
    fn word(&mut self, open: Open) -> Result<u64, R::Error> {
        let is_held =
            open.next >= self.chunk_first && open.next - self.chunk_first < self.chunk_count;
        if !is_held {
            self.fetch(open)?;
        }
        let held = self.chunk.get(usize::from(open.next - self.chunk_first));
        Ok(held.copied().unwrap_or_default())
    }

    /// Whether the innermost table is at hand: right after the start, whether the root is.
    pub(crate) const fn is_open(&self) -> bool {
        self.depth > 0
    }

    /// Passes over those of the entries at hand that go on from `word`, the entry that came last:
    /// each is the one before it and `step` more. Says how many.
    pub(crate) fn pass_over(&mut self, word: u64, step: u64) -> u64 {
        let span = |level| self.tree.geometry.span_bits(level);
        let innermost = self.depth.checked_sub(1).and_then(|depth| self.path.get_mut(depth));
        let Some(open) = innermost.filter(|open| open.next >= self.chunk_first) else {
            return 0;
        };
        let start = open.base.wrapping_add(u64::from(open.next) << span(open.level));
        let Some(bytes) = self.last.offset_from(start) else {
            return 0;
        };
        let most = usize::try_from(bytes >> span(open.level)).unwrap_or(usize::MAX);
        let (from, to) = (open.next - self.chunk_first, self.chunk_count);
        let at_hand = self.chunk.get(usize::from(from)..usize::from(to)).unwrap_or_default();
        let at_hand = at_hand.get(..=most).unwrap_or(at_hand);
        let passed = going_on(at_hand, word, step);
        open.next += passed;
        u64::from(passed)
    }

    fn geometry(&self) -> Geometry {
        self.tree.geometry
    }

    /// Leaves the innermost open table.
    fn leave(&mut self) {
        self.depth -= 1;
        self.chunk_count = 0;
    }

    /// The result for a table entry: the entry with its table opened, or the table skipped.
    fn descend(&mut self, entry: Entry<R::Error>, word: u64) -> Entry<R::Error> {
        let Some(level) = entry.level.next() else {
            return entry;
        };
        let table = self.geometry().table_address(word);
        let next = if entry.range.contains(self.first) {
            self.geometry().index(level, self.first)
        } else {
            0
        };
        let limits = entry.limits | Limits::of_table(word);
        let opened = self.enter(Open { table, level, base: entry.range.start(), next, limits });
        match opened {
            Ok(()) => entry,
            Err(refusal) => {
                Entry { level, limits, found: Found::Skipped(Skipped { table, refusal }), ..entry }
            }
        }
    }

    /// The rest of a table, from its next entry on, as skipped.
    fn left_out(&self, open: Open, refusal: Refusal<R::Error>) -> Option<Entry<R::Error>> {
        let span = self.geometry().span_bits(open.level);
        let left = self.geometry().entries(open.level) - open.next;
        let start = open.base.wrapping_add(u64::from(open.next) << span);
        // A root table in which all 64 bits were translated is the only one whose size would not
        // fit; no geometry has it.
        Some(Entry {
            range: VirtRange::new(start, u64::from(left) << span)?,
            level: open.level,
            limits: open.limits,
            found: Found::Skipped(Skipped { table: open.table, refusal }),
        })
    }
}

/// How many of `words`, from the first on, go on from `word`: each is the one before it and `step`
/// more.
///
/// What a leaf says stays the same where only these bits of its address change: they are address
/// bits in every geometry. Others are left to be looked at one by one.
fn going_on(words: &[u64], word: u64, step: u64) -> u16 {
    const ADDRESS: u64 = (1 << 48) - (1 << 12);
    let (mut expected, mut differences) = (word, 0);
    // Nearly always all of them do. Without a way out of the loop, that takes few instructions.
    for next in words {
        expected = expected.wrapping_add(step);
        differences |= next ^ expected;
    }
    // A carry out of the address, if there was one, is still to be seen at the end: so few steps
    // are no whole turn.
    if differences == 0 && (expected ^ word) & !ADDRESS == 0 {
        return u16::try_from(words.len()).unwrap_or_default();
    }
    let (mut last, mut passed) = (word, 0);
    for &next in words {
        if next != last.wrapping_add(step) || (next ^ last) & !ADDRESS != 0 {
            break;
        }
        last = next;
        passed += 1;
    }
    passed
}

impl<R: ReadTable> Iterator for Entries<'_, R> {
    type Item = Entry<R::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(refusal) = self.root_refusal.take() {
            let [root, ..] = self.path;
            return self.left_out(root, refusal);
        }
        loop {
            let depth = self.depth.checked_sub(1)?;
            let open = *self.path.get(depth)?;
            if open.next == self.geometry().entries(open.level) {
                self.leave();
                continue;
            }
            let span = self.geometry().span_bits(open.level);
            let start = open.base.wrapping_add(u64::from(open.next) << span);
            if start > self.last {
                self.depth = 0;
                return None;
            }
            let word = match self.word(open) {
                Ok(word) => word,
                Err(error) => {
                    self.leave();
                    return self.left_out(open, Refusal::Unreadable(error));
                }
            };
            if let Some(slot) = self.path.get_mut(depth) {
                slot.next += 1;
            }
            let kind = self.geometry().kind(open.level, word);
            let entry = Entry {
                range: VirtRange::new(start, 1 << span)?,
                level: open.level,
                limits: open.limits,
                found: Found::Word { word, kind },
            };
            return Some(match kind {
                Kind::Table => self.descend(entry, word),
                Kind::Invalid | Kind::Leaf | Kind::PresentInvalid | Kind::Reserved => entry,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_on_as_long_as_each_is_a_step_more_and_nothing_but_the_address_differs() {
        let page = 0x0060_0000_4000_0703_u64;
        let row = |first: u64, step: u64| -> [u64; 16] {
            core::array::from_fn(|index| {
                first.wrapping_add(step.wrapping_mul(1 + u64::try_from(index).unwrap()))
            })
        };
        for step in [0, 0x1000, 0x20_0000] {
            let whole = row(page, step);
            assert_eq!(going_on(&whole, page, step), 16);
            assert_eq!(going_on(&[], page, step), 0);
            for at in 0..16_u16 {
                let mut broken = whole;
                broken[usize::from(at)] ^= 1 << 7;
                assert_eq!(going_on(&broken, page, step), at, "another right at {at}");
                broken[usize::from(at)] = 0;
                assert_eq!(going_on(&broken, page, step), at, "nothing at {at}");
            }
        }
        let below = 0x0000_ffff_ffff_d703;
        assert_eq!(going_on(&row(below, 0x1000), below, 0x1000), 2, "up to the last address bit");
        let top = 0xffff_ffff_ffff_f703;
        assert_eq!(going_on(&row(top, 0x1000), top, 0x1000), 0, "not around the end");
    }
}
