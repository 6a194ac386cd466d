//! Tables taken out of a source: read level by level, and read again until they stay the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use blockmap_dump::vmsa::{
    Geometry, Kind, Level,
    machine::{PhysAddr, PhysRange},
};

use crate::{FoundTree, Life, PhysicalMemory, ReadError, reader::fill};

/// Bytes of tables that are kept at most: tables of four terabytes in 4 KiB pages.
const MOST_BYTES: u64 = 8 << 30;

/// Bytes that are read with one request at most.
const MOST_AT_ONCE: u64 = 64 << 20;

/// Bytes that are compared at once.
const PART: usize = 64 << 10;

/// How often all tables are read again while some of them changed.
const ROUNDS: usize = 8;

/// How often a table that does not stay the same is read in a row.
const READINGS: usize = 16;

/// A copy of the tables of some trees.
#[derive(Debug)]
pub(crate) struct Frozen {
    ranges: Vec<PhysRange>,
    /// The bytes of each range, one after the other.
    contents: Vec<Vec<u8>>,
    failed: BTreeMap<PhysAddr, ReadError>,
}

/// What happened while tables were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Stillness {
    /// Tables that were read.
    pub(crate) tables: usize,
    /// Times that all of them were read again.
    pub(crate) rounds: usize,
    /// Tables that had changed in the last of them.
    pub(crate) changed: usize,
    /// Tables of which no two readings in a row were equal: they are left out.
    pub(crate) torn: usize,
}

/// The tables as they are gathered.
struct Gathering<'m> {
    memory: &'m dyn PhysicalMemory,
    /// What was read, as it was read: neighbouring tables together.
    stretches: Vec<Stretch>,
    tables: BTreeMap<PhysAddr, Place>,
    failed: BTreeMap<PhysAddr, ReadError>,
    bytes: u64,
}

/// Bytes that were read with one request.
struct Stretch {
    start: PhysAddr,
    bytes: Vec<u8>,
}

/// Where a table's bytes are.
#[derive(Clone)]
struct Place {
    stretch: usize,
    bytes: Range<usize>,
}

/// Copies every table of `trees`. What could not be read is part of the copy, as an error.
pub(crate) fn freeze(memory: &dyn PhysicalMemory, trees: &[FoundTree]) -> (Frozen, Stillness) {
    let mut gathering = Gathering {
        memory,
        stretches: Vec::new(),
        tables: BTreeMap::new(),
        failed: BTreeMap::new(),
        bytes: 0,
    };
    gathering.gather(trees);
    let mut stillness = Stillness::default();
    if memory.life() == Life::Running {
        let mut changed = gathering.changed();
        while !changed.is_empty() && stillness.rounds < ROUNDS {
            stillness.rounds += 1;
            gathering.gather(trees);
            changed = gathering.changed();
        }
        stillness.changed = changed.len();
        stillness.torn = gathering.still(&changed);
        if !changed.is_empty() {
            gathering.gather(trees);
        }
    }
    stillness.tables = gathering.tables.len();
    (gathering.frozen(), stillness)
}

impl Gathering<'_> {
    /// Reads what is reachable from the roots and not there yet.
    fn gather(&mut self, trees: &[FoundTree]) {
        for tree in trees {
            let mut wanted = BTreeSet::from([tree.root]);
            let mut level = Some(tree.geometry.root_level());
            while let Some(at) = level {
                let bytes = 8 * usize::from(tree.geometry.entries(at));
                self.read(&wanted, bytes, tree.most_tables);
                wanted = self.children(&wanted, tree.geometry, at);
                level = at.next().filter(|_| !wanted.is_empty());
            }
        }
    }

    /// Reads tables of `bytes` bytes each, as long as there are no more than `most` in all.
    fn read(&mut self, wanted: &BTreeSet<PhysAddr>, bytes: usize, most: u64) {
        let is_new = |at: &PhysAddr| {
            self.tables.get(at).is_none_or(|place| place.bytes.len() < bytes)
                && !self.failed.contains_key(at)
        };
        let new: Vec<PhysAddr> = wanted.iter().copied().filter(is_new).collect();
        let each = u64::try_from(bytes).unwrap_or(u64::MAX);
        let known = u64::try_from(self.tables.len()).unwrap_or(u64::MAX);
        let room = MOST_BYTES.saturating_sub(self.bytes) / each;
        let most = usize::try_from(room.min(most.saturating_sub(known))).unwrap_or(0);
        let (now, left_out) = new.split_at(most.min(new.len()));
        self.memory.expect(&ranges(now, each));
        for range in ranges(now, each) {
            self.read_range(range, now, bytes);
        }
        self.failed.extend(left_out.iter().map(|&at| (at, ReadError::TooMuch(at))));
    }

    /// Reads those of `tables`, of `bytes` bytes each, that are in `range`: at once, or one by one
    /// where that fails.
    fn read_range(&mut self, range: PhysRange, tables: &[PhysAddr], bytes: usize) {
        let first = tables.partition_point(|at| *at < range.start());
        let own = tables.get(first..).unwrap_or_default();
        let own = own.iter().take_while(|at| range.contains(**at));
        let mut whole = vec![0; usize::try_from(range.bytes()).unwrap_or_default()];
        if self.memory.read(range.start(), &mut whole).is_ok() {
            for &at in own {
                let offset = at.offset_from(range.start()).and_then(|by| usize::try_from(by).ok());
                self.place(at, self.stretches.len(), offset.unwrap_or(usize::MAX), bytes);
            }
            self.stretches.push(Stretch { start: range.start(), bytes: whole });
            return;
        }
        for &at in own {
            let mut table = vec![0; bytes];
            match self.memory.read(at, &mut table) {
                Ok(()) => {
                    self.place(at, self.stretches.len(), 0, bytes);
                    self.stretches.push(Stretch { start: at, bytes: table });
                }
                Err(error) => {
                    self.failed.insert(at, error);
                }
            }
        }
    }

    /// Notes where a table is.
    fn place(&mut self, at: PhysAddr, stretch: usize, offset: usize, bytes: usize) {
        let bytes = offset..offset.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.tables.insert(at, Place { stretch, bytes });
    }

    /// The bytes of a table.
    fn table(&self, at: PhysAddr) -> Option<&[u8]> {
        let Place { stretch, bytes } = self.tables.get(&at)?;
        self.stretches.get(*stretch)?.bytes.get(bytes.clone())
    }

    /// The tables that those in `parents`, of `level`, lead to.
    fn children(
        &self,
        parents: &BTreeSet<PhysAddr>,
        geometry: Geometry,
        level: Level,
    ) -> BTreeSet<PhysAddr> {
        let mut children = BTreeSet::new();
        if level.next().is_none() {
            return children;
        }
        let mut words = vec![0; usize::from(geometry.entries(level))];
        for table in parents.iter().filter_map(|at| self.table(*at)) {
            fill(&mut words, table);
            let tables = words.iter().filter(|word| geometry.kind(level, **word) == Kind::Table);
            children.extend(
                tables
                    .map(|word| geometry.table_address(*word))
                    .filter(|table| *table <= geometry.highest_output()),
            );
        }
        children
    }

    /// Reads everything again, keeps the newer contents, and says which tables differ.
    fn changed(&mut self) -> Vec<PhysAddr> {
        let mut differing = BTreeSet::new();
        let mut again = Vec::new();
        for (index, stretch) in self.stretches.iter_mut().enumerate() {
            let mut at = Some(stretch.start);
            for (part, old) in stretch.bytes.chunks_mut(PART).enumerate() {
                again.resize(old.len(), 0);
                let read = at.map(|at| self.memory.read(at, &mut again));
                if read.is_some_and(|read| read.is_ok()) && *old != *again {
                    differing.extend(differences(old, &again).map(|by| (index, part * PART + by)));
                    old.copy_from_slice(&again);
                }
                at = at.and_then(|at| at.checked_add(u64::try_from(old.len()).ok()?));
            }
        }
        if differing.is_empty() {
            return Vec::new();
        }
        let is_changed = |place: &Place| {
            let Range { start, end } = place.bytes;
            differing.range((place.stretch, start)..(place.stretch, end)).next().is_some()
        };
        let changed = self.tables.iter().filter(|(_, place)| is_changed(place));
        changed.map(|(at, _)| *at).collect()
    }

    /// Reads each of `tables` until two readings in a row are equal, leaves out those for which
    /// that never happens, and says how many they are.
    fn still(&mut self, tables: &[PhysAddr]) -> usize {
        let mut torn = 0;
        for at in tables {
            let Some(Place { stretch, bytes }) = self.tables.get(at).cloned() else {
                continue;
            };
            let stretch = self.stretches.get_mut(stretch);
            let Some(table) = stretch.and_then(|stretch| stretch.bytes.get_mut(bytes)) else {
                continue;
            };
            let is_still = (0..READINGS).any(|_| {
                let mut again = vec![0; table.len()];
                let is_read = self.memory.read(*at, &mut again).is_ok();
                let is_same = is_read && *again == *table;
                table.copy_from_slice(&again);
                is_same
            });
            if !is_still {
                self.tables.remove(at);
                self.failed.insert(*at, ReadError::Torn(*at));
                torn += 1;
            }
        }
        torn
    }

    /// The copy. Stretches are handed over as they are, unless a table of theirs was left out or
    /// read again at another size.
    fn frozen(self) -> Frozen {
        let Self { stretches, tables, failed, .. } = self;
        let mut held = vec![0; stretches.len()];
        for Place { stretch, bytes } in tables.values() {
            if let Some(held) = held.get_mut(*stretch) {
                *held += bytes.len();
            }
        }
        let is_whole =
            |index: usize, stretch: &Stretch| held.get(index) == Some(&stretch.bytes.len());
        let mut contents = BTreeMap::new();
        for (at, Place { stretch: index, bytes }) in &tables {
            let stretch = stretches.get(*index).filter(|stretch| !is_whole(*index, stretch));
            if let Some(table) = stretch.and_then(|stretch| stretch.bytes.get(bytes.clone())) {
                contents.insert(*at, table.to_vec());
            }
        }
        for (index, stretch) in stretches.into_iter().enumerate() {
            if is_whole(index, &stretch) {
                contents.insert(stretch.start, stretch.bytes);
            }
        }
        Frozen::new(contents, failed)
    }
}

/// Where two equally long stretches of bytes differ, by words.
fn differences(old: &[u8], new: &[u8]) -> impl Iterator<Item = usize> {
    let words = old.chunks(8).zip(new.chunks(8)).enumerate();
    words.filter(|(_, (old, new))| old != new).map(|(index, _)| index * 8)
}

/// The ranges of `tables`, of `bytes` bytes each; neighbours are one, up
/// to what is read at once.
fn ranges(tables: &[PhysAddr], bytes: u64) -> Vec<PhysRange> {
    let mut ranges: Vec<PhysRange> = Vec::new();
    for range in tables.iter().filter_map(|&at| PhysRange::new(at, bytes)) {
        match ranges.last_mut() {
            Some(last) if last.end() == range.start() && last.bytes() < MOST_AT_ONCE => {
                *last = PhysRange::new(last.start(), last.bytes() + bytes).unwrap_or(*last);
            }
            Some(last) if last.contains(range.start()) => {}
            Some(_) | None => ranges.push(range),
        }
    }
    ranges
}

impl Frozen {
    /// A copy of the tables with these contents. Those that overlap, as a small root may another
    /// table, are kept apart.
    pub(crate) fn new(
        tables: BTreeMap<PhysAddr, Vec<u8>>,
        failed: BTreeMap<PhysAddr, ReadError>,
    ) -> Self {
        let (mut ranges, mut contents): (Vec<PhysRange>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        for (at, bytes) in tables {
            let Some(range) = PhysRange::new(at, u64::try_from(bytes.len()).unwrap_or(0)) else {
                continue;
            };
            match (ranges.last_mut(), contents.last_mut()) {
                (Some(last), Some(content)) if last.contains(at) => {
                    let known = last.end().offset_from(at).unwrap_or(0);
                    let known = usize::try_from(known).unwrap_or(usize::MAX);
                    content.extend_from_slice(bytes.get(known..).unwrap_or_default());
                    let whole = u64::try_from(content.len()).unwrap_or(0);
                    *last = PhysRange::new(last.start(), whole).unwrap_or(*last);
                }
                _ => {
                    ranges.push(range);
                    contents.push(bytes);
                }
            }
        }
        Self { ranges, contents, failed }
    }
}

impl Frozen {
    /// The bytes from `at` on to the end of their stretch; at least one.
    fn known(&self, at: PhysAddr) -> Option<&[u8]> {
        let after = self.ranges.partition_point(|range| range.start() <= at);
        let index = after.checked_sub(1)?;
        let offset = usize::try_from(at.offset_from(self.ranges.get(index)?.start())?).ok()?;
        self.contents.get(index)?.get(offset..).filter(|bytes| !bytes.is_empty())
    }

    /// Why there is nothing at `at`: what the source said of a table near it, if it did.
    fn absent(&self, at: PhysAddr) -> ReadError {
        let known = self.failed.range(..=at).next_back();
        let near = known
            .filter(|(failed, _)| at.offset_from(**failed).is_some_and(|offset| offset < 1 << 16));
        near.map_or(ReadError::Absent(at), |(_, error)| error.clone())
    }

    /// The copy, and other memory beside it.
    pub(crate) fn with<'b>(self, others: impl Iterator<Item = (PhysAddr, &'b [u8])>) -> Self {
        let starts = self.ranges.iter().map(|range| range.start());
        let mut all: BTreeMap<_, _> = others.map(|(at, bytes)| (at, bytes.to_vec())).collect();
        all.extend(starts.zip(self.contents));
        Self::new(all, self.failed)
    }

    /// Every stretch with its bytes.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = (PhysAddr, &[u8])> {
        let starts = self.ranges.iter().map(|range| range.start());
        starts.zip(self.contents.iter().map(|bytes| &**bytes))
    }
}

impl PhysicalMemory for Frozen {
    fn ranges(&self) -> &[PhysRange] {
        &self.ranges
    }

    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        let (mut at, mut rest) = (at, into);
        while !rest.is_empty() {
            let known = self.known(at).ok_or_else(|| self.absent(at))?;
            let (now, later) = rest.split_at_mut(known.len().min(rest.len()));
            now.copy_from_slice(known.get(..now.len()).unwrap_or_default());
            at = at.wrapping_add(u64::try_from(now.len()).unwrap_or_default());
            rest = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
