//! Readers of the tables: none ever finds a table that has been freed.
//!
//! loom lets a load have an old value, never a later one, so it can't see that a reader must leave
//! by a release: its loads would otherwise be made after it left.

use blockmap::{Root, Scope};
use blockmap_kernel::entrance::{Entrance, Locks};
use blockmap_kernel::sync::{AtomicU64, Ordering};
use loom::sync::Arc;
use loom::thread::yield_now;

use super::{STRONG, every_order, on_another_cpu, overtaken};

const LINKED: u64 = 1;
const GONE: u64 = 0;
const A_TABLE: u64 = 0x711;
const SOMETHING_ELSE: u64 = 0xdead;

/// An entry that may lead to a table, and the table's memory.
struct Tables {
    entrance: Entrance,
    entry: AtomicU64,
    memory: AtomicU64,
}

impl Tables {
    fn new() -> Arc<Self> {
        let (entry, memory) = (AtomicU64::new(LINKED), AtomicU64::new(A_TABLE));
        Arc::new(Self { entrance: Entrance::new(STRONG), entry, memory })
    }

    fn read(&self) {
        let phase = self.entrance.enter_reader();
        self.look();
        self.entrance.leave_reader(phase);
    }

    fn look(&self) {
        if self.entry.load(Ordering::Relaxed) == LINKED {
            assert_eq!(self.memory.load(Ordering::Relaxed), A_TABLE, "the table is gone");
        }
    }

    /// As an operation on a slot, which is a reader of what is above.
    fn operate(&self) {
        let slot = Scope { first_slot: 0, last_slot: 0, root: Root::Untouched };
        let pass = self.entrance.enter(Locks::of(slot, None), yield_now);
        self.look();
        self.entrance.leave(pass);
    }

    /// Takes the table out, waits, and uses its memory for something else.
    fn free(&self) {
        self.entry.store(GONE, Ordering::Relaxed);
        self.entrance.wait_for_readers(yield_now);
        self.memory.store(SOMETHING_ELSE, Ordering::Relaxed);
    }
}

#[test]
fn a_table_is_freed_after_the_readers_that_may_have_found_it() {
    every_order(|| {
        let tables = Tables::new();
        let cpu = on_another_cpu(&tables, |tables| {
            tables.read();
            tables.read();
        });
        tables.free();
        cpu.join().unwrap();
    });
}

#[test]
fn a_table_is_freed_after_the_operations_that_may_have_found_it() {
    every_order(|| {
        let tables = Tables::new();
        let cpu = on_another_cpu(&tables, |tables| {
            tables.operate();
            tables.operate();
        });
        tables.free();
        cpu.join().unwrap();
    });
}

#[test]
fn one_reader_that_leaves_does_not_end_the_wait_for_another() {
    overtaken(3, || {
        let tables = Tables::new();
        let cpus = [(); 2].map(|()| on_another_cpu(&tables, Tables::read));
        tables.free();
        for cpu in cpus {
            cpu.join().unwrap();
        }
    });
}

/// A wait that ends has turned the phase over: a reader that looked for it before, and was slow, is not
/// among those that the next wait looks for last.
#[test]
fn a_reader_that_was_slow_to_come_is_waited_for() {
    every_order(|| {
        let tables = Tables::new();
        let cpu = on_another_cpu(&tables, Tables::read);
        tables.entrance.wait_for_readers(yield_now);
        tables.free();
        cpu.join().unwrap();
    });
}

/// It is a reader all the time, as two CPUs are of whom one comes before the other leaves, until the
/// table is freed.
#[test]
fn readers_that_follow_each_other_without_pause_hold_nobody_up_for_ever() {
    overtaken(3, || {
        let tables = Tables::new();
        let freed = Arc::new(AtomicU64::new(0));
        let cpu = {
            let freed = Arc::clone(&freed);
            on_another_cpu(&tables, move |tables| {
                let mut phase = tables.entrance.enter_reader();
                while freed.load(Ordering::Relaxed) == 0 {
                    let next = tables.entrance.enter_reader();
                    tables.entrance.leave_reader(phase);
                    phase = next;
                    yield_now();
                }
                tables.entrance.leave_reader(phase);
            })
        };
        tables.free();
        freed.store(1, Ordering::Relaxed);
        cpu.join().unwrap();
    });
}

#[test]
fn two_who_wait_at_once_both_see_the_reader_leave() {
    overtaken(2, || {
        let tables = Tables::new();
        let cpus = [
            on_another_cpu(&tables, Tables::read),
            on_another_cpu(&tables, |tables| tables.entrance.wait_for_readers(yield_now)),
        ];
        tables.free();
        for cpu in cpus {
            cpu.join().unwrap();
        }
    });
}
