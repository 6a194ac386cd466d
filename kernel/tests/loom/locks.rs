//! The slot locks: scopes that overlap exclude each other, others do not, and nobody waits for ever.

use blockmap::{Root, Scope};
use blockmap_kernel::entrance::{Entrance, Locks, Pass};
use blockmap_kernel::sync::{AtomicU64, Ordering};
use loom::sync::Arc;
use loom::thread::yield_now;

use super::{STRONG, every_order, on_another_cpu, overtaken};

const fn slots(first_slot: u32, last_slot: u32) -> Scope {
    Scope { first_slot, last_slot, root: Root::Untouched }
}

/// What the locks keep.
struct Kept {
    entrance: Entrance,
    /// A counter that is read and written without care for others: what one of them adds is lost
    /// if they meet, or if the later does not see what the earlier wrote.
    sum: AtomicU64,
}

impl Kept {
    fn new() -> Arc<Self> {
        Arc::new(Self { entrance: Entrance::new(STRONG), sum: AtomicU64::new(0) })
    }

    /// Adds one under the locks of `scope`.
    fn add(&self, scope: Scope) {
        self.add_and_leave(self.entrance.enter(Locks::of(scope, None), yield_now));
    }

    /// The same, unless somebody else holds one of the locks; tells whether it did.
    fn try_to_add(&self, scope: Scope) -> bool {
        let pass = self.entrance.try_enter(Locks::of(scope, None));
        pass.map(|pass| self.add_and_leave(pass)).is_some()
    }

    fn add_and_leave(&self, pass: Pass) {
        self.sum.store(self.sum.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.entrance.leave(pass);
    }

    fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }
}

/// Each of these scopes has a lock in common with each other: a slot, or one that two slots share.
#[test]
fn holders_of_overlapping_scopes_never_meet() {
    let everything = Scope { first_slot: 0, last_slot: u32::MAX, root: Root::Changes };
    for (one, other) in [
        (slots(3, 3), slots(3, 3)),
        (slots(0, 1), slots(1, 2)),
        (slots(1, 1), slots(33, 33)),
        (slots(5, 5), everything),
        (
            Scope { root: Root::Changes, ..slots(1, 1) },
            Scope { root: Root::Changes, ..slots(2, 2) },
        ),
    ] {
        every_order(move || {
            let kept = Kept::new();
            let cpu = on_another_cpu(&kept, move |kept| {
                kept.add(other);
                kept.add(other);
            });
            kept.add(one);
            cpu.join().unwrap();
            assert_eq!(kept.sum(), 3, "{one:?} and {other:?}");
        });
    }
}

/// With a lock each, taken in the order they are named in, each of three could hold what the next
/// one waits for. The pairs share a lock, so all three exclude each other.
#[test]
fn of_three_that_overlap_in_a_circle_one_always_goes_on() {
    overtaken(3, || {
        let kept = Kept::new();
        let had = Arc::new(AtomicU64::new(0));
        let cpus = [slots(1, 2), slots(2, 33)].map(|scope| {
            let had = Arc::clone(&had);
            on_another_cpu(&kept, move |kept| {
                had.fetch_add(u64::from(kept.try_to_add(scope)), Ordering::Relaxed);
            })
        });
        had.fetch_add(u64::from(kept.try_to_add(slots(32, 33))), Ordering::Relaxed);
        for cpu in cpus {
            cpu.join().unwrap();
        }
        assert!(kept.sum() >= 1, "each waits for another");
        assert_eq!(kept.sum(), had.load(Ordering::Relaxed));
    });
}

#[test]
fn whoever_holds_other_slots_is_not_waited_for() {
    every_order(|| {
        let kept = Kept::new();
        let pass = kept.entrance.enter(Locks::of(slots(0, 7), None), yield_now);
        // If this waited it would wait for ever.
        let cpu = on_another_cpu(&kept, |kept| kept.add(slots(8, 8)));
        cpu.join().unwrap();
        kept.entrance.leave(pass);
    });
}
