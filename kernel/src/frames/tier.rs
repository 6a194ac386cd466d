//! The tiers of a chunk's tree: how many frames a lane stands for.
#![expect(clippy::inline_always, reason = "of a tier that is constant little is left")]

use super::{CHUNK_FRAMES, FRAMES_PER_WORD, Part, State, WORD_ORDER};

/// What the lanes of a word stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// A frame each.
    Frames,
    /// A word of the tier below each: 32 frames.
    Words,
    /// 32 words of the tier below each: 1024 frames.
    Lines,
}

impl Tier {
    /// All, from the frames up.
    pub(super) const UP: [Self; 3] = [Self::Frames, Self::Words, Self::Lines];
    /// Log2 of the frames that a lane stands for.
    #[inline(always)]
    pub(super) const fn lane_bits(self) -> u32 {
        match self {
            Self::Frames => 0,
            Self::Words => WORD_ORDER,
            Self::Lines => 2 * WORD_ORDER,
        }
    }

    /// Log2 of the frames that a word stands for.
    #[inline(always)]
    pub(super) const fn word_bits(self) -> u32 {
        self.lane_bits() + WORD_ORDER
    }

    /// Words of this tier that a chunk has.
    #[inline(always)]
    pub(super) const fn words_of_chunk(self) -> u64 {
        let words = CHUNK_FRAMES >> self.word_bits();
        if words == 0 { 1 } else { words }
    }

    /// The tier below; `None` below the frames.
    #[inline(always)]
    pub(super) const fn below(self) -> Option<Self> {
        match self {
            Self::Frames => None,
            Self::Words => Some(Self::Frames),
            Self::Lines => Some(Self::Words),
        }
    }

    /// The lane for the frame `number`.
    #[inline(always)]
    pub(super) fn lane(self, number: u64) -> usize {
        usize::try_from(number >> self.lane_bits()).unwrap_or(0) % FRAMES_PER_WORD
    }

    /// The first frame of the lane that the frame `number` is in.
    #[inline(always)]
    pub(super) const fn lane_start(self, number: u64) -> u64 {
        number >> self.lane_bits() << self.lane_bits()
    }

    /// The first frame above the lane that the frame `number` is in.
    #[inline(always)]
    pub(super) const fn lane_end(self, number: u64) -> u64 {
        self.lane_start(number) + (1 << self.lane_bits())
    }

    /// Whether a lane can say that all its frames are in `state`. Above the frames, what would be a
    /// table is a lane that is split.
    #[inline(always)]
    pub(super) const fn can_say(self, state: State) -> bool {
        match (self, state) {
            (Self::Frames, _) | (_, State::Free | State::Used | State::Reserved) => true,
            (Self::Words | Self::Lines, State::Table) => false,
        }
    }

    /// How many lanes of one word, from that of the first frame of `part` on, have no frames but
    /// those of `part`.
    #[inline(always)]
    pub(super) fn lanes(self, part: Part) -> usize {
        let (first, last) = (part.frames.first, part.frames.last);
        let lane = self.lane(first);
        let start = self.lane_start(first).max(part.memory.first);
        if first != start {
            return 0;
        }
        let end = if last == part.memory.last { self.lane_end(last) } else { last + 1 };
        let lanes = (end >> self.lane_bits()) - (first >> self.lane_bits());
        usize::try_from(lanes).unwrap_or(0).min(FRAMES_PER_WORD - lane)
    }
}
