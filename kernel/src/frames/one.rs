//! Claiming one frame where it lies: in one look, and where a lane above it is split, in one go.
#![expect(clippy::inline_always, reason = "what is asked of most frames is a part of who asks")]

use crate::sync::Ordering;

use super::chunk::{SPLIT, SPLITTING, fresh};
use super::{Frames, Lanes, Numbers, Part, Purpose, State, Tier, state_of};

impl Frames<'_> {
    /// Takes the first frame of `part`, if it is free, as data of whoever calls. Tells what it was.
    #[inline]
    pub(super) fn claim_one(&self, part: Part) -> State {
        self.claim_at_bottom(part).unwrap_or_else(|| self.claim_above(part))
    }

    /// The same if the lanes above the frame's are split; `None` if they are not.
    #[inline(always)]
    fn claim_at_bottom(&self, part: Part) -> Option<State> {
        let (word, summary) = (self.bottom(part)?, self.summary(part)?);
        let lane = Lanes { first: Tier::Frames.lane(part.frames.first), count: 1 };
        let used = lane.in_state(State::Used);
        let free = |found: u64| (found & lane.mask() == 0).then_some(found | used);
        match word.fetch_update(Ordering::AcqRel, Ordering::Acquire, free) {
            Ok(_) => {
                summary.fetch_sub(1, Ordering::Relaxed);
                self.counter(Purpose::Data).fetch_add(1, Ordering::Relaxed);
                Some(State::Free)
            }
            Err(found) => Some(state_of(found, lane.first)),
        }
    }

    /// The same wherever it is told what state the frame is in.
    #[inline(never)]
    fn claim_above(&self, part: Part) -> State {
        loop {
            match self.look(part) {
                (Tier::Frames, state) => return self.claim_at_bottom(part).unwrap_or(state),
                (tier @ (Tier::Words | Tier::Lines), State::Free) => {
                    if self.claim_out_of(part, tier).is_some() {
                        self.counter(Purpose::Data).fetch_add(1, Ordering::Relaxed);
                        return State::Free;
                    }
                }
                (Tier::Words | Tier::Lines, state) => return state,
            }
            (self.relax)();
        }
    }

    /// Takes the first frame of `part` out of a lane of `tier` that is free, which is split down to the
    /// frame. `None` if another CPU splits a lane of the chunk, or the lane is not free any more.
    #[inline(never)]
    fn claim_out_of(&self, part: Part, tier: Tier) -> Option<()> {
        let first = part.frames.first;
        let (summary, word) = (self.summary(part)?, self.word(part, tier)?);
        let (frames, words) = (self.word(part, Tier::Frames)?, self.word(part, Tier::Words)?);
        // Summaries count what is free by the words below the topmost, and are never too low.
        let counted = match tier {
            Tier::Lines => {
                let (first, last) = (tier.lane_start(first), tier.lane_end(first) - 1);
                Numbers { first, last }.both(part.memory).map_or(0, Numbers::count)
            }
            Tier::Words | Tier::Frames => 0,
        };
        let begun = |found: u64| (found & SPLITTING == 0).then_some((found + counted) | SPLITTING);
        summary.fetch_update(Ordering::Acquire, Ordering::Relaxed, begun).ok()?;
        // Nobody else writes the words below before the lane is split; acquire: nor did who split it
        // before.
        let lane = |tier: Tier| Lanes { first: tier.lane(first), count: 1 };
        let is_free = |found: u64| found & lane(tier).mask() == 0;
        let taken = is_free(word.load(Ordering::Acquire)) && {
            let used = lane(Tier::Frames).in_state(State::Used);
            frames.store(fresh(part, Tier::Frames, State::Free) | used, Ordering::Relaxed);
            if tier == Tier::Lines {
                let split = lane(Tier::Words).in_state(SPLIT);
                words.store(fresh(part, Tier::Words, State::Free) | split, Ordering::Relaxed);
            }
            // Release: who sees the lane split sees the words below it.
            let split = |found| is_free(found).then_some(found | lane(tier).in_state(SPLIT));
            word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, split).is_ok()
        };
        let less = if taken { 1 } else { counted };
        summary.fetch_sub(SPLITTING + less, Ordering::Release);
        taken.then_some(())
    }
}
