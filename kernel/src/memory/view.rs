//! Views: memory that its owner sees at addresses of its own, and perhaps nobody else anywhere.

use blockmap::machine::{PhysRange, VirtRange};
use blockmap::vmsa::{Access, Attributes, Leaves, Mair, Shareability};
use blockmap::{MapError, Mapping, UnmapError};
use blockmap_kernel::areas::AreaError;

use super::system::System;

/// Addresses for a view, of which the first are in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    area: VirtRange,
    shown: u64,
}

impl View {
    /// What of it shows something; `None` if nothing does.
    pub(crate) const fn shown(&self) -> Option<VirtRange> {
        VirtRange::new(self.area.start(), self.shown)
    }
}

impl System<'_> {
    /// Takes addresses for a view of `bytes`, which shows nothing yet.
    pub(crate) fn open_view(&self, bytes: u64) -> Result<View, AreaError> {
        self.areas().lock().take(bytes).map(|area| View { area, shown: 0 })
    }

    /// Shows `memory` after what the view shows already: readable, writable, never executable.
    ///
    /// # Errors
    /// See [`MapError`]; the view shows what it did.
    pub(crate) fn show(&self, view: &mut View, memory: PhysRange) -> Result<(), MapError> {
        let start = view.area.start().wrapping_add(view.shown);
        let Some(range) = VirtRange::new(start, memory.bytes()) else { return Ok(()) };
        self.map_recorded(Mapping {
            range,
            output: memory.start(),
            attributes: Attributes {
                memory: Mair::NORMAL,
                shareability: Shareability::Inner,
                access: Access::ReadWrite,
            },
            leaves: Leaves::Largest,
        })?;
        view.shown += memory.bytes();
        Ok(())
    }

    /// Unmaps, and records what is meant by it. Whose memory it is is another matter.
    pub(crate) fn unmap_recorded(&self, range: VirtRange) -> Result<(), UnmapError> {
        self.recording().intend_unmap(range);
        let result = self.space().unmap(range, &Self::may_park());
        self.recording().ended(&result);
        result
    }

    /// Shows nothing of the view any more, to anybody, and gives its addresses back. The memory
    /// stays its owner's.
    ///
    /// # Errors
    /// See [`UnmapError`]; all is shown that was.
    pub(crate) fn close_view(&self, view: View) -> Result<(), UnmapError> {
        if let Some(range) = view.shown() {
            self.unmap_recorded(range)?;
        }
        self.areas().lock().give_back(view.area.start());
        Ok(())
    }
}
