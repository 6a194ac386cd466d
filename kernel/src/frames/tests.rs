//! The allocator against a plain map of frames, and its promises one by one.

extern crate std;

use std::collections::BTreeMap;
use std::string::ToString;
use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn range(start: u64, bytes: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), bytes).unwrap()
}

/// The words of a chunk: for each frame, for 32, for 1024, and a count.
const CHUNK_BYTES: u64 = (1024 + 32 + 1 + 1) * 8;

const LEFT_OVER: u64 = 0xdead_beef_dead_beef;

/// Storage for the states of `banks`, full of what the last user left there.
fn storage(banks: &[PhysRange]) -> Vec<AtomicU64> {
    let words = usize::try_from(bytes_needed(banks).unwrap() / 8).unwrap();
    (0..words).map(|_| AtomicU64::new(LEFT_OVER)).collect()
}

#[test]
fn a_large_machine_touches_only_summaries() {
    assert_eq!(bytes_needed(&[range(0x4000_0000, 4096 * GIB)]), Ok(4096 * 8 * CHUNK_BYTES));
    let banks = [range(0x4000_0000, 256 * GIB)];
    let words = storage(&banks);
    let frames = Frames::new(&words, &banks).unwrap();
    assert!(frames.allocate(Purpose::Data).is_some());
    assert!(frames.reserve(range(0x4000_0000 + 32 * GIB, 64 * GIB)).is_ok());
    let old = |word: &&AtomicU64| word.load(Ordering::Relaxed) == LEFT_OVER;
    let touched = words.len() - words.iter().filter(old).count();
    assert_eq!(touched, 256 * 8 * 2 + 2, "two words a chunk, and those above one frame");
    assert_eq!(frames.counts().reserved, 64 * GIB / FRAME_BYTES);
    assert_eq!(frames.counts().free, 192 * GIB / FRAME_BYTES - 1);
}

#[test]
fn a_hole_of_terabytes_needs_no_states() {
    let near = range(0, 128 * MIB);
    let far = range(1 << 47, 128 * MIB);
    assert_eq!(bytes_needed(&[far, near]), Ok(2 * CHUNK_BYTES));
}

#[test]
fn frames_that_are_not_the_callers_are_not_freed() {
    let banks = [range(0x4000_0800, 2 * MIB)];
    let words = storage(&banks);
    let frames = Frames::new(&words, &banks).unwrap();
    let never = frames.free(Purpose::Data, PhysAddr::new(0x4000_1000)).unwrap_err();
    assert_eq!(never.to_string(), "the frame at 0x40001000 is Free, not Used");
    frames.reserve(range(0x4010_0000, 0x1000)).unwrap();
    let data = frames.allocate(Purpose::Data).unwrap();
    assert_eq!(data, PhysAddr::new(0x4000_1000), "banks are rounded inward");
    let not = |frame, found, expected| Err(FreeError::NotAllocated { frame, found, expected });
    let reserved = PhysAddr::new(0x4010_0000);
    let table = frames.allocate(Purpose::Table).unwrap();
    let free = |purpose, frame| frames.free(purpose, frame);
    assert_eq!(free(Purpose::Data, table), not(table, State::Table, State::Used));
    assert_eq!(free(Purpose::Data, reserved), not(reserved, State::Reserved, State::Used));
    assert_eq!(free(Purpose::Data, data), Ok(()));
    assert_eq!(free(Purpose::Data, data), not(data, State::Free, State::Used));
    let outside = PhysAddr::new(0x4000_0000);
    assert_eq!(free(Purpose::Data, outside), Err(FreeError::NotMemory(outside)));
    let odd = range(0x4000_1000, 0x1001);
    assert_eq!(frames.free_block(Purpose::Data, odd), Err(FreeError::NotFrames(odd)));
    let both = range(0x4000_1000, 0x2000);
    assert!(frames.free_block(Purpose::Table, both).is_err());
    assert_eq!(frames.state(table), Some(State::Table), "a refused free changes nothing");
    assert_eq!(frames.first_in(State::Table, banks[0]), Some(table));
    assert_eq!(frames.first_in(State::Reserved, banks[0]), Some(reserved));
    let counts = Counts { free: 509, used: 0, table: 1, reserved: 1 };
    assert_eq!(frames.counts(), counts);
}

#[test]
fn banks_and_storage_that_do_not_do_are_refused() {
    let new = |banks: &[PhysRange]| bytes_needed(banks).unwrap_err();
    let overlapping = [range(0, MIB), range(MIB - 0x1000, MIB)];
    assert_eq!(new(&overlapping), FramesError::Overlap(PhysAddr::new(MIB - 0x1000)));
    let many: Vec<_> = (0..129).map(|bank| range(bank * GIB, MIB)).collect();
    assert_eq!(new(&many), FramesError::TooManyBanks(129));
    assert!(matches!(Frames::new(&[], &[range(1, 0x1000)]), Err(FramesError::NoMemory)));
    let (needed, had) = (CHUNK_BYTES, 0);
    let too_little = FramesError::TooLittleStorage { needed, had };
    assert_eq!(Frames::new(&[], &[range(0, MIB)]).unwrap_err(), too_little);
}

#[test]
fn threads_never_share_a_frame() {
    let banks = [range(0, 16 * MIB), range(1 << 40, 3 * MIB)];
    let words = storage(&banks);
    let frames = Frames::new(&words, &banks).unwrap();
    // Interpreted, each turn takes a thousand times as long.
    let turns = if cfg!(miri) { 24 } else { 4000_usize };
    let take = || {
        let mut mine = Vec::new();
        for turn in 0..turns {
            mine.extend(frames.allocate_block(Purpose::Data, u32::from(turn % 5 == 0)));
            if turn % 3 == 0
                && let Some(at) = turn.checked_rem(mine.len())
            {
                let freed = mine.swap_remove(at);
                frames.free_block(Purpose::Data, freed).unwrap();
            }
        }
        mine
    };
    let taken = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mut seen: Vec<_> = taken.iter().map(|range| (range.start(), range.last())).collect();
    seen.sort_unstable();
    assert!(seen.windows(2).all(|pair| pair[0].1 < pair[1].0), "two owners of one frame");
    let owned: u64 = taken.iter().map(|range| range.bytes() / FRAME_BYTES).sum();
    assert_eq!(frames.counts().used, owned);
}

/// Something done to the allocator; numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate(Purpose, u32),
    Free(Purpose, usize),
    Reserve(u64, u64),
    Claim(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let purpose = prop_oneof![Just(Purpose::Data), Just(Purpose::Table)];
    let order = prop_oneof![4 => 0_u32..3, 1 => 3..9_u32, 1 => 9..=16_u32];
    vec(
        prop_oneof![
            5 => (purpose.clone(), order).prop_map(|(purpose, order)| Step::Allocate(purpose, order)),
            4 => (purpose, any::<usize>()).prop_map(|(purpose, which)| Step::Free(purpose, which)),
            1 => (any::<u64>(), 1..400 * FRAME_BYTES).prop_map(|(at, bytes)| Step::Reserve(at, bytes)),
            1 => (any::<u64>(), 1..3000 * FRAME_BYTES).prop_map(|(at, bytes)| Step::Claim(at, bytes)),
        ],
        1..120,
    )
}

fn banks() -> impl Strategy<Value = Vec<PhysRange>> {
    let bytes = prop_oneof![3 => 0x1000_u64..2 * MIB, 1 => 0x1000..14 * MIB];
    let bank = (0_u64..40, bytes, 0_u64..0x3000);
    vec(bank, 1..5).prop_map(|banks| {
        let mut start = 0x3ff0_0000;
        let each = banks.into_iter().map(|(gap, bytes, offset)| {
            let bank = range(start + gap * 16 * MIB + offset, bytes);
            start = bank.end().value();
            bank
        });
        each.collect()
    })
}

/// The states of all frames, as plainly as can be.
type Plain = BTreeMap<u64, State>;

fn plain(banks: &[PhysRange]) -> Plain {
    let frames = banks.iter().flat_map(|bank| {
        let first = bank.start().value().div_ceil(FRAME_BYTES);
        first..(bank.end().value() / FRAME_BYTES).max(first)
    });
    frames.map(|frame| (frame, State::Free)).collect()
}

fn is_in(plain: &Plain, block: PhysRange, state: State) -> bool {
    let mut numbers = block.start().value() / FRAME_BYTES..=block.last().value() / FRAME_BYTES;
    numbers.all(|number| plain.get(&number) == Some(&state))
}

fn put(plain: &mut Plain, block: PhysRange, state: State) {
    let numbers = block.start().value() / FRAME_BYTES..=block.last().value() / FRAME_BYTES;
    plain.range_mut(numbers).for_each(|(_, now)| *now = state);
}

/// A range that starts in a frame of memory.
fn somewhere(plain: &Plain, at: u64, bytes: u64) -> PhysRange {
    let number = usize::try_from(at % 4096).unwrap() % plain.len();
    range(plain.keys().nth(number).unwrap() * FRAME_BYTES + at % FRAME_BYTES, bytes)
}

/// Does one step to both and compares what came of it.
fn step(frames: &Frames<'_>, plain: &mut Plain, owned: &mut Vec<PhysRange>, step: Step) {
    match step {
        Step::Allocate(purpose, order) => {
            if let Some(block) = frames.allocate_block(purpose, order) {
                assert_eq!(block.bytes(), FRAME_BYTES << order);
                assert!(block.start().is_aligned(block.bytes()));
                assert!(is_in(plain, block, State::Free), "{block} was not free");
                put(plain, block, purpose.state());
                owned.push(block);
            } else {
                let aligned = plain.keys().filter(|frame| **frame % (1 << order) == 0);
                let mut blocks =
                    aligned.map(|frame| range(frame * FRAME_BYTES, FRAME_BYTES << order));
                assert!(order > MAX_ORDER || !blocks.any(|block| is_in(plain, block, State::Free)));
            }
        }
        Step::Free(purpose, which) => {
            if let Some(at) = which.checked_rem(owned.len()) {
                let block = owned[at];
                let may = is_in(plain, block, purpose.state());
                assert_eq!(frames.free_block(purpose, block).is_ok(), may);
                if may {
                    put(plain, block, State::Free);
                    // Every second block stays in the list, to be freed twice.
                    if which % 2 == 0 {
                        owned.swap_remove(at);
                    }
                }
            }
        }
        Step::Claim(at, bytes) => {
            let block = somewhere(plain, at, bytes);
            frames.claim_free(block);
            let numbers = block.start().value() / FRAME_BYTES..=block.last().value() / FRAME_BYTES;
            for (frame, state) in plain.range_mut(numbers).filter(|(_, now)| **now == State::Free) {
                *state = State::Used;
                // Some of them are freed one by one, and perhaps twice.
                if frame % 5 == 0 {
                    owned.push(range(frame * FRAME_BYTES, FRAME_BYTES));
                }
            }
        }
        Step::Reserve(at, bytes) => {
            let block = somewhere(plain, at, bytes);
            let start = block.start().value();
            let numbers = start / FRAME_BYTES..=block.last().value() / FRAME_BYTES;
            let holder = plain
                .range(numbers.clone())
                .find(|(_, state)| matches!(state, State::Used | State::Table));
            let end = holder.map_or(*numbers.end() + 1, |(frame, _)| *frame);
            let result =
                holder.map_or(Ok(()), |(frame, _)| Err(ReserveError::Allocated(address(*frame))));
            assert_eq!(frames.reserve(block), result);
            for (_, state) in plain.range_mut(*numbers.start()..end) {
                *state = State::Reserved;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_sequence_does_what_a_plain_map_of_frames_says(banks in banks(), steps in steps()) {
        let words = storage(&banks);
        let mut plain = plain(&banks);
        let frames = match Frames::new(&words, &banks) {
            Ok(frames) => frames,
            Err(error) => {
                prop_assert_eq!(error, FramesError::NoMemory);
                return Ok(());
            }
        };
        let mut owned = Vec::new();
        for one in steps {
            step(&frames, &mut plain, &mut owned, one);
        }
        for (frame, state) in &plain {
            prop_assert_eq!(frames.state(address(*frame)), Some(*state));
        }
        let count = |state| plain.values().filter(|now| **now == state).count();
        let counts = frames.counts();
        prop_assert_eq!(usize::try_from(counts.free).unwrap(), count(State::Free));
        prop_assert_eq!(usize::try_from(counts.used).unwrap(), count(State::Used));
        prop_assert_eq!(usize::try_from(counts.table).unwrap(), count(State::Table));
        prop_assert_eq!(usize::try_from(counts.reserved).unwrap(), count(State::Reserved));
    }
}

#[test]
fn the_first_frame_in_a_state_is_found_whatever_words_say_it() {
    let banks = [range(0x4000_1000, 20 * MIB)];
    let words = storage(&banks);
    let frames = Frames::new(&words, &banks).unwrap();
    for order in [10, 5, 0] {
        assert!(frames.allocate_block(Purpose::Data, order).is_some());
        assert!(frames.allocate_block(Purpose::Table, 0).is_some());
    }
    frames.reserve(range(0x4110_0000, 0x2000)).unwrap();
    let frame = |number: u64| PhysAddr::new(0x4000_0000 + number * FRAME_BYTES);
    for first in (0..=20 * MIB / FRAME_BYTES).step_by(97) {
        for count in [1, 2, 31, 32, 500, 1024, 3000] {
            let looked_at = range(frame(first).value(), count * FRAME_BYTES);
            for state in State::ALL {
                let mut each = (first..first + count).map(frame);
                let found = each.find(|frame| frames.state(*frame) == Some(state));
                assert_eq!(frames.first_in(state, looked_at), found, "{state:?}: {looked_at}");
            }
        }
    }
}

#[test]
fn free_frames_are_claimed_around_those_that_have_an_owner() {
    let banks = [range(0x4000_0000, 64 * MIB)];
    let words = storage(&banks);
    let frames = Frames::new(&words, &banks).unwrap();
    let table = frames.allocate(Purpose::Table).unwrap();
    frames.reserve(range(0x4000_3000, 0x2000)).unwrap();
    frames.claim_free(range(0x4000_0000, 2 * MIB));
    assert_eq!(frames.state(table), Some(State::Table));
    assert_eq!(frames.counts(), Counts { free: 15872, used: 509, table: 1, reserved: 2 });
    let next = frames.allocate(Purpose::Table).unwrap();
    assert!(next.value() >= 0x4020_0000, "{next} was claimed");
}

#[test]
fn a_gib_is_claimed_by_its_topmost_words_alone() {
    let banks = [range(0x4000_0000, 4 * GIB)];
    let words = storage(&banks);
    let frames = Frames::new(&words, &banks).unwrap();
    frames.claim_free(range(0x8000_0000, GIB));
    let old = |word: &&AtomicU64| word.load(Ordering::Relaxed) == LEFT_OVER;
    let touched = words.len() - words.iter().filter(old).count();
    assert_eq!(touched, 32 * 2);
    assert_eq!(frames.counts().used, GIB / FRAME_BYTES);
    // What was taken together is given back one by one.
    let one = PhysAddr::new(0x8123_4000);
    assert_eq!(frames.free(Purpose::Data, one), Ok(()));
    assert_eq!(frames.state(one), Some(State::Free));
    assert_eq!(frames.first_in(State::Free, range(0x8000_0000, GIB)), Some(one));
    assert_eq!(frames.counts().used, GIB / FRAME_BYTES - 1);
    assert_eq!(frames.counts().free, 3 * GIB / FRAME_BYTES + 1);
}
