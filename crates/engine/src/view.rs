//! Changing what a range grants together with another view of the same memory: an area and its
//! aliases in the linear map.
//!
//! A frame that is writable through one address and executable through another is both. So a change
//! that takes a right away in one view to give another in the other view has two phases, and the
//! first is in force on every CPU before the second begins. [narrow-then-widen]
//!
//! ```text timeline: read-only and executable
//! 1. update entries of both, read-only    a walker sees: the old permission, or the new
//! 2. dsb ishst                            a walker sees: read-only in both
//! 3. tlbi   the range, then each alias    a TLB holds: the old, or the new
//! 4. dsb ish                              a TLB holds: read-only in both
//! 5. isb
//! 6. dc cvau                              the new instructions reach the point of unification
//! 7. dsb ish
//! 8. ic ivau                              no instruction cache holds what was there before
//! 9. dsb ish
//! 10. isb
//! 11. update entries of the range         a walker sees: read-only, or executable too
//! 12. dsb ishst                           a walker sees: executable in the range
//! 13. tlbi  the range                     a TLB holds: read-only, or executable too
//! 14. dsb ish                             a TLB holds: executable in the range
//! 15. isb
//! ```
//!
//! The range may be made of any number of physically contiguous pieces; each piece's alias is one
//! range. A phase has one publish barrier, one invalidation for each of them, or one of everything
//! where these would be more than [`MOST_INVALIDATIONS_BY_ADDRESS`], and one completion. What must be
//! split is split before the first phase, as `cut` shows, and published by one barrier for each 32
//! tables that are linked: no table memory is asked for once anything has changed.
//!
//! Aliases that are narrowed are held, as a carve's leaves are: nobody but the owner of the range
//! changes them or makes them part of a larger leaf. So what was narrowed can be given back without
//! memory: its leaves end where the range's pieces end.

mod commit;
mod hull;
mod leaf;
mod piece;
mod reset;
mod uncut;

use blockmap_machine::{Machine, PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, Kind};
use thiserror::Error;

use self::leaf::Tried;
use self::piece::{Piece, Pieces};
use crate::cut::{Count, SizeChangeRefused};
use crate::plan::{Hold, Parking, Work};
use crate::protect::Asker;
use crate::{NotParked, OutOfTables, Plan, Platform, ProtectError, Root, Space};

#[cfg(doc)]
use crate::MOST_INVALIDATIONS_BY_ADDRESS;

/// Where else memory is mapped: holding one tells that whatever memory a range shows is shown there
/// too, the linear map in a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    start: VirtAddr,
    memory: PhysAddr,
}

impl View {
    /// The view that shows `memory`, and what follows it, from `start` on.
    #[must_use]
    pub const fn new(start: VirtAddr, memory: PhysAddr) -> Self {
        Self { start, memory }
    }

    /// Where it shows `memory`; `None` below its start or past the end of the address space.
    #[must_use]
    pub fn range_of(self, memory: PhysRange) -> Option<VirtRange> {
        let offset = memory.start().offset_from(self.memory)?;
        VirtRange::new(self.start.checked_add(offset)?, memory.bytes())
    }
}

/// What becomes of a range and of the aliases of its memory in the other view. That one is never
/// executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViewChange {
    /// Stores fault in both.
    #[doc(alias = "set_memory_ro")]
    ReadOnly,
    /// Stores work in both; the range must not be executable.
    #[doc(alias = "set_memory_rw")]
    ReadWrite,
    /// Instruction fetches from the range fault.
    #[doc(alias = "set_memory_nx")]
    NoExecute,
    /// Instruction fetches from the range work, stores to its aliases fault; the range must not be
    /// writable.
    #[doc(alias = "set_memory_x")]
    Execute,
    /// Stores fault in both, and instruction fetches from the range work.
    #[doc(alias = "set_memory_rox")]
    ReadOnlyExecute,
    /// Every access faults in both.
    Invalid,
    /// Undoes [`ViewChange::Invalid`].
    #[doc(alias = "set_memory_valid")]
    Valid,
}

impl ViewChange {
    /// Every change.
    pub const ALL: [Self; 7] = [
        Self::ReadOnly,
        Self::ReadWrite,
        Self::NoExecute,
        Self::Execute,
        Self::ReadOnlyExecute,
        Self::Invalid,
        Self::Valid,
    ];

    /// What it does to the leaves of the range, in order.
    #[must_use]
    pub const fn of_range(self) -> &'static [Change] {
        match self {
            Self::ReadOnly => &[Change::ReadOnly],
            Self::ReadWrite => &[Change::ReadWrite],
            Self::NoExecute => &[Change::NoExecute],
            Self::Execute => &[Change::Execute],
            Self::ReadOnlyExecute => &[Change::ReadOnly, Change::Execute],
            Self::Invalid => &[Change::Invalid],
            Self::Valid => &[Change::Valid],
        }
    }

    /// What it does to the leaves of the aliases, if anything.
    #[must_use]
    pub const fn of_aliases(self) -> Option<Change> {
        match self {
            Self::ReadOnly | Self::Execute | Self::ReadOnlyExecute => Some(Change::ReadOnly),
            Self::ReadWrite => Some(Change::ReadWrite),
            Self::NoExecute => None,
            Self::Invalid => Some(Change::Invalid),
            Self::Valid => Some(Change::Valid),
        }
    }
}

/// Why nothing was changed: every address translates as it did and grants what it did. Where others
/// had to be parked, leaves may have become smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The range, or an alias of its memory, can't be changed.
    #[error(transparent)]
    Protect(#[from] ProtectError),
    /// The leaf at this address is invalid.
    #[error("the leaf at {0} is invalid: make it valid first")]
    NotValid(VirtAddr),
    /// The other view does not show this memory.
    #[error("the memory {0} of the range has no alias")]
    NoAlias(PhysRange),
    /// All other CPUs had to be parked, and one did not come.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Not enough table memory for a split.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

impl From<SizeChangeRefused> for ViewError {
    fn from(refused: SizeChangeRefused) -> Self {
        Self::Protect(refused.into())
    }
}

/// A checked change of a range and its aliases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewing {
    range: VirtRange,
    view: View,
    change: ViewChange,
}

/// The locks that a change of views takes: two stretches of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretches {
    range: VirtRange,
    aliases: VirtRange,
    root: Root,
}

impl<P: Platform> Space<'_, P> {
    /// Changes what `range` and the aliases of its memory in `view` grant, by one operation. Leaves
    /// covered in part are split first, in both; those covered whole keep their size.
    ///
    /// The caller owns the range and its memory: aliases that are held are taken to be its own.
    ///
    /// # Errors
    /// See [`ViewError`]; every address grants what it did.
    pub fn change_views(
        &self,
        (range, view): (VirtRange, View),
        change: ViewChange,
        may_park: &P::MayPark,
    ) -> Result<(), ViewError> {
        self.check(range).map_err(ProtectError::from)?;
        let viewing = Viewing { range, view, change };
        match self.change_leaf(viewing, may_park)? {
            Tried::Made => Ok(()),
            Tried::Not => self.change_leaves(viewing, may_park),
        }
    }

    /// As [`Space::change_views`], of more than one leaf and one alias.
    #[inline(never)]
    fn change_leaves(&self, viewing: Viewing, may_park: &P::MayPark) -> Result<(), ViewError> {
        if self.change_uncut(viewing, may_park) {
            return Ok(());
        }
        let Viewing { range, view, change } = viewing;
        Ok(self.carry_out(|| self.plan_change_views((range, view), change, may_park))??)
    }

    /// Plans to [`Space::change_views`]: locks and checks, and changes nothing.
    ///
    /// # Errors
    /// See [`ViewError`].
    pub fn plan_change_views<'s>(
        &'s self,
        (range, view): (VirtRange, View),
        change: ViewChange,
        may_park: &'s P::MayPark,
    ) -> Result<Plan<'s, P>, ViewError> {
        self.check(range).map_err(ProtectError::from)?;
        let viewing = Viewing { range, view, change };
        let hold = self.hold_views(viewing, Parking::Allowed(may_park))?;
        let mut tables = Count::default();
        self.check_part(range, (change.of_range().first().copied(), Asker::Anybody))?;
        let cuts = self.find_cuts(range).1;
        cuts.check(&hold.permit)?;
        tables.add(self, &cuts);
        if let Some(of_aliases) = change.of_aliases() {
            for piece in self.pieces(range) {
                let alias = self.alias(view, piece)?;
                self.check_part(alias, (Some(of_aliases), Asker::Owner))?;
                let cuts = self.find_cuts(alias).1;
                cuts.check_strategy(&hold.permit)?;
                tables.add(self, &cuts);
            }
        }
        Ok(Plan::new(hold, Work::Views(viewing), tables.sum()))
    }

    /// Checks that a part allows a change, and is valid unless it is what is changed.
    fn check_part(
        &self,
        part: VirtRange,
        (change, asker): (Option<Change>, Asker),
    ) -> Result<(), ViewError> {
        let Some(change) = change else { return Ok(()) };
        if let Some(why) = self.platform().refusal(part) {
            return Err(ProtectError::Refused { range: part, why }.into());
        }
        match change {
            Change::Valid | Change::Invalid => {}
            Change::ReadOnly | Change::ReadWrite | Change::NoExecute | Change::Execute => {
                if let Some(at) = self.first_invalid(part) {
                    return Err(ViewError::NotValid(at));
                }
            }
        }
        self.check_leaves(part, &self.find(part.start()), (change, asker))?;
        Ok(())
    }

    /// The first address of a leaf of `part` that is invalid and marked present.
    fn first_invalid(&self, part: VirtRange) -> Option<VirtAddr> {
        let mut next = Some(part.start());
        while let Some(at) = next {
            let place = self.find(at);
            if place.kind == Kind::PresentInvalid {
                return Some(at);
            }
            let span = self.span_up_to(place.table(), at, part.last());
            let count =
                place.leaves_like().map_or(1, |alike| self.machine().scan(span, alike).max(1));
            next = self.after((place.level, at), count, part.last());
        }
        None
    }

    /// Takes the locks of a range and of its aliases. Where these are is read before and checked
    /// after.
    fn hold_views<'s>(
        &'s self,
        viewing: Viewing,
        parking: Parking<'s, P>,
    ) -> Result<Hold<'s, P>, ViewError> {
        loop {
            let wanted = {
                let _reader = self.reader();
                self.stretches(viewing)?
            };
            let hold = Hold::of_both(self, (wanted.range, wanted.aliases), wanted.root, parking);
            if self.stretches(viewing)? == wanted {
                return Ok(hold);
            }
        }
    }

    /// The addresses whose slots a change touches: those of leaves that are larger than a slot, and
    /// cut, are all that they cover.
    fn stretches(&self, viewing: Viewing) -> Result<Stretches, ViewError> {
        let Viewing { range, view, .. } = viewing;
        let mut root = Root::Untouched;
        let mut whole = |part: VirtRange| match self.beyond_slots(part, &self.find_cuts(part).1) {
            None => part,
            Some(wider) => {
                root = Root::Changes;
                wider
            }
        };
        let wide = whole(range);
        let mut aliases: Option<VirtRange> = None;
        let has_aliases = viewing.change.of_aliases().is_some();
        for piece in has_aliases.then(|| self.pieces(range)).into_iter().flatten() {
            let alias = whole(self.alias(view, piece)?);
            let (start, last) = aliases.map_or((alias.start(), alias.last()), |so_far| {
                (so_far.start().min(alias.start()), so_far.last().max(alias.last()))
            });
            aliases = VirtRange::inclusive(start, last);
        }
        Ok(Stretches { range: wide, aliases: aliases.unwrap_or(wide), root })
    }

    /// The alias of a piece, or why there is none.
    fn alias(&self, view: View, piece: Result<Piece, VirtAddr>) -> Result<VirtRange, ViewError> {
        let piece = piece.map_err(ProtectError::NotMapped)?;
        let alias = view.range_of(piece.memory).ok_or(ViewError::NoAlias(piece.memory))?;
        self.check(alias).map_err(ProtectError::from)?;
        Ok(alias)
    }

    /// The physically contiguous pieces of `range`.
    fn pieces(&self, range: VirtRange) -> Pieces<'_, '_, P> {
        Pieces::new(self, range)
    }
}
