//! Chunks: their summaries, their first use, and taking frames from one.

use blockmap::machine::{PhysAddr, PhysRange};

use crate::sync::{AtomicU64, Ordering};

use super::{
    CHUNK_FRAMES, CHUNK_WORDS, FRAME_BYTES, FRAMES_PER_WORD, Frames, Lanes, Numbers, Purpose,
    State, WORD_ORDER, address, free_run, state_of,
};

/// How far a chunk's words can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its words were never written; all its frames are free.
    Fresh,
    /// One CPU is writing its words; all its frames are free.
    Filling,
    /// Its words say the states of its frames.
    Ready,
    /// Its words were never written; all its frames are reserved, for good.
    Shut,
}

/// A chunk's summary.
///
/// # Invariants
/// `free` is never below the number of frames that are free: it is raised before frames are freed
/// and lowered after frames were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) stage: Stage,
    pub(super) free: u64,
}

impl Chunk {
    const FREE: u64 = (1 << 32) - 1;
    /// What the word of a chunk grows by when its words have been written.
    const FILLED: u64 = 1 << 32;

    pub(super) const fn fresh(free: u64) -> Self {
        let stage = Stage::Fresh;
        Self { stage, free }
    }

    pub(super) const fn word(self) -> u64 {
        let stage = match self.stage {
            Stage::Fresh => 0,
            Stage::Filling => 1,
            Stage::Ready => 2,
            Stage::Shut => 3,
        };
        stage << 32 | self.free
    }

    pub(super) const fn of_word(word: u64) -> Self {
        let stage = match word >> 32 & 3 {
            0 => Stage::Fresh,
            1 => Stage::Filling,
            2 => Stage::Ready,
            _ => Stage::Shut,
        };
        let free = word & Self::FREE;
        Self { stage, free }
    }
}

/// Lanes of one word, and which frames they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) chunk: u64,
    pub(super) word: &'a AtomicU64,
    pub(super) lanes: Lanes,
    /// The number of the frame in the word's lane 0.
    base: u64,
}

impl Piece<'_> {
    /// The same frames, each a piece of its own.
    pub(super) fn frame_by_frame(self) -> impl Iterator<Item = Self> {
        let first = self.lanes.first;
        (first..first + self.lanes.count)
            .map(move |first| Self { lanes: Lanes { first, count: 1 }, ..self })
    }

    /// The first byte of the frame in a lane of the word.
    pub(super) fn address_of(self, lane: usize) -> PhysAddr {
        address(self.base + u64::try_from(lane).unwrap_or(0))
    }

    /// How many frames.
    pub(super) fn frames(self) -> u64 {
        u64::try_from(self.lanes.count).unwrap_or(0)
    }

    /// Puts all of the frames from one state into another, or says which frame is not in it; then
    /// nothing was changed.
    pub(super) fn change(self, from: State, to: State) -> Result<(), PhysAddr> {
        let mask = self.lanes.mask();
        let mut found = self.word.load(Ordering::Relaxed);
        loop {
            let differs = (found ^ self.lanes.in_state(from)) & mask;
            if differs != 0 {
                let lane = usize::try_from(differs.trailing_zeros() / 2).unwrap_or(0);
                return Err(self.address_of(lane));
            }
            let new = found & !mask | self.lanes.in_state(to);
            // Release: what the frames' owner did to them is done before anyone else gets them;
            // acquire: and the next owner starts after that.
            match self.word.compare_exchange_weak(found, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => found = now,
            }
        }
    }
}

impl Frames<'_> {
    pub(super) fn summary(&self, chunk: u64) -> Option<&AtomicU64> {
        self.summaries.get(usize::try_from(chunk).ok()?)
    }

    fn word(&self, chunk: u64, word: u64) -> Option<&AtomicU64> {
        self.words.get(usize::try_from(chunk * CHUNK_WORDS + word).ok()?)
    }

    pub(super) fn stage(&self, chunk: u64) -> Stage {
        let word = |summary: &AtomicU64| summary.load(Ordering::Acquire);
        Chunk::of_word(self.summary(chunk).map_or(0, word)).stage
    }

    /// The state of the frame `number`, whose chunk is `chunk`.
    pub(super) fn chunk_state(&self, chunk: u64, number: u64) -> State {
        match self.stage(chunk) {
            Stage::Fresh | Stage::Filling => State::Free,
            Stage::Shut => State::Reserved,
            Stage::Ready => {
                let (word, lane) = place_of(number);
                self.word(chunk, word)
                    .map_or(State::Reserved, |word| state_of(word.load(Ordering::Relaxed), lane))
            }
        }
    }

    /// `frames`, all of which are in `chunk`, word by word.
    pub(super) fn pieces(&self, chunk: u64, frames: Numbers) -> impl Iterator<Item = Piece<'_>> {
        let (first_word, first_lane) = place_of(frames.first);
        let (last_word, last_lane) = place_of(frames.last);
        let chunk_base = frames.first / CHUNK_FRAMES * CHUNK_FRAMES;
        (first_word..=last_word).filter_map(move |index| {
            let first = if index == first_word { first_lane } else { 0 };
            let last = if index == last_word { last_lane } else { FRAMES_PER_WORD - 1 };
            Some(Piece {
                chunk,
                word: self.word(chunk, index)?,
                lanes: Lanes { first, count: last + 1 - first },
                base: chunk_base + index * (CHUNK_FRAMES / CHUNK_WORDS),
            })
        })
    }

    /// Makes the words of a chunk say the states of its frames, whether or not they did. Tells
    /// whether they do now: not where all is reserved, nor while another CPU is at it.
    pub(super) fn prepare(&self, chunk: u64) -> bool {
        let Some((summary, frames)) = self.summary(chunk).zip(self.banks.frames_of(chunk)) else {
            return false;
        };
        let found = summary.load(Ordering::Acquire);
        let fresh = Chunk::of_word(found);
        match fresh.stage {
            Stage::Ready => return true,
            Stage::Filling | Stage::Shut => return false,
            Stage::Fresh => {}
        }
        let filling = Chunk { stage: Stage::Filling, ..fresh }.word();
        let claimed =
            summary.compare_exchange(found, filling, Ordering::Relaxed, Ordering::Relaxed);
        if claimed.is_err() {
            return false;
        }
        for word in (0..CHUNK_WORDS).filter_map(|word| self.word(chunk, word)) {
            word.store(u64::MAX, Ordering::Relaxed);
        }
        for piece in self.pieces(chunk, frames) {
            piece.word.store(!piece.lanes.mask(), Ordering::Relaxed);
        }
        summary.fetch_add(Chunk::FILLED, Ordering::Release);
        true
    }

    /// Takes 2^`order` frames from a chunk whose words can be believed, from its word `from` on.
    pub(super) fn claim_in(
        &self,
        chunk: u64,
        from: u64,
        order: u32,
        purpose: Purpose,
    ) -> Option<PhysRange> {
        // A block of many words starts at a multiple of as many words.
        let words = 1_u64 << order.saturating_sub(WORD_ORDER);
        let step = usize::try_from(words).ok()?;
        let (index, number) = (from.next_multiple_of(words)..CHUNK_WORDS)
            .step_by(step)
            .find_map(|index| Some((index, self.claim_at(chunk, index, order, purpose)?)))?;
        let frames = 1_u64 << order;
        self.summary(chunk)?.fetch_sub(frames, Ordering::Relaxed);
        self.free.fetch_sub(frames, Ordering::Relaxed);
        self.counter(purpose).fetch_add(frames, Ordering::Relaxed);
        let next = (index + (words - 1)) % CHUNK_WORDS;
        self.hint.store(chunk * CHUNK_WORDS + next, Ordering::Relaxed);
        PhysRange::new(address(number), frames * FRAME_BYTES)
    }

    /// Takes 2^`order` frames that start in the word `index` of a chunk: within it, or, for more
    /// than it holds, with its first lane. Gives the number of the first frame.
    fn claim_at(&self, chunk: u64, index: u64, order: u32, purpose: Purpose) -> Option<u64> {
        let base = self.banks.frames_of(chunk)?.first / CHUNK_FRAMES * CHUNK_FRAMES;
        let first = base + index * (CHUNK_FRAMES / CHUNK_WORDS);
        if order <= WORD_ORDER {
            let lanes = claim_run(self.word(chunk, index)?, order, purpose)?;
            return Some(first + u64::try_from(lanes.first).ok()?);
        }
        let block = Numbers { first, last: first + ((1 << order) - 1) };
        let taken = self
            .pieces(chunk, block)
            .take_while(|piece| piece.change(State::Free, purpose.state()).is_ok())
            .count();
        if u64::try_from(taken).ok()? == 1 << (order - WORD_ORDER) {
            return Some(first);
        }
        for piece in self.pieces(chunk, block).take(taken) {
            // These frames are nobody's but this call's: their words can't be in another state.
            piece.word.fetch_and(!piece.lanes.mask(), Ordering::Release);
        }
        None
    }
}

/// The word of a chunk, and the lane of the word, that hold the state of the frame `number`.
fn place_of(number: u64) -> (u64, usize) {
    let within = number % CHUNK_FRAMES;
    let lanes = CHUNK_FRAMES / CHUNK_WORDS;
    (within / lanes, usize::try_from(within % lanes).unwrap_or(0))
}

/// Takes a run of 2^`order` free lanes of a word.
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
