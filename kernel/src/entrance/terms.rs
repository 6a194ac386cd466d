//! The terms that all admitted CPUs agree on, held still by whoever works under them.
//!
//! Who holds a lock of the tables holds them by that; who takes none is counted here.

use blockmap::Terms;
use blockmap::layout::Strategy;
use blockmap::vmsa::TlbiForm;

use crate::sync::{AtomicU64, Ordering};

/// The terms, in one word with the number of those who hold them without a lock.
#[derive(Debug)]
pub(super) struct SharedTerms(AtomicU64);

/// Somebody is about to change the terms.
const CHANGING: u64 = 1 << 63;
/// Above the number of holders: the terms.
const TERMS: u32 = 32;
const HOLDERS: u64 = (1 << TERMS) - 1;

impl SharedTerms {
    /// These terms, held by nobody.
    pub(super) fn new(terms: Terms) -> Self {
        Self(AtomicU64::new(word(terms)))
    }

    /// Holds the terms unless somebody is about to change them. Who holds them already may do so.
    pub(super) fn try_hold(&self) -> Option<Terms> {
        let one_more = |word: u64| (word & CHANGING == 0).then_some(word + 1);
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).ok().map(terms)
    }

    /// One hold is given back.
    pub(super) fn release(&self) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    /// The terms at this moment.
    pub(super) fn now(&self) -> Terms {
        terms(self.0.load(Ordering::Relaxed))
    }

    /// Waits until nobody else is about to change the terms and nobody holds them, and keeps it so
    /// until [`SharedTerms::end_change`].
    pub(super) fn begin_change(&self, relax: impl Fn()) {
        let first = |word: u64| (word & CHANGING == 0).then_some(word | CHANGING);
        while self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, first).is_err() {
            relax();
        }
        while self.0.load(Ordering::Acquire) & HOLDERS != 0 {
            relax();
        }
    }

    /// These are the terms from now on. The caller has begun a change.
    pub(super) fn set(&self, terms: Terms) {
        self.0.store(word(terms) | CHANGING, Ordering::Relaxed);
    }

    /// Ends the change that the caller has begun.
    pub(super) fn end_change(&self) {
        self.0.fetch_and(!CHANGING, Ordering::Release);
    }
}

fn word(terms: Terms) -> u64 {
    let strategy = match terms.strategy {
        Strategy::Live => 0,
        Strategy::Quiesce => 1,
        Strategy::Pages => 2,
    };
    let tlbi = match terms.tlbi {
        TlbiForm::ByAddress => 0,
        TlbiForm::Ranged => 4,
    };
    (strategy | tlbi) << TERMS
}

fn terms(word: u64) -> Terms {
    let bits = (word & !CHANGING) >> TERMS;
    let strategy = match bits & 3 {
        0 => Strategy::Live,
        1 => Strategy::Quiesce,
        _ => Strategy::Pages,
    };
    let tlbi = if bits & 4 == 0 { TlbiForm::ByAddress } else { TlbiForm::Ranged };
    Terms { strategy, tlbi }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_terms_come_back() {
        for strategy in Strategy::ALL {
            for tlbi in [TlbiForm::ByAddress, TlbiForm::Ranged] {
                let terms = Terms { strategy, tlbi };
                let shared = SharedTerms::new(terms);
                assert_eq!((shared.try_hold().unwrap(), shared.now()), (terms, terms));
                shared.release();
                shared.begin_change(|| unreachable!("nobody holds them"));
                assert_eq!((shared.now(), shared.try_hold()), (terms, None));
                shared.set(terms);
                shared.end_change();
                assert_eq!(shared.try_hold().unwrap(), terms);
            }
        }
    }
}
