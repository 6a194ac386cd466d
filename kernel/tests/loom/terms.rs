//! The terms: they stand still while somebody holds them.

use blockmap::layout::Strategy;
use blockmap::vmsa::TlbiForm;
use blockmap::{Root, Scope, Terms};
use blockmap_kernel::entrance::{Entrance, Locks};
use blockmap_kernel::sync::{AtomicU64, Ordering};
use loom::sync::Arc;
use loom::thread::yield_now;

use super::{STRONG, every_order, on_another_cpu, overtaken};

const WEAK: Terms = Terms { strategy: Strategy::Quiesce, tlbi: TlbiForm::ByAddress };

/// The terms, and whether the CPU that makes them weak uses the tables.
struct System {
    entrance: Entrance,
    weak_cpus: AtomicU64,
}

impl System {
    fn new() -> Arc<Self> {
        Arc::new(Self { entrance: Entrance::new(STRONG), weak_cpus: AtomicU64::new(0) })
    }

    /// An operation: what it relies on is true from its beginning to its end.
    fn operate(&self) {
        let slot = Scope { first_slot: 0, last_slot: 0, root: Root::Untouched };
        let pass = self.entrance.enter(Locks::of(slot, None), yield_now);
        self.rely(self.entrance.terms());
        self.entrance.leave(pass);
    }

    /// The same of who takes no lock, and does not wait.
    fn visit(&self) {
        if let Some(terms) = self.entrance.try_hold_terms() {
            self.rely(terms);
            self.entrance.release_terms();
        }
    }

    fn rely(&self, terms: Terms) {
        let weak_cpus = || self.weak_cpus.load(Ordering::Relaxed);
        let begun = weak_cpus();
        assert!(terms == WEAK || begun == 0, "a weak CPU came before the operation");
        assert_eq!(weak_cpus(), begun, "a weak CPU came during the operation");
    }

    fn admit(&self) {
        self.entrance.begin_change(yield_now);
        self.weak_cpus.fetch_add(1, Ordering::Relaxed);
        self.entrance.end_change(WEAK);
    }
}

#[test]
fn nobody_is_admitted_during_an_operation() {
    every_order(|| {
        let system = System::new();
        let cpu = on_another_cpu(&system, |system| {
            system.operate();
            system.operate();
        });
        system.admit();
        cpu.join().unwrap();
        assert_eq!(system.entrance.terms(), WEAK);
    });
}

#[test]
fn nobody_is_admitted_while_a_visitor_relies_on_the_terms() {
    every_order(|| {
        let system = System::new();
        let cpu = on_another_cpu(&system, |system| {
            system.visit();
            system.operate();
        });
        system.admit();
        cpu.join().unwrap();
    });
}

#[test]
fn an_admission_that_ends_lets_nobody_through_another() {
    overtaken(4, || {
        let system = System::new();
        let cpu = on_another_cpu(&system, |system| {
            system.admit();
            system.operate();
        });
        system.admit();
        cpu.join().unwrap();
    });
}

#[test]
fn admissions_wait_for_each_other() {
    overtaken(2, || {
        let system = System::new();
        // Added to without care for others.
        let admit = |system: &System| {
            system.entrance.begin_change(yield_now);
            let before = system.weak_cpus.load(Ordering::Relaxed);
            system.weak_cpus.store(before + 1, Ordering::Relaxed);
            system.entrance.end_change(WEAK);
        };
        let admission = on_another_cpu(&system, admit);
        admit(&system);
        admission.join().unwrap();
        assert_eq!(system.weak_cpus.load(Ordering::Relaxed), 2);
    });
}
