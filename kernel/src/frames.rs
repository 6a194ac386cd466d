//! Which frames of memory are free: two bits for each, kept away from the frames themselves.
//!
//! An allocator that keeps its lists in the free pages can't live where free pages are unmapped,
//! so the states are in an array of their own, in chunks of 1024 words for 128 MiB of memory. Each
//! chunk has a summary word: how many of its frames are free, and whether its words were ever
//! written. A chunk's words are written when one of its frames is first asked for, so that a
//! machine with 4 TiB writes 256 KiB of summaries when it starts, not 256 MiB of bitmap.
//!
//! Everything takes `&self`: states change by compare-and-exchange, so that no lock is held
//! while a caller is interrupted, and no two callers ever get the same frame.

mod bank;
mod chunk;
mod claim;
mod free;
mod lane;
mod place;
#[cfg(test)]
mod tests;

use blockmap::machine::{PhysAddr, PhysRange};
use blockmap::vmsa::Geometry;
use thiserror::Error;

use crate::sync::{AtomicU64, Ordering};
use bank::{Banks, Numbers, address};
use chunk::{Chunk, Stage};
use lane::{FRAMES_PER_WORD, Lanes, WORD_ORDER, free_run, lanes_in, lowest, state_of};

pub use free::{FreeError, ReserveError};
pub use place::place;

/// Bytes of a frame: the kernel's page.
pub const FRAME_BYTES: u64 = Geometry::KERNEL_4K_48.page_bytes();
/// Banks of memory that [`Frames`] can keep apart. Adjacent banks may be given as one.
pub const MAX_BANKS: usize = 128;
/// Log2 of the most frames that can be allocated together: 128 MiB. Every order of accesses is tried
/// of much smaller chunks.
pub const MAX_ORDER: u32 = if cfg!(loom) { 6 } else { 15 };

/// Frames whose states one chunk holds.
const CHUNK_FRAMES: u64 = 1 << MAX_ORDER;
/// Words of a chunk.
const CHUNK_WORDS: u64 = CHUNK_FRAMES / 32;

/// What a frame of memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing; it may be allocated.
    Free,
    /// Its owner's data.
    Used,
    /// A translation table.
    Table,
    /// Something that was there before the allocator, and stays.
    Reserved,
}

impl State {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Free, Self::Used, Self::Table, Self::Reserved];
}

/// What a frame is allocated for, and must be freed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Its owner's data.
    Data,
    /// A translation table.
    Table,
}

impl Purpose {
    /// The state of a frame allocated for this.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Data => State::Used,
            Self::Table => State::Table,
        }
    }
}

/// How many frames are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames in state [`State::Free`].
    pub free: u64,
    /// Frames in state [`State::Used`].
    pub used: u64,
    /// Frames in state [`State::Table`].
    pub table: u64,
    /// Frames in state [`State::Reserved`].
    pub reserved: u64,
}

/// Why there is no allocator for these banks. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FramesError {
    /// More banks than [`MAX_BANKS`].
    #[error("{0} banks of memory, where {MAX_BANKS} are the most; merge those that are adjacent")]
    TooManyBanks(usize),
    /// Two banks share this frame.
    #[error("two banks of memory share the frame at {0}")]
    Overlap(PhysAddr),
    /// No bank holds a whole frame.
    #[error("no bank of memory holds a whole frame")]
    NoMemory,
    /// The states need more room; see [`bytes_needed`].
    #[error("frame states need {needed} bytes of storage and were given {had}")]
    TooLittleStorage {
        /// Bytes that the banks need.
        needed: u64,
        /// Bytes that were given.
        had: u64,
    },
}

/// How many bytes of storage [`Frames::new`] needs for these banks: about 64 KiB for each GiB, and
/// up to 16 KiB more for each bank.
///
/// # Errors
/// Says what is wrong with the banks.
pub fn bytes_needed(banks: &[PhysRange]) -> Result<u64, FramesError> {
    Banks::new(banks).map(|banks| storage_bytes(banks.chunks()))
}

const fn storage_bytes(chunks: u64) -> u64 {
    chunks * (1 + CHUNK_WORDS) * 8
}

/// The states of all frames of memory, and who may have one.
#[derive(Debug)]
pub struct Frames<'a> {
    banks: Banks,
    summaries: &'a [AtomicU64],
    words: &'a [AtomicU64],
    /// The word, counted over all chunks, at which the last allocation was served.
    hint: AtomicU64,
    free: AtomicU64,
    used: AtomicU64,
    table: AtomicU64,
    total: u64,
}

impl<'a> Frames<'a> {
    /// An allocator of the whole frames of `banks`, all free.
    ///
    /// `storage` may hold anything; [`bytes_needed`] says how large it must be. Only one word for
    /// each chunk of 128 MiB is written here. Before the first allocation the caller
    /// [reserves][Self::reserve] what is not free: firmware's ranges, the image, the storage.
    ///
    /// # Errors
    /// Says what is wrong with the banks or the storage; nothing was written.
    pub fn new(storage: &'a [AtomicU64], banks: &[PhysRange]) -> Result<Self, FramesError> {
        let banks = Banks::new(banks)?;
        let chunks = banks.chunks();
        if chunks == 0 {
            return Err(FramesError::NoMemory);
        }
        let too_little = || FramesError::TooLittleStorage {
            needed: storage_bytes(chunks),
            had: u64::try_from(size_of_val(storage)).unwrap_or(u64::MAX),
        };
        let part = |words: u64| usize::try_from(words).map_err(|_| too_little());
        let (summaries, rest) = storage.split_at_checked(part(chunks)?).ok_or_else(too_little)?;
        let words = rest.get(..part(chunks * CHUNK_WORDS)?).ok_or_else(too_little)?;
        let mut total = 0;
        for (chunk, summary) in (0..).zip(summaries) {
            let count = banks.frames_of(chunk).map_or(0, Numbers::count);
            summary.store(Chunk::fresh(count).word(), Ordering::Relaxed);
            total += count;
        }
        Ok(Self {
            banks,
            summaries,
            words,
            hint: AtomicU64::new(0),
            free: AtomicU64::new(total),
            used: AtomicU64::new(0),
            table: AtomicU64::new(0),
            total,
        })
    }

    /// Takes one free frame, or `None` when there is none.
    ///
    /// The search goes on where the last one ended: it reads at most one summary for each chunk
    /// without a free frame, then at most one chunk's words.
    #[must_use]
    pub fn allocate(&self, purpose: Purpose) -> Option<PhysAddr> {
        self.allocate_block(purpose, 0).map(PhysRange::start)
    }

    /// Takes 2^`order` free frames that are contiguous and start at a multiple of their size, or
    /// `None` when there are no such frames or `order` is above [`MAX_ORDER`].
    ///
    /// It is `None` too when the only such frames are in a chunk whose words another CPU is
    /// writing for the first time at this moment. In the worst case all words of all chunks in use are read.
    #[must_use]
    pub fn allocate_block(&self, purpose: Purpose, order: u32) -> Option<PhysRange> {
        if order > MAX_ORDER {
            return None;
        }
        let chunks = self.banks.chunks();
        let hint = self.hint.load(Ordering::Relaxed);
        let (start, word) = (hint / CHUNK_WORDS, hint % CHUNK_WORDS);
        (0..=chunks).find_map(|step| {
            let chunk = (start + step) % chunks;
            // The chunk that the search starts in is searched last as well, from its beginning.
            let from = if step == 0 { word } else { 0 };
            let summary = Chunk::of_word(self.summary(chunk)?.load(Ordering::Relaxed));
            if summary.free < 1 << order || !self.prepare(chunk) {
                return None;
            }
            self.claim_in(chunk, from, order, purpose)
        })
    }

    /// The state of the frame that `address` lies in, or `None` where there is no memory.
    #[must_use]
    pub fn state(&self, address: PhysAddr) -> Option<State> {
        let number = address.value() / FRAME_BYTES;
        let chunk = self.banks.chunk_of(number)?;
        Some(self.chunk_state(chunk, number))
    }

    /// The lowest frame that `range` touches and that is in `state`.
    ///
    /// It reads the words of all chunks in `range` that were ever used: 8 KiB for each 128 MiB.
    #[must_use]
    pub fn first_in(&self, state: State, range: PhysRange) -> Option<PhysAddr> {
        let frames = Numbers::touched(range);
        self.banks.chunks_of(frames).find_map(|chunk| {
            let frames = self.banks.frames_of(chunk)?.both(frames)?;
            match self.stage(chunk) {
                Stage::Ready => self.pieces(chunk, frames).find_map(|piece| {
                    let found = piece.word.load(Ordering::Relaxed);
                    let lane = lowest(lanes_in(found, state) & piece.lanes.mask())?;
                    Some(piece.address_of(lane))
                }),
                Stage::Fresh | Stage::Filling | Stage::Shut => {
                    (self.chunk_state(chunk, frames.first) == state).then(|| address(frames.first))
                }
            }
        })
    }

    /// The whole frames of each bank of memory.
    pub fn banks(&self) -> impl Iterator<Item = PhysRange> {
        self.banks.ranges()
    }

    /// How many frames are in each state. While other CPUs allocate or free, the counts are of
    /// slightly different moments.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let free = self.free.load(Ordering::Relaxed);
        let used = self.used.load(Ordering::Relaxed);
        let table = self.table.load(Ordering::Relaxed);
        let taken = free.saturating_add(used).saturating_add(table);
        Counts { free, used, table, reserved: self.total.saturating_sub(taken) }
    }

    fn counter(&self, purpose: Purpose) -> &AtomicU64 {
        match purpose {
            Purpose::Data => &self.used,
            Purpose::Table => &self.table,
        }
    }
}
