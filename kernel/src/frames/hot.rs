//! Memory that comes and goes: frames that nobody can have until they are there, and none that is in
//! use is taken away.

use blockmap::machine::{PhysAddr, PhysRange};
use thiserror::Error;

use super::free::FreeError;
use super::{FRAME_BYTES, Frames, Numbers, Passing, State, address};

/// Why memory was not withdrawn. All frames are in the state they were in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WithdrawError {
    /// The range does not start and end at multiples of a frame, or not all of it is memory.
    #[error(transparent)]
    Range(#[from] FreeError),
    /// The first frame of the range that is not free.
    #[error("the frame at {frame} is {found:?}: only free memory can go")]
    InUse {
        /// The frame.
        frame: PhysAddr,
        /// The state it is in.
        found: State,
    },
}

impl Frames<'_> {
    /// Sets all frames of `range` aside, all of them free: nobody gets them from now on.
    ///
    /// # Errors
    /// See [`WithdrawError`].
    pub fn withdraw(&self, range: PhysRange) -> Result<(), WithdrawError> {
        let frames = self.whole_frames(range)?;
        let moved = self.move_all(frames, (State::Free, State::Reserved));
        moved.map_err(|(frame, found)| WithdrawError::InUse { frame, found })?;
        self.tell(frames, Passing::Taken);
        Ok(())
    }

    /// Has all frames of `range`, all of which are set aside, be free: they may be allocated.
    ///
    /// # Errors
    /// Says which frame is not set aside; nothing was changed.
    pub fn release(&self, range: PhysRange) -> Result<(), FreeError> {
        let (frames, expected) = (self.whole_frames(range)?, State::Reserved);
        let others = [State::Free, State::Used, State::Table];
        let other =
            others.into_iter().find_map(|state| Some((self.first_in(state, range)?, state)));
        if let Some((frame, found)) = other {
            return Err(FreeError::NotAllocated { frame, found, expected });
        }
        self.tell(frames, Passing::Freed);
        let moved = self.move_all(frames, (expected, State::Free));
        moved.map_err(|(frame, found)| FreeError::NotAllocated { frame, found, expected })
    }

    /// Puts all of `frames` from one state into another; or none, and says which is in another state.
    fn move_all(
        &self,
        frames: Numbers,
        (from, to): (State, State),
    ) -> Result<(), (PhysAddr, State)> {
        for (done, part) in self.banks.parts(frames).enumerate() {
            if let Err(number) = self.put(part, from, to) {
                let frame = address(number);
                let found = self.state(frame).unwrap_or(State::Reserved);
                let before = self.banks.parts(frames).take(done);
                before.for_each(|part| self.put_back(part, to, from));
                return Err((frame, found));
            }
        }
        Ok(())
    }

    /// The numbers of the frames of `range`, if it is made of them and all of it is memory.
    fn whole_frames(&self, range: PhysRange) -> Result<Numbers, FreeError> {
        if !range.start().is_aligned(FRAME_BYTES) || !range.bytes().is_multiple_of(FRAME_BYTES) {
            return Err(FreeError::NotFrames(range));
        }
        let frames = Numbers::touched(range);
        self.all_memory(frames)?;
        Ok(frames)
    }
}

#[cfg(test)]
mod tests;
