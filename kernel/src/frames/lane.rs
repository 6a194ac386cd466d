//! Sixty-four bits as 32 lanes of two: the states of 32 neighbouring frames.

use super::State;

/// Frames whose states one word holds.
pub(super) const FRAMES_PER_WORD: usize = 32;
/// Log2 of [`FRAMES_PER_WORD`].
pub(super) const WORD_ORDER: u32 = 5;
/// The low bit of every lane.
const LOW: u64 = 0x5555_5555_5555_5555;

impl State {
    /// The state as the two bits of a lane. Free is zero, so that giving frames back needs no
    /// comparison.
    pub(super) const fn code(self) -> u64 {
        match self {
            Self::Free => 0,
            Self::Used => 1,
            Self::Table => 2,
            Self::Reserved => 3,
        }
    }

    const fn of_code(code: u64) -> Self {
        match code & 3 {
            0 => Self::Free,
            1 => Self::Used,
            2 => Self::Table,
            _ => Self::Reserved,
        }
    }
}

/// Neighbouring lanes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes {
    /// Below 32.
    pub(super) first: usize,
    /// From 1 up to 32 − `first`.
    pub(super) count: usize,
}

impl Lanes {
    /// The lanes from `first` on up to the word's end.
    #[inline]
    pub(super) const fn from(first: usize) -> Self {
        Self { first, count: FRAMES_PER_WORD - first % FRAMES_PER_WORD }
    }

    /// The low bit of each of the lanes.
    #[inline]
    pub(super) const fn lows(self) -> u64 {
        self.mask() & LOW
    }

    /// Both bits of each of the lanes.
    #[inline]
    pub(super) const fn mask(self) -> u64 {
        let low = match self.count {
            0 => 0,
            count if count < FRAMES_PER_WORD => (1 << (2 * count)) - 1,
            _ => u64::MAX,
        };
        low << (2 * (self.first % FRAMES_PER_WORD))
    }

    /// A word whose lanes here are in `state` and whose other lanes are zero.
    pub(super) const fn in_state(self, state: State) -> u64 {
        self.mask() & (LOW * state.code())
    }
}

/// The low bit of each lane of `word` that is in `state`.
pub(super) const fn lanes_in(word: u64, state: State) -> u64 {
    let differs = word ^ (LOW * state.code());
    !(differs | differs >> 1) & LOW
}

/// The state in a lane of `word`.
pub(super) const fn state_of(word: u64, lane: usize) -> State {
    State::of_code(word >> (2 * (lane % FRAMES_PER_WORD)))
}

/// The lowest lane of those whose low bit `set` has, if there is one.
pub(super) fn lowest(set: u64) -> Option<usize> {
    let bit = usize::try_from(set.trailing_zeros()).ok()?;
    (bit < 64).then_some(bit / 2)
}

/// The lowest run of 2^`order` free lanes of `word` that starts at a multiple of its length;
/// `order` is at most [`WORD_ORDER`].
pub(super) fn free_run(word: u64, order: u32) -> Option<Lanes> {
    let mut starts = lanes_in(word, State::Free);
    for half in 0..order.min(WORD_ORDER) {
        starts &= starts >> (2 << half);
    }
    // The lanes at multiples of the run's length: 2 << order bits apart.
    let aligned = match order {
        0 => LOW,
        1 => 0x1111_1111_1111_1111,
        2 => 0x0101_0101_0101_0101,
        3 => 0x0001_0001_0001_0001,
        4 => 0x0000_0001_0000_0001,
        _ => 1,
    };
    lowest(starts & aligned).map(|first| Lanes { first, count: 1 << order })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_starts_at_a_multiple_of_its_length() {
        for order in 0..=WORD_ORDER {
            for taken in 0..FRAMES_PER_WORD {
                let word = Lanes { first: 0, count: taken }.in_state(State::Used);
                let length = 1 << order;
                let expected = taken.next_multiple_of(length);
                let found = free_run(word, order).map(|lanes| lanes.first);
                let fits = expected + length <= FRAMES_PER_WORD;
                assert_eq!(found, fits.then_some(expected), "order {order}, {taken} taken");
            }
        }
    }

    #[test]
    fn every_state_is_found_where_it_was_put() {
        for state in State::ALL {
            for lane in 0..FRAMES_PER_WORD {
                let other = if state == State::Free { u64::MAX } else { 0 };
                let lanes = Lanes { first: lane, count: 1 };
                let word = other & !lanes.mask() | lanes.in_state(state);
                assert_eq!(state_of(word, lane), state);
                assert_eq!(lowest(lanes_in(word, state)), Some(lane));
            }
        }
    }
}
