//! Memory that comes and goes.

extern crate std;

use std::vec::Vec;

use super::super::{Counts, Purpose};
use super::*;
use crate::sync::AtomicU64;

const START: u64 = 1 << 30;

fn range(start: u64, bytes: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), bytes).unwrap()
}

/// One bank of 512 MiB, of which the upper half is set aside.
fn with_frames(check: impl FnOnce(&Frames<'_>)) {
    let storage: Vec<AtomicU64> = (0..1 << 14).map(|_| AtomicU64::new(7)).collect();
    let frames = Frames::new(&storage, &[range(START, 512 << 20)]).unwrap();
    frames.reserve(range(START + (256 << 20), 256 << 20)).unwrap();
    check(&frames);
}

const HALF: u64 = (256 << 20) / FRAME_BYTES;

#[test]
fn what_was_set_aside_from_the_beginning_is_there_when_it_is_released() {
    with_frames(|frames| {
        let first = range(START + (256 << 20) + 5 * FRAME_BYTES, 200 << 20);
        frames.release(first).unwrap();
        let count = (200 << 20) / FRAME_BYTES;
        let expected = Counts { free: HALF + count, reserved: HALF - count, ..Counts::default() };
        assert_eq!(frames.counts(), expected);
        assert_eq!(frames.state(first.start()), Some(State::Free));
        assert_eq!(frames.state(PhysAddr::new(START + (256 << 20))), Some(State::Reserved));
        let again = frames.release(first);
        assert!(matches!(again, Err(FreeError::NotAllocated { found: State::Free, .. })));
        frames.withdraw(first).unwrap();
        assert_eq!(frames.counts().free, HALF);
    });
}

#[test]
fn the_first_frame_in_use_is_named_and_nothing_is_withdrawn() {
    with_frames(|frames| {
        let used = range(START + (130 << 20), FRAME_BYTES);
        frames.claim(Purpose::Data, used).unwrap();
        let before = frames.counts();
        let all = range(START, 256 << 20);
        let refused = WithdrawError::InUse { frame: used.start(), found: State::Used };
        assert_eq!(frames.withdraw(all), Err(refused));
        assert_eq!(frames.counts(), before);
        let beyond = frames.withdraw(range(START + (255 << 20), 2 << 20));
        let frame = PhysAddr::new(START + (256 << 20));
        assert_eq!(beyond, Err(WithdrawError::InUse { frame, found: State::Reserved }));
        let outside = frames.withdraw(range(0, 4096));
        assert_eq!(outside, Err(FreeError::NotMemory(PhysAddr::new(0)).into()));
        let ragged = range(START + 1, 4096);
        assert_eq!(frames.withdraw(ragged), Err(FreeError::NotFrames(ragged).into()));
        frames.free(Purpose::Data, used.start()).unwrap();
        frames.withdraw(all).unwrap();
        assert_eq!(frames.counts().free, 0);
        assert_eq!(frames.allocate(Purpose::Data), None);
    });
}
