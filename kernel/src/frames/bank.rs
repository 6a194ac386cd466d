//! Where a frame's state is kept: banks of memory, each with whole chunks of the bitmap.

use blockmap::machine::{PhysAddr, PhysRange};

use super::{CHUNK_FRAMES, FRAME_BYTES, FramesError, MAX_BANKS};

/// The whole frames of one bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bank {
    /// The number of the first frame: its address by the frame's size.
    first: u64,
    /// The number of the last.
    last: u64,
    /// The first of its chunks, counted over all banks.
    chunk: u64,
}

impl Bank {
    /// The last of its chunks, counted over all banks.
    const fn last_chunk(&self) -> u64 {
        self.chunk + (self.last / CHUNK_FRAMES - self.first / CHUNK_FRAMES)
    }
}

/// The whole frames in a range, from number to number, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Numbers {
    /// The frames that lie in `range` entirely, if there are any.
    fn inside(range: PhysRange) -> Option<Self> {
        let first = range.start().align_up(FRAME_BYTES)?.value() / FRAME_BYTES;
        let end = match range.end().value() {
            0 => 1 << (u64::BITS - FRAME_BYTES.trailing_zeros()),
            end => end / FRAME_BYTES,
        };
        let last = end.checked_sub(1)?;
        (first <= last).then_some(Self { first, last })
    }

    /// The frames that `range` touches.
    pub(super) const fn touched(range: PhysRange) -> Self {
        Self {
            first: range.start().value() / FRAME_BYTES,
            last: range.last().value() / FRAME_BYTES,
        }
    }

    /// The numbers in both.
    pub(super) fn both(self, other: Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(Self { first, last })
    }

    /// How many.
    pub(super) const fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

/// All banks, ascending, disjoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Banks {
    banks: [Bank; MAX_BANKS],
    count: usize,
}

impl Banks {
    /// The whole frames of `ranges`, which may come in any order.
    pub(super) fn new(ranges: &[PhysRange]) -> Result<Self, FramesError> {
        let mut banks = Self { banks: [Bank { first: 0, last: 0, chunk: 0 }; MAX_BANKS], count: 0 };
        for range in ranges {
            if let Some(numbers) = Numbers::inside(*range) {
                banks.insert(numbers, ranges.len())?;
            }
        }
        let mut chunk = 0;
        for bank in banks.banks.get_mut(..banks.count).unwrap_or_default() {
            bank.chunk = chunk;
            chunk = bank.last_chunk() + 1;
        }
        Ok(banks)
    }

    fn insert(&mut self, frames: Numbers, ranges: usize) -> Result<(), FramesError> {
        let at = self.all().partition_point(|bank| bank.first < frames.first);
        let before = at.checked_sub(1).and_then(|before| self.all().get(before));
        if before.is_some_and(|bank| bank.last >= frames.first)
            || self.all().get(at).is_some_and(|bank| bank.first <= frames.last)
        {
            return Err(FramesError::Overlap(address(frames.first)));
        }
        let had = self.count;
        let Some(tail) = self.banks.get_mut(at..=had) else {
            return Err(FramesError::TooManyBanks(ranges));
        };
        tail.rotate_right(1);
        if let Some(bank) = tail.first_mut() {
            *bank = Bank { first: frames.first, last: frames.last, chunk: 0 };
        }
        self.count = had + 1;
        Ok(())
    }

    fn all(&self) -> &[Bank] {
        self.banks.get(..self.count).unwrap_or_default()
    }

    /// The whole frames of each bank.
    pub(super) fn ranges(&self) -> impl Iterator<Item = PhysRange> {
        self.all().iter().filter_map(|bank| {
            let bytes = (bank.last - bank.first + 1).checked_mul(FRAME_BYTES)?;
            PhysRange::new(address(bank.first), bytes)
        })
    }

    /// How many chunks all banks have together.
    pub(super) fn chunks(&self) -> u64 {
        self.all().last().map_or(0, |bank| bank.last_chunk() + 1)
    }

    /// The frames that a chunk keeps the states of: those of one bank in one naturally aligned
    /// stretch of memory.
    pub(super) fn frames_of(&self, chunk: u64) -> Option<Numbers> {
        let after = self.all().partition_point(|bank| bank.chunk <= chunk);
        let bank = self.all().get(after.checked_sub(1)?)?;
        let base = (bank.first / CHUNK_FRAMES + (chunk - bank.chunk)) * CHUNK_FRAMES;
        Numbers { first: base, last: base + (CHUNK_FRAMES - 1) }
            .both(Numbers { first: bank.first, last: bank.last })
    }

    /// How many frames all banks have together.
    pub(super) fn frames(&self) -> u64 {
        self.all().iter().map(|bank| bank.last - bank.first + 1).sum()
    }

    /// The frame `number` in its chunk, or `None` if it is in no bank.
    #[inline]
    pub(super) fn part_of(&self, number: u64) -> Option<Part> {
        let has_it = |bank: &&Bank| bank.first <= number && number <= bank.last;
        let bank = self.all().iter().find(has_it)?;
        let base = number / CHUNK_FRAMES * CHUNK_FRAMES;
        let memory = Numbers {
            first: base.max(bank.first),
            last: (base | (CHUNK_FRAMES - 1)).min(bank.last),
        };
        let chunk = bank.chunk + (number / CHUNK_FRAMES - bank.first / CHUNK_FRAMES);
        Some(Part { chunk, memory, frames: Numbers { first: number, last: number } })
    }

    /// `frames`, if one chunk has all of them.
    #[inline]
    pub(super) fn part_with(&self, frames: Numbers) -> Option<Part> {
        let part = self.part_of(frames.first).filter(|part| frames.last <= part.memory.last)?;
        Some(Part { frames, ..part })
    }

    /// The numbers of the first and last of neighbouring chunks whose frames are `frames`, if these
    /// are all of them.
    #[inline]
    pub(super) fn whole_chunks(&self, frames: Numbers) -> Option<(u64, u64)> {
        let is_whole = (frames.first | frames.last.wrapping_add(1)) & (CHUNK_FRAMES - 1) == 0;
        let covers = |bank: &&Bank| bank.first <= frames.first && frames.last <= bank.last;
        let bank = self.all().iter().find(covers).filter(|_| is_whole)?;
        let chunk = |number: u64| bank.chunk + (number / CHUNK_FRAMES - bank.first / CHUNK_FRAMES);
        Some((chunk(frames.first), chunk(frames.last)))
    }

    /// `frames`, as far as they are memory, chunk by chunk from the lowest up.
    #[inline]
    pub(super) fn parts(&self, frames: Numbers) -> Parts<'_> {
        Parts { banks: self.all(), frames }
    }
}

/// Frames of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The chunk's number.
    pub(super) chunk: u64,
    /// All of its frames.
    pub(super) memory: Numbers,
    /// Those that are meant.
    pub(super) frames: Numbers,
}

impl Part {
    /// Those that are meant, from `first` on; `None` if there are no more.
    #[inline]
    pub(super) fn from(self, first: u64) -> Option<Self> {
        let frames = Numbers { first, ..self.frames };
        (first <= frames.last).then_some(Self { frames, ..self })
    }
}

/// Frames by their chunks.
#[derive(Clone, Debug)]
pub(super) struct Parts<'a> {
    /// Those banks that may have some of them.
    banks: &'a [Bank],
    /// Those that are left.
    frames: Numbers,
}

impl Iterator for Parts<'_> {
    type Item = Part;

    #[inline]
    fn next(&mut self) -> Option<Part> {
        while let [bank, rest @ ..] = self.banks {
            let all = Numbers { first: bank.first, last: bank.last };
            match all.both(self.frames) {
                Some(left) => {
                    let base = left.first / CHUNK_FRAMES * CHUNK_FRAMES;
                    let chunk = bank.chunk + (base / CHUNK_FRAMES - bank.first / CHUNK_FRAMES);
                    let whole = Numbers { first: base, last: base + (CHUNK_FRAMES - 1) };
                    let last = left.last.min(whole.last);
                    self.frames.first = last + 1;
                    let frames = Numbers { first: left.first, last };
                    return all.both(whole).map(|memory| Part { chunk, memory, frames });
                }
                None => self.banks = rest,
            }
        }
        None
    }
}

/// The first byte of the frame `number`.
pub(super) const fn address(number: u64) -> PhysAddr {
    PhysAddr::new(number * FRAME_BYTES)
}
