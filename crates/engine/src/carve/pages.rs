//! Pages that their owner makes valid and invalid where nothing may wait: a frame allocator that
//! unmaps what is free.
//!
//! Frames are taken and freed in the middle of other operations, tables among them, with the locks of
//! slots held. So this takes none. It needs none where no leaf ever changes its size: a page's entry
//! is then changed by whoever owns the page, in place and as a whole, and its table stays.

use blockmap_machine::{Machine, Pattern, VirtRange};
use blockmap_vmsa::{Change, Level, bits};

use super::visit::Visit;
use crate::complete::Extent;
use crate::cut::{NoSizeChange, SizeChangeRefused};
use crate::protect::Asker;
use crate::{Platform, ProtectError, Space};

impl<P: Platform> Space<'_, P> {
    /// Changes what the pages of `range` grant without the locks of their slots: the caller owns the
    /// memory, and sees to it that nobody makes larger leaves of its pages, or carves it, meanwhile.
    ///
    /// # Errors
    /// See [`ProtectError`]; nothing was changed. A leaf larger than a page is none that could.
    pub fn protect_own_pages(&self, range: VirtRange, change: Change) -> Result<(), ProtectError> {
        self.check(range)?;
        let visit = Visit::new(self);
        let mut next = Some(range.start());
        while let Some(at) = next {
            let place = self.find(at);
            let span = self.span_up_to(place.table(), at, range.last());
            let in_no_run = Pattern { mask: bits::CONTIGUOUS, value: 0 };
            if place.level != Level::L3 || self.machine().scan(span, in_no_run) < span.count {
                let why = NoSizeChange::NobodyMayPark;
                return Err(SizeChangeRefused { address: at, why }.into());
            }
            next = self.after((place.level, at), span.count, range.last());
        }
        let first = self.find(range.start());
        self.check_leaves(range, &first, (change, Asker::Anybody))?;
        self.update_range(range, change.masks(self.geometry().regime()));
        if change.needs_invalidation() {
            visit.complete(range, Extent::Leaves);
        } else {
            self.complete_new();
        }
        Ok(())
    }
}
