//! Changing what existing leaves grant.
//!
//! ```text timeline: protect
//! 1. update entries     a walker sees: the old permission, or the new
//! 2. dsb ishst          a walker sees: the new
//! 3. tlbi               a TLB holds: the old, or the new
//! 4. dsb ish            a TLB holds: the new
//! 5. isb
//! ```
//!
//! Where the range's ends lie within leaves, they are split first, as `cut` shows: size and
//! permission are never changed by one store. [size-apart-from-permission]
//!
//! Leaves that were invalid are in no TLB, so making them valid ends with step 2 and the `isb`.
//! [invalid-is-never-cached] Every other change invalidates, also one that only gives rights: a
//! CPU that kept the old permission would fault for nothing, where the kernel may not be able to
//! take a fault.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

mod allowed;
mod at_once;

use blockmap_machine::{Event, Machine, PhysAddr, Span, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, Level, Masks, Reach};
use thiserror::Error;

pub(crate) use self::allowed::Asker;
pub use self::allowed::Execution;
use crate::complete::Extent;
use crate::cut::{Cuts, SizeChangeRefused};
use crate::plan::{Hold, Parking, Permit, Work};
use crate::space::Place;
use crate::{NotParked, OutOfTables, Plan, Platform, RangeError, Refusal, Root, Space, Terms};

/// Why no permission was changed. The tables are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// The range is no range of these tables.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Nothing is mapped at this address of the range.
    #[error("nothing is mapped at {0}")]
    NotMapped(VirtAddr),
    /// The leaf at this address would be writable and executable: take one right away first.
    /// [narrow-then-widen]
    #[error("the leaf at {0} would be writable and executable: take one of the two away first")]
    WritableAndExecutable(VirtAddr),
    /// The leaf at this address is not global where the tree's leaves are, or the reverse
    /// ([`Platform::asids`]). Bit 11 says so, and where the leaf is invalid the same bit says that it is
    /// present: it would come back as another.
    #[error(
        "the leaf at {0} belongs to other ASIDs than the rest: it can't be invalid and come back as it was"
    )]
    OtherAsids(VirtAddr),
    /// The leaf at this address is somebody's carve, who alone changes it.
    #[error("the leaf at {0} belongs to a carve: its owner alone changes it")]
    Held(VirtAddr),
    /// The system keeps permissions of this range as they are.
    #[error("{range} keeps its permissions: {why}")]
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

/// What a look at the leaves of a range found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    /// The entries, if all are in the table in which the range starts.
    direct: Option<Span>,
    pub(crate) execution: Execution,
}

/// A checked change of permissions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protection {
    range: VirtRange,
    change: Change,
    cuts: Cuts,
    /// The entries, when they all are in one table and need no cut: the commit takes no walk.
    direct: Option<Span>,
}

impl<P: Platform> Space<'_, P> {
    /// Plans to [`Space::protect`]: locks and checks, and changes nothing.
    ///
    /// # Errors
    /// See [`ProtectError`].
    #[inline]
    pub fn plan_protect<'s>(
        &'s self,
        range: VirtRange,
        change: Change,
        may_park: &'s P::MayPark,
    ) -> Result<Plan<'s, P>, ProtectError> {
        self.plan_change(range, change, Parking::Allowed(may_park))
    }

    /// Plans to [`Space::protect_leaves`]: locks and checks, and changes nothing.
    ///
    /// # Errors
    /// See [`ProtectError`].
    #[inline]
    pub fn plan_protect_leaves(
        &self,
        range: VirtRange,
        change: Change,
    ) -> Result<Plan<'_, P>, ProtectError> {
        self.plan_change(range, change, Parking::Never)
    }

    #[inline]
    fn plan_change<'s>(
        &'s self,
        range: VirtRange,
        change: Change,
        parking: Parking<'s, P>,
    ) -> Result<Plan<'s, P>, ProtectError> {
        self.check(range)?;
        let mut hold = Hold::new(self, range, Root::Untouched, parking);
        let mut first = self.find(range.start());
        let mut cuts = self.cuts_from(&first, range);
        self.widen_for_cuts(&mut hold, (&mut first, &mut cuts), range);
        self.is_let(range)?;
        let Checked { direct, .. } =
            self.check_change((&cuts, hold.permit), &first, (range, change))?;
        let protection = Protection { range, change, cuts, direct };
        Ok(Plan::new(hold, Work::Protect(protection), cuts.tables(self)))
    }

    /// Checks a change of `range`, whose locks are held, whose start was found at `first` and whose ends
    /// take `cuts`. Where it takes some there is no entry to say.
    #[inline(always)]
    fn check_change(
        &self,
        (cuts, permit): (&Cuts, Permit<'_, P>),
        first: &Place,
        (range, change): (VirtRange, Change),
    ) -> Result<Checked, ProtectError> {
        let Checked { direct, execution } =
            self.check_leaves(range, first, (change, Asker::Anybody))?;
        cuts.check(&permit)?;
        Ok(Checked { direct: direct.filter(|_| cuts.is_empty()), execution })
    }

    /// Checks that `change` is possible for every leaf of `range`.
    #[inline]
    pub(crate) fn check_leaves(
        &self,
        range: VirtRange,
        first: &Place,
        (change, asker): (Change, Asker),
    ) -> Result<Checked, ProtectError> {
        let (mut at, mut place) = (range.start(), *first);
        let (mut is_one_table, mut execution) = (true, Execution::Never);
        loop {
            let pattern = self.changeable(&place, at, (change, asker))?;
            execution = execution.and(self.execution_of(pattern));
            // What lies in one leaf has no others.
            if at == range.start() && range.bytes() <= self.left_in(&place, at) {
                return Ok(Checked { direct: Some(first.entry.span(1)), execution });
            }
            let span = self.span_up_to(place.table(), at, range.last());
            // The first has been looked at; most ranges end with it.
            let count = if span.count == 1 { 1 } else { self.machine().scan(span, pattern).max(1) };
            match self.after((place.level, at), count, range.last()) {
                None => {
                    let all = self.span_up_to(first.table(), range.start(), range.last());
                    return Ok(Checked { direct: is_one_table.then_some(all), execution });
                }
                Some(next) => at = next,
            }
            place = self.find(at);
            is_one_table &= place.entry.table == first.entry.table;
        }
    }

    /// Asks the platform.
    #[inline]
    fn is_let(&self, range: VirtRange) -> Result<(), ProtectError> {
        if let Some(why) = self.platform().refusal(range) {
            return Err(ProtectError::Refused { range, why });
        }
        Ok(())
    }

    /// Performs a checked change.
    #[inline]
    pub(crate) fn commit_protect(
        &self,
        protection: &Protection,
        permit: Permit<'_, P>,
    ) -> Result<(), NotParked> {
        let Protection { range, change, cuts, direct } = protection;
        self.commit_change((*range, *change), (cuts, *direct), permit)
    }

    #[inline(always)]
    fn commit_change(
        &self,
        (range, change): (VirtRange, Change),
        (cuts, direct): (&Cuts, Option<Span>),
        permit: Permit<'_, P>,
    ) -> Result<(), NotParked> {
        let linked = self.commit_cuts(cuts, permit)?;
        let direct = direct.or_else(|| self.direct_after_cut(linked?, range));
        match direct {
            Some(span) => self.update(span, self.masks(change)),
            None => self.update_range(range, self.masks(change)),
        }
        self.complete_change((range, change), direct, permit.terms);
        Ok(())
    }

    /// Makes a change of `range` take effect, whose entries are `direct` if all are in one table.
    #[inline(always)]
    fn complete_change(
        &self,
        (range, change): (VirtRange, Change),
        direct: Option<Span>,
        terms: Terms,
    ) {
        if change.needs_invalidation() {
            let extent = match direct {
                Some(Span { count: 1, .. }) => Extent::OneLeaf,
                Some(_) | None => Extent::Leaves,
            };
            self.complete(range, Reach::LastLevel, extent, terms);
        } else {
            self.complete_new();
        }
    }

    /// The entries of `range` in the table of pages that a cut made, if all are there.
    #[inline]
    pub(crate) fn direct_after_cut(
        &self,
        (table, address): (PhysAddr, VirtAddr),
        range: VirtRange,
    ) -> Option<Span> {
        let bytes = self.geometry().span_bytes(Level::L2);
        let start = address.align_down(bytes);
        let is_there = |address: VirtAddr| address.align_down(bytes) == start;
        (is_there(range.start()) && is_there(range.last()))
            .then(|| self.span_up_to((Level::L3, table), range.start(), range.last()))
    }

    /// Changes every leaf of `range`, a table's worth at a time.
    pub(crate) fn update_range(&self, range: VirtRange, masks: Masks) {
        let mut next = Some(range.start());
        while let Some(at) = next {
            let place = self.find(at);
            let span = self.span_up_to(place.table(), at, range.last());
            let leaves = self.leaves_of(place.level, span);
            self.update(leaves, masks);
            next = self.after((place.level, at), leaves.count, range.last());
        }
    }

    #[inline]
    pub(crate) fn update(&self, span: Span, masks: Masks) {
        self.machine().perform(Event::Update { span, clear: masks.clear, set: masks.set });
    }
}
