//! The terms: they stand still while somebody holds them.

use blockmap::Terms;
use blockmap::layout::Strategy;
use blockmap::vmsa::TlbiForm;
use blockmap_kernel::sync::{AtomicU64, Ordering};
use blockmap_kernel::terms::SharedTerms;
use loom::sync::Arc;
use loom::thread::yield_now;

use super::{every_order, on_another_cpu, overtaken};

const STRONG: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };
const WEAK: Terms = Terms { strategy: Strategy::Quiesce, tlbi: TlbiForm::ByAddress };

/// The terms, and whether the CPU that makes them weak uses the tables.
struct System {
    terms: SharedTerms,
    weak_cpus: AtomicU64,
}

impl System {
    fn new() -> Arc<Self> {
        Arc::new(Self { terms: SharedTerms::new(STRONG), weak_cpus: AtomicU64::new(0) })
    }

    /// An operation: what it relies on is true from its beginning to its end.
    fn operate(&self) {
        let terms = self.terms.hold(yield_now);
        let weak_cpus = || self.weak_cpus.load(Ordering::Relaxed);
        assert!(terms == WEAK || weak_cpus() == 0, "a weak CPU came during the operation");
        assert!(terms == WEAK || weak_cpus() == 0, "a weak CPU came during the operation");
        self.terms.release();
    }

    fn admit(&self) {
        self.terms.begin_change(yield_now);
        self.weak_cpus.fetch_add(1, Ordering::Relaxed);
        self.terms.end_change(WEAK);
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
        assert_eq!(system.terms.now(), WEAK);
    });
}

#[test]
fn admissions_wait_for_each_other() {
    overtaken(2, || {
        let system = System::new();
        // Added to without care for others.
        let admit = |system: &System| {
            system.terms.begin_change(yield_now);
            let before = system.weak_cpus.load(Ordering::Relaxed);
            system.weak_cpus.store(before + 1, Ordering::Relaxed);
            system.terms.end_change(WEAK);
        };
        let admission = on_another_cpu(&system, admit);
        admit(&system);
        admission.join().unwrap();
        assert_eq!(system.weak_cpus.load(Ordering::Relaxed), 2);
    });
}
