//! Frames that had an owner before there was an allocator.

use blockmap::machine::PhysRange;

use crate::sync::Ordering;

use super::chunk::Halt;
use super::free::ReserveError;
use super::{Frames, Numbers, Part, Passing, Purpose, State, address};

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
    /// hand them out. Frames that have an owner keep it.
    pub fn claim_free(&self, range: PhysRange) {
        let parts = self.banks.parts(Numbers::touched(range));
        let taken = parts.map(|part| self.claim_part(part)).sum();
        self.counter(Purpose::Data).fetch_add(taken, Ordering::Relaxed);
    }

    /// Takes every free frame of `part`, and tells how many there were.
    #[inline]
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
