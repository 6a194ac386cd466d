//! Counting what operations cost: cycles, instructions and ticks, while the monitor asks for it.
//!
//! The boot CPU counts, which runs the monitor. On an emulator that counts instructions each of them
//! takes one cycle, and the figures repeat.

use core::sync::atomic::{AtomicU64, Ordering};

use blockmap_hw::{Counters, Reading};
use spin::Once;
use thiserror::Error;

use crate::lock::Lock;

/// The CPU can't count.
#[derive(Clone, Copy, Debug, Error)]
#[error("this CPU has no cycle counter of the architecture's kind")]
pub(crate) struct NoCounter;

/// The counter, once somebody asked for it.
static COUNTER: Once<Counters> = Once::new();

/// What reading the counter twice in a row comes to; all ones while nothing is counted.
static OVERHEAD: AtomicU64 = AtomicU64::new(OFF);

const OFF: u64 = u64::MAX;

/// What reading all counters twice in a row comes to.
static OF_ALL: Lock<Reading> = Lock::new(NOTHING);

const NOTHING: Reading = Reading { cycles: 0, instructions: None, ticks: 0 };

/// Counts from now on.
///
/// # Errors
/// There is nothing to count with.
pub(crate) fn begin() -> Result<(), NoCounter> {
    COUNTER.try_call_once(|| Counters::begin().ok_or(NoCounter))?;
    OVERHEAD.store(0, Ordering::Relaxed);
    let begun = now();
    OVERHEAD.store(now().wrapping_sub(begun), Ordering::Relaxed);
    let begun = read();
    let all = read().since(begun);
    *OF_ALL.lock() = all;
    Ok(())
}

/// Counts no more.
pub(crate) fn end() {
    OVERHEAD.store(OFF, Ordering::Relaxed);
}

/// Whether somebody wants to know.
pub(crate) fn is_on() -> bool {
    OVERHEAD.load(Ordering::Relaxed) != OFF
}

/// What the counter says; zero while nothing is counted. It takes the same time wherever it is
/// called.
#[inline(never)]
pub(crate) fn now() -> u64 {
    if !is_on() {
        return 0;
    }
    COUNTER.get().map_or(0, |counter| counter.cycles())
}

/// The cycles from one reading to another, without those that reading takes.
pub(crate) fn between(begun: u64, ended: u64) -> u64 {
    ended.wrapping_sub(begun).saturating_sub(OVERHEAD.load(Ordering::Relaxed))
}

/// What all counters say: nothing where there are none. It takes the same time wherever it is called.
#[inline(never)]
pub(crate) fn read() -> Reading {
    COUNTER.get().map_or(NOTHING, |counters| counters.read())
}

/// What passed from one reading of all counters to another, without what reading takes.
pub(crate) fn passed(begun: Reading, ended: Reading) -> Reading {
    ended.since(begun).without(*OF_ALL.lock())
}
