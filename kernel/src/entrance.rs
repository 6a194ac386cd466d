//! The entrance to the tables: who holds which slots' locks and who reads, in one word, and the terms that
//! stand still meanwhile.

mod readers;
mod terms;

use blockmap::{Root, Scope, Terms};

use self::terms::SharedTerms;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// How many slots have a lock of their own: slot *n* shares that of slot *n* + 32.
const SLOT_LOCKS: u32 = 32;
const SLOTS: u64 = (1 << SLOT_LOCKS) - 1;
/// The number of the lock of the tables above the slots; those below it are of slots.
pub const ROOT_LOCK: u32 = SLOT_LOCKS;
const ROOT: u64 = 1 << ROOT_LOCK;
/// Nobody comes to hold a lock any more.
const CLOSED: u64 = 1 << 33;
/// The phase that readers enter in: set, the odd one.
const PHASE: u64 = 1 << 34;
/// One reader of the even phase: twelve bits count them, up to 4095.
const EVEN: u64 = 1 << 40;
/// One reader of the odd phase.
const ODD: u64 = 1 << 52;
/// How many bits count the readers of a phase.
const COUNTED: u64 = (1 << 12) - 1;

/// Who works on the tables at this moment.
///
/// A caller takes all locks of its scope in one step, or waits and holds none, so the order in
/// which they are taken is no one's concern and nobody can wait in a circle. [no-deadlock] Who leaves
/// the tables above the slots alone becomes a reader of them by the same step.
///
/// The terms stand still while anybody holds a lock: who wants to change them closes the entrance, and waits
/// until nobody does. So an operation that began under strong terms ends under them before a weaker
/// CPU is admitted. Nobody waits for a lock while it holds one: the second would wait for a change that
/// waits for the first.
#[derive(Debug)]
pub struct Entrance {
    word: AtomicU64,
    /// Who waits for readers does so alone: two could each send readers to where the other waits for
    /// none.
    next: AtomicU32,
    turn: AtomicU32,
    terms: SharedTerms,
}

/// What was added to the word, and is taken from it again: holding one tells that its locks are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass(u64);

impl Pass {
    /// The locks, a bit each; the highest is the root's.
    #[must_use]
    pub const fn locks(self) -> u64 {
        self.0 & (SLOTS | ROOT)
    }
}

/// The locks that an operation needs, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locks(u64);

impl Locks {
    /// Those of `scope`, and of another; what they share is one.
    #[inline]
    #[must_use]
    pub fn of(scope: Scope, also: Option<Scope>) -> Self {
        Self(bits(scope) | also.map_or(0, bits))
    }

    /// What is counted for who takes them as `word` is: whoever walks the tables above the slots is a
    /// reader of them.
    #[inline]
    const fn pass(self, word: u64) -> Pass {
        let reader = match (self.0 & ROOT, word & PHASE) {
            (0, 0) => EVEN,
            (0, _) => ODD,
            (_, _) => 0,
        };
        Pass(self.0 | reader)
    }
}

impl Entrance {
    /// Nobody is there, and these terms are in force.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self {
            word: AtomicU64::new(0),
            next: AtomicU32::new(0),
            turn: AtomicU32::new(0),
            terms: SharedTerms::new(terms),
        }
    }

    /// Waits until nobody holds one of `locks` and the entrance is open, and takes them. `relax` is called
    /// between two attempts.
    pub fn enter(&self, locks: Locks, relax: impl Fn()) -> Pass {
        loop {
            match self.try_enter(locks) {
                Some(pass) => return pass,
                None => relax(),
            }
        }
    }

    /// Takes all of `locks`, or none when one of them is held or the entrance is closed.
    #[inline]
    pub fn try_enter(&self, locks: Locks) -> Option<Pass> {
        let mut word = self.word_to_change();
        loop {
            if word & (locks.0 | CLOSED) != 0 {
                return None;
            }
            let pass = locks.pass(word);
            let with = word + pass.0;
            match self.word.compare_exchange_weak(word, with, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => {
                    // What its last holder stored is seen; and as of a reader, what is loaded is loaded
                    // after this can be seen.
                    fence(Ordering::SeqCst);
                    return Some(pass);
                }
                Err(other) => word = other,
            }
        }
    }

    /// The word, for whoever changes it next; another may do so before.
    #[inline]
    fn word_to_change(&self) -> u64 {
        // Of the accesses to a word loom remembers the last one: a load here would hide from it that the
        // change that follows could have come before what another CPU loaded.
        if cfg!(loom) {
            self.word.fetch_or(0, Ordering::Relaxed)
        } else {
            self.word.load(Ordering::Relaxed)
        }
    }

    /// Gives back what [`Entrance::enter`] took.
    #[inline]
    pub fn leave(&self, pass: Pass) {
        self.word.fetch_sub(pass.0, Ordering::Release);
    }

    /// The terms at this moment: they stay for as long as the caller has a pass.
    #[inline]
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms.now()
    }

    /// Holds the terms, without a lock, unless somebody is about to change them. Who holds them already
    /// may do so.
    pub fn try_hold_terms(&self) -> Option<Terms> {
        self.terms.try_hold()
    }

    /// One such hold is given back.
    pub fn release_terms(&self) {
        self.terms.release();
    }

    /// Waits until nobody else is about to change the terms and nobody holds them or a lock, and keeps it
    /// so until [`Entrance::end_change`]. Readers come and go.
    pub fn begin_change(&self, relax: impl Fn()) {
        self.terms.begin_change(&relax);
        self.word.fetch_or(CLOSED, Ordering::Relaxed);
        while self.word.load(Ordering::Acquire) & (SLOTS | ROOT) != 0 {
            relax();
        }
    }

    /// These are the terms from now on. The caller has begun a change.
    pub fn end_change(&self, terms: Terms) {
        // Before others may begin a change, who would close what this opens.
        self.terms.set(terms);
        self.word.fetch_and(!CLOSED, Ordering::Release);
        self.terms.end_change();
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
        return SLOTS;
    }
    let slots = scope.first_slot..=scope.last_slot;
    slots.fold(0, |bits, slot| bits | 1 << (slot % SLOT_LOCKS))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use blockmap::layout::Strategy;
    use blockmap::vmsa::TlbiForm;

    use super::*;

    const TERMS: Terms = Terms { strategy: Strategy::Quiesce, tlbi: TlbiForm::Ranged };

    const fn slots(first_slot: u32, last_slot: u32) -> Scope {
        Scope { first_slot, last_slot, root: Root::Untouched }
    }

    fn of(first: u32, last: u32) -> Locks {
        Locks::of(slots(first, last), None)
    }

    #[test]
    fn slots_that_share_a_lock_are_a_multiple_of_32_apart() {
        for slot in 0..32 {
            assert_eq!(of(slot, slot), of(slot + 32, slot + 32));
            assert_eq!(of(slot, slot).0.count_ones(), 1);
            assert_eq!(of(slot, slot + 1).0.count_ones(), 2);
        }
        assert_eq!(of(31, 32), Locks(1 << 31 | 1));
    }

    #[test]
    fn what_was_let_go_of_can_be_taken_again() {
        let entrance = Entrance::new(TERMS);
        for _ in 0..2 {
            let pass = entrance.enter(of(3, 5), || panic!("nobody holds them"));
            assert_eq!(entrance.try_enter(of(4, 4)), None);
            entrance.leave(pass);
            assert_eq!(entrance.word.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn two_scopes_take_no_lock_between_them() {
        let entrance = Entrance::new(TERMS);
        // The second shares a lock with the first, which is taken and let go of once.
        let both = Locks::of(slots(3, 4), Some(slots(35, 37)));
        let pass = entrance.enter(both, || panic!("nobody holds them"));
        assert_eq!(pass.locks(), 0b11_1000);
        assert_eq!(entrance.try_enter(of(5, 5)), None);
        assert!(entrance.try_enter(of(6, 31)).is_some());
        entrance.leave(pass);
        assert!(entrance.try_enter(of(3, 5)).is_some());
    }

    #[test]
    fn a_scope_of_all_slots_leaves_the_roots_lock_alone() {
        for last in [30, 31, 32, 131_071, u32::MAX] {
            let locks = if last == 30 { 31 } else { 32 };
            assert_eq!(of(0, last).0.count_ones(), locks, "up to {last}");
            assert_eq!(of(0, last).0 & ROOT, 0);
        }
        let everything = Scope { first_slot: 0, last_slot: u32::MAX, root: Root::Changes };
        assert_eq!(Locks::of(everything, None).0, SLOTS | ROOT);
    }

    #[test]
    fn who_may_free_tables_is_no_reader_of_them() {
        let entrance = Entrance::new(TERMS);
        let root = Scope { root: Root::Changes, ..slots(1, 1) };
        entrance.enter(Locks::of(root, None), || panic!("nobody holds them"));
        entrance.wait_for_readers(|| panic!("nobody reads"));
    }

    #[test]
    fn as_many_readers_as_are_counted_leave_the_locks_alone() {
        let entrance = Entrance::new(TERMS);
        for _ in 0..COUNTED {
            entrance.enter_reader();
        }
        assert_eq!(entrance.word.load(Ordering::Relaxed), EVEN * COUNTED);
        let (even, odd) = (EVEN * COUNTED, ODD * COUNTED);
        assert_eq!(even & (SLOTS | ROOT | CLOSED | PHASE | odd), 0);
        assert_eq!(odd.leading_zeros(), 0);
    }

    #[test]
    fn while_terms_change_readers_come_and_nobody_else() {
        let entrance = Entrance::new(TERMS);
        entrance.begin_change(|| panic!("nobody holds a lock"));
        assert_eq!(entrance.try_enter(of(0, 0)), None);
        entrance.leave_reader(entrance.enter_reader());
        entrance.end_change(TERMS);
        assert!(entrance.try_enter(of(0, 0)).is_some());
    }
}
