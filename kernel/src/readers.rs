//! Who reads the tables at this moment: nobody frees one that a reader could have found.

use crate::sync::{AtomicU32, Ordering, fence};

/// How many readers there are.
///
/// A reader announces itself and then loads entries; who frees a table unlinks it and then looks
/// for readers. Each side's store comes before its load for everyone, so that at least one of them
/// sees the other: the reader the missing link, or the freeing side the reader.
#[derive(Debug, Default)]
pub struct Readers {
    count: AtomicU32,
}

impl Readers {
    /// No reader.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a reader. What it loads from now on stays a table until it leaves.
    pub fn enter(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// A reader that entered loads nothing more.
    pub fn leave(&self) {
        self.count.fetch_sub(1, Ordering::Release);
    }

    /// Waits until every reader has left that could have found what the caller unlinked before.
    /// `relax` is called between two looks.
    pub fn wait(&self, relax: impl Fn()) {
        fence(Ordering::SeqCst);
        while self.count.load(Ordering::Acquire) != 0 {
            relax();
        }
    }
}
