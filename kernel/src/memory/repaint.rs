//! The linear map in pages, where sizes are never to change again.

use blockmap::RepaintError;

use super::address_map::LINEAR;
use super::system::System;

impl System<'_> {
    /// Makes pages of the linear map, but for its view of the kernel's image, with all other CPUs
    /// parked once. What was a block before can change its rights page by page from then on.
    ///
    /// # Errors
    /// See [`RepaintError`]; the map is as it was.
    pub(crate) fn repaint_pages(&self) -> Result<(), RepaintError> {
        let keep = self.image_alias();
        self.space().repaint(LINEAR, keep.as_slice(), &Self::may_park())
    }
}
