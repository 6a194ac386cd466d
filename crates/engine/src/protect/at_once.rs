//! A change that is checked and made without a plan that moves.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

use blockmap_machine::{Machine, Span, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, bits};

use super::{Asker, Checked, Execution, ProtectError};
use crate::plan::{Hold, Parking};
use crate::space::Place;
use crate::{OutOfTables, Platform, Refusal, Root, Space, TopUp};

/// What came of an attempt.
enum Tried {
    /// The change is in force on every CPU.
    Made(Execution),
    /// Nothing was changed: so many tables were not to be had.
    Short(OutOfTables),
}

impl<P: Platform> Space<'_, P> {
    /// As [`Space::protect`], or where nobody may be parked [`Space::protect_leaves`]; and does
    /// `before` when nothing else can fail any more but parking, and before the first effect. It
    /// refuses what must not be changed: [`Platform::refusal`], whose answer may be true only until then,
    /// is not asked, so that a `before` that lets tables pass, or what the system runs on, can take them
    /// away from who walks them. Of what becomes valid it tells whether it may be executed.
    ///
    /// # Errors
    /// See [`ProtectError`]; the tables are as they were.
    #[inline]
    pub fn protect_after(
        &self,
        range: VirtRange,
        change: Change,
        may_park: Option<&P::MayPark>,
        before: &dyn Fn() -> Result<(), Refusal>,
    ) -> Result<Execution, ProtectError> {
        let parking = may_park.map_or(Parking::Never, Parking::Allowed);
        match self.try_change((range, change), parking, before)? {
            Tried::Made(execution) => Ok(execution),
            Tried::Short(short) => {
                self.change_when_supplied(short, (range, change), parking, before)
            }
        }
    }

    /// Tops up and tries again, as long as there is memory: others may be faster and set aside what
    /// was topped up, and each time somebody was served.
    #[cold]
    #[inline(never)]
    fn change_when_supplied(
        &self,
        mut short: OutOfTables,
        (range, change): (VirtRange, Change),
        parking: Parking<'_, P>,
        before: &dyn Fn() -> Result<(), Refusal>,
    ) -> Result<Execution, ProtectError> {
        let mut supply = TopUp::Enough;
        loop {
            supply = match supply {
                TopUp::Enough => self.platform().top_up(short.needed),
                TopUp::Short => return Err(short.into()),
            };
            short = match self.try_change((range, change), parking, before)? {
                Tried::Made(execution) => return Ok(execution),
                Tried::Short(short) => short,
            };
        }
    }

    /// Makes the change at once if it is of one leaf, which is no part of a run. Either way takes one walk
    /// of the range's start.
    #[inline(always)]
    fn try_change(
        &self,
        (range, change): (VirtRange, Change),
        parking: Parking<'_, P>,
        before: &dyn Fn() -> Result<(), Refusal>,
    ) -> Result<Tried, ProtectError> {
        self.check(range)?;
        let mut hold = Hold::new(self, range, Root::Untouched, parking);
        let first = self.find(range.start());
        if !self.is_one_leaf(&first, range) {
            return self.try_several(&mut hold, first, (range, change), before);
        }
        let pattern = self.changeable(&first, range.start(), (change, Asker::Anybody))?;
        before().map_err(|why| ProtectError::Refused { range, why })?;
        let span = first.entry.span(1);
        self.update(span, self.masks(change));
        self.complete_change((range, change), Some(span), hold.permit.terms);
        Ok(Tried::Made(self.execution_of(pattern)))
    }

    /// As [`Space::try_change`], of more than one leaf, or less.
    #[inline(never)]
    fn try_several<'s>(
        &'s self,
        hold: &mut Hold<'s, P>,
        mut first: Place,
        (range, change): (VirtRange, Change),
        before: &dyn Fn() -> Result<(), Refusal>,
    ) -> Result<Tried, ProtectError> {
        if let Some(span) = self.whole_leaves(&first, range) {
            let pattern = self.changeable(&first, range.start(), (change, Asker::Anybody))?;
            // What is wrong with another leaf is found by looking at all of them.
            if self.machine().scan(span, pattern) == span.count {
                before().map_err(|why| ProtectError::Refused { range, why })?;
                self.update(span, self.masks(change));
                self.complete_change((range, change), Some(span), hold.permit.terms);
                return Ok(Tried::Made(self.execution_of(pattern)));
            }
        }
        self.try_widely(hold, &mut first, (range, change), before)
    }

    /// Makes a change of any leaves of `range`, whose locks are held and whose start was found at
    /// `first`: what a plan of it would be made of, without moving one.
    #[inline(never)]
    fn try_widely<'s>(
        &'s self,
        hold: &mut Hold<'s, P>,
        first: &mut Place,
        (range, change): (VirtRange, Change),
        before: &dyn Fn() -> Result<(), Refusal>,
    ) -> Result<Tried, ProtectError> {
        let mut cuts = self.cuts_from(first, range);
        self.widen_for_cuts(hold, (first, &mut cuts), range);
        let Checked { direct, execution } =
            self.check_change((&cuts, hold.permit), first, (range, change))?;
        let needed = cuts.tables(self);
        if needed > 0
            && let Err(had) = self.platform().reserve(needed)
        {
            return Ok(Tried::Short(OutOfTables { needed, had }));
        }
        let refused = |why| ProtectError::Refused { range, why };
        let done = before().map_err(refused).and_then(|()| {
            Ok(self.commit_change((range, change), (&cuts, direct), hold.permit)?)
        });
        done.map(|()| Tried::Made(execution)).inspect_err(|_| self.platform().unreserve(needed))
    }

    /// Whether `range`, whose start was found at `first`, is all of one leaf that is in no run, or of an
    /// entry that is no leaf.
    #[inline(always)]
    pub(crate) fn is_one_leaf(&self, first: &Place, range: VirtRange) -> bool {
        let bytes = self.geometry().span_bytes(first.level);
        range.bytes() == bytes
            && range.start().is_aligned(bytes)
            && first.word & bits::CONTIGUOUS == 0
    }

    /// The entries of `range`, whose start was found at `first`, if they are in one table and no leaf
    /// or run of them reaches beyond it.
    #[inline]
    fn whole_leaves(&self, first: &Place, range: VirtRange) -> Option<Span> {
        let geometry = self.geometry();
        let bytes = geometry.span_bytes(first.level);
        let unit = self.unit_bytes(first);
        let left = geometry.entries(first.level) - first.entry.index;
        let is_apart = |at: VirtAddr, unit: u64| at.is_aligned(unit);
        if !is_apart(range.start(), unit) || !is_apart(range.end(), bytes) {
            return None;
        }
        let count = u16::try_from(range.bytes() / bytes).ok().filter(|count| *count <= left)?;
        let span = first.entry.span(count);
        let last = self.look(first.level, first.entry.table, range.last());
        is_apart(range.end(), self.unit_bytes(&last)).then_some(span)
    }
}
