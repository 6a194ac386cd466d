//! Frames that had an owner before there was an allocator.

use blockmap::machine::{PhysAddr, PhysRange};

use crate::sync::{AtomicU64, Ordering};

use super::chunk::Halt;
use super::free::ReserveError;
use super::{CHUNK_FRAMES, Frames, Lanes, Numbers, Part, Passing, Purpose, State, address};

impl Frames<'_> {
    /// Takes the frames that `range` touches, as if they had been allocated for `purpose`: they may
    /// be freed.
    ///
    /// # Errors
    /// Says which frame is not free; those below it were taken.
    pub fn claim(&self, purpose: Purpose, range: PhysRange) -> Result<(), ReserveError> {
        for part in self.banks.parts(Numbers::touched(range)) {
            let mut rest = Some(part);
            while let Some(left) = rest {
                let first = left.frames.first;
                match self.step(left, State::Free, purpose.state()) {
                    Ok(next) => {
                        self.tell(Numbers { first, last: next - 1 }, Passing::Taken);
                        self.counter(purpose).fetch_add(next - first, Ordering::Relaxed);
                        rest = left.from(next);
                    }
                    Err(Halt::Splitting) => (self.relax)(),
                    Err(Halt::Other) => return Err(ReserveError::Allocated(address(first))),
                }
            }
        }
        Ok(())
    }

    /// Takes every free frame that `range` touches, as data of whoever calls: the allocator won't
    /// hand them out. Frames that have an owner keep it; tells the lowest that is a table. No other
    /// becomes one before it is freed.
    pub fn claim_free(&self, range: PhysRange) -> Option<PhysAddr> {
        let frames = Numbers::touched(range);
        // Who is told of frames is told by the way of any frames.
        let is_watched = self.watch.is_some();
        if !is_watched && frames.first == frames.last {
            let found = self.claim_one(self.banks.part_of(frames.first)?);
            return (found == State::Table).then(|| address(frames.first));
        }
        let at_once = if is_watched { None } else { self.claim_chunks(frames) };
        let taken = at_once
            .unwrap_or_else(|| self.banks.parts(frames).map(|part| self.claim_part(part)).sum());
        if taken > 0 {
            self.counter(Purpose::Data).fetch_add(taken, Ordering::Relaxed);
        }
        // What was free as a whole has no table.
        if at_once.is_some() { None } else { self.first_in(State::Table, range) }
    }

    /// Takes all frames of `frames`, if these are all of neighbouring chunks, and all are free; or
    /// some of the chunks, and `None`: of the others each frame is to be looked at.
    #[inline]
    fn claim_chunks(&self, frames: Numbers) -> Option<u64> {
        let tops = self.tops(frames)?;
        let (free, used) = (0, Lanes::from(0).in_state(State::Used));
        let take = |top: &AtomicU64| {
            top.compare_exchange(free, used, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let taken =
            tops.iter().take_while(|top| take(top)).fold(0, |taken, _| taken + CHUNK_FRAMES);
        if taken == frames.count() {
            return Some(taken);
        }
        self.counter(Purpose::Data).fetch_add(taken, Ordering::Relaxed);
        None
    }

    /// Takes every free frame of `part`, and tells how many there were.
    #[inline(never)]
    fn claim_part(&self, part: Part) -> u64 {
        let mut taken = 0;
        let mut rest = Some(part);
        while let Some(left) = rest {
            let first = left.frames.first;
            match self.step(left, State::Free, State::Used) {
                Ok(next) => {
                    self.tell(Numbers { first, last: next - 1 }, Passing::Taken);
                    taken += next - first;
                    rest = left.from(next);
                }
                Err(Halt::Splitting) => (self.relax)(),
                Err(Halt::Other) => rest = self.after_others(left, State::Free),
            }
        }
        taken
    }

    /// What of `part` is left after the first frames, as far as a lane shows these not to be in
    /// `state`; all of it if they are now.
    pub(super) fn after_others(&self, part: Part, state: State) -> Option<Part> {
        let (tier, found) = self.look(part);
        if found == state { Some(part) } else { part.from(tier.lane_end(part.frames.first)) }
    }
}
