//! `carve`, `scatter`: a part of the linear map with an owner, and free memory in pieces.

use blockmap::Grain;
use blockmap::machine::{PhysAddr, PhysRange, VirtRange};
use blockmap_kernel::frames::FRAME_BYTES;
use blockmap_kernel::monitor::Carve;
use thiserror::Error;

use super::{Monitor, say};
use crate::console::println;
use crate::lock::Lock;
use crate::memory::Owned;

/// What `carve` owns.
static OWNED: Lock<Option<Owned>> = Lock::new(None);

/// Why nothing is owned, or not this range.
#[derive(Clone, Copy, Debug, Error)]
enum NotOwned {
    /// There is no place for another.
    #[error("{0} is owned already: carve free gives it back")]
    Other(VirtRange),
    /// It is not what is owned.
    #[error("{0} is not owned: carve take owns it")]
    Nobody(VirtRange),
}

/// Why memory was not scattered.
#[derive(Clone, Copy, Debug, Error)]
#[error("{0} pages are no pieces: give a power of two below 2 to the 32")]
struct NoPieces(u64);

impl Monitor<'_> {
    /// Owns a part of the linear map, or does something as its owner.
    pub(super) fn carve(&self, what: Carve, range: VirtRange) {
        match what {
            Carve::Take => self.own(range),
            Carve::Free => {
                let owned = OWNED.lock().take_if(|owned| owned.range() == range);
                match owned {
                    Some(owned) => {
                        self.counted(|| owned.restore());
                        println!("done");
                    }
                    None => say(Err(NotOwned::Nobody(range))),
                }
            }
            Carve::Change(change) => match &*OWNED.lock() {
                Some(owned) => say(self.counted(|| owned.protect(range, change))),
                None => say(Err(NotOwned::Nobody(range))),
            },
        }
    }

    fn own(&self, range: VirtRange) {
        if let Some(owned) = &*OWNED.lock() {
            return say(Err(NotOwned::Other(owned.range())));
        }
        // Nobody is given a frame whose owner may take it out of reach.
        if let Some(memory) = self.system.memory_of(range) {
            self.system.frame_states().claim_free(memory);
        }
        match self.counted(|| self.system.carve(range, Grain::Whole)) {
            Ok(owned) => {
                *OWNED.lock() = Some(owned);
                println!("done");
            }
            Err(error) => say(Err(error)),
        }
    }

    /// Takes every other piece of so many pages, for good.
    pub(super) fn scatter(&self, pages: u64) {
        if !pages.is_power_of_two() || pages > u64::from(u32::MAX) {
            return say(Err(NoPieces(pages)));
        }
        let bytes = pages * FRAME_BYTES;
        let frames = self.system.frame_states();
        for bank in frames.banks() {
            let mut next = bank.start().align_down(2 * bytes).checked_add(bytes);
            while let Some(start) = next.filter(|start| *start <= bank.last()) {
                let last = start.checked_add(bytes - 1).unwrap_or(PhysAddr::new(u64::MAX));
                let piece = PhysRange::inclusive(start.max(bank.start()), last.min(bank.last()));
                if let Some(piece) = piece {
                    frames.claim_free(piece);
                }
                next = start.checked_add(2 * bytes);
            }
        }
        println!("done");
    }
}
