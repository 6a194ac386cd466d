//! Frames that had an owner before there was an allocator.

use blockmap::machine::PhysRange;

use crate::sync::Ordering;

use super::chunk::Piece;
use super::free::ReserveError;
use super::{Frames, Numbers, Purpose, State, address};

impl Frames<'_> {
    /// Takes the frames that `range` touches, as if they had been allocated for `purpose`: they may
    /// be freed.
    ///
    /// # Errors
    /// Says which frame is not free; those below it were taken.
    pub fn claim(&self, purpose: Purpose, range: PhysRange) -> Result<(), ReserveError> {
        let frames = Numbers::touched(range);
        for chunk in self.banks.chunks_of(frames) {
            let Some(wanted) = self.banks.frames_of(chunk).and_then(|all| all.both(frames)) else {
                continue;
            };
            if !self.prepare(chunk) {
                return Err(ReserveError::Allocated(address(wanted.first)));
            }
            for piece in self.pieces(chunk, wanted) {
                piece.change(State::Free, purpose.state()).map_err(ReserveError::Allocated)?;
                self.counter(purpose).fetch_add(piece.frames(), Ordering::Relaxed);
                self.count_taken(piece);
            }
        }
        Ok(())
    }

    /// Takes every free frame that `range` touches, as data of whoever calls: the allocator won't
    /// hand them out. Frames that have an owner keep it.
    pub fn claim_free(&self, range: PhysRange) {
        let frames = Numbers::touched(range);
        for chunk in self.banks.chunks_of(frames) {
            let wanted = self.banks.frames_of(chunk).and_then(|all| all.both(frames));
            if let Some(wanted) = wanted.filter(|_| self.prepare(chunk)) {
                for piece in self.pieces(chunk, wanted) {
                    // Nearly always a whole word is free.
                    if !self.claim_piece(piece) {
                        piece.frame_by_frame().for_each(|one| {
                            self.claim_piece(one);
                        });
                    }
                }
            }
        }
    }

    /// Takes all frames of `piece` as data, if all are free; tells whether they were.
    fn claim_piece(&self, piece: Piece<'_>) -> bool {
        let taken = piece.change(State::Free, State::Used).is_ok();
        if taken {
            self.counter(Purpose::Data).fetch_add(piece.frames(), Ordering::Relaxed);
            self.count_taken(piece);
        }
        taken
    }
}
