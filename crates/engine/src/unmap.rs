//! Removing mappings, and the tables that this empties.
//!
//! ```text timeline: unmap
//! 1. fill   leaves, empty              a walker sees: the old leaves, or nothing
//! 2. update table entries, invalid     a walker sees: the old leaves, or nothing
//! 3. dsb ishst                         a walker sees: nothing
//! 4. tlbi   the range, all levels      a TLB holds: the old leaves and tables, or nothing
//! 5. dsb ish                           a TLB holds: nothing
//! 6. isb
//! 7. store  table entries, empty       a walker sees: nothing
//! ```
//!
//! A table that the range empties is not emptied itself: its entry in the table above becomes
//! invalid and keeps the pointer until step 5 has made sure that nobody walks the table any more.
//! Then it is given back. [free-after-invalidate] The invalidation reaches all levels when tables
//! go, because a TLB may hold their entries too. [all-levels-before-free] Where no table goes,
//! steps 2 and 7 are left out and the last level is enough.

use blockmap_machine::{Entry, Event, Machine, Pattern, PhysAddr, Span, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, Level, Reach, bits};
use thiserror::Error;

use crate::complete::Extent;
use crate::cut::{Cuts, SizeChangeRefused};
use crate::plan::{Parking, Permit, Work};
use crate::space::Place;
use crate::{NotParked, OutOfTables, Plan, Platform, RangeError, Refusal, Root, Space};

/// Why nothing was unmapped. The tables are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnmapError {
    /// The range is no range of these tables.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Nothing is mapped at this address of the range.
    #[error("nothing is mapped at {0}")]
    NotMapped(VirtAddr),
    /// The leaf at this address is somebody's carve, and stays mapped until that is restored.
    #[error("the leaf at {0} belongs to a carve: its owner alone changes it")]
    Held(VirtAddr),
    /// The system keeps this range mapped.
    #[error("{range} stays mapped: {why}")]
    Refused {
        /// The range asked for.
        range: VirtRange,
        /// Why.
        why: Refusal,
    },
    /// A leaf would have to change its size, and the strategy in force does not allow it.
    #[error(transparent)]
    SizeChange(#[from] SizeChangeRefused),
    /// All other CPUs had to be parked, and one did not come.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Not enough table memory for a split.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

/// A checked removal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Removal {
    range: VirtRange,
    cuts: Cuts,
    /// Bytes of the smallest leaf in the range, once it is cut.
    smallest: u64,
}

impl<P: Platform> Space<'_, P> {
    /// Plans to [`Space::unmap`]: locks and checks, and changes nothing.
    ///
    /// # Errors
    /// See [`UnmapError`].
    pub fn plan_unmap<'s>(
        &'s self,
        range: VirtRange,
        may_park: &'s P::MayPark,
    ) -> Result<Plan<'s, P>, UnmapError> {
        self.check(range)?;
        let parking = Parking::Allowed(may_park);
        let (hold, _, cuts) = self.hold_cuts(range, Root::Changes, parking);
        if let Some(why) = self.platform().refusal(range) {
            return Err(UnmapError::Refused { range, why });
        }
        let smallest = self.smallest_leaf(range)?.min(self.smallest_after_cut(range));
        cuts.check(&hold.permit)?;
        let removal = Removal { range, cuts, smallest };
        Ok(Plan::new(hold, Work::Unmap(removal), cuts.tables(self)))
    }

    /// Bytes of the smallest leaf in `range`, all of which must be mapped.
    pub(crate) fn smallest_leaf(&self, range: VirtRange) -> Result<u64, UnmapError> {
        let mut smallest = u64::MAX;
        let mut next = Some(range.start());
        while let Some(at) = next {
            let place = self.find(at);
            let leaves = place.leaves_like().ok_or(UnmapError::NotMapped(at))?;
            if place.word & bits::HELD != 0 {
                return Err(UnmapError::Held(at));
            }
            let leaves = Pattern { mask: leaves.mask | bits::HELD, ..leaves };
            let span = self.span_up_to(place.table(), at, range.last());
            let count = self.machine().scan(span, leaves).max(1);
            smallest = smallest.min(self.geometry().span_bytes(place.level));
            next = self.after((place.level, at), count, range.last());
        }
        Ok(smallest)
    }

    /// Bytes of the smallest leaf that cutting at the ends of `range` can leave in it: of the largest
    /// entries that both ends are multiples of.
    fn smallest_after_cut(&self, range: VirtRange) -> u64 {
        let geometry = self.geometry();
        let ends = range.start().value() | range.bytes();
        let fits = |bytes: &u64| ends & (bytes - 1) == 0;
        let levels = Level::ALL.into_iter().filter(|level| *level >= geometry.root_level());
        levels.map(|level| geometry.span_bytes(level)).find(fits).unwrap_or(geometry.page_bytes())
    }

    /// Performs a checked removal.
    pub(crate) fn commit_unmap(
        &self,
        removal: Removal,
        permit: Permit<'_, P>,
    ) -> Result<(), NotParked> {
        let Removal { range, cuts, smallest } = removal;
        self.commit_cuts(&cuts, permit)?;
        let mut unlinked = false;
        let mut next = Some(range.start());
        while let Some(at) = next {
            let place = self.find_removal(range, at);
            let is_table = place.kind == Kind::Table;
            unlinked |= is_table;
            next = if is_table {
                let span = place.entry.span(1);
                self.machine().perform(Event::Update { span, clear: bits::VALID, set: 0 });
                self.after((place.level, at), 1, range.last())
            } else {
                let span = self.span_up_to(place.table(), at, range.last());
                let span = self.leaves_of(place.level, span);
                self.machine().perform(Event::Fill { span, value: 0, step: 0 });
                self.after((place.level, at), span.count, range.last())
            };
        }
        // A walk cache may hold the entries of tables that go. [all-levels-before-free]
        let reach = if unlinked { Reach::AllLevels } else { Reach::LastLevel };
        let extent =
            if range.bytes() <= smallest { Extent::OneLeaf } else { Extent::Every(smallest) };
        self.complete(range, reach, extent, permit.terms);
        if unlinked {
            self.platform().wait_for_readers();
            self.free_unlinked(range);
        }
        Ok(())
    }

    /// The entry to remove for `at`: of the topmost table that the removal of `range` empties, or
    /// else the leaf itself.
    fn find_removal(&self, range: VirtRange, at: VirtAddr) -> Place {
        let geometry = self.geometry();
        let (mut level, mut table) = (geometry.root_level(), self.root());
        loop {
            let place = self.look(level, table, at);
            let (Kind::Table, Some(below)) = (place.kind, level.next()) else { return place };
            let child = geometry.table_address(place.word);
            if self.is_emptied((below, child), at, range) {
                return place;
            }
            (level, table) = (below, child);
        }
    }

    /// Whether a table around `at` has nothing left when `range`, all of it mapped, is removed.
    ///
    /// Of the entries that the range covers only those at its two ends are looked at, and if they are
    /// tables looked into in turn: at most two a level.
    fn is_emptied(
        &self,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
        range: VirtRange,
    ) -> bool {
        let geometry = self.geometry();
        let entries = geometry.granule().entries();
        let bytes = geometry.span_bytes(level) * u64::from(entries);
        let whole = VirtRange::new(at.align_down(bytes), bytes);
        let Some(within) = whole.and_then(|whole| whole.intersection(range)) else { return false };
        let [first, last] = [within.start(), within.last()].map(|end| geometry.index(level, end));
        let rest = Entry { table, index: last + 1 };
        self.are_invalid(level, Entry { table, index: 0 }.span(first))
            && self.are_invalid(level, rest.span(entries - last - 1))
            && self.is_emptied_entry((level, table), within.start(), range)
            && (first == last || self.is_emptied_entry((level, table), within.last(), range))
    }

    /// The same of the entry around `at` alone.
    fn is_emptied_entry(
        &self,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
        range: VirtRange,
    ) -> bool {
        let geometry = self.geometry();
        let span = geometry.span_bytes(level);
        if VirtRange::new(at.align_down(span), span).is_some_and(|entry| range.covers(entry)) {
            return true;
        }
        let place = self.look(level, table, at);
        match (place.kind, level.next()) {
            (Kind::Invalid, _) => true,
            (Kind::Table, Some(below)) => {
                self.is_emptied((below, geometry.table_address(place.word)), at, range)
            }
            (Kind::Table | Kind::Leaf | Kind::PresentInvalid | Kind::Reserved, _) => false,
        }
    }

    /// Whether all entries of `span`, of `level`, are invalid and mark nothing present.
    fn are_invalid(&self, level: Level, span: Span) -> bool {
        let nothing = Pattern { mask: bits::VALID | bits::PRESENT, value: 0 };
        let count = if span.count == 0 { 0 } else { self.machine().scan(span, nothing) };
        let is_invalid = |index| {
            let word = self.machine().load(Entry { table: span.table, index });
            self.geometry().kind(level, word) == Kind::Invalid
        };
        // What marks a leaf present may mean something else where no leaf may be.
        (span.first + count..span.first + span.count).all(is_invalid)
    }

    /// Gives back the tables whose entries in `range` are invalid pointers, and empties those.
    pub(crate) fn free_unlinked(&self, range: VirtRange) {
        let mut next = Some(range.start());
        while let Some(at) = next {
            let place = self.find(at);
            let is_pointer = place.kind == Kind::Invalid && place.word != 0;
            if let Some(below) = place.level.next().filter(|_| is_pointer) {
                let table = self.geometry().table_address(place.word);
                self.each_table((below, table), &|table| self.platform().free_table(table));
                self.machine().store(place.entry, 0);
            }
            next = self.after((place.level, at), 1, range.last());
        }
    }
}
