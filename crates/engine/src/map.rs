//! Mapping memory where nothing is mapped yet.
//!
//! ```text timeline: map
//! 1. store  live entry -> table, invalid   a walker sees: nothing mapped
//! 2. fill   new table                      a walker sees: nothing mapped
//! 3. dsb ishst                             a walker sees: nothing mapped
//! 4. update live entry, valid              a walker sees: nothing, or all below it
//! 5. dsb ishst                             a walker sees: everything
//! 6. isb
//! ```
//!
//! What goes into tables that are live already is stored as it comes: leaves as they will be,
//! pointers to new tables with bit 0 clear, so that one barrier publishes all new tables and one
//! bulk update for each live table links them. [publish-after-fill] Without new tables steps 1 to
//! 4 are one fill. Entries that were invalid are in no TLB, so nothing is invalidated.
//! [invalid-is-never-cached]

use blockmap_machine::{
    Barrier, Entry, Event, Machine, Pattern, PhysAddr, PhysRange, VirtAddr, VirtRange,
};
use blockmap_vmsa::{Attributes, Kind, LeafSize, Leaves, Level, bits};
use thiserror::Error;

use crate::cut::used_run;
use crate::fill::Progression;
use crate::plan::{Hold, Work};
use crate::space::Place;
use crate::{OutOfTables, Plan, Platform, RangeError, Root, Space};

/// What to map, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The input addresses: whole pages.
    pub range: VirtRange,
    /// What the first of them translates to; the others follow it.
    pub output: PhysAddr,
    /// The memory's type, shareability and permissions.
    pub attributes: Attributes,
    /// Which leaves to use.
    pub leaves: Leaves,
}

/// Why nothing was mapped. The tables are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MapError {
    /// The range is no range of these tables.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The output address must be a multiple of the granule's page.
    #[error("the output address {0} is not a multiple of the page")]
    UnalignedOutput(PhysAddr),
    /// The output addresses from here on reach beyond the output size of these tables.
    #[error("the memory from {0} on reaches beyond the output address size")]
    OutputSize(PhysAddr),
    /// Something is mapped at this address of the range, or marked present.
    #[error("something is mapped at {0}: unmap it first")]
    AlreadyMapped(VirtAddr),
    /// Not enough table memory.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

/// Leaves of one size, neighbours in one table.
#[derive(Clone, Copy)]
struct Piece {
    at: VirtAddr,
    output: PhysAddr,
    size: LeafSize,
    /// Entries, not runs.
    count: u16,
}

/// The tables that a commit has made on the way to where it is, by the levels below them.
type Path = [Option<PhysAddr>; 5];

impl<P: Platform> Space<'_, P> {
    /// Plans to [`Space::map`]: locks and checks, and changes nothing.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn plan_map(&self, mapping: Mapping) -> Result<Plan<'_, P>, MapError> {
        self.check(mapping.range)?;
        if !mapping.output.is_aligned(self.geometry().page_bytes()) {
            return Err(MapError::UnalignedOutput(mapping.output));
        }
        match PhysRange::new(mapping.output, mapping.range.bytes()) {
            Some(output) if output.last() <= self.geometry().highest_output() => {}
            Some(_) | None => return Err(MapError::OutputSize(mapping.output)),
        }
        let locks = Hold::new(self, mapping.range, Root::Changes);
        let mut tables = 0;
        let mut next = Some(mapping.range.start());
        while let Some(at) = next {
            let place = self.find(at);
            let hole = self.hole(mapping, place, at)?;
            tables += self.tables_for(mapping, place.level, hole);
            next = above(hole, mapping.range);
        }
        Ok(Plan::new(locks, Work::Map(mapping), tables))
    }

    /// The part of the mapping from `at` on that finds nothing mapped in the table of `place`.
    fn hole(&self, mapping: Mapping, place: Place, at: VirtAddr) -> Result<VirtRange, MapError> {
        let span = self.span_up_to(place.table(), at, mapping.range.last());
        let empty = Pattern { mask: bits::VALID | bits::PRESENT, value: 0 };
        let count = self.machine().scan(span, empty);
        let end = match self.after((place.level, at), count, mapping.range.last()) {
            Some(next) => next,
            None => mapping.range.end(),
        };
        let bytes = end.value().wrapping_sub(at.value());
        match VirtRange::new(at, bytes) {
            Some(hole) if count > 0 && place.kind == Kind::Invalid => Ok(hole),
            Some(_) | None => Err(MapError::AlreadyMapped(at)),
        }
    }

    /// How many tables below `level` it takes to map `hole`.
    fn tables_for(&self, mapping: Mapping, level: Level, hole: VirtRange) -> u32 {
        let mut tables = 0;
        let mut next = Some(hole.start());
        while let Some(at) = next {
            let Some(piece) = self.piece(mapping, (level, hole), at) else { break };
            tables += self
                .entered(level, piece, hole)
                .map_or(0, |first| first.levels_below() - piece.size.level.levels_below() + 1);
            next = self.after((piece.size.level, at), piece.count, hole.last());
        }
        tables
    }

    /// The leaves at `at`: the largest that fit into `hole`, which entries at `level` cover.
    #[inline]
    fn piece(
        &self,
        mapping: Mapping,
        (level, hole): (Level, VirtRange),
        at: VirtAddr,
    ) -> Option<Piece> {
        let geometry = self.geometry();
        let output = mapping.output.wrapping_add(at.offset_from(mapping.range.start())?);
        let left = hole.end().value().wrapping_sub(at.value());
        let mut size = geometry.largest_leaf(at, output, left, mapping.leaves)?;
        if size.level < level {
            // The table is there already: its leaves are no larger than its entries.
            size = used_run(geometry, level).or(geometry.leaf_size(level))?;
        }
        let run = match mapping.leaves {
            Leaves::Largest => used_run(geometry, size.level),
            Leaves::Pages => None,
        };
        let offset = at.value() ^ output.value();
        let next_run = run.filter(|run| size.run.is_none() && offset & (run.bytes() - 1) == 0);
        Some(Piece { at, output, size, count: self.piece_count(at, left, size, next_run) })
    }

    /// How many entries can follow in the same table with leaves of the same size: up to where the
    /// first run starts, if one can.
    #[inline]
    fn piece_count(
        &self,
        at: VirtAddr,
        left: u64,
        size: LeafSize,
        next_run: Option<LeafSize>,
    ) -> u16 {
        let geometry = self.geometry();
        let span = geometry.span_bytes(size.level);
        let in_table = geometry.entries(size.level) - geometry.index(size.level, at);
        let mut bytes = left.min(span * u64::from(in_table));
        if let Some(run) = next_run {
            let to_run = run.bytes() - (at.value() & (run.bytes() - 1));
            if to_run + run.bytes() <= bytes {
                bytes = to_run;
            }
        }
        let whole = bytes - bytes % size.bytes();
        u16::try_from(whole / span).unwrap_or(in_table)
    }

    /// The highest level below `level` of whose table the piece is the first in `hole`; `None` if
    /// all tables on the way to it are there.
    #[inline]
    fn entered(&self, level: Level, piece: Piece, hole: VirtRange) -> Option<Level> {
        let geometry = self.geometry();
        let mut above = level;
        while above < piece.size.level {
            let below = above.next()?;
            if piece.at == hole.start() || piece.at.is_aligned(geometry.span_bytes(above)) {
                return Some(below);
            }
            above = below;
        }
        None
    }

    /// Performs a checked mapping.
    pub(crate) fn commit_map(&self, mapping: Mapping) {
        let mut linked = false;
        let mut next = Some(mapping.range.start());
        while let Some(at) = next {
            let place = self.find(at);
            // INVARIANT: the plan has seen a hole here, and holds the lock.
            let Ok(hole) = self.hole(mapping, place, at) else { break };
            linked |= self.fill_hole(mapping, place, hole);
            next = above(hole, mapping.range);
        }
        if linked {
            // A walker may follow a table entry the moment it is valid: what it leads to must be
            // visible first. [publish-after-fill]
            self.machine().barrier(Barrier::DsbIshst);
            self.link(mapping.range);
        }
        self.complete_new();
    }

    /// Fills a hole whose entries are those of `place`'s table; says whether tables wait there to
    /// be linked.
    fn fill_hole(&self, mapping: Mapping, place: Place, hole: VirtRange) -> bool {
        let geometry = self.geometry();
        let mut path: Path = [None; 5];
        let mut linked = false;
        let mut next = Some(hole.start());
        while let Some(at) = next {
            let Some(piece) = self.piece(mapping, (place.level, hole), at) else { break };
            if let Some(first) = self.entered(place.level, piece, hole) {
                self.make_tables(&mut path, (place, hole), first, piece);
                linked = true;
            }
            let table = *path_at(&mut path, piece.size.level);
            let table = table.unwrap_or(place.entry.table);
            let index = geometry.index(piece.size.level, at);
            let before = geometry.span_bytes(piece.size.level) * u64::from(index);
            let leaves = Progression {
                table,
                level: piece.size.level,
                output: PhysAddr::new(piece.output.value().wrapping_sub(before)),
            };
            let run = if piece.size.run.is_some() { bits::CONTIGUOUS } else { 0 };
            let meaning = geometry.meaning(mapping.attributes) | run;
            self.fill_leaves(leaves, (index, index + piece.count), meaning);
            next = self.after((piece.size.level, at), piece.count, hole.last());
        }
        linked
    }

    /// Makes the tables from level `first` down to the piece's, empty where the hole does not
    /// reach, each with its pointer in the one above.
    fn make_tables(
        &self,
        path: &mut Path,
        (place, hole): (Place, VirtRange),
        first: Level,
        piece: Piece,
    ) {
        let geometry = self.geometry();
        let mut above = place.level;
        while let Some(level) = above.next().filter(|level| *level <= piece.size.level) {
            if level >= first {
                let table = self.platform().take_table();
                let parent = *path_at(path, above);
                let index = geometry.index(above, piece.at);
                let entry = Entry { table: parent.unwrap_or(place.entry.table), index };
                let word = geometry.table_word(table);
                // In a live table the pointer waits, invalid, for the barrier.
                let is_live = parent.is_none();
                self.machine().store(entry, if is_live { word & !bits::VALID } else { word });
                self.empty_outside(table, (level, piece.at), hole);
                *path_at(path, level) = Some(table);
            }
            above = level;
        }
    }

    /// Empties the entries of a new table, of `level` and around `at`, that `hole` leaves out.
    fn empty_outside(&self, table: PhysAddr, (level, at): (Level, VirtAddr), hole: VirtRange) {
        let geometry = self.geometry();
        let entries = geometry.granule().entries();
        let bytes = geometry.span_bytes(level) * u64::from(entries);
        let start = at.align_down(bytes);
        let first = if hole.start() > start { geometry.index(level, hole.start()) } else { 0 };
        let last = start.wrapping_add(bytes - 1);
        let end = if hole.last() < last { geometry.index(level, hole.last()) + 1 } else { entries };
        self.fill_empty(table, (0, first));
        self.fill_empty(table, (end, entries));
    }

    /// Makes the pointers valid that wait in live tables.
    fn link(&self, range: VirtRange) {
        let mut next = Some(range.start());
        while let Some(at) = next {
            let place = self.find(at);
            let span = self.span_up_to(place.table(), at, range.last());
            let waiting = Pattern { mask: WAITING_MASK, value: bits::TABLE_OR_PAGE };
            let valid = Pattern { mask: bits::VALID, value: bits::VALID };
            let count = match place.kind {
                Kind::Invalid => {
                    let count = self.machine().scan(span, waiting);
                    let span = place.entry.span(count);
                    if count > 0 {
                        self.machine().perform(Event::Update { span, clear: 0, set: bits::VALID });
                    }
                    count
                }
                Kind::Leaf | Kind::PresentInvalid | Kind::Table | Kind::Reserved => {
                    self.machine().scan(span, valid)
                }
            };
            next = self.after((place.level, at), count.max(1), range.last());
        }
    }
}

/// The bits that tell a pointer that waits to be linked from an empty entry and from a leaf.
const WAITING_MASK: u64 = bits::VALID | bits::TABLE_OR_PAGE | bits::PRESENT;

/// The first address above `part` that is in `whole`.
pub(crate) fn above(part: VirtRange, whole: VirtRange) -> Option<VirtAddr> {
    (part.last() < whole.last()).then(|| part.end())
}

/// The path's table at `level`.
fn path_at(path: &mut Path, level: Level) -> &mut Option<PhysAddr> {
    match level {
        Level::Minus1 => &mut path[4],
        Level::L0 => &mut path[3],
        Level::L1 => &mut path[2],
        Level::L2 => &mut path[1],
        Level::L3 => &mut path[0],
    }
}
