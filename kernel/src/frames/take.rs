//! Taking free frames of a chunk, wherever they are.

use blockmap::machine::PhysRange;

use crate::sync::{AtomicU64, Ordering};

use super::lane::free_run;
use super::{FRAME_BYTES, Frames, Lanes, Numbers, Part, Purpose, State, Tier, WORD_ORDER, address};

impl Frames<'_> {
    /// Takes 2^`order` frames from a chunk, from its frame `from` on.
    pub(super) fn claim_in(
        &self,
        chunk: Part,
        from: u64,
        order: u32,
        purpose: Purpose,
    ) -> Option<PhysRange> {
        let from = from.max(chunk.memory.first);
        let first = if order <= WORD_ORDER {
            self.claim_in_word(chunk.from(from)?, order, purpose)?
        } else {
            self.claim_words(chunk.from(from)?, order, purpose)?
        };
        let frames = 1_u64 << order;
        let last = first + (frames - 1);
        self.hint.store(last >> WORD_ORDER << WORD_ORDER, Ordering::Relaxed);
        self.taken(first, frames, purpose)
    }

    /// Takes frames from the word that has a lane for the first frame of `part`, if it has them.
    #[inline]
    pub(super) fn claim_near(&self, part: Part, order: u32, purpose: Purpose) -> Option<PhysRange> {
        let word = self.bottom(part).filter(|_| order <= WORD_ORDER)?;
        let lanes = claim_run(word, order, purpose)?;
        self.summary(part)?.fetch_sub(1 << order, Ordering::Relaxed);
        let base = part.frames.first >> WORD_ORDER << WORD_ORDER;
        self.taken(base + u64::try_from(lanes.first).ok()?, 1 << order, purpose)
    }

    #[inline]
    fn taken(&self, first: u64, frames: u64, purpose: Purpose) -> Option<PhysRange> {
        self.counter(purpose).fetch_add(frames, Ordering::Relaxed);
        PhysRange::new(address(first), frames * FRAME_BYTES)
    }

    /// Takes frames within one word, from the first frame of `part` on. Returns the first of them.
    #[inline]
    fn claim_in_word(&self, part: Part, order: u32, purpose: Purpose) -> Option<u64> {
        let mut rest = Some(part);
        while let Some(part) = rest {
            let first = part.frames.first;
            let (tier, state) = self.look(part);
            if tier == Tier::Frames {
                let word = self.word(part, tier)?;
                if let Some(lanes) = claim_run(word, order, purpose) {
                    self.summary(part)?.fetch_sub(1 << order, Ordering::Relaxed);
                    let base = first >> WORD_ORDER << WORD_ORDER;
                    return Some(base + u64::try_from(lanes.first).ok()?);
                }
                rest = part.from(((first >> WORD_ORDER) + 1) << WORD_ORDER);
                continue;
            }
            // Where another CPU splits a lane, the search goes on beyond this one.
            if state == State::Free && self.split(part, tier, state) {
                continue;
            }
            rest = part.from(tier.lane_end(first));
        }
        None
    }

    /// Takes whole words, from the first frame of `part` on. Returns the first frame of them.
    fn claim_words(&self, part: Part, order: u32, purpose: Purpose) -> Option<u64> {
        let block = |first: u64| Numbers { first, last: first + ((1 << order) - 1) };
        let mut first = part.frames.first.next_multiple_of(1 << order);
        while block(first).last <= part.frames.last {
            let wanted = Part { frames: block(first), ..part };
            if self.is_all_free(wanted) && self.put(wanted, State::Free, purpose.state()).is_ok() {
                return Some(first);
            }
            first += 1 << order;
        }
        None
    }

    /// Whether all frames of `part` are free, one after the other.
    fn is_all_free(&self, part: Part) -> bool {
        let mut rest = Some(part);
        while let Some(part) = rest {
            let (tier, state) = self.look(part);
            if state != State::Free {
                return false;
            }
            rest = part.from(tier.lane_end(part.frames.first));
        }
        true
    }
}

/// Takes a run of 2^`order` free lanes of a word.
#[inline]
fn claim_run(word: &AtomicU64, order: u32, purpose: Purpose) -> Option<Lanes> {
    let mut found = word.load(Ordering::Relaxed);
    loop {
        let lanes = free_run(found, order)?;
        // Free lanes are zero, so that setting bits is all.
        let new = found | lanes.in_state(purpose.state());
        match word.compare_exchange_weak(found, new, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Some(lanes),
            Err(now) => found = now,
        }
    }
}
