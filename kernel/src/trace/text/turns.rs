//! Locks as programs say them: each with the number of times it was let go of before.

use core::fmt;

use super::super::{Edge, Record, Recording};
use crate::entrance::ROOT_LOCK;

/// How often each lock was let go of, by anybody, among the first records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    of_lock: [u32; 64],
    counted: usize,
}

impl Default for Turns {
    fn default() -> Self {
        Self { of_lock: [0; 64], counted: 0 }
    }
}

impl Turns {
    /// Counts up to the record with this number; the numbers never fall.
    pub(super) fn count(&mut self, recording: &Recording<'_>, number: usize) {
        let more = recording.records_from(self.counted).take(number.saturating_sub(self.counted));
        for (_, record) in more {
            let Record::Edge(Edge::LetsGo(locks)) = record else { continue };
            for (lock, turns) in (0..).zip(&mut self.of_lock) {
                *turns += u32::from(has(locks, lock));
            }
        }
        self.counted = number;
    }

    /// Takes these locks, a bit each: a line for each.
    pub(super) const fn taking(&self, locks: u64) -> Taking<'_> {
        Taking { locks, turns: self }
    }

    fn of(&self, lock: u32) -> u32 {
        usize::try_from(lock).ok().and_then(|lock| self.of_lock.get(lock)).copied().unwrap_or(0)
    }
}

/// The lines of a CPU that takes locks.
pub(super) struct Taking<'a> {
    locks: u64,
    turns: &'a Turns,
}

impl fmt::Display for Taking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each(self.locks).enumerate().try_for_each(|(place, lock)| {
            let turn = self.turns.of(lock);
            write!(f, "{}lock {} {turn}", separator(place), Lock(lock))
        })
    }
}

/// The lines of a CPU that lets go of locks, a bit each.
pub(super) struct LettingGo(pub(super) u64);

impl fmt::Display for LettingGo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each(self.0)
            .enumerate()
            .try_for_each(|(place, lock)| write!(f, "{}unlock {}", separator(place), Lock(lock)))
    }
}

const fn separator(place: usize) -> &'static str {
    if place == 0 { "" } else { "\n" }
}

const fn has(locks: u64, lock: u32) -> bool {
    locks >> lock & 1 != 0
}

/// The locks of a set, from the lowest up.
fn each(locks: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |lock| has(locks, *lock))
}

/// A lock by its name.
struct Lock(u32);

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ROOT_LOCK => write!(f, "root"),
            slot => write!(f, "slot{slot}"),
        }
    }
}
