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

use blockmap_machine::{Event, Machine, Pattern, PhysAddr, Span, VirtAddr, VirtRange};
use blockmap_vmsa::descriptor::Asids;
use blockmap_vmsa::{Change, Kind, Level, Masks, Reach, Regime, bits};
use thiserror::Error;

use crate::complete::Extent;
use crate::cut::{Cuts, SizeChangeRefused};
use crate::plan::{Parking, Permit, Work};
use crate::space::Place;
use crate::{NotParked, OutOfTables, Plan, Platform, RangeError, Refusal, Root, Space};

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
        let (hold, first, cuts) = self.hold_cuts(range, Root::Untouched, parking);
        if let Some(why) = self.platform().refusal(range) {
            return Err(ProtectError::Refused { range, why });
        }
        let direct =
            self.check_leaves(range, first, (change, Asker::Anybody))?.filter(|_| cuts.is_empty());
        cuts.check(hold.permit)?;
        let protection = Protection { range, change, cuts, direct };
        Ok(Plan::new(hold, Work::Protect(protection), cuts.tables(self)))
    }

    /// Checks that `change` is possible for every leaf of `range`. Returns the entries if all are in
    /// the table of `first`.
    #[inline]
    pub(crate) fn check_leaves(
        &self,
        range: VirtRange,
        first: Place,
        (change, asker): (Change, Asker),
    ) -> Result<Option<Span>, ProtectError> {
        let (regime, asids) = (self.geometry().regime(), self.platform().asids());
        let (mut at, mut place) = (range.start(), first);
        let mut is_one_table = true;
        loop {
            let pattern = asked_by(asker, allowed(change, (regime, asids), place, at)?);
            if !pattern.matches(place.word) {
                return Err(ProtectError::Held(at));
            }
            let span = self.span_up_to(place.table(), at, range.last());
            // The first has been looked at; most ranges end with it.
            let count = if span.count == 1 { 1 } else { self.machine().scan(span, pattern).max(1) };
            match self.after((place.level, at), count, range.last()) {
                None => {
                    let all = self.span_up_to(first.table(), range.start(), range.last());
                    return Ok(is_one_table.then_some(all));
                }
                Some(next) => at = next,
            }
            place = self.find(at);
            is_one_table &= place.entry.table == first.entry.table;
        }
    }

    /// Performs a checked change.
    #[inline]
    pub(crate) fn commit_protect(
        &self,
        protection: Protection,
        permit: Permit<'_, P>,
    ) -> Result<(), NotParked> {
        let Protection { range, change, cuts, direct } = protection;
        let linked = self.commit_cuts(cuts, permit)?;
        let direct = direct.or_else(|| self.direct_after_cut(linked?, range));
        match direct {
            Some(span) => self.update(span, self.masks(change)),
            None => self.update_range(range, self.masks(change)),
        }
        if change.needs_invalidation() {
            let extent = match direct {
                Some(Span { count: 1, .. }) => Extent::OneLeaf,
                Some(_) | None => Extent::Leaves,
            };
            self.complete(range, Reach::LastLevel, extent, permit.terms);
        } else {
            self.complete_new();
        }
        Ok(())
    }

    /// The entries of `range` in the table of pages that a cut made, if all are there.
    #[inline]
    fn direct_after_cut(
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
    fn update(&self, span: Span, masks: Masks) {
        self.machine().perform(Event::Update { span, clear: masks.clear, set: masks.set });
    }
}

/// Who asks for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Somebody, who changes what nobody owns.
    Anybody,
    /// The owner of the leaves.
    Owner,
}

/// Of entries that match, those that whoever asks may change: of anybody's, those that nobody owns.
#[inline]
const fn asked_by(asker: Asker, pattern: Pattern) -> Pattern {
    match asker {
        Asker::Anybody => Pattern { mask: pattern.mask | bits::HELD, ..pattern },
        Asker::Owner => pattern,
    }
}

/// The entries that `change` is possible for in the way it is for `place`, which translates `at`.
#[inline]
fn allowed(
    change: Change,
    (regime, asids): (Regime, Asids),
    place: Place,
    at: VirtAddr,
) -> Result<Pattern, ProtectError> {
    let leaves = place.leaves_like().ok_or(ProtectError::NotMapped(at))?;
    let never = bits::privileged_execute_never(regime);
    let (right, right_mask, error) = match change {
        Change::Execute => {
            (bits::READ_ONLY, bits::READ_ONLY, ProtectError::WritableAndExecutable(at))
        }
        Change::ReadWrite => (never, never, ProtectError::WritableAndExecutable(at)),
        Change::Invalid | Change::Valid if place.kind == Kind::Leaf => {
            (asids.leaf_bit(), bits::NOT_GLOBAL, ProtectError::OtherAsids(at))
        }
        Change::ReadOnly | Change::NoExecute | Change::Invalid | Change::Valid => {
            (0, 0, ProtectError::NotMapped(at))
        }
    };
    let pattern = Pattern { mask: leaves.mask | right_mask, value: leaves.value | right };
    if pattern.matches(place.word) { Ok(pattern) } else { Err(error) }
}
