//! The locks of top-level slots.

use blockmap::{Root, Scope};

use crate::sync::{AtomicU64, Ordering};

/// How many slots have a lock of their own: slot *n* shares that of slot *n* + 63. The highest bit
/// is the root's.
const SLOT_LOCKS: u32 = 63;
const ROOT: u64 = 1 << SLOT_LOCKS;

/// All locks in one word, a bit each.
///
/// A caller takes all locks of its scope in one step, or waits and holds none, so the order in
/// which they are taken is no one's concern and nobody can wait in a circle. [no-deadlock]
#[derive(Debug, Default)]
pub struct SlotLocks {
    held: AtomicU64,
}

impl SlotLocks {
    /// No lock is held.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until no lock of `scope` is held, and takes them. `relax` is called between two
    /// attempts.
    pub fn lock(&self, scope: Scope, relax: impl Fn()) {
        while !self.try_lock(scope) {
            relax();
        }
    }

    /// As [`SlotLocks::lock`], of two scopes; what they share is taken once.
    pub fn lock_both(&self, scopes: (Scope, Scope), relax: impl Fn()) {
        while !self.try_lock_both(scopes) {
            relax();
        }
    }

    /// Takes all locks of `scope`, or none when one of them is held; tells whether it did.
    #[inline]
    pub fn try_lock(&self, scope: Scope) -> bool {
        self.try_take(bits(scope))
    }

    /// As [`SlotLocks::try_lock`], of two scopes.
    #[inline]
    pub fn try_lock_both(&self, scopes: (Scope, Scope)) -> bool {
        self.try_take(Self::of_both(scopes))
    }

    #[inline]
    fn try_take(&self, wanted: u64) -> bool {
        let free = |held: u64| (held & wanted == 0).then_some(held | wanted);
        self.held.fetch_update(Ordering::Acquire, Ordering::Relaxed, free).is_ok()
    }

    /// The locks of two scopes, a bit each; the highest is the root's.
    #[must_use]
    pub fn of_both((one, other): (Scope, Scope)) -> u64 {
        bits(one) | bits(other)
    }

    /// Lets go of the locks of `scope`, which the caller holds.
    #[inline]
    pub fn unlock(&self, scope: Scope) {
        self.held.fetch_and(!bits(scope), Ordering::Release);
    }

    /// Lets go of what [`SlotLocks::lock_both`] took.
    pub fn unlock_both(&self, scopes: (Scope, Scope)) {
        self.held.fetch_and(!Self::of_both(scopes), Ordering::Release);
    }
}

/// The locks of `scope`.
#[inline]
fn bits(scope: Scope) -> u64 {
    let root = match scope.root {
        Root::Untouched => 0,
        Root::Changes => ROOT,
    };
    if scope.first_slot == scope.last_slot {
        return root | 1 << (scope.first_slot % SLOT_LOCKS);
    }
    root | bits_of_several(scope)
}

/// The locks of the slots of `scope`.
#[cold]
fn bits_of_several(scope: Scope) -> u64 {
    let count = scope.last_slot.saturating_sub(scope.first_slot).saturating_add(1);
    if count >= SLOT_LOCKS {
        return ROOT - 1;
    }
    let slots = scope.first_slot..=scope.last_slot;
    slots.fold(0, |bits, slot| bits | 1 << (slot % SLOT_LOCKS))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const fn slots(first_slot: u32, last_slot: u32) -> Scope {
        Scope { first_slot, last_slot, root: Root::Untouched }
    }

    #[test]
    fn slots_that_share_a_lock_are_a_multiple_of_63_apart() {
        for slot in 0..63 {
            assert_eq!(bits(slots(slot, slot)), bits(slots(slot + 63, slot + 63)));
            assert_eq!(bits(slots(slot, slot)).count_ones(), 1);
            assert_eq!(bits(slots(slot, slot + 1)).count_ones(), 2);
        }
        assert_eq!(bits(slots(62, 63)), 1 << 62 | 1);
    }

    #[test]
    fn what_was_let_go_of_can_be_taken_again() {
        let locks = SlotLocks::new();
        for _ in 0..2 {
            locks.lock(slots(3, 5), || panic!("nobody holds them"));
            locks.unlock(slots(3, 5));
        }
    }

    #[test]
    fn two_scopes_take_no_lock_between_them() {
        let locks = SlotLocks::new();
        // The second shares a lock with the first, which is taken and let go of once.
        let both = (slots(3, 4), slots(66, 68));
        locks.lock_both(both, || panic!("nobody holds them"));
        assert_eq!(locks.held.load(Ordering::Relaxed), 0b11_1000);
        assert!(!locks.try_lock(slots(5, 5)));
        assert!(locks.try_lock(slots(6, 62)));
        locks.unlock_both(both);
        assert!(locks.try_lock(slots(3, 5)));
    }

    #[test]
    fn a_scope_of_all_slots_leaves_the_roots_lock_alone() {
        for last in [61, 62, 63, 131_071, u32::MAX] {
            let locks = if last == 61 { 62 } else { 63 };
            assert_eq!(bits(slots(0, last)).count_ones(), locks, "up to {last}");
            assert_eq!(bits(slots(0, last)) & ROOT, 0);
        }
        let everything = Scope { first_slot: 0, last_slot: u32::MAX, root: Root::Changes };
        assert_eq!(bits(everything), u64::MAX);
    }
}
