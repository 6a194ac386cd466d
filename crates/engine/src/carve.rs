//! Carving: memory whose rights can be changed at any time, and given back at any time, by its owner.
//!
//! Whoever hands out executable or secret memory must be able to take it back where nothing may
//! fail. So all that can fail is done once, when the memory is carved out of the leaves it lies in:
//! from then on every leaf of the range ends wherever the owner may want it to, and no change needs
//! memory, a lock or another CPU to stand still.
//!
//! ```text timeline: carve
//! 1. fill   new tables                 a walker sees: the large leaves
//! 2. dsb ishst                         a walker sees: the large leaves
//! 3. store  table entries              a walker sees: the large leaves, or the small ones
//! 4. update leaves, held               a walker sees: no difference
//! ```
//!
//! The small leaves translate as the large one did. [size-change-is-quiet] Where sizes can't change
//! live, the new tables are linked as a repaint's are, while all other CPUs are parked. A table with
//! leaves of another carve is not replaced then: what changes beside those is exchanged in it.
//!
//! That a leaf is owned is said in the tables, by a bit that hardware leaves to software: nobody else
//! changes its rights, splits it, unmaps it or collapses it, and nobody needs a list of owners to
//! know. The owner changes it without the slot's lock: nobody else stores to its entries.

mod live;
mod pages;
pub(crate) mod share;
mod visit;

use core::mem;

use blockmap_layout::Strategy;
use blockmap_machine::{Machine, Pattern, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, Kind, Masks, bits};
use thiserror::Error;

use self::visit::Visit;
use crate::complete::Extent;
use crate::cut::{NoSizeChange, SizeChangeRefused};
use crate::plan::{Hold, Parking, Permit, Work};
use crate::protect::Asker;
use crate::repaint::{Aim, Job, Repainting};
use crate::{
    Execution, NotParked, OutOfTables, Plan, Platform, ProtectError, RangeError, Refusal, Root,
    Space,
};

/// What no TLB holds.
const INVALID: Pattern = Pattern { mask: bits::VALID, value: 0 };

/// Where the leaves of a carve may have to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// At its own two ends: its rights change as a whole.
    Whole,
    /// At every multiple of so many bytes: a power of two, a page or more.
    Bytes(u64),
}

/// Why nothing was carved. Every address translates as it did, and nobody owns anything new. Every
/// leaf is as large, but that leaves beside other carves may have become smaller before a CPU did
/// not come to be parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CarveError {
    /// The range is no range of these tables.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A grain is a power of two and a page or more, and both ends of the range are multiples of it.
    #[error(
        "{range} can't be carved in parts of {grain:#x} bytes: take a power of two that divides it"
    )]
    Grain {
        /// The range asked for.
        range: VirtRange,
        /// The grain asked for.
        grain: u64,
    },
    /// Nothing valid is mapped at this address.
    #[error("nothing is mapped at {0}")]
    NotMapped(VirtAddr),
    /// The leaf at this address grants something else than the first: what would be restored?
    #[error("the leaf at {0} differs from the first of the range: carve them apart")]
    Mixed(VirtAddr),
    /// The leaf at this address belongs to another carve.
    #[error("the leaf at {0} belongs to another carve")]
    Held(VirtAddr),
    /// The system keeps this range as it is.
    #[error("{range} can't be carved: {why}")]
    Refused {
        /// The range asked for.
        range: VirtRange,
        /// Why.
        why: Refusal,
    },
    /// The leaf at this address is larger than a slot: split it first.
    #[error("the leaf at {0} is larger than a slot: split it first")]
    LeafOfSlots(VirtAddr),
    /// The slots of the range have more than one table: carve them one by one.
    #[error("the slots of {0} are in more than one table: carve them one by one")]
    SeveralTables(VirtRange),
    /// A leaf would have to change its size, and none may.
    #[error(transparent)]
    SizeChange(#[from] SizeChangeRefused),
    /// All other CPUs had to be parked, and one did not come.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Not enough table memory.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

/// Why the rights of a part of a carve were not changed. Nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PartError {
    /// A part lies within the carve, and starts and ends at multiples of its grain.
    #[error("{part} is no part of {carve} at multiples of its grain")]
    NoPart {
        /// What was asked for.
        part: VirtRange,
        /// All of the carve.
        carve: VirtRange,
    },
    /// The leaf at this address would be writable and executable: take one right away first.
    #[error("the leaf at {0} would be writable and executable: take one of the two away first")]
    WritableAndExecutable(VirtAddr),
}

/// A range that its holder owns: holding one tells that every leaf of it ends at the grain, that
/// nobody else changes any of them, and that neither changing their rights nor giving them back can
/// fail for want of anything.
///
/// Dropped, it is restored.
#[derive(Debug)]
#[must_use = "a carve that is dropped is restored at once"]
pub struct Carve<'s, P: Platform> {
    space: Space<'s, P>,
    range: VirtRange,
    grain: Grain,
    /// What every leaf said before.
    meaning: u64,
}

impl<'p, P: Platform> Space<'p, P> {
    /// Carves `range` out of the leaves that it lies in, all of them valid and alike, and makes the
    /// caller its owner.
    ///
    /// # Errors
    /// See [`CarveError`].
    pub fn carve(
        &self,
        range: VirtRange,
        grain: Grain,
        may_park: &P::MayPark,
    ) -> Result<Carve<'p, P>, CarveError> {
        let meaning = core::cell::Cell::new(0);
        let plan = || {
            let (plan, found) = self.plan_carve(range, grain, may_park)?;
            meaning.set(found);
            Ok::<_, CarveError>(plan)
        };
        self.carry_out(plan)??;
        Ok(Carve { space: *self, range, grain, meaning: meaning.get() })
    }

    /// Plans to [`Space::carve`]; gives what the leaves say too.
    fn plan_carve<'s>(
        &'s self,
        range: VirtRange,
        grain: Grain,
        may_park: &'s P::MayPark,
    ) -> Result<(Plan<'s, P>, u64), CarveError> {
        self.check(range)?;
        let grain = self.grain_bytes(range, grain)?;
        if self.in_slot_table(range) != Some(range) {
            return Err(CarveError::SeveralTables(range));
        }
        // Where CPUs are parked, old tables are given back with the locks held: this is no reader.
        let runs = self.runs_of_slots(range);
        let hold = Hold::new(self, runs, Root::Changes, Parking::Allowed(may_park));
        if let Some(why) = self.platform().refusal(range) {
            return Err(CarveError::Refused { range, why });
        }
        let meaning = self.uniform_meaning(range)?;
        let Ok(slots) = self.slots(runs) else {
            return Err(CarveError::LeafOfSlots(range.start()));
        };
        let job = Job { range, keep: &[], aim: Aim::Bytes(grain) };
        let strategy = hold.permit.terms.strategy;
        let (carving, tables) = match (slots, strategy) {
            (Some(live), Strategy::Live) => {
                (Repainting { job, slots, apart: None }, self.cost_live(job, live))
            }
            (None, _) | (Some(_), Strategy::Quiesce | Strategy::Pages) => {
                let survey = self.survey(job, slots).map_err(CarveError::Held)?;
                if strategy == Strategy::Pages && !survey.is_nothing() {
                    let why = NoSizeChange::Strategy(strategy);
                    return Err(SizeChangeRefused { address: range.start(), why }.into());
                }
                (survey.repainting(job), survey.tables)
            }
        };
        Ok((Plan::new(hold, Work::Carve(carving), tables), meaning))
    }

    /// The most bytes that a leaf of `range` may have.
    fn grain_bytes(&self, range: VirtRange, grain: Grain) -> Result<u64, CarveError> {
        match grain {
            Grain::Whole => Ok(range.bytes()),
            Grain::Bytes(bytes) => {
                let ends = range.start().value() | range.bytes();
                let fits = bytes.is_power_of_two()
                    && bytes >= self.geometry().page_bytes()
                    && ends & (bytes - 1) == 0;
                if fits { Ok(bytes) } else { Err(CarveError::Grain { range, grain: bytes }) }
            }
        }
    }

    /// What all leaves of `range` say, if all are valid, alike and nobody's.
    fn uniform_meaning(&self, range: VirtRange) -> Result<u64, CarveError> {
        let geometry = self.geometry();
        let (mut first, mut next) = (None, Some(range.start()));
        while let Some(at) = next {
            let place = self.find(at);
            let meaning = geometry.leaf_meaning(place.word);
            match place.kind {
                Kind::Leaf if place.word & bits::HELD != 0 => return Err(CarveError::Held(at)),
                Kind::Leaf if *first.get_or_insert(meaning) != meaning => {
                    return Err(CarveError::Mixed(at));
                }
                Kind::Leaf => {}
                Kind::PresentInvalid | Kind::Invalid | Kind::Table | Kind::Reserved => {
                    return Err(CarveError::NotMapped(at));
                }
            }
            let span = self.span_up_to(place.table(), at, range.last());
            // Those that differ in what they lead to only say the same.
            let alike = self.machine().climb(span, place.word, geometry.span_bytes(place.level));
            next = self.after((place.level, at), alike.max(1), range.last());
        }
        Ok(first.unwrap_or(0))
    }

    /// Performs a checked carving.
    ///
    /// # Errors
    /// A CPU did not come to be parked: nothing was linked, and nobody owns anything.
    pub(crate) fn commit_carve(
        &self,
        carving: Repainting<'_>,
        permit: Permit<'_, P>,
        left: &mut u32,
    ) -> Result<(), NotParked> {
        match (permit.terms.strategy, carving.slots) {
            (Strategy::Live, Some(slots)) => self.split_live(carving.job, slots),
            (Strategy::Live | Strategy::Pages, _) => {}
            (Strategy::Quiesce, _) => {
                self.commit_repaint(carving, permit, left)?;
            }
        }
        // No TLB heeds the bit, and nobody else reads it without the slot's lock, which is held.
        self.update_range(carving.job.range, Masks { clear: 0, set: bits::HELD });
        Ok(())
    }
}

impl<P: Platform> Carve<'_, P> {
    /// All of it.
    #[must_use]
    pub const fn range(&self) -> VirtRange {
        self.range
    }

    /// Changes what the leaves of `part` grant: from any context, with interrupts masked and locks
    /// held. Of what becomes valid it tells whether it may be executed.
    ///
    /// # Errors
    /// See [`PartError`].
    pub fn protect(&self, part: VirtRange, change: Change) -> Result<Execution, PartError> {
        let carve = self.range;
        let multiple = match self.grain {
            Grain::Whole => part == carve,
            Grain::Bytes(grain) => (part.start().value() | part.bytes()) & (grain - 1) == 0,
        };
        if !multiple || !carve.covers(part) {
            return Err(PartError::NoPart { part, carve });
        }
        let visit = Visit::new(&self.space);
        let first = self.space.find(part.start());
        let execution = match self.space.check_leaves(part, &first, (change, Asker::Owner)) {
            Ok(checked) => checked.execution,
            Err(ProtectError::WritableAndExecutable(at)) => {
                return Err(PartError::WritableAndExecutable(at));
            }
            // INVARIANT: they were valid leaves when they were carved, and are nobody else's.
            Err(_) => return Err(PartError::NoPart { part, carve }),
        };
        // No walker heeds what is invalid before it is valid, and then all of it.
        // [invalid-is-never-cached]
        let is_heeded = !change.needs_invalidation() || !self.all_match(part, INVALID);
        self.space.update_range(part, self.space.masks(change));
        match (change.needs_invalidation(), is_heeded) {
            (true, true) => visit.complete(part, Extent::Leaves),
            (false, _) => self.space.complete_new(),
            (true, false) => {}
        }
        Ok(execution)
    }

    /// Gives the range back as it was: all leaves grant what they did, and are nobody's. That the
    /// leaves become large again is another step, [`Space::collapse`], which may wait.
    ///
    /// What was given back can't be given back again:
    ///
    /// ```compile_fail,E0382
    /// fn twice<P: blockmap::Platform>(carve: blockmap::Carve<'_, P>) {
    ///     carve.restore();
    ///     carve.restore();
    /// }
    /// ```
    pub fn restore(self) {
        drop(self);
    }

    /// What must be in force everywhere before the range grants what it did: a leaf that goes from one
    /// of writing and executing to the other must never do both. [narrow-then-widen]
    fn narrowing(&self) -> Option<Change> {
        let never = bits::privileged_execute_never(self.space.geometry().regime());
        let (change, bit) = match (self.meaning & bits::READ_ONLY, self.meaning & never) {
            (0, 1..) => (Change::NoExecute, never),
            (1.., 0) => (Change::ReadOnly, bits::READ_ONLY),
            // Whatever it granted since, it granted before; or it gets neither back.
            (0, 0) | (1.., 1..) => return None,
        };
        (!self.all_match(self.range, Pattern { mask: bit, value: bit })).then_some(change)
    }

    /// Whether all leaves of `part` match.
    fn all_match(&self, part: VirtRange, pattern: Pattern) -> bool {
        let mut next = Some(part.start());
        while let Some(at) = next {
            let place = self.space.find(at);
            let span = self.space.span_up_to(place.table(), at, part.last());
            let leaves = self.space.leaves_of(place.level, span);
            if self.space.machine().scan(leaves, pattern) < leaves.count {
                return false;
            }
            next = self.space.after((place.level, at), leaves.count, part.last());
        }
        true
    }

    /// Bytes of the smallest leaf.
    fn smallest(&self) -> u64 {
        let (mut smallest, mut next) = (u64::MAX, Some(self.range.start()));
        while let Some(at) = next {
            let place = self.space.find(at);
            let span = self.space.span_up_to(place.table(), at, self.range.last());
            let leaves = self.space.leaves_of(place.level, span);
            smallest = smallest.min(self.space.geometry().span_bytes(place.level));
            next = self.space.after((place.level, at), leaves.count, self.range.last());
        }
        smallest
    }

    /// Lets go of the range for ever: it stays as it is now, and nobody's to change.
    pub fn keep(self) {
        mem::forget(self);
    }
}

impl<P: Platform> Drop for Carve<'_, P> {
    fn drop(&mut self) {
        let visit = Visit::new(&self.space);
        if let Some(narrow) = self.narrowing() {
            self.space.update_range(self.range, self.space.masks(narrow));
            visit.complete(self.range, Extent::Leaves);
        }
        let rights = bits::READ_ONLY | bits::PXN | bits::UXN | bits::VALID | bits::PRESENT;
        let masks = Masks { clear: rights | bits::HELD, set: self.meaning & rights };
        let was_invalid = self.all_match(self.range, INVALID);
        // From the update on, whoever has the slot's lock may make other leaves of these. They tell the
        // TLBs of their own change later: this one names all leaves that it changed.
        let extent = Extent::Every(self.smallest());
        self.space.update_range(self.range, masks);
        if was_invalid { self.space.complete_new() } else { visit.complete(self.range, extent) }
    }
}
