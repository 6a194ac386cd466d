//! A checked operation that owns what it needs, and its commit.
#![expect(
    clippy::inline_always,
    reason = "a plan that is made in one place and committed there is not moved"
)]

use core::cell::Cell;
use core::{fmt, mem};

use blockmap_machine::{VirtAddr, VirtRange};
use blockmap_vmsa::{Geometry, Level};
use thiserror::Error;

use crate::cut::Cuts;
use crate::map::Filling;
use crate::protect::Protection;
use crate::repaint::Repainting;
use crate::unmap::Removal;
use crate::view::Viewing;
use crate::{NotParked, Platform, Root, Scope, Space, Terms};

/// An operation that has been checked against the tables: holding one tells that nothing but table
/// memory can still be missing.
///
/// It owns the locks of the slots it touches and a hold on the terms, until it is committed or
/// dropped, so what was checked stays true.
#[must_use = "a plan changes nothing until it is reserved and committed"]
#[derive(Debug)]
pub struct Plan<'s, P: Platform> {
    hold: Hold<'s, P>,
    work: Work<'s>,
    tables: u32,
}

/// A plan with all the table memory it needs: nothing can fail any more, but that a CPU is not
/// parked where one must be.
///
/// Dropped, it gives the tables back, and nothing has changed.
#[must_use = "a plan changes nothing until it is committed"]
#[derive(Debug)]
pub struct Ready<'s, P: Platform> {
    plan: Plan<'s, P>,
    left: u32,
}

/// There was not enough table memory. The tables are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{needed} translation tables are needed and {had} can be had: free memory and try again")]
pub struct OutOfTables {
    /// How many tables the operation takes.
    pub needed: u32,
    /// How many there were.
    pub had: u32,
}

/// What a plan will do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work<'k> {
    Map(Filling),
    Unmap(Removal),
    Protect(Protection),
    Split(Cuts),
    Repaint(Repainting<'k>),
    Carve(Repainting<'k>),
    Views(Viewing),
    /// Tells how many tables were given back.
    Collapse(Repainting<'k>, &'k Cell<u32>),
    NonGlobal,
}

impl<'s, P: Platform> Plan<'s, P> {
    #[inline(always)]
    pub(crate) fn new(hold: Hold<'s, P>, work: Work<'s>, tables: u32) -> Self {
        Self { hold, work, tables }
    }

    /// How many tables the commit takes.
    #[must_use]
    pub const fn tables(&self) -> u32 {
        self.tables
    }

    /// Sets the tables aside: the last step that can fail, where nobody has to be parked.
    ///
    /// # Errors
    /// [`OutOfTables`]; the locks are free again and the tables as they were.
    #[inline(always)]
    pub fn reserve(self) -> Result<Ready<'s, P>, OutOfTables> {
        let needed = self.tables;
        if needed > 0 {
            let platform = self.hold.space.platform();
            platform.reserve(needed).map_err(|had| OutOfTables { needed, had })?;
        }
        Ok(Ready { plan: self, left: needed })
    }
}

impl<P: Platform> Ready<'_, P> {
    /// Performs the effects. It does not allocate, and when it returns the change is in force on
    /// every CPU. Of a split there is nothing to be in force: every CPU translates as before, by
    /// the larger leaves or the smaller ones.
    ///
    /// # Errors
    /// Only where a leaf changes its size under
    /// [`Strategy::Quiesce`](blockmap_layout::Strategy::Quiesce), or is repainted, and so never of a
    /// mapping or of what was planned without a [`Platform::MayPark`]: a CPU did not come to be parked. The tables
    /// are as they were.
    #[inline(always)]
    pub fn commit(mut self) -> Result<(), NotParked> {
        let mut left = mem::take(&mut self.left);
        let committed = self.perform(&mut left);
        if committed.is_err() {
            self.left = left;
        }
        committed
    }

    /// Performs the effects; of the tables, those in `left` are set aside and not taken when it fails.
    fn perform(&self, left: &mut u32) -> Result<(), NotParked> {
        let space = self.plan.hold.space;
        let permit = self.plan.hold.permit;
        match self.plan.work {
            Work::Map(filling) => space.commit_map(filling),
            Work::Unmap(removal) => space.commit_unmap(removal, permit)?,
            Work::Protect(protection) => space.commit_protect(&protection, permit)?,
            Work::Split(cuts) => {
                space.commit_cuts(&cuts, permit)?;
            }
            Work::Repaint(repainting) => {
                space.commit_repaint(repainting, permit, left)?;
            }
            Work::Collapse(repainting, freed) => {
                freed.set(space.commit_repaint(repainting, permit, left)?);
            }
            Work::Carve(carving) => space.commit_carve(carving, permit, left)?,
            Work::Views(viewing) => space.commit_views(viewing, permit, left)?,
            Work::NonGlobal if self.plan.tables == 0 => {}
            Work::NonGlobal => space.commit_make_non_global(permit)?,
        }
        Ok(())
    }
}

impl<P: Platform> Drop for Ready<'_, P> {
    fn drop(&mut self) {
        if self.left > 0 {
            self.plan.hold.space.platform().unreserve(self.left);
        }
    }
}

/// Whether other CPUs may be parked for an operation.
pub(crate) enum Parking<'s, P: Platform> {
    /// They may: its caller can wait for them.
    Allowed(&'s P::MayPark),
    /// They may not: its caller may have interrupts masked, or hold locks.
    Never,
}

impl<P: Platform> Clone for Parking<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Parking<'_, P> {}

impl<P: Platform> fmt::Debug for Parking<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed(_) => "Allowed",
            Self::Never => "Never",
        })
    }
}

/// What an operation may do to sizes, and how it invalidates.
#[derive(Debug)]
pub(crate) struct Permit<'s, P: Platform> {
    /// The terms in force: held as long as the permit is.
    pub(crate) terms: Terms,
    pub(crate) parking: Parking<'s, P>,
}

impl<P: Platform> Clone for Permit<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Permit<'_, P> {}

/// The locks of a range and a hold on the terms.
#[derive(Debug)]
pub(crate) struct Hold<'s, P: Platform> {
    pub(crate) space: &'s Space<'s, P>,
    pub(crate) permit: Permit<'s, P>,
    held: P::Held,
}

impl<'s, P: Platform> Hold<'s, P> {
    /// Takes the locks of the slots that `range` touches.
    ///
    /// Whoever leaves the tables above the slots alone walks them, and so is a reader of them: an
    /// operation on other slots may unlink and free one. Whoever may free them is alone with them.
    #[inline]
    pub(crate) fn new(
        space: &'s Space<'s, P>,
        range: VirtRange,
        root: Root,
        parking: Parking<'s, P>,
    ) -> Self {
        let scope = scope_of(space.geometry(), range, root);
        let (terms, held) = space.platform().hold(scope, None);
        Self { space, permit: Permit { terms, parking }, held }
    }

    /// Lets go of all, and takes the locks of the slots that `range` touches, under the terms that
    /// are in force then.
    #[cold]
    pub(crate) fn exchange(&mut self, range: VirtRange, root: Root) {
        let platform = self.space.platform();
        platform.let_go(&self.held);
        let scope = scope_of(self.space.geometry(), range, root);
        (self.permit.terms, self.held) = platform.hold(scope, None);
    }

    /// As [`Hold::new`], of the slots that either of two ranges touches.
    pub(crate) fn of_both(
        space: &'s Space<'s, P>,
        (one, other): (VirtRange, VirtRange),
        root: Root,
        parking: Parking<'s, P>,
    ) -> Self {
        let geometry = space.geometry();
        let (scope, also) = (scope_of(geometry, one, root), scope_of(geometry, other, root));
        let (terms, held) = space.platform().hold(scope, Some(also));
        Self { space, permit: Permit { terms, parking }, held }
    }
}

impl<P: Platform> Drop for Hold<'_, P> {
    #[inline]
    fn drop(&mut self) {
        self.space.platform().let_go(&self.held);
    }
}

/// The locks of the slots that `range` touches.
#[inline(always)]
fn scope_of(geometry: Geometry, range: VirtRange, root: Root) -> Scope {
    let first_slot = slot(geometry, range.start());
    Scope { first_slot, last_slot: slot(geometry, range.last()), root }
}

/// The level whose entries are the slots.
#[inline(always)]
pub(crate) fn slot_level(geometry: Geometry) -> Level {
    geometry.root_level().max(Level::L1)
}

/// The number of the slot of `address`: of the level 1 entry, or the root entry below level 1.
#[inline(always)]
fn slot(geometry: Geometry, address: VirtAddr) -> u32 {
    let level = slot_level(geometry);
    let above_start = address.value() - geometry.inputs().0.value();
    // Slots number at most 2^22: 52 input bits over 1 GiB.
    u32::try_from(above_start >> geometry.span_bits(level)).unwrap_or(u32::MAX)
}
