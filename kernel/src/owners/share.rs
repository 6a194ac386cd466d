//! Memory that is shared with a hypervisor: Realm style, but on a machine that has no Realms.
//!
//! Here the hypervisor is made up ([`Double`]): it agrees, refuses or loses, as it is told, and counts
//! what it was asked for. The mark is a bit that hardware leaves to software, so that the memory stays
//! where it is. What is done to the tables, and in which order, is what a Realm does.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use blockmap::machine::{PhysRange, VirtRange};
use blockmap::{CarveError, Grain, HostError, Mark, Platform, ShareError, Sharing, Side};
use blockmap_kernel::frames::{MAX_ORDER, Purpose};
use blockmap_kernel::monitor::Host;
use blockmap_kernel::shelf::Shelf;
use thiserror::Error;

use crate::lock::Lock;
use crate::memory::{Owned, System};

/// Shares at a time.
const MOST_SHARES: usize = 32;
/// The bit that says that memory is shared.
const MARK_BIT: u32 = 56;

/// A hypervisor that is made up.
#[derive(Debug)]
struct Double {
    /// What it answers: 0 agrees, 1 refuses, 2 loses.
    answer: AtomicU32,
    shared: AtomicU64,
    taken_back: AtomicU64,
}

static DOUBLE: Double =
    Double { answer: AtomicU32::new(0), shared: AtomicU64::new(0), taken_back: AtomicU64::new(0) };

impl Sharing for Double {
    fn make(&self, memory: PhysRange, side: Side) -> Result<(), HostError> {
        match self.answer.load(Ordering::Relaxed) {
            0 => {}
            1 => return Err(HostError::Refused),
            _ => return Err(HostError::Lost),
        }
        let bytes = match side {
            Side::Shared => &self.shared,
            Side::Private => &self.taken_back,
        };
        bytes.fetch_add(memory.bytes(), Ordering::Relaxed);
        Ok(())
    }
}

/// Why memory is not shared, or not private again.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum Error {
    /// There is not so much free memory in one piece.
    #[error("2^{0} pages of memory in one piece are not free")]
    NoMemory(u32),
    /// There is no place to remember more.
    #[error("memory is shared {MOST_SHARES} times already: free some first")]
    TooMany,
    /// There is no share of this number.
    #[error("there is no share {0}; share list has all")]
    None(u32),
    /// It can't be carved.
    #[error(transparent)]
    Carve(#[from] CarveError),
    /// The hypervisor did not do it.
    #[error(transparent)]
    Share(#[from] ShareError),
}

#[derive(Debug)]
struct Share {
    memory: PhysRange,
    owned: Owned,
}

static SHARES: Lock<Shelf<Share, MOST_SHARES>> = Lock::new(Shelf::new());
static NEXT: AtomicU32 = AtomicU32::new(1);

/// Has the hypervisor that is made up answer so from now on.
pub(crate) fn answer(host: Host) {
    let answer = match host {
        Host::Agree => 0,
        Host::Refuse => 1,
        Host::Lose => 2,
    };
    DOUBLE.answer.store(answer, Ordering::Relaxed);
}

/// Bytes that the hypervisor was given, and bytes that it gave back.
pub(crate) fn called() -> (u64, u64) {
    (DOUBLE.shared.load(Ordering::Relaxed), DOUBLE.taken_back.load(Ordering::Relaxed))
}

/// Shares 2 to `order` free pages; gives the number of the share.
///
/// # Errors
/// See [`Error`]. What the hypervisor refused is free again; what it lost is nobody's for ever.
pub(crate) fn take(system: &'static System<'static>, order: u32) -> Result<u32, Error> {
    let memory = Some(order).filter(|order| *order <= MAX_ORDER);
    let memory =
        memory.and_then(|order| system.frame_states().allocate_block(Purpose::Data, order));
    let memory = memory.ok_or(Error::NoMemory(order))?;
    let Some(range) = system.linear_range(memory) else {
        free_frames(system, memory);
        return Err(Error::NoMemory(order));
    };
    let owned = match system.carve(range, Grain::Whole) {
        Ok(owned) => owned,
        Err(error) => {
            free_frames(system, memory);
            return Err(error.into());
        }
    };
    if let Err(error) = change(system, &owned, Side::Shared) {
        if matches!(error, ShareError::Lost(_)) {
            // It stays invalid, and nobody's.
            owned.keep();
        } else {
            give_back(system, Share { memory, owned });
        }
        return Err(error.into());
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let kept = SHARES.lock().put(number, Share { memory, owned });
    match kept {
        Ok(()) => Ok(number),
        Err(share) => {
            private(system, share)?;
            Err(Error::TooMany)
        }
    }
}

/// Has memory that was shared be private again, and frees it.
///
/// # Errors
/// See [`Error`]. What the hypervisor refuses to give stays shared, under the same number.
pub(crate) fn free(system: &'static System<'static>, number: u32) -> Result<(), Error> {
    let share = SHARES.lock().take(number).ok_or(Error::None(number))?;
    if let Err(error) = change(system, &share.owned, Side::Private) {
        if matches!(error, ShareError::Lost(_)) {
            share.owned.keep();
        } else {
            // INVARIANT: there is the place that it was taken from.
            let _kept = SHARES.lock().put(number, share);
        }
        return Err(error.into());
    }
    give_back(system, share);
    Ok(())
}

/// Shares a range whose memory is the caller's, and has it private again: at any moment of the boot.
///
/// # Errors
/// See [`Error`].
pub(crate) fn there_and_back(
    system: &'static System<'static>,
    range: VirtRange,
) -> Result<(), Error> {
    let owned = system.carve(range, Grain::Whole)?;
    if let Err(error) = change(system, &owned, Side::Shared) {
        if matches!(error, ShareError::Lost(_)) {
            owned.keep();
        }
        return Err(error.into());
    }
    if let Err(error) = change(system, &owned, Side::Private) {
        // The other side still has it.
        owned.keep();
        return Err(error.into());
    }
    Ok(())
}

/// All shares.
pub(crate) fn list() -> impl Iterator<Item = (u32, PhysRange)> {
    (0..MOST_SHARES).map_while(|place| {
        SHARES.lock().iter().nth(place).map(|(number, share)| (number, share.memory))
    })
}

fn private(system: &'static System<'static>, share: Share) -> Result<(), Error> {
    if let Err(error) = change(system, &share.owned, Side::Private) {
        share.owned.keep();
        return Err(error.into());
    }
    give_back(system, share);
    Ok(())
}

fn change(system: &System<'_>, owned: &Owned, side: Side) -> Result<(), ShareError> {
    let Some(mark) = Mark::new(system.geometry(), MARK_BIT) else {
        unreachable!("bit {MARK_BIT} is one that hardware leaves to software")
    };
    owned.share((side, mark), &DOUBLE)
}

fn give_back(system: &System<'_>, Share { memory, owned }: Share) {
    owned.restore();
    free_frames(system, memory);
}

fn free_frames(system: &System<'_>, memory: PhysRange) {
    if let Err(error) = system.frame_states().free_block(Purpose::Data, memory) {
        panic!("memory that was shared can't be freed: {error}");
    }
}
