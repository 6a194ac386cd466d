//! Why the rights of a range were not changed.

use blockmap::machine::PhysAddr;
use blockmap::{NotParked, ProtectError};
use thiserror::Error;

use crate::cpus::MayParkError;

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
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] ProtectError),
    /// A CPU did not come to be parked.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Nothing can be changed in the caller's context.
    #[error("{0}: carve the range beforehand, where it can be changed from anywhere")]
    NotHere(MayParkError),
}
