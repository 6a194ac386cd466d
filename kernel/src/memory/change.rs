//! Why the rights of a range were not changed.

use blockmap::machine::{PhysAddr, VirtRange};
use blockmap::vmsa::Change;
use blockmap::{NotParked, ProtectError, SplitError};
use thiserror::Error;

use super::address_map::{MODULES_RANGE, VMALLOC_RANGE};
use super::system::System;
use crate::cpus::MayParkError;

/// Where memory is shown that the linear map shows too.
const OTHERS: [VirtRange; 2] = [MODULES_RANGE, VMALLOC_RANGE];

/// Why the rights of a range were not changed. The tables are as they were.
///
/// Who holds a lock may change leaves that end where the range does: nobody is parked for that.
/// With interrupts masked nothing can be changed but what is carved: whoever holds the slot's lock
/// may be waiting for this CPU to park.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum ChangeError {
    /// This frame is free, and pages of free memory come and go with their frames.
    #[error("the frame at {0} is free, and what is free is not mapped: take it first")]
    Free(PhysAddr),
    /// What areas and modules grant is changed together with what the linear map grants of the same
    /// memory: nothing is writable by one address and executable by another.
    #[error("the memory of {0} has a view besides: setmem changes areas and all views of them")]
    Views(VirtRange),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] ProtectError),
    /// The engine could not cut what covers the ends of the range.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// A CPU did not come to be parked.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Nothing can be changed in the caller's context.
    #[error("{0}: carve the range beforehand, where it can be changed from anywhere")]
    NotHere(MayParkError),
}

impl System<'_> {
    /// Refuses to make something executable that can be written by another address.
    pub(super) fn refuse_second_view(
        &self,
        range: VirtRange,
        change: Change,
    ) -> Result<(), ChangeError> {
        match change {
            Change::Execute if OTHERS.iter().any(|other| other.overlaps(range)) => {
                Err(ChangeError::Views(range))
            }
            Change::Execute => self.refuse_area_memory(range),
            Change::ReadOnly
            | Change::ReadWrite
            | Change::NoExecute
            | Change::Valid
            | Change::Invalid => Ok(()),
        }
    }

    /// Refuses where an area shows some of the memory that the linear map shows in `view`.
    fn refuse_area_memory(&self, view: VirtRange) -> Result<(), ChangeError> {
        let mut shared = None;
        for area in (0..).map_while(|number| self.area(number)) {
            self.each_alias(area.range, |alias| shared = shared.or(alias.intersection(view)));
        }
        shared.map_or(Ok(()), |view| Err(ChangeError::Views(view)))
    }
}
