//! Who reads the tables at this moment: nobody frees one that a reader could have found.
//!
//! A reader announces itself and then loads entries; who frees a table unlinks it and then looks
//! for readers. Each side's store comes before its load for everyone, so that at least one of them
//! sees the other: the reader the missing link, or the freeing side the reader. For that it does not
//! matter which phase the reader is counted in, as both are looked at after the link is gone.
//!
//! The phases are there so that a wait ends: readers that come are counted in the one that nobody
//! waits for, so that those in the other become fewer, however many follow each other.

use blockmap::Phase;

use super::{COUNTED, EVEN, Entrance, ODD, PHASE};
use crate::sync::{Ordering, fence};

impl Entrance {
    /// Announces a reader. What it loads from now on stays a table until it leaves.
    pub fn enter_reader(&self) -> Phase {
        let phase = phase_of(self.word_to_change());
        self.word.fetch_add(one(phase), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        phase
    }

    /// A reader that entered in `phase` loads nothing more.
    pub fn leave_reader(&self, phase: Phase) {
        self.word.fetch_sub(one(phase), Ordering::Release);
    }

    /// Waits until every reader has left that could have found what the caller unlinked before, and
    /// for hardly any that comes later. `relax` is called between two looks.
    pub fn wait_for_readers(&self, relax: impl Fn()) {
        let mine = self.next.fetch_add(1, Ordering::Relaxed);
        while self.turn.load(Ordering::Acquire) != mine {
            relax();
        }
        fence(Ordering::SeqCst);
        let current = phase_of(self.word.load(Ordering::Relaxed));
        let other = current.other();
        // None is here but those who looked for the phase before it last changed, and then were slow.
        self.wait_for(other, &relax);
        self.word.fetch_xor(PHASE, Ordering::Relaxed);
        self.wait_for(current, &relax);
        self.turn.store(mine.wrapping_add(1), Ordering::Release);
    }

    fn wait_for(&self, phase: Phase, relax: &impl Fn()) {
        while (self.word.load(Ordering::Acquire) / one(phase)) & COUNTED != 0 {
            relax();
        }
    }
}

/// The phase that readers enter in; an old one is no harm.
const fn phase_of(word: u64) -> Phase {
    if word & PHASE == 0 { Phase::Even } else { Phase::Odd }
}

/// What a reader of a phase counts.
const fn one(phase: Phase) -> u64 {
    match phase {
        Phase::Even => EVEN,
        Phase::Odd => ODD,
    }
}
