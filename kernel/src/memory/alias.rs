//! The linear map's view of the image's data: nobody needs it, and whoever finds an address in it can
//! write what the kernel relies on. It can be made invalid, and valid again for who wants to read all
//! memory (a hibernation).

use core::sync::atomic::{AtomicU32, Ordering};

use blockmap::machine::VirtRange;
use blockmap::vmsa::{Access, Change};

use super::change::ChangeError;
use super::system::System;
use crate::arch::image;
use crate::cpus;

/// Nobody's number.
const NOBODY: u32 = u32::MAX;

/// The CPU that changes the view: what is refused to everybody else.
static CHANGER: AtomicU32 = AtomicU32::new(NOBODY);

/// Whether the CPU that asks is changing the view of the image's data.
pub(super) fn is_changed_here() -> bool {
    CHANGER.load(Ordering::Relaxed) == cpus::own()
}

impl System<'_> {
    /// Makes the view of the image's data and zeroed data invalid, or valid again. That of code and
    /// constants stays.
    ///
    /// # Errors
    /// See [`ChangeError`]; what was changed before is changed back, if that can be done.
    pub(crate) fn change_data_alias(&self, change: Change) -> Result<(), ChangeError> {
        CHANGER.store(cpus::own(), Ordering::Relaxed);
        let result = self.data_views().try_for_each(|view| self.protect(view, change));
        if result.is_err() && change == Change::Invalid {
            let _undone = self.data_views().try_for_each(|view| self.protect(view, Change::Valid));
        }
        CHANGER.store(NOBODY, Ordering::Relaxed);
        if change == Change::Valid {
            self.data_views().for_each(|view| self.heal_later(view));
        }
        result
    }

    /// The views of what of the image is written, guard pages of the stacks left out.
    fn data_views(&self) -> impl Iterator<Item = VirtRange> {
        let written = |section: &image::Section| section.access == Access::ReadWrite;
        let memory = image::sections().into_iter().filter(written).map(|section| section.range);
        memory.filter_map(|range| self.linear_range(image::physical(range, self.load())))
    }
}
