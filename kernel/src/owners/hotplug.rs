//! Memory that comes and goes while the kernel runs.
//!
//! What comes is mapped by the decision that painted the map, as it is now; what goes is all free, and
//! if a leaf reaches across its end, that leaf is split.

use blockmap::layout::{Paint, Purpose};
use blockmap::machine::{PhysAddr, PhysRange};
use blockmap::{MapError, Mapping, UnmapError};
use blockmap_kernel::absent::{Absent, TooMany};
use blockmap_kernel::frames::{FRAME_BYTES, WithdrawError};
use thiserror::Error;

use crate::lock::Lock;
use crate::memory::System;

/// Why memory did not come. Nothing was changed.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum AddError {
    /// It is no range of pages.
    #[error("{1:#x} bytes from {0} on are no whole pages")]
    NotPages(PhysAddr, u64),
    /// It is there, or is no memory.
    #[error("{0} is not absent: hotplug=BYTES keeps memory out, hotremove takes some away")]
    NotAbsent(PhysRange),
    /// The linear map has no addresses for it.
    #[error("{0} is out of the linear map's reach")]
    OutOfReach(PhysRange),
    /// It can't be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// Why memory did not go. Nothing was changed.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum RemoveError {
    /// It is no range of pages.
    #[error("{1:#x} bytes from {0} on are no whole pages")]
    NotPages(PhysAddr, u64),
    /// Somebody has some of it.
    #[error(transparent)]
    InUse(#[from] WithdrawError),
    /// The linear map has no addresses for it.
    #[error("{0} is out of the linear map's reach")]
    OutOfReach(PhysRange),
    /// It can't be unmapped.
    #[error(transparent)]
    Unmap(#[from] UnmapError),
    /// It can't be remembered.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

static ABSENT: Lock<Absent> = Lock::new(Absent::new());

/// `range` was kept out of the map, and nobody has its frames.
pub(crate) fn kept_out(range: PhysRange) {
    // There is room for the first.
    let _added = ABSENT.lock().add(range);
}

/// All memory that could come.
pub(crate) fn absent() -> Absent {
    ABSENT.lock().clone()
}

/// Maps memory that was absent, and has its frames free.
///
/// # Errors
/// See [`AddError`].
pub(crate) fn add(system: &System<'_>, (start, bytes): (PhysAddr, u64)) -> Result<(), AddError> {
    let range = pages((start, bytes)).ok_or(AddError::NotPages(start, bytes))?;
    let view = system.linear_range(range).ok_or(AddError::OutOfReach(range))?;
    if !ABSENT.lock().take(range) {
        return Err(AddError::NotAbsent(range));
    }
    let inputs = system.policy().inputs;
    let mapping = Mapping {
        range: view,
        output: range.start(),
        attributes: Paint::of_kernel(inputs.rodata, system.needs().mte).attributes(Purpose::Ram),
        leaves: system.leaves_now(),
    };
    if let Err(error) = system.map_recorded(mapping) {
        // INVARIANT: there is the room that it had before.
        let _added = ABSENT.lock().add(range);
        return Err(error.into());
    }
    release(system, range);
    system.heal_later(view);
    Ok(())
}

/// Takes memory away that is all free: nothing of it is mapped in the linear map any more.
///
/// # Errors
/// See [`RemoveError`].
pub(crate) fn remove(
    system: &System<'_>,
    (start, bytes): (PhysAddr, u64),
) -> Result<(), RemoveError> {
    let range = pages((start, bytes)).ok_or(RemoveError::NotPages(start, bytes))?;
    let view = system.linear_range(range).ok_or(RemoveError::OutOfReach(range))?;
    // First, so that no table that the split takes is in it.
    system.frame_states().withdraw(range)?;
    let kept = ABSENT.lock().add(range);
    let result = kept.map_err(RemoveError::from).and_then(|()| {
        system.unmap_recorded(view).map_err(|error| {
            // It was put there a moment ago.
            let _taken = ABSENT.lock().take(range);
            RemoveError::from(error)
        })
    });
    if result.is_err() {
        release(system, range);
    }
    result
}

/// Has frames be free that were set aside.
fn release(system: &System<'_>, range: PhysRange) {
    if let Err(error) = system.frame_states().release(range) {
        panic!("memory that was set aside is somebody's: {error}");
    }
}

fn pages((start, bytes): (PhysAddr, u64)) -> Option<PhysRange> {
    let whole = start.is_aligned(FRAME_BYTES) && bytes.is_multiple_of(FRAME_BYTES);
    PhysRange::new(start, bytes).filter(|_| whole)
}
