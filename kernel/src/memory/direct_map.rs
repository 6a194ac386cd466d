//! What the linear map shows: the calls that owners of single pages expect.

use blockmap::Unflushed;
use blockmap::machine::{VirtAddr, VirtRange};
use blockmap::vmsa::Change;

use super::change::ChangeError;
use super::system::System;

impl System<'_> {
    /// Has every access to a part of the linear map fault, on every CPU.
    ///
    /// # Errors
    /// See [`ChangeError`]; nothing was changed.
    pub(crate) fn direct_map_invalid(&self, part: VirtRange) -> Result<(), ChangeError> {
        self.protect(part, Change::Invalid)
    }

    /// Undoes [`System::direct_map_invalid`], and nothing else.
    ///
    /// # Errors
    /// See [`ChangeError`]; nothing was changed.
    pub(crate) fn direct_map_valid(&self, part: VirtRange) -> Result<(), ChangeError> {
        self.protect(part, Change::Valid)
    }

    /// Has loads and stores work, whatever was taken away.
    ///
    /// # Errors
    /// See [`ChangeError`]; what is still invalid may have become writable.
    pub(crate) fn direct_map_default(&self, part: VirtRange) -> Result<(), ChangeError> {
        self.protect(part, Change::ReadWrite)?;
        self.protect(part, Change::Valid)?;
        self.heal_later(part);
        Ok(())
    }

    /// Makes a part of the linear map invalid without waiting for TLBs: several parts can be flushed
    /// together. Making something valid needs no flush.
    ///
    /// # Errors
    /// See [`ChangeError`]; every address grants what it did.
    pub(crate) fn direct_map_unflushed(&self, part: VirtRange) -> Result<Unflushed, ChangeError> {
        self.space().split(part, &Self::may_park())?;
        // Nobody gets a frame that is about to be out of reach.
        if let Some(memory) = self.memory_of(part) {
            self.frame_states().claim_free(memory);
        }
        self.recording().intend_later(part);
        let done = self.space().invalidate_unflushed(part);
        self.recording().ended(&done.as_ref().map(drop));
        Ok(done?)
    }

    /// Has every TLB forget what was made invalid.
    pub(crate) fn direct_map_flush(&self, unflushed: &mut [Option<Unflushed>]) {
        for one in unflushed.iter().flatten() {
            self.recording().intend_unmap(one.range());
        }
        self.space().flush(unflushed);
        self.recording().add(blockmap_kernel::trace::Record::Achieved);
    }

    /// Whether an access to `address` would find something.
    pub(crate) fn is_present(&self, address: VirtAddr) -> bool {
        self.space().translate(address).is_some()
    }
}
