//! Repainting: making pages of any mixture of leaves, with all other CPUs parked once.
//!
//! New tables are filled while everybody runs, and nothing is linked. What is stored while others
//! are parked is one entry for each slot: it led to a table, or was a block, and leads to another
//! table whose every leaf translates as before.
//!
//! ```text timeline: repaint
//! 1. fill   level 3 tables             everybody walks: the old tables
//! 2. fill   level 2 tables -> level 3  everybody walks: the old tables
//! 3. store  aside, old and new entries everybody walks: the old tables
//! 4. dsb ishst                         all others are parked after it, and hold nothing
//! 5. store  level 1 entries, invalid   this CPU walks: the old tables, or nothing
//! 6. dsb ishst                         this CPU walks: nothing
//! 7. tlbi   the slots, all levels      its TLB holds: the old leaves and tables, or nothing
//! 8. dsb ish                           its TLB holds: nothing
//! 9. isb
//! 10. store level 1 entries -> level 2 this CPU walks: nothing, or the pages
//! 11. dsb ishst                        this CPU walks: the pages
//! 12. isb                              all others return after it
//! ```
//!
//! It is a break whatever the CPU is: an entry that leads to another table is no change of size
//! alone. [break-before-make] The old tables are given back once every reader has left.
//! [free-after-invalidate]
//!
//! The slots are locked from before the first old entry is read until after the others have
//! returned. Whoever wants to change something there waits, and changes the new tables: no change
//! that is made during the fill can be lost.
//!
//! A table with leaves that somebody owns stays where it is: their owner stores there without a
//! lock. What changes beside them is exchanged in that table, by a parking of its own.

mod build;
pub(crate) mod renew;
pub(crate) mod survey;

use blockmap_machine::{Span, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, LeafSize, Level};
use thiserror::Error;

use crate::plan::{Hold, Parking, Work, slot_level};

use crate::{NotParked, OutOfTables, Plan, Platform, RangeError, Refusal, Root, Space};

/// Why nothing was repainted. Every address translates as it did; of a range of more than one
/// table of slots, the slots of the tables below the one at fault are repainted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RepaintError {
    /// The range is no range of these tables.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The system keeps the sizes of this range's leaves as they are.
    #[error("{range} keeps the sizes of its leaves: {why}")]
    Refused {
        /// The range asked for.
        range: VirtRange,
        /// Why.
        why: Refusal,
    },
    /// The leaf at this address belongs to several slots: split it first.
    #[error("the leaf at {0} is larger than a slot: split it first")]
    LeafOfSlots(VirtAddr),
    /// The leaf at this address would have to change its size, and is somebody's carve: its owner
    /// stores there without a lock.
    #[error("the leaf at {0} belongs to a carve: restore that first, or keep it")]
    Held(VirtAddr),
    /// The slots of the range have more than one table: plan them one by one.
    #[error("the slots of {0} are in more than one table: repaint them table by table")]
    SeveralTables(VirtRange),
    /// All other CPUs had to be parked, and one did not come.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Not enough table memory.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

/// Which leaves are to change their sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'k> {
    pub(crate) range: VirtRange,
    /// What stays as it is.
    pub(crate) keep: &'k [VirtRange],
    pub(crate) aim: Aim,
}

/// What leaves are to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Leaves and runs of so many bytes or less.
    Bytes(u64),
    /// The larger leaf that could stand for all that is below an entry.
    Leaves,
    /// Contiguous runs, where they may be.
    Runs,
}

/// A checked repaint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repainting<'k> {
    pub(crate) job: Job<'k>,
    /// The slots that change are among these; `None` if none does.
    pub(crate) slots: Option<Slots>,
    /// In how many tables below these, which stay because of what somebody owns there, something
    /// changes.
    pub(crate) apart: Option<(Slots, u32)>,
}

/// Neighbouring entries, all in one table: slots, or those of a table that must stay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    pub(crate) level: Level,
    pub(crate) span: Span,
    /// The first address that the first of them translates.
    pub(crate) start: VirtAddr,
}

/// Tables that hold what the slots were and will be, while others are parked.
pub(crate) const STAGES: u32 = 2;

impl Job<'_> {
    /// Bytes that a leaf or run of the range may have.
    const fn grain(&self) -> u64 {
        match self.aim {
            Aim::Bytes(grain) => grain,
            Aim::Leaves | Aim::Runs => u64::MAX,
        }
    }

    /// Whether a leaf of this range stays as large as it is, or becomes larger.
    fn spares(&self, range: VirtRange) -> bool {
        let is_small = range.bytes() <= self.grain() && self.range.covers(range);
        is_small || !self.range.overlaps(range) || self.keep.iter().any(|keep| keep.covers(range))
    }

    /// Whether all leaves of the run around `at` stay as large as they are: it comes apart as a
    /// whole or not at all. [run-changes-whole]
    fn spares_run(&self, at: VirtAddr, run: LeafSize) -> bool {
        let start = at.align_down(run.bytes());
        VirtRange::new(start, run.bytes()).is_some_and(|range| self.spares(range))
    }

    /// Whether every leaf of `table`, what a table translates, becomes as small as it is to be.
    fn spares_nothing(&self, table: VirtRange) -> bool {
        self.range.covers(table) && !self.keep.iter().any(|keep| keep.overlaps(table))
    }

    /// Whether every run of this size in `table`, what a table translates, comes apart.
    fn spares_no_run(&self, table: VirtRange, run: LeafSize) -> bool {
        run.bytes() > self.grain() && self.spares_nothing(table)
    }
}

impl<P: Platform> Space<'_, P> {
    /// Plans to [`Space::repaint`], where all slots are in one table: locks and checks, and changes
    /// nothing.
    ///
    /// # Errors
    /// See [`RepaintError`].
    pub fn plan_repaint<'s>(
        &'s self,
        range: VirtRange,
        keep: &'s [VirtRange],
        may_park: &'s P::MayPark,
    ) -> Result<Plan<'s, P>, RepaintError> {
        self.check(range)?;
        if self.in_slot_table(range) != Some(range) {
            return Err(RepaintError::SeveralTables(range));
        }
        // Old tables are given back with the locks held: this is no reader of them.
        let runs = self.runs_of_slots(range);
        let hold = Hold::new(self, runs, Root::Changes, Parking::Allowed(may_park));
        match self.platform().refusal(range) {
            // Nobody runs on these views of memory, and only one CPU is there meanwhile.
            None | Some(Refusal::Tables | Refusal::ImageAlias) => {}
            Some(why @ Refusal::ImageZone) => return Err(RepaintError::Refused { range, why }),
        }
        let job = Job { range, keep, aim: Aim::Bytes(self.geometry().page_bytes()) };
        let slots = self.slots(runs).map_err(RepaintError::LeafOfSlots)?;
        let survey = self.survey(job, slots).map_err(RepaintError::Held)?;
        Ok(Plan::new(hold, Work::Repaint(survey.repainting(job)), survey.tables))
    }

    /// The part of `range` whose slots are in the same table as the first.
    pub(crate) fn in_slot_table(&self, range: VirtRange) -> Option<VirtRange> {
        let geometry = self.geometry();
        let level = slot_level(geometry);
        let bytes = geometry.span_bytes(level) * u64::from(geometry.entries(level));
        let last = range.start().align_down(bytes).wrapping_add(bytes - 1).min(range.last());
        VirtRange::inclusive(range.start(), last)
    }

    /// `range` and the contiguous runs that its first and last slot may be in: such a run comes apart
    /// as a whole, so all of its slots are locked and looked at. [run-changes-whole]
    pub(crate) fn runs_of_slots(&self, range: VirtRange) -> VirtRange {
        let level = slot_level(self.geometry());
        let bytes = self.geometry().run_size(level).map_or(1, LeafSize::bytes);
        let start = range.start().align_down(bytes);
        let last = range.last().align_down(bytes).wrapping_add(bytes - 1);
        VirtRange::inclusive(start, last).unwrap_or(range)
    }

    /// The slots of `range`, all in one table; `None` if there is no such table. Fails at the address of
    /// a leaf that is larger than a slot.
    pub(crate) fn slots(&self, range: VirtRange) -> Result<Option<Slots>, VirtAddr> {
        let geometry = self.geometry();
        let (mut level, mut table) = (geometry.root_level(), self.root());
        while level < slot_level(geometry) {
            let place = self.look(level, table, range.start());
            match (place.kind, level.next()) {
                (Kind::Table, Some(below)) => {
                    (level, table) = (below, geometry.table_address(place.word));
                }
                (Kind::Leaf | Kind::PresentInvalid, _) => {
                    return Err(range.start());
                }
                (Kind::Invalid | Kind::Reserved | Kind::Table, _) => return Ok(None),
            }
        }
        let span = self.span_up_to((level, table), range.start(), range.last());
        let start = range.start().align_down(geometry.span_bytes(level));
        Ok(Some(Slots { level, span, start }))
    }
}
