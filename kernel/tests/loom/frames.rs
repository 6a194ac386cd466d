//! The frames: each has one owner at a time, who sees what the last one did.

use blockmap::machine::{PhysAddr, PhysRange};
use blockmap_kernel::frames::{Counts, FRAME_BYTES, Frames, Purpose, State, bytes_needed};
use blockmap_kernel::sync::{AtomicU64, Ordering};
use loom::sync::Arc;

use super::{every_order, on_another_cpu, overtaken};

const START: u64 = 0x4000_0000;

fn frame(number: u64) -> PhysAddr {
    PhysAddr::new(START + number * FRAME_BYTES)
}

fn range(first: u64, count: u64) -> PhysRange {
    PhysRange::new(frame(first), count * FRAME_BYTES).unwrap()
}

/// `count` frames, all free. Their states live as long as the program: what they are made of is
/// loom's, which knows nothing of a run's end.
fn frames(count: u64) -> Frames<'static> {
    let banks = [range(0, count)];
    let words = bytes_needed(&banks).unwrap() / 8;
    let storage: Box<[AtomicU64]> = (0..words).map(|_| AtomicU64::new(0xdead)).collect();
    Frames::new(Box::leak(storage), &banks).unwrap().waiting_by(loom::thread::yield_now)
}

/// The same after the first use of each.
fn used_frames(count: u64) -> Frames<'static> {
    let frames = frames(count);
    let first = frames.allocate(Purpose::Data).unwrap();
    frames.free(Purpose::Data, first).unwrap();
    frames
}

/// Frames, and a word in the memory of each of the first two.
struct Memory {
    frames: Frames<'static>,
    contents: [AtomicU64; 2],
}

impl Memory {
    fn new(frames: Frames<'static>) -> Arc<Self> {
        Arc::new(Self { frames, contents: [0; 2].map(AtomicU64::new) })
    }

    /// Takes a frame, adds to what it holds without care for others, and gives it back. Tells
    /// whether there was one.
    fn use_one(&self) -> bool {
        let Some(taken) = self.frames.allocate(Purpose::Data) else { return false };
        let content = &self.contents[usize::from(taken != frame(0))];
        content.store(content.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.frames.free(Purpose::Data, taken).unwrap();
        true
    }

    fn uses(&self) -> u64 {
        self.contents.each_ref().map(|word| word.load(Ordering::Relaxed)).iter().sum()
    }
}

const fn counts(free: u64, used: u64, table: u64) -> Counts {
    Counts { free, used, table, reserved: 0 }
}

#[test]
fn no_frame_is_handed_out_twice() {
    every_order(|| {
        let frames = Arc::new(used_frames(2));
        let cpu = on_another_cpu(&frames, |frames| {
            assert!(frames.allocate(Purpose::Table).is_some());
        });
        let own = frames.allocate(Purpose::Data).unwrap();
        cpu.join().unwrap();
        assert_eq!(frames.state(own), Some(State::Used));
        assert_eq!(frames.allocate(Purpose::Data), None);
        assert_eq!(frames.counts(), counts(0, 1, 1));
    });
}

#[test]
fn the_next_owner_sees_what_the_last_one_did() {
    every_order(|| {
        let memory = Memory::new(used_frames(1));
        let cpu = on_another_cpu(&memory, |memory| {
            memory.use_one();
        });
        let own = memory.use_one();
        cpu.join().unwrap();
        // One of them may have come while the other had the only frame.
        assert!(own || memory.uses() == 1);
        assert!(memory.use_one());
        assert_eq!(memory.frames.counts(), counts(1, 0, 0));
    });
}

#[test]
fn two_that_use_two_frames_lose_nothing() {
    overtaken(2, || {
        let memory = Memory::new(used_frames(2));
        let cpu = on_another_cpu(&memory, |memory| assert!(memory.use_one()));
        assert!(memory.use_one());
        cpu.join().unwrap();
        assert_eq!(memory.uses(), 2);
        assert_eq!(memory.frames.counts(), counts(2, 0, 0));
    });
}

#[test]
fn the_first_use_of_a_chunk_is_made_once() {
    overtaken(3, || {
        let frames = Arc::new(frames(2));
        let cpu = on_another_cpu(&frames, |frames| {
            // While another CPU writes the states there may seem to be no frame.
            let _one = frames.allocate(Purpose::Data);
        });
        let own = frames.allocate(Purpose::Data);
        cpu.join().unwrap();
        let had = frames.counts();
        assert!(own.is_some() || had.used == 1, "neither had a frame");
        assert_eq!(had.free + had.used, 2);
        let rest = core::iter::from_fn(|| frames.allocate(Purpose::Data)).count();
        assert_eq!(u64::try_from(rest).unwrap(), had.free);
    });
}

#[test]
fn a_frame_is_freed_once() {
    every_order(|| {
        let frames = Arc::new(used_frames(2));
        let taken = frames.allocate_block(Purpose::Data, 1).unwrap();
        let freed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&freed);
        let cpu = on_another_cpu(&frames, move |frames| {
            if frames.free(Purpose::Data, taken.start()).is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let both = frames.free_block(Purpose::Data, taken).is_ok();
        cpu.join().unwrap();
        let one = freed.load(Ordering::Relaxed) == 1;
        assert!(both != one, "together: {both}, the first alone: {one}");
        assert_eq!(frames.counts(), if both { counts(2, 0, 0) } else { counts(1, 1, 0) });
    });
}

#[test]
fn what_is_set_aside_is_nobodys() {
    overtaken(3, || {
        let frames = Arc::new(used_frames(2));
        let cpu = on_another_cpu(&frames, |frames| {
            let _one = frames.allocate(Purpose::Data);
        });
        let reserved = frames.reserve(range(0, 1));
        cpu.join().unwrap();
        let state = frames.state(frame(0));
        assert_eq!(reserved.is_ok(), state == Some(State::Reserved), "{reserved:?} {state:?}");
        let counts = frames.counts();
        assert_eq!(counts.free + counts.used + counts.reserved, 2);
    });
}

#[test]
fn a_claim_misses_no_table() {
    overtaken(3, || {
        let frames = Arc::new(frames(2));
        let cpu = on_another_cpu(&frames, |frames| frames.allocate(Purpose::Table));
        let seen = frames.claim_free(range(0, 2));
        assert_eq!(cpu.join().unwrap(), seen);
    });
}

#[test]
fn a_claim_of_one_frame_tells_that_it_is_a_table() {
    overtaken(3, || {
        let frames = Arc::new(frames(2));
        // So that the lanes are split, and each frame has one of its own.
        assert_eq!(frames.claim_free(range(0, 1)), None);
        let cpu = on_another_cpu(&frames, |frames| frames.allocate(Purpose::Table));
        let seen = frames.claim_free(range(1, 1));
        assert_eq!(cpu.join().unwrap(), seen);
    });
}

#[test]
fn what_is_claimed_while_it_is_split_is_claimed_once() {
    overtaken(3, || {
        let frames = Arc::new(frames(2));
        let cpu = on_another_cpu(&frames, |frames| frames.allocate(Purpose::Table));
        frames.claim_free(range(0, 2));
        let table = cpu.join().unwrap();
        assert_eq!(frames.allocate(Purpose::Data), None, "a frame was left");
        let tables = u64::from(table.is_some());
        assert_eq!(frames.counts(), counts(0, 2 - tables, tables));
    });
}

#[test]
fn a_frame_is_claimed_once_out_of_what_is_whole() {
    overtaken(3, || {
        let frames = Arc::new(frames(2));
        let cpu = on_another_cpu(&frames, |frames| frames.allocate(Purpose::Table));
        let seen = frames.claim_free(range(1, 1));
        let table = cpu.join().unwrap();
        // Who meets somebody who splits may go without.
        assert_eq!(seen, table.filter(|table| *table == frame(1)));
        assert_ne!(frames.state(frame(1)), Some(State::Free), "it was not claimed");
        let tables = u64::from(table.is_some());
        let used = u64::from(seen.is_none());
        assert_eq!(frames.counts(), counts(2 - tables - used, used, tables));
    });
}
