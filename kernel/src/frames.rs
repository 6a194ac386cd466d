//! Which frames of memory are free: two bits for each, kept away from the frames themselves.
//!
//! An allocator that keeps its lists in the free pages can't live where free pages are unmapped,
//! so the states are in words of their own: trees of three tiers, one for each chunk of 128 MiB.
//! A word has 32 lanes of two bits. At the bottom a lane is a frame; above it 32 frames, or 1024,
//! all in the state that the lane says, unless that is *split*: then the word below says. Words
//! below are written when a lane is split, so that a machine with 4 TiB writes 512 KiB when it
//! starts, not 256 MiB of bitmap, and what is done to all of a chunk is done to one word.
//!
//! Everything takes `&self`: states change by compare-and-exchange, and no two callers ever get the
//! same frame. Only who splits a lane keeps others from splitting one in the same chunk, for some
//! tens of instructions; `allocate` looks elsewhere meanwhile, and everybody else waits.

mod bank;
mod chunk;
mod claim;
mod free;
mod hot;
mod lane;
mod one;
mod place;
mod take;
#[cfg(test)]
mod tests;
mod tier;

use blockmap::machine::{PhysAddr, PhysRange};
use blockmap::vmsa::Geometry;
use thiserror::Error;

use crate::sync::{AtomicU64, Ordering};
use bank::{Banks, Numbers, Part, address};
use chunk::is_none_in;
use lane::{FRAMES_PER_WORD, Lanes, WORD_ORDER, lanes_in, lowest, state_of};
use tier::Tier;

pub use free::{FreeError, ReserveError};
pub use hot::WithdrawError;
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

/// How many bytes of storage [`Frames::new`] needs for these banks: about 66 KiB for each GiB, and
/// up to 17 KiB more for each bank.
///
/// # Errors
/// Says what is wrong with the banks.
pub fn bytes_needed(banks: &[PhysRange]) -> Result<u64, FramesError> {
    Banks::new(banks).map(|banks| storage_bytes(banks.chunks()))
}

const fn storage_bytes(chunks: u64) -> u64 {
    let [frames, words, lines] = Tier::UP;
    let tiers = frames.words_of_chunk() + words.words_of_chunk() + lines.words_of_chunk();
    chunks * (1 + tiers) * 8
}

/// The states of all frames of memory, and who may have one.
#[derive(Debug)]
pub struct Frames<'a> {
    banks: Banks,
    /// How many frames of each chunk are free by the words below its topmost.
    summaries: &'a [AtomicU64],
    /// The words of each tier, from the frames up.
    tiers: [&'a [AtomicU64]; 3],
    /// The first frame of the word at which the last allocation was served.
    hint: AtomicU64,
    used: AtomicU64,
    table: AtomicU64,
    total: u64,
    /// What is done between two attempts to split a lane.
    relax: fn(),
    /// Who is told of frames that come and go.
    watch: Option<fn(PhysRange, Passing)>,
}

/// What is about to become of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// They were taken: nobody else has them, and nobody uses them yet.
    Taken,
    /// They will be free: nobody uses them any more, and nobody else gets them yet.
    Freed,
}

impl<'a> Frames<'a> {
    /// An allocator of the whole frames of `banks`, all free.
    ///
    /// `storage` may hold anything; [`bytes_needed`] says how large it must be. Only two words for
    /// each chunk of 128 MiB are written here. Before the first allocation the caller
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
        let mut rest = storage;
        let mut part = |words: u64| {
            let words = usize::try_from(chunks * words).map_err(|_| too_little())?;
            let (part, after) = rest.split_at_checked(words).ok_or_else(too_little)?;
            rest = after;
            Ok(part)
        };
        let summaries = part(1)?;
        let [frames, words, lines] = Tier::UP.map(|tier| part(tier.words_of_chunk()));
        let frames = Self {
            banks,
            summaries,
            tiers: [frames?, words?, lines?],
            hint: AtomicU64::new(0),
            used: AtomicU64::new(0),
            table: AtomicU64::new(0),
            total: banks.frames(),
            relax: || (),
            watch: None,
        };
        frames.write_tops();
        Ok(frames)
    }

    /// The same allocator, whose callers do `relax` while they wait for somebody who splits a lane.
    #[must_use]
    pub fn waiting_by(self, relax: fn()) -> Self {
        Self { relax, ..self }
    }

    /// The same allocator, which calls `watch` whenever frames were taken, and before frames are free.
    #[must_use]
    pub fn watched_by(self, watch: fn(PhysRange, Passing)) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// Tells of frames that come or go, if somebody wants to know.
    fn tell(&self, frames: Numbers, passing: Passing) {
        if let Some(watch) = self.watch {
            let range = PhysRange::new(address(frames.first), frames.count() * FRAME_BYTES);
            if let Some(range) = range {
                watch(range, passing);
            }
        }
    }

    /// Takes one free frame, or `None` when there is none.
    ///
    /// The search goes on where the last one ended: it reads at most two words for each chunk
    /// without a free frame, then at most one chunk's words.
    #[must_use]
    pub fn allocate(&self, purpose: Purpose) -> Option<PhysAddr> {
        self.allocate_block(purpose, 0).map(PhysRange::start)
    }

    /// Takes 2^`order` free frames that are contiguous and start at a multiple of their size, or
    /// `None` when there are no such frames or `order` is above [`MAX_ORDER`].
    ///
    /// It is `None` too when the only such frames are in a chunk of which another CPU splits a lane
    /// at this moment. In the worst case all words of all chunks in use are read.
    #[must_use]
    pub fn allocate_block(&self, purpose: Purpose, order: u32) -> Option<PhysRange> {
        if order > MAX_ORDER {
            return None;
        }
        let hint = self.banks.part_of(self.hint.load(Ordering::Relaxed));
        if let Some(found) = hint.and_then(|part| self.claim_near(part, order, purpose)) {
            self.tell(Numbers::touched(found), Passing::Taken);
            return Some(found);
        }
        self.search(hint, order, purpose)
    }

    /// Takes frames wherever they are, from where the last were taken on.
    fn search(&self, hint: Option<Part>, order: u32, purpose: Purpose) -> Option<PhysRange> {
        let chunks = self.banks.chunks();
        let (mut chunk, mut from) = hint.map_or((0, 0), |part| (part.chunk, part.frames.first));
        // The chunk that the search starts in is searched last as well, from its beginning.
        for _ in 0..=chunks {
            let found = self.part_of_chunk(chunk).and_then(|part| {
                let is_worth_it = self.may_have(part, 1 << order);
                is_worth_it.then(|| self.claim_in(part, from, order, purpose)).flatten()
            });
            if let Some(range) = found {
                self.tell(Numbers::touched(range), Passing::Taken);
                return found;
            }
            from = 0;
            chunk = if chunk + 1 < chunks { chunk + 1 } else { 0 };
        }
        None
    }

    /// The state of the frame that `address` lies in, or `None` where there is no memory.
    #[must_use]
    pub fn state(&self, address: PhysAddr) -> Option<State> {
        self.banks.part_of(address.value() / FRAME_BYTES).map(|part| self.state_in(part))
    }

    /// The lowest frame that `range` touches and that is in `state`.
    ///
    /// It reads a word for each 128 MiB of `range`, and of those that were split the words below.
    #[expect(clippy::inline_always, reason = "it is a part of what asks before every change")]
    #[inline(always)]
    #[must_use]
    pub fn first_in(&self, state: State, range: PhysRange) -> Option<PhysAddr> {
        let frames = Numbers::touched(range);
        if frames.first == frames.last {
            let part = self.banks.part_of(frames.first)?;
            return (self.state_in(part) == state).then(|| address(frames.first));
        }
        match self.banks.part_with(frames) {
            Some(part) if self.is_none_by_top(part, state) => None,
            Some(part) => self.first_of(part, state).map(address),
            None => self.first_of_any(frames, state),
        }
    }

    /// The same, of frames that are not all in one chunk.
    #[inline(never)]
    fn first_of_any(&self, frames: Numbers, state: State) -> Option<PhysAddr> {
        if self.tops(frames).is_some_and(|tops| tops.iter().all(|top| is_none_in(top, state))) {
            return None;
        }
        let mut parts = self.banks.parts(frames);
        parts.find_map(|part| self.first_of(part, state)).map(address)
    }

    /// The whole frames of each bank of memory.
    pub fn banks(&self) -> impl Iterator<Item = PhysRange> {
        self.banks.ranges()
    }

    /// How many frames are in each state: two words are read for each chunk of 128 MiB. While other
    /// CPUs allocate or free, the counts are of slightly different moments.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let chunks = 0..self.banks.chunks();
        let free =
            chunks.filter_map(|chunk| self.part_of_chunk(chunk)).map(|part| self.free_in(part));
        let free = free.sum::<u64>();
        let used = self.used.load(Ordering::Relaxed);
        let table = self.table.load(Ordering::Relaxed);
        let taken = free.saturating_add(used).saturating_add(table);
        Counts { free, used, table, reserved: self.total.saturating_sub(taken) }
    }

    fn part_of_chunk(&self, chunk: u64) -> Option<Part> {
        let memory = self.banks.frames_of(chunk)?;
        Some(Part { chunk, memory, frames: memory })
    }

    fn counter(&self, purpose: Purpose) -> &AtomicU64 {
        match purpose {
            Purpose::Data => &self.used,
            Purpose::Table => &self.table,
        }
    }
}
