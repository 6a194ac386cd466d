//! Memory that could be there and is not: kept out at boot, or taken away since.

use blockmap::machine::PhysRange;
use thiserror::Error;

/// How many ranges there can be.
pub const MOST_RANGES: usize = 32;

/// There are [`MOST_RANGES`] already, and none that the new one touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("memory is absent in {MOST_RANGES} ranges already: add some of it first")]
pub struct TooMany;

/// Ranges of memory, disjoint, none of which touches another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    ranges: [Option<PhysRange>; MOST_RANGES],
}

impl Absent {
    /// All memory is there.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: [None; MOST_RANGES] }
    }

    /// All ranges, in no order.
    pub fn ranges(&self) -> impl Iterator<Item = PhysRange> {
        self.ranges.iter().copied().flatten()
    }

    /// `range`, which is there until now, is absent.
    ///
    /// # Errors
    /// There is no room; nothing was changed.
    pub fn add(&mut self, range: PhysRange) -> Result<(), TooMany> {
        let mut whole = range;
        let mut joined = [false; MOST_RANGES];
        for (place, joined) in self.ranges.iter().zip(&mut joined) {
            if let Some(both) = place.and_then(|one| join(one, whole)) {
                (whole, *joined) = (both, true);
            }
        }
        // One that touches it from below may come after one that does so from above.
        for (place, joined) in self.ranges.iter_mut().zip(joined) {
            if joined {
                *place = None;
            }
        }
        let free = self.ranges.iter_mut().find(|place| place.is_none()).ok_or(TooMany)?;
        *free = Some(whole);
        Ok(())
    }

    /// `range`, all of which is absent, is there from now on. Tells whether it was absent, and there
    /// is room for what is left; otherwise nothing was changed.
    pub fn take(&mut self, range: PhysRange) -> bool {
        let mut new = self.clone();
        let covers = |place: &&mut Option<PhysRange>| place.is_some_and(|one| one.covers(range));
        let Some(whole) = new.ranges.iter_mut().find(covers).and_then(Option::take) else {
            return false;
        };
        let below = range.start().offset_from(whole.start());
        let above = whole.last().offset_from(range.last());
        let parts = [
            below.and_then(|bytes| PhysRange::new(whole.start(), bytes)),
            above.and_then(|bytes| PhysRange::new(range.end(), bytes)),
        ];
        for part in parts.into_iter().flatten() {
            let Some(free) = new.ranges.iter_mut().find(|place| place.is_none()) else {
                return false;
            };
            *free = Some(part);
        }
        *self = new;
        true
    }
}

impl Default for Absent {
    fn default() -> Self {
        Self::new()
    }
}

/// Both as one, if they touch.
fn join(one: PhysRange, other: PhysRange) -> Option<PhysRange> {
    let touch = one.end() == other.start() || other.end() == one.start() || one.overlaps(other);
    let (start, last) = (one.start().min(other.start()), one.last().max(other.last()));
    touch.then(|| PhysRange::inclusive(start, last)).flatten()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use blockmap::machine::PhysAddr;

    use super::*;

    fn range(start: u64, bytes: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), bytes).unwrap()
    }

    fn sorted(absent: &Absent) -> Vec<PhysRange> {
        let mut all: Vec<PhysRange> = absent.ranges().collect();
        all.sort_by_key(|range| range.start());
        all
    }

    #[test]
    fn what_is_there_again_leaves_what_is_not() {
        let mut absent = Absent::new();
        absent.add(range(0x1000, 0x9000)).unwrap();
        assert!(!absent.take(range(0x9000, 0x2000)) && !absent.take(range(0, 0x2000)));
        assert!(absent.take(range(0x3000, 0x1000)));
        assert_eq!(sorted(&absent), [range(0x1000, 0x2000), range(0x4000, 0x6000)]);
        assert!(!absent.take(range(0x3000, 0x1000)));
        absent.add(range(0x3000, 0x1000)).unwrap();
        assert_eq!(sorted(&absent), [range(0x1000, 0x9000)]);
        assert!(absent.take(range(0x1000, 0x9000)));
        assert_eq!(sorted(&absent), []);
    }

    #[test]
    fn one_range_too_many_changes_nothing() {
        let mut absent = Absent::new();
        for number in 0..32 {
            absent.add(range(number * 0x10_000, 0x3000)).unwrap();
        }
        let before = absent.clone();
        assert_eq!(absent.add(range(0x8000, 0x1000)), Err(TooMany));
        assert!(!absent.take(range(0x1000, 0x1000)));
        assert_eq!(absent, before);
        assert!(absent.take(range(0, 0x1000)));
        absent.add(range(0x3000, 0xd000)).unwrap();
        assert_eq!(sorted(&absent).len(), 31);
    }
}
