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

/// Areas of at least this size start at a multiple of it, so that runs of blocks can map them.
const RUN_BYTES: u64 = 32 << 20;

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

/// Why an area is not to be used. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UseError {
    /// No area holds all of this range.
    #[error("no area holds {0}")]
    NoArea(VirtRange),
    /// No area starts here.
    #[error("no area starts at {0}")]
    NoStart(VirtAddr),
    /// Somebody else has this area, for a while or for good.
    #[error("the area at {0} is in use by its owner, or is being changed: try again")]
    Taken(VirtAddr),
}

/// Who may do what with an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Whoever took it changes it, and nobody else.
    Taken,
    /// Nobody changes it: whoever knows its address may take it.
    Settled,
    /// It is unmapped, and what it was may still be in TLBs: addresses and memory wait for a purge.
    Retired,
}

/// An area, and who may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Its addresses, without the page that follows them.
    pub range: VirtRange,
    /// Who may do what with it.
    pub stage: Stage,
}

/// The areas of one range of addresses.
#[derive(Debug)]
pub struct Areas {
    within: VirtRange,
    /// The first `count` are areas, in ascending order.
    sorted: [Area; MOST_AREAS],
    count: usize,
}

impl Areas {
    /// All of `within` is free; its start is a multiple of 32 MiB.
    #[must_use]
    pub const fn new(within: VirtRange) -> Self {
        let none = Area { range: within, stage: Stage::Taken };
        Self { within, sorted: [none; MOST_AREAS], count: 0 }
    }

    /// Takes the lowest free addresses that `bytes` fit into, guard page and alignment included:
    /// the largest power of two that is not above `bytes`, up to 32 MiB.
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
        let align = (1 << bytes.ilog2()).min(RUN_BYTES);
        let (place, area) = (0..=self.count)
            .find_map(|place| Some((place, self.fit(place, bytes, align)?)))
            .ok_or(AreaError::NoAddresses(bytes))?;
        self.count += 1;
        if let Some(from_here) = self.sorted.get_mut(place..self.count) {
            from_here.rotate_right(1);
            if let Some(first) = from_here.first_mut() {
                *first = Area { range: area, stage: Stage::Taken };
            }
        }
        Ok(area)
    }

    /// Nobody changes the area that starts at `start` any more, which the caller took: whoever knows
    /// it may take it.
    pub fn settle(&mut self, start: VirtAddr) {
        self.enter(start, Stage::Settled);
    }

    /// The area that starts at `start`, which the caller took, is unmapped and waits for a purge.
    pub fn retire(&mut self, start: VirtAddr) {
        self.enter(start, Stage::Retired);
    }

    /// Takes the settled area that starts at `start`.
    ///
    /// # Errors
    /// See [`UseError`].
    pub fn take_at(&mut self, start: VirtAddr) -> Result<VirtRange, UseError> {
        self.take_if(|area| area.range.start() == start, UseError::NoStart(start))
    }

    /// Takes the settled area that holds all of `part`.
    ///
    /// # Errors
    /// See [`UseError`].
    pub fn take_around(&mut self, part: VirtRange) -> Result<VirtRange, UseError> {
        self.take_if(|area| area.range.covers(part), UseError::NoArea(part))
    }

    fn take_if(
        &mut self,
        is_it: impl Fn(&Area) -> bool,
        none: UseError,
    ) -> Result<VirtRange, UseError> {
        let area = self.live().iter_mut().find(|area| is_it(area)).ok_or(none)?;
        match area.stage {
            Stage::Settled => {
                area.stage = Stage::Taken;
                Ok(area.range)
            }
            Stage::Taken => Err(UseError::Taken(area.range.start())),
            Stage::Retired => Err(none),
        }
    }

    fn enter(&mut self, start: VirtAddr, stage: Stage) {
        if let Some(area) = self.live().iter_mut().find(|area| area.range.start() == start) {
            area.stage = stage;
        }
    }

    fn live(&mut self) -> &mut [Area] {
        self.sorted.get_mut(..self.count).unwrap_or_default()
    }

    /// Gives the area back that starts at `start`; `None` if none does, and nothing changes.
    pub fn give_back(&mut self, start: VirtAddr) -> Option<VirtRange> {
        let place = self.all().iter().position(|area| area.range.start() == start)?;
        let area = self.sorted.get(place).map(|area| area.range);
        self.sorted.get_mut(place..self.count)?.rotate_left(1);
        self.count -= 1;
        area
    }

    /// All areas, in ascending order.
    #[must_use]
    pub fn all(&self) -> &[Area] {
        self.sorted.get(..self.count).unwrap_or_default()
    }

    /// Where `bytes` fit between the area before `place` and the one at it.
    fn fit(&self, place: usize, bytes: u64, align: u64) -> Option<VirtRange> {
        let before = place.checked_sub(1).and_then(|before| self.all().get(before));
        let free = match before {
            Some(before) => before.range.last().checked_add(1 + FRAME_BYTES)?,
            None => self.within.start(),
        };
        let start = free.checked_add(align - 1)?.align_down(align);
        // What follows is another area or the end of the range; the guard page is before it.
        let last = start.checked_add(bytes)?.checked_add(FRAME_BYTES - 1)?;
        let is_free = match self.all().get(place) {
            Some(next) => last < next.range.start(),
            None => last <= self.within.last(),
        };
        VirtRange::new(start, bytes).filter(|_| is_free)
    }
}
