//! Which addresses of a range are given out: areas, each followed by a page that never is.
//!
//! ```
//! use blockmap::machine::{VirtAddr, VirtRange};
//! use blockmap_kernel::areas::Areas;
//!
//! let start = VirtAddr::new(0xffff_8001_0000_0000);
//! let mut areas = Areas::new(VirtRange::new(start, 1 << 30).expect("not empty"));
//! let first = areas.take(0x3000).expect("room for three pages");
//! let second = areas.take(0x1000).expect("room for one more");
//! assert_eq!(second.start(), first.end().wrapping_add(0x1000));
//! assert_eq!(areas.give_back(first.start()), Some(first));
//! ```

#[cfg(test)]
mod tests;

use blockmap::machine::{VirtAddr, VirtRange};
use thiserror::Error;

use crate::frames::FRAME_BYTES;

/// How many areas there can be at a time.
pub const MOST_AREAS: usize = 256;

/// Areas of at least this size start at a multiple of it, so that blocks can map them.
const BLOCK_BYTES: u64 = 2 << 20;

/// Why there is no area. None was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AreaError {
    /// An area is a number of pages, and not of none.
    #[error("{0} bytes are not a number of pages above 0")]
    NotPages(u64),
    /// No gap is large enough.
    #[error("no {0} bytes of addresses are free in one piece")]
    NoAddresses(u64),
    /// There are [`MOST_AREAS`] already.
    #[error("there are {MOST_AREAS} areas already: free one first")]
    TooMany,
}

/// The areas of one range of addresses.
#[derive(Debug)]
pub struct Areas {
    within: VirtRange,
    /// The first `count` are areas, in ascending order.
    sorted: [VirtRange; MOST_AREAS],
    count: usize,
}

impl Areas {
    /// All of `within` is free; its start is a multiple of 2 MiB.
    #[must_use]
    pub const fn new(within: VirtRange) -> Self {
        Self { within, sorted: [within; MOST_AREAS], count: 0 }
    }

    /// Takes the lowest free addresses that `bytes` fit into, guard page and alignment included:
    /// the largest power of two that is not above `bytes`, up to 2 MiB.
    ///
    /// # Errors
    /// See [`AreaError`].
    pub fn take(&mut self, bytes: u64) -> Result<VirtRange, AreaError> {
        if bytes == 0 || !bytes.is_multiple_of(FRAME_BYTES) {
            return Err(AreaError::NotPages(bytes));
        }
        if self.count == MOST_AREAS {
            return Err(AreaError::TooMany);
        }
        let align = (1 << bytes.ilog2()).min(BLOCK_BYTES);
        let (place, area) = (0..=self.count)
            .find_map(|place| Some((place, self.fit(place, bytes, align)?)))
            .ok_or(AreaError::NoAddresses(bytes))?;
        self.count += 1;
        if let Some(from_here) = self.sorted.get_mut(place..self.count) {
            from_here.rotate_right(1);
            if let Some(first) = from_here.first_mut() {
                *first = area;
            }
        }
        Ok(area)
    }

    /// The area that starts at `start`.
    #[must_use]
    pub fn at(&self, start: VirtAddr) -> Option<VirtRange> {
        self.taken().iter().copied().find(|area| area.start() == start)
    }

    /// Gives the area back that starts at `start`; `None` if none does, and nothing changes.
    pub fn give_back(&mut self, start: VirtAddr) -> Option<VirtRange> {
        let place = self.taken().iter().position(|area| area.start() == start)?;
        let area = self.sorted.get(place).copied();
        self.sorted.get_mut(place..self.count)?.rotate_left(1);
        self.count -= 1;
        area
    }

    /// All areas, in ascending order.
    #[must_use]
    pub fn taken(&self) -> &[VirtRange] {
        self.sorted.get(..self.count).unwrap_or_default()
    }

    /// Where `bytes` fit between the area before `place` and the one at it.
    fn fit(&self, place: usize, bytes: u64, align: u64) -> Option<VirtRange> {
        let before = place.checked_sub(1).and_then(|before| self.taken().get(before));
        let free = match before {
            Some(before) => before.last().checked_add(1 + FRAME_BYTES)?,
            None => self.within.start(),
        };
        let start = free.checked_add(align - 1)?.align_down(align);
        // What follows is another area or the end of the range; the guard page is before it.
        let last = start.checked_add(bytes)?.checked_add(FRAME_BYTES - 1)?;
        let is_free = match self.taken().get(place) {
            Some(next) => last < next.start(),
            None => last <= self.within.last(),
        };
        VirtRange::new(start, bytes).filter(|_| is_free)
    }
}
