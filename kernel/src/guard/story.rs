//! What can be told of an address in a guard pool.

use core::fmt;

use blockmap::machine::{VirtAddr, VirtRange};

use super::{BUSY, GIVEN, Moment, POOL_BYTES, Pool, TAKEN, UNTOUCHED};
use crate::frames::FRAME_BYTES;
use crate::sync::Ordering;

/// What became of the object nearest to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Story {
    /// Where the address is.
    pub place: Spot,
    /// The object, by its number.
    pub number: u32,
    /// Its bytes, if it was ever taken.
    pub range: Option<VirtRange>,
    /// When it was taken last, if it ever was.
    pub taken: Option<Moment>,
    /// When it was given back, if it was since.
    pub given: Option<Moment>,
}

/// Where an address is, seen from an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// In its page.
    Inside,
    /// In the guard page after it: past its end.
    After,
    /// In the guard page before it: the first pages of the pool.
    Before,
}

impl Pool {
    /// What there is to tell of `address`; `None` if it is not in the pool that begins at `start`.
    #[must_use]
    pub fn story(&self, start: VirtAddr, address: VirtAddr) -> Option<Story> {
        let offset = address.offset_from(start).filter(|offset| *offset < POOL_BYTES)?;
        let page = offset / FRAME_BYTES;
        let (place, at) = match page {
            0 | 1 => (Spot::Before, start.wrapping_add(2 * FRAME_BYTES)),
            even if even.is_multiple_of(2) => (Spot::Inside, address),
            _ => (Spot::After, start.wrapping_add((page - 1) * FRAME_BYTES)),
        };
        let number =
            u32::try_from((at.offset_from(start)? / FRAME_BYTES).checked_sub(2)?).ok()? / 2;
        let kept = self.place(number)?;
        let (taken, given) = match kept.state.load(Ordering::Acquire) {
            UNTOUCHED => (None, None),
            TAKEN | BUSY => (Some(kept.taken.get()), None),
            GIVEN => (Some(kept.taken.get()), Some(kept.given.get())),
            _ => return None,
        };
        let range = taken.and(self.object_at(start, at)).map(|object| object.range);
        Some(Story { place, number, range, taken, given })
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Spot::Inside => {}
            Spot::After => f.write_str("the guard page after ")?,
            Spot::Before => f.write_str("the guard pages before ")?,
        }
        write!(f, "object {}", self.number)?;
        if let Some(range) = self.range {
            write!(f, ", {} bytes at {}", range.bytes(), range.start())?;
        }
        match self.taken {
            Some(Moment { cpu, ticks }) => write!(f, ": taken by CPU {cpu} at tick {ticks}")?,
            None => f.write_str(": never taken")?,
        }
        match self.given {
            Some(Moment { cpu, ticks }) => write!(f, ", given back by CPU {cpu} at tick {ticks}"),
            None => Ok(()),
        }
    }
}
