//! The locks of top-level slots.

use core::sync::atomic::{AtomicU64, Ordering};

use blockmap::{Root, Scope};
use spin::RelaxStrategy;

use crate::console::Yield;

/// How many slots have a lock of their own: slot *n* shares that of slot *n* + 63. The highest bit
/// is the root's.
const SLOT_LOCKS: u32 = 63;
const ROOT: u64 = 1 << SLOT_LOCKS;

/// All locks in one word, a bit each.
///
/// A caller takes all locks of its scope in one step, or waits and holds none, so the order in
/// which they are taken is no one's concern and nobody can wait in a circle.
#[derive(Debug, Default)]
pub(super) struct SlotLocks {
    held: AtomicU64,
}

impl SlotLocks {
    /// No lock is held.
    pub(super) const fn new() -> Self {
        Self { held: AtomicU64::new(0) }
    }

    /// Waits until no lock of `scope` is held, and takes them.
    pub(super) fn lock(&self, scope: Scope) {
        let wanted = bits(scope);
        let free = |held: u64| (held & wanted == 0).then_some(held | wanted);
        while self.held.fetch_update(Ordering::Acquire, Ordering::Relaxed, free).is_err() {
            Yield::relax();
        }
    }

    /// Lets go of the locks of `scope`, which the caller holds.
    pub(super) fn unlock(&self, scope: Scope) {
        self.held.fetch_and(!bits(scope), Ordering::Release);
    }
}

/// The locks of `scope`.
fn bits(scope: Scope) -> u64 {
    let root = match scope.root {
        Root::Untouched => 0,
        Root::Changes => ROOT,
    };
    let count = scope.last_slot.saturating_sub(scope.first_slot).saturating_add(1);
    if count >= SLOT_LOCKS {
        return root | (ROOT - 1);
    }
    let slots = scope.first_slot..=scope.last_slot;
    slots.fold(root, |bits, slot| bits | 1 << (slot % SLOT_LOCKS))
}
