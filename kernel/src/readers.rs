//! Who reads the tables at this moment: nobody frees one that a reader could have found.

use blockmap::Phase;

use crate::sync::{AtomicU32, Ordering, fence};

/// How many readers there are of each phase.
///
/// A reader announces itself and then loads entries; who frees a table unlinks it and then looks
/// for readers. Each side's store comes before its load for everyone, so that at least one of them
/// sees the other: the reader the missing link, or the freeing side the reader. For that it does not
/// matter which phase the reader is counted in, as both are looked at after the link is gone.
///
/// The phases are there so that a wait ends: readers that come are counted in the one that nobody
/// waits for, so that those in the other become fewer, however many follow each other.
#[derive(Debug, Default)]
pub struct Readers {
    even: AtomicU32,
    odd: AtomicU32,
    /// What a reader that comes is counted in: the lowest bit.
    phase: AtomicU32,
    /// Who waits does so alone: two could each send readers to where the other waits for none.
    next: AtomicU32,
    turn: AtomicU32,
}

impl Readers {
    /// No reader.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a reader. What it loads from now on stays a table until it leaves.
    pub fn enter(&self) -> Phase {
        let phase = self.current();
        self.of(phase).fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        phase
    }

    /// A reader that entered in `phase` loads nothing more.
    pub fn leave(&self, phase: Phase) {
        self.of(phase).fetch_sub(1, Ordering::Release);
    }

    /// Waits until every reader has left that could have found what the caller unlinked before, and
    /// for hardly any that comes later. `relax` is called between two looks.
    pub fn wait(&self, relax: impl Fn()) {
        let mine = self.next.fetch_add(1, Ordering::Relaxed);
        while self.turn.load(Ordering::Acquire) != mine {
            relax();
        }
        fence(Ordering::SeqCst);
        let current = self.current();
        let other = current.other();
        // None is here but those who looked for the phase before it last changed, and then were slow.
        self.wait_for(other, &relax);
        self.phase.store(number(other), Ordering::Relaxed);
        self.wait_for(current, &relax);
        self.turn.store(mine.wrapping_add(1), Ordering::Release);
    }

    fn wait_for(&self, phase: Phase, relax: &impl Fn()) {
        while self.of(phase).load(Ordering::Acquire) != 0 {
            relax();
        }
    }

    /// The phase that readers enter in; an old one is no harm.
    fn current(&self) -> Phase {
        if self.phase.load(Ordering::Relaxed) == number(Phase::Even) {
            Phase::Even
        } else {
            Phase::Odd
        }
    }

    const fn of(&self, phase: Phase) -> &AtomicU32 {
        match phase {
            Phase::Even => &self.even,
            Phase::Odd => &self.odd,
        }
    }
}

const fn number(phase: Phase) -> u32 {
    match phase {
        Phase::Even => 0,
        Phase::Odd => 1,
    }
}
