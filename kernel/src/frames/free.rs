//! Giving frames back, and setting aside those that were never free.

use blockmap::machine::{PhysAddr, PhysRange};
use thiserror::Error;

use crate::sync::Ordering;

use super::chunk::Halt;
use super::{FRAME_BYTES, Frames, Numbers, Part, Passing, Purpose, State, address};

/// Why frames were not freed. All of them are in the state they were in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FreeError {
    /// The range does not start and end at multiples of a frame.
    #[error("{0} is not made of whole frames; give back what was allocated")]
    NotFrames(PhysRange),
    /// There is no memory at this address.
    #[error("{0} is not memory")]
    NotMemory(PhysAddr),
    /// The frame is not allocated for what it is freed as: free already, reserved, or for the
    /// other purpose.
    #[error("the frame at {frame} is {found:?}, not {expected:?}")]
    NotAllocated {
        /// The lowest such frame.
        frame: PhysAddr,
        /// The state it is in.
        found: State,
        /// The state it would have to be in.
        expected: State,
    },
}

/// Why a range was not set aside. Frames below the one named are reserved now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// The frame has an owner already; reservations come before allocations.
    #[error("the frame at {0} is allocated; reserve before the first allocation")]
    Allocated(PhysAddr),
}

impl Frames<'_> {
    /// Gives back the frame at `frame`, which was allocated for `purpose`.
    ///
    /// # Errors
    /// Says why it is not the caller's to free; nothing was changed.
    pub fn free(&self, purpose: Purpose, frame: PhysAddr) -> Result<(), FreeError> {
        let range = PhysRange::new(frame, FRAME_BYTES).ok_or(FreeError::NotMemory(frame))?;
        if !frame.is_aligned(FRAME_BYTES) {
            return Err(FreeError::NotFrames(range));
        }
        let part = self.banks.part_of(frame.value() / FRAME_BYTES);
        let part = part.ok_or(FreeError::NotMemory(frame))?;
        let expected = purpose.state();
        if self.watch.is_some() && self.state_in(part) == expected {
            self.tell(part.frames, Passing::Freed);
        }
        if self.put(part, expected, State::Free).is_err() {
            let found = self.state_in(part);
            return Err(FreeError::NotAllocated { frame, found, expected });
        }
        self.counter(purpose).fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back the frames of `range`, all of which were allocated for `purpose`, together or
    /// one by one.
    ///
    /// # Errors
    /// Says which frame is not the caller's to free; nothing was changed.
    pub fn free_block(&self, purpose: Purpose, range: PhysRange) -> Result<(), FreeError> {
        if !range.start().is_aligned(FRAME_BYTES) || !range.bytes().is_multiple_of(FRAME_BYTES) {
            return Err(FreeError::NotFrames(range));
        }
        let frames = Numbers::touched(range);
        self.all_memory(frames)?;
        let expected = purpose.state();
        // While the frames are in neither state nobody else can take them, so that what was
        // changed can be changed back.
        for (done, part) in self.banks.parts(frames).enumerate() {
            if let Err(number) = self.put(part, expected, State::Reserved) {
                let found = self.state(address(number)).unwrap_or(State::Reserved);
                let before = self.banks.parts(frames).take(done);
                before.for_each(|part| self.put_back(part, State::Reserved, expected));
                let frame = address(number);
                return Err(FreeError::NotAllocated { frame, found, expected });
            }
        }
        self.counter(purpose).fetch_sub(frames.count(), Ordering::Relaxed);
        self.tell(frames, Passing::Freed);
        self.banks.parts(frames).for_each(|part| self.put_back(part, State::Reserved, State::Free));
        Ok(())
    }

    /// Sets aside every frame that `range` touches, whether or not all of `range` is memory.
    /// Frames that are set aside already may be so again.
    ///
    /// Whole chunks of 128 MiB are set aside by one store each.
    ///
    /// # Errors
    /// Says which frame has an owner; those below it were set aside.
    pub fn reserve(&self, range: PhysRange) -> Result<(), ReserveError> {
        self.banks.parts(Numbers::touched(range)).try_for_each(|part| self.reserve_part(part))
    }

    fn reserve_part(&self, part: Part) -> Result<(), ReserveError> {
        let mut rest = Some(part);
        while let Some(left) = rest {
            match self.step(left, State::Free, State::Reserved) {
                Ok(next) => rest = left.from(next),
                Err(Halt::Splitting) => (self.relax)(),
                Err(Halt::Other) => match self.state_in(left) {
                    State::Free | State::Reserved => rest = self.after_others(left, State::Free),
                    State::Used | State::Table => {
                        return Err(ReserveError::Allocated(address(left.frames.first)));
                    }
                },
            }
        }
        Ok(())
    }

    /// Whether there is memory at all of `frames`.
    pub(super) fn all_memory(&self, frames: Numbers) -> Result<(), FreeError> {
        let mut next = frames.first;
        for part in self.banks.parts(frames) {
            if part.frames.first > next {
                break;
            }
            next = part.frames.last + 1;
        }
        if next > frames.last { Ok(()) } else { Err(FreeError::NotMemory(address(next))) }
    }
}
