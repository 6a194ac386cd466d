//! Looking at the leaves of a carve, and invalidating them, in any context.

use blockmap_layout::Strategy;
use blockmap_machine::VirtRange;
use blockmap_vmsa::{Reach, TlbiForm};

use crate::complete::Extent;
use crate::{Phase, Platform, Space, Terms};

/// A look at the tables without any lock: the leaves are the visitor's, and the tables that lead to
/// them stay while there is a reader.
///
/// The context that it interrupts may hold the terms, and somebody wait for that to change them. So
/// it never waits for them: while they are about to change it does what any CPU heeds.
pub(super) struct Visit<'s, P: Platform> {
    space: &'s Space<'s, P>,
    held: Option<Terms>,
    phase: Phase,
}

/// An invalidation under these reaches every CPU, whatever it lacks.
const OF_ANY_CPU: Terms = Terms { strategy: Strategy::Pages, tlbi: TlbiForm::ByAddress };

impl<'s, P: Platform> Visit<'s, P> {
    pub(super) fn new(space: &'s Space<'s, P>) -> Self {
        let held = space.platform().try_hold_terms();
        let phase = space.platform().enter_reader();
        Self { space, held, phase }
    }

    /// Has every CPU see what the visitor's leaves in `range` say now. `extent` names them: once they
    /// are nobody's, what the tables have is another CPU's to change.
    pub(super) fn complete(&self, range: VirtRange, extent: Extent) {
        let terms = self.held.unwrap_or(OF_ANY_CPU);
        self.space.complete(range, Reach::LastLevel, extent, terms);
    }
}

impl<P: Platform> Drop for Visit<'_, P> {
    fn drop(&mut self) {
        self.space.platform().leave_reader(self.phase);
        if self.held.is_some() {
            self.space.platform().release_terms();
        }
    }
}
