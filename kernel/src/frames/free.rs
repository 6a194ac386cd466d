//! Giving frames back, and setting aside those that were never free.

use blockmap::machine::{PhysAddr, PhysRange};
use thiserror::Error;

use crate::sync::Ordering;

use super::chunk::{Chunk, Piece, Stage};
use super::{FRAME_BYTES, Frames, Numbers, Purpose, State, address};

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
        let number = frame.value() / FRAME_BYTES;
        let chunk = self.banks.chunk_of(number).ok_or(FreeError::NotMemory(frame))?;
        let expected = purpose.state();
        let is_allocated = self.chunk_state(chunk, number) == expected;
        let mut piece = self.pieces(chunk, Numbers { first: number, last: number });
        let freed = is_allocated && piece.all(|piece| self.give(piece, expected));
        if !freed {
            let found = self.chunk_state(chunk, number);
            return Err(FreeError::NotAllocated { frame, found, expected });
        }
        self.counter(purpose).fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// Frees frames that are all in one state, or does nothing. Tells whether it did.
    fn give(&self, piece: Piece<'_>, from: State) -> bool {
        self.count_freed(piece);
        let freed = piece.change(from, State::Free).is_ok();
        if !freed {
            self.count_taken(piece);
        }
        freed
    }

    /// Raises the counts of free frames, before frames are freed: they are never too low.
    fn count_freed(&self, piece: Piece<'_>) {
        self.free.fetch_add(piece.frames(), Ordering::Relaxed);
        if let Some(summary) = self.summary(piece.chunk) {
            summary.fetch_add(piece.frames(), Ordering::Relaxed);
        }
    }

    /// Lowers the counts of free frames, after frames were taken.
    pub(super) fn count_taken(&self, piece: Piece<'_>) {
        self.free.fetch_sub(piece.frames(), Ordering::Relaxed);
        if let Some(summary) = self.summary(piece.chunk) {
            summary.fetch_sub(piece.frames(), Ordering::Relaxed);
        }
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
        for (held, piece) in self.pieces_in(frames).enumerate() {
            if let Err(frame) = self.change(piece, expected, State::Reserved) {
                let found = self.state(frame).unwrap_or(State::Reserved);
                for piece in self.pieces_in(frames).take(held) {
                    let _all_reserved = piece.change(State::Reserved, expected);
                }
                return Err(FreeError::NotAllocated { frame, found, expected });
            }
        }
        self.counter(purpose).fetch_sub(frames.count(), Ordering::Relaxed);
        for piece in self.pieces_in(frames) {
            self.count_freed(piece);
            piece.word.fetch_and(!piece.lanes.mask(), Ordering::Release);
        }
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
        let frames = Numbers::touched(range);
        for chunk in self.banks.chunks_of(frames) {
            let Some(all) = self.banks.frames_of(chunk) else {
                continue;
            };
            let Some(wanted) = all.both(frames) else {
                continue;
            };
            if wanted != all || !self.shut(chunk, all) {
                self.reserve_in(chunk, wanted)?;
            }
        }
        Ok(())
    }

    /// Sets aside all frames of a chunk that nothing was ever taken from. Tells whether it did.
    fn shut(&self, chunk: u64, frames: Numbers) -> bool {
        let fresh = Chunk::fresh(frames.count()).word();
        let shut = Chunk { stage: Stage::Shut, free: 0 }.word();
        let did = self.summary(chunk).is_some_and(|summary| {
            summary.compare_exchange(fresh, shut, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        });
        if did {
            self.free.fetch_sub(frames.count(), Ordering::Relaxed);
        }
        did
    }

    fn reserve_in(&self, chunk: u64, frames: Numbers) -> Result<(), ReserveError> {
        if !self.prepare(chunk) {
            return match self.stage(chunk) {
                Stage::Shut => Ok(()),
                Stage::Fresh | Stage::Filling | Stage::Ready => {
                    Err(ReserveError::Allocated(address(frames.first)))
                }
            };
        }
        for piece in self.pieces(chunk, frames) {
            // Nearly always a whole word is free; else frames that are reserved already are
            // passed over one by one.
            if self.reserve_piece(piece).is_err() {
                for one in piece.frame_by_frame() {
                    self.reserve_piece(one).or_else(|frame| match self.state(frame) {
                        Some(State::Reserved) => Ok(()),
                        Some(State::Free | State::Used | State::Table) | None => {
                            Err(ReserveError::Allocated(frame))
                        }
                    })?;
                }
            }
        }
        Ok(())
    }

    fn reserve_piece(&self, piece: Piece<'_>) -> Result<(), PhysAddr> {
        piece.change(State::Free, State::Reserved)?;
        self.count_taken(piece);
        Ok(())
    }

    /// Whether there is memory at all of `frames`.
    fn all_memory(&self, frames: Numbers) -> Result<(), FreeError> {
        let mut next = frames.first;
        for found in self.banks.chunks_of(frames).filter_map(|chunk| self.banks.frames_of(chunk)) {
            if found.first > next {
                break;
            }
            next = found.last + 1;
        }
        if next > frames.last { Ok(()) } else { Err(FreeError::NotMemory(address(next))) }
    }

    /// `frames`, all of which are memory, word by word over all chunks.
    fn pieces_in(&self, frames: Numbers) -> impl Iterator<Item = Piece<'_>> {
        self.banks.chunks_of(frames).flat_map(move |chunk| {
            let here = self.banks.frames_of(chunk).and_then(|all| all.both(frames));
            here.into_iter().flat_map(move |here| self.pieces(chunk, here))
        })
    }

    /// [`Piece::change`], where the piece's chunk can be believed.
    fn change(&self, piece: Piece<'_>, from: State, to: State) -> Result<(), PhysAddr> {
        match self.stage(piece.chunk) {
            Stage::Ready => piece.change(from, to),
            Stage::Fresh | Stage::Filling | Stage::Shut => Err(piece.address_of(piece.lanes.first)),
        }
    }
}
