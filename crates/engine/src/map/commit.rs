//! Making a planned mapping: filling new tables, publishing them, linking them.

use blockmap_machine::{Barrier, Entry, Event, Machine, Pattern, PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, Level, bits};

use super::piece::Piece;
use super::{End, Filling, Holes, Mapping, UNMAPPED, above};
use crate::fill::Progression;
use crate::space::Place;
use crate::{Platform, Space};

/// The bits that tell a pointer that waits to be linked from an empty entry and from a leaf.
const WAITING_MASK: u64 = bits::VALID | bits::TABLE_OR_PAGE | bits::PRESENT;

/// The tables that a commit has made on the way to where it is, by the levels below them.
type Path = [Option<PhysAddr>; 5];

impl<P: Platform> Space<'_, P> {
    /// Performs a checked mapping.
    pub(crate) fn commit_map(&self, Filling { mapping, holes, end }: Filling) {
        let mut linked = false;
        let mut next = Some(mapping.range.start());
        while let Some(at) = next {
            let place = self.find(at);
            let span = self.span_up_to(place.table(), at, mapping.range.last());
            // INVARIANT: the plan has seen a hole here, and holds the lock.
            let count = match holes {
                Holes::Whole => span.count,
                Holes::Parts => self.machine().scan(span, UNMAPPED),
            };
            let Ok(hole) = self.hole(mapping, place, (at, count)) else { break };
            linked |= self.fill_hole(mapping, place, hole);
            next = above(hole, mapping.range);
        }
        if linked {
            // A walker may follow a table entry the moment it is valid: what it leads to must be
            // visible first. [publish-after-fill]
            self.machine().barrier(Barrier::DsbIshst);
            self.link(mapping.range);
        }
        match end {
            End::Complete => self.complete_new(),
            End::Open => {}
        }
    }

    /// Fills a hole whose entries are those of `place`'s table; says whether tables wait there to
    /// be linked.
    fn fill_hole(&self, mapping: Mapping, place: Place, hole: VirtRange) -> bool {
        let (geometry, asids) = (self.geometry(), self.platform().asids());
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
            let meaning = geometry.meaning(mapping.attributes) | asids.leaf_bit() | run;
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
                    // Up to the next table: pointers may wait in what it leads to.
                    place.leaves_like().map_or(0, |leaves| self.machine().scan(span, leaves))
                }
            };
            next = self.after((place.level, at), count.max(1), range.last());
        }
    }
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
