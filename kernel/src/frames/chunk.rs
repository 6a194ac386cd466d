//! A chunk's tree: finding a frame's state, and changing it.
#![expect(clippy::inline_always, reason = "of a tier that is constant little is left")]

use crate::sync::{AtomicU64, Ordering};

use super::{
    FRAMES_PER_WORD, Frames, Lanes, Numbers, Part, State, Tier, lanes_in, lowest, state_of,
};

/// What a lane above the frames says where the word below it says more.
pub(super) const SPLIT: State = State::Table;
/// In a chunk's summary: somebody splits a lane of it.
pub(super) const SPLITTING: u64 = 1 << 63;

/// Why no frame's state was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The first frame is in another state.
    Other,
    /// Another CPU splits a lane of the chunk.
    Splitting,
}

impl Frames<'_> {
    /// Writes the topmost word of each chunk: all its frames are free, and no others are there.
    pub(super) fn write_tops(&self) {
        for (chunk, summary) in (0..).zip(self.summaries) {
            summary.store(0, Ordering::Relaxed);
            if let Some(part) = self.part_of_chunk(chunk)
                && let Some(top) = self.word(part, Tier::Lines)
            {
                top.store(fresh(part, Tier::Lines, State::Free), Ordering::Relaxed);
            }
        }
    }

    #[inline]
    pub(super) fn summary(&self, part: Part) -> Option<&AtomicU64> {
        self.summaries.get(usize::try_from(part.chunk).ok()?)
    }

    /// The word of `tier` that has a lane for the first frame of `part`.
    #[inline(always)]
    pub(super) fn word(&self, part: Part, tier: Tier) -> Option<&AtomicU64> {
        let [frames, words, lines] = self.tiers;
        let tiers = match tier {
            Tier::Frames => frames,
            Tier::Words => words,
            Tier::Lines => lines,
        };
        let within = part.frames.first >> tier.word_bits() & (tier.words_of_chunk() - 1);
        tiers.get(usize::try_from(part.chunk * tier.words_of_chunk() + within).ok()?)
    }

    /// The topmost words of the chunks whose frames are `frames`, if these are all of them.
    #[inline]
    pub(super) fn tops(&self, frames: Numbers) -> Option<&[AtomicU64]> {
        let (first, last) = self.banks.whole_chunks(frames)?;
        let [.., lines] = self.tiers;
        lines.get(usize::try_from(first).ok()?..=usize::try_from(last).ok()?)
    }

    /// Whether the topmost word tells that no frame of `part` is in `state`.
    #[inline]
    pub(super) fn is_none_by_top(&self, part: Part, state: State) -> bool {
        let Numbers { first, last } = part.frames;
        let (first, last) = (Tier::Lines.lane(first), Tier::Lines.lane(last));
        let lanes = Lanes { first, count: last - first + 1 };
        self.word(part, Tier::Lines).is_some_and(|top| lanes_with(top, state) & lanes.mask() == 0)
    }

    /// The word of frames that has a lane for the first frame of `part`, if the lanes above are
    /// split.
    #[inline]
    pub(super) fn bottom(&self, part: Part) -> Option<&AtomicU64> {
        let is_split =
            self.lane(part, Tier::Lines) == SPLIT && self.lane(part, Tier::Words) == SPLIT;
        if is_split { self.word(part, Tier::Frames) } else { None }
    }

    /// How many frames of a chunk are free: never too few.
    pub(super) fn free_in(&self, chunk: Part) -> u64 {
        let counted = self.summary(chunk).map_or(0, |word| word.load(Ordering::Relaxed));
        let top = self.word(chunk, Tier::Lines).map_or(0, |word| word.load(Ordering::Relaxed));
        let bits = Tier::Lines.lane_bits();
        let lanes = chunk.memory.first >> bits..=chunk.memory.last >> bits;
        let whole = lanes.filter_map(|lane| {
            let frames = Numbers { first: lane << bits, last: (lane << bits) + ((1 << bits) - 1) };
            let is_free = state_of(top, Tier::Lines.lane(frames.first)) == State::Free;
            frames.both(chunk.memory).filter(|_| is_free).map(Numbers::count)
        });
        (counted & !SPLITTING) + whole.sum::<u64>()
    }

    /// Whether a chunk may have so many free frames.
    #[inline]
    pub(super) fn may_have(&self, chunk: Part, frames: u64) -> bool {
        let counted = self.summary(chunk).map_or(0, |word| word.load(Ordering::Relaxed));
        let top = self.word(chunk, Tier::Lines).map_or(0, |word| word.load(Ordering::Relaxed));
        counted & !SPLITTING >= frames || lanes_in(top, State::Free) != 0
    }

    /// The lowest tier that has a lane for the first frame of `part`, and what the lane says.
    #[inline]
    pub(super) fn look(&self, part: Part) -> (Tier, State) {
        // The tiers one by one, so that each is made of constants.
        let lines = self.lane(part, Tier::Lines);
        if lines != SPLIT {
            return (Tier::Lines, lines);
        }
        let words = self.lane(part, Tier::Words);
        if words != SPLIT {
            return (Tier::Words, words);
        }
        (Tier::Frames, self.lane(part, Tier::Frames))
    }

    /// What the lane of `tier` says that the first frame of `part` is in.
    #[inline(always)]
    pub(super) fn lane(&self, part: Part, tier: Tier) -> State {
        // Acquire: who sees a lane split sees the word below it.
        let word = self.word(part, tier).map_or(u64::MAX, |word| word.load(Ordering::Acquire));
        state_of(word, tier.lane(part.frames.first))
    }

    /// The state of the first frame of `part`.
    #[inline]
    pub(super) fn state_in(&self, part: Part) -> State {
        self.look(part).1
    }

    /// The lowest frame of `part` that is in `state`.
    #[inline(never)]
    pub(super) fn first_of(&self, part: Part, state: State) -> Option<u64> {
        let mut rest = Some(part);
        while let Some(part) = rest {
            match self.first_near(part, state) {
                Ok(found) => return found,
                Err(next) => rest = part.from(next),
            }
        }
        None
    }

    /// The lowest frame of `part` that is in `state`, if there is one by the words that say the
    /// first frame's; or else from where on to look.
    #[inline(always)]
    fn first_near(&self, part: Part, state: State) -> Result<Option<u64>, u64> {
        if let Some(found) = self.first_at(part, Tier::Lines, state) {
            return found;
        }
        if let Some(found) = self.first_at(part, Tier::Words, state) {
            return found;
        }
        self.first_at(part, Tier::Frames, state).unwrap_or(Ok(None))
    }

    /// The same by the word of one tier; `None` if a word below says it.
    #[inline(always)]
    fn first_at(&self, part: Part, tier: Tier, state: State) -> Option<Result<Option<u64>, u64>> {
        let found = self.word(part, tier).map_or(u64::MAX, |word| word.load(Ordering::Acquire));
        let first = part.frames.first;
        let lane = tier.lane(first);
        let wanted = if tier.can_say(state) { lanes_in(found, state) } else { 0 };
        let split = if tier == Tier::Frames { 0 } else { lanes_in(found, SPLIT) };
        let Some(next) = lowest((wanted | split) & Lanes::from(lane).mask()) else {
            return Some(Err(((first >> tier.word_bits()) + 1) << tier.word_bits()));
        };
        if next != lane {
            let lanes = u64::try_from(next - lane).unwrap_or(0);
            return Some(Err(tier.lane_start(first) + (lanes << tier.lane_bits())));
        }
        (split >> (2 * lane) & 1 == 0).then_some(Ok(Some(first)))
    }

    /// Puts the first frames of `part` from one state into another, as many as one word has lanes
    /// for. Returns the first frame after them.
    #[inline(always)]
    pub(super) fn step(&self, part: Part, from: State, to: State) -> Result<u64, Halt> {
        if let Some(done) = self.step_at(part, Tier::Lines, (from, to)) {
            return done;
        }
        if let Some(done) = self.step_at(part, Tier::Words, (from, to)) {
            return done;
        }
        self.step_at(part, Tier::Frames, (from, to)).unwrap_or(Err(Halt::Other))
    }

    /// The same in the word of one tier; `None` if the word below says the first frame's state.
    #[inline(always)]
    fn step_at(
        &self,
        part: Part,
        tier: Tier,
        (from, to): (State, State),
    ) -> Option<Result<u64, Halt>> {
        let word = self.word(part, tier)?;
        let lane = tier.lane(part.frames.first);
        let most = if tier.can_say(from) && tier.can_say(to) { tier.lanes(part) } else { 0 };
        loop {
            let found = word.load(Ordering::Acquire);
            let count = run_of(found, from, lane).min(most);
            if count > 0 {
                let lanes = Lanes { first: lane, count };
                match self.change((part, tier), (word, found), lanes, (from, to)) {
                    Some(next) => return Some(Ok(next)),
                    None => continue,
                }
            }
            let state = state_of(found, lane);
            if tier == Tier::Frames || state != SPLIT && state != from {
                return Some(Err(Halt::Other));
            }
            if state == SPLIT {
                return None;
            }
            if !self.split(part, tier, from) {
                return Some(Err(Halt::Splitting));
            }
        }
    }

    /// Changes lanes of a word that was found as told, and counts it. Returns the first frame after
    /// theirs; `None` if the word was changed meanwhile.
    #[inline(always)]
    fn change(
        &self,
        (part, tier): (Part, Tier),
        (word, found): (&AtomicU64, u64),
        lanes: Lanes,
        (from, to): (State, State),
    ) -> Option<u64> {
        let first = part.frames.first;
        let count = u64::try_from(lanes.count).unwrap_or(0) << tier.lane_bits();
        let next = (tier.lane_start(first) + count).min(part.memory.last + 1);
        let new = found & !lanes.mask() | lanes.in_state(to);
        // Summaries count what is free by the words below the topmost. They are raised before
        // frames are freed and lowered after they were taken: they are never too low.
        let is_counted = tier != Tier::Lines;
        let summary = self.summary(part).filter(|_| is_counted);
        if let Some(summary) = summary.filter(|_| to == State::Free) {
            summary.fetch_add(next - first, Ordering::Relaxed);
        }
        // Release: what the frames' owner did to them is done before anyone else gets them;
        // acquire: and the next owner starts after that.
        let changed = word.compare_exchange(found, new, Ordering::AcqRel, Ordering::Relaxed);
        let wrong = if changed.is_ok() { State::Free == from } else { State::Free == to };
        if let Some(summary) = summary.filter(|_| wrong) {
            summary.fetch_sub(next - first, Ordering::Relaxed);
        }
        changed.is_ok().then_some(next)
    }

    /// Splits the lane of `tier` that the first frame of `part` is in, if it says `state`. Tells
    /// whether another CPU kept it from that.
    #[cold]
    pub(super) fn split(&self, part: Part, tier: Tier, state: State) -> bool {
        // The tiers one by one, so that each is made of constants.
        match tier {
            Tier::Frames => false,
            Tier::Words => self.split_at(part, Tier::Words, state),
            Tier::Lines => self.split_at(part, Tier::Lines, state),
        }
    }

    #[inline(always)]
    fn split_at(&self, part: Part, tier: Tier, state: State) -> bool {
        let Some((summary, below)) = self.summary(part).zip(tier.below()) else { return false };
        let Some((word, child)) = self.word(part, tier).zip(self.word(part, below)) else {
            return false;
        };
        if summary.fetch_or(SPLITTING, Ordering::Acquire) & SPLITTING != 0 {
            return false;
        }
        let lane = Lanes { first: tier.lane(part.frames.first), count: 1 };
        let is_still = |found: u64| state_of(found, lane.first) == state;
        let mut found = word.load(Ordering::Acquire);
        if is_still(found) {
            // Nobody else writes the word below before the lane is split.
            child.store(fresh(part, below, state), Ordering::Relaxed);
            let all = Numbers {
                first: tier.lane_start(part.frames.first),
                last: tier.lane_end(part.frames.first) - 1,
            };
            let frames = all.both(part.memory).map_or(0, Numbers::count);
            let is_counted = tier == Tier::Lines && state == State::Free;
            let counted = if is_counted { frames } else { 0 };
            summary.fetch_add(counted, Ordering::Relaxed);
            while is_still(found) {
                let new = found & !lane.mask() | lane.in_state(SPLIT);
                match word.compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => break,
                    Err(now) => found = now,
                }
            }
            if !is_still(found) {
                summary.fetch_sub(counted, Ordering::Relaxed);
            }
        }
        summary.fetch_and(!SPLITTING, Ordering::Release);
        true
    }

    /// Puts all frames of `part`, which are in one state, into another; or none, and says which is in
    /// another state. Meanwhile some may be in either.
    pub(super) fn put(&self, part: Part, from: State, to: State) -> Result<(), u64> {
        let mut rest = Some(part);
        while let Some(left) = rest {
            match self.step(left, from, to) {
                Ok(next) => rest = left.from(next),
                Err(Halt::Splitting) => (self.relax)(),
                Err(Halt::Other) => {
                    let first = left.frames.first;
                    if first > part.frames.first {
                        let done = Numbers { last: first - 1, ..part.frames };
                        self.put_back(Part { frames: done, ..part }, to, from);
                    }
                    return Err(first);
                }
            }
        }
        Ok(())
    }

    /// Puts frames back into the state that they were in: they are nobody's but the caller's, so
    /// that there is nothing else that they could be in.
    pub(super) fn put_back(&self, part: Part, from: State, to: State) {
        let mut rest = Some(part);
        while let Some(left) = rest {
            match self.step(left, from, to) {
                Ok(next) => rest = left.from(next),
                Err(Halt::Splitting) => (self.relax)(),
                Err(Halt::Other) => return,
            }
        }
    }
}

/// Whether a topmost word tells that no frame of its chunk is in `state`.
#[inline]
pub(super) fn is_none_in(top: &AtomicU64, state: State) -> bool {
    lanes_with(top, state) == 0
}

/// The low bits of the lanes of a topmost word of whose frames some may be in `state`.
#[inline]
fn lanes_with(top: &AtomicU64, state: State) -> u64 {
    let found = top.load(Ordering::Acquire);
    let wanted = if Tier::Lines.can_say(state) { lanes_in(found, state) } else { 0 };
    wanted | lanes_in(found, SPLIT)
}

/// A word of `tier` of whose frames all that are memory are in `state`: those of the word that has a
/// lane for the first frame of `part`. The others are reserved.
#[inline(always)]
pub(super) fn fresh(part: Part, tier: Tier, state: State) -> u64 {
    let base = part.frames.first >> tier.word_bits() << tier.word_bits();
    let all = Numbers { first: base, last: base + ((1 << tier.word_bits()) - 1) };
    let Some(memory) = all.both(part.memory) else { return u64::MAX };
    let (first, last) = (tier.lane(memory.first), tier.lane(memory.last));
    let lanes = Lanes { first, count: last + 1 - first };
    !lanes.mask() | lanes.in_state(state)
}

/// How many lanes of `word`, from `lane` on, are in `state`.
#[inline]
fn run_of(word: u64, state: State, lane: usize) -> usize {
    let others = !lanes_in(word, state) & Lanes::from(lane).lows();
    lowest(others).unwrap_or(FRAMES_PER_WORD) - lane
}
