//! Areas that were freed wait for each other: TLBs forget all of them at once.
//!
//! Until then neither their addresses nor their frames are used for anything else. They are purged when
//! there are [`MOST_RETIRED`] of them, when they have [`MOST_RETIRED_BYTES`], when addresses or frames are
//! short, and when somebody asks for it.

use core::mem;

use blockmap::machine::VirtRange;
use blockmap::{Retired, UnmapError};

use crate::lock::Lock;
use crate::memory::system::System;

/// How many areas wait at most.
const MOST_RETIRED: usize = 16;

/// How much memory waits at most: what is retired beyond it is purged at once.
const MOST_RETIRED_BYTES: u64 = 32 << 20;

/// Areas that TLBs may still translate.
#[derive(Debug)]
pub(crate) struct Waiting {
    areas: Lock<[Option<Retired>; MOST_RETIRED]>,
}

impl Waiting {
    /// Nothing waits.
    pub(crate) const fn new() -> Self {
        Self { areas: Lock::new([const { None }; MOST_RETIRED]) }
    }

    /// Adds an area; gives it back if there is no room.
    fn add(&self, retired: Retired) -> Result<u64, Retired> {
        let mut areas = self.areas.lock();
        let Some(place) = areas.iter_mut().find(|place| place.is_none()) else {
            return Err(retired);
        };
        *place = Some(retired);
        Ok(areas.iter().flatten().map(|one| one.range().bytes()).sum())
    }

    /// All of them: nothing waits any more.
    fn take(&self) -> [Option<Retired>; MOST_RETIRED] {
        mem::replace(&mut *self.areas.lock(), [const { None }; MOST_RETIRED])
    }
}

impl System<'_> {
    /// Takes an area out of use that the caller took: it is freed when it is purged.
    pub(super) fn retire(&self, area: VirtRange) -> Result<(), UnmapError> {
        self.recording().intend_later(area);
        let retired = self.space().retire(area);
        self.recording().ended(&retired.as_ref().map(drop));
        let mut retired = retired?;
        self.areas().lock().retire(area.start());
        loop {
            match self.waiting().add(retired) {
                Ok(bytes) if bytes < MOST_RETIRED_BYTES => return Ok(()),
                Ok(_) => {
                    self.purge();
                    return Ok(());
                }
                Err(again) => {
                    self.purge();
                    retired = again;
                }
            }
        }
    }

    /// Has all TLBs forget the areas that were freed, and frees their addresses and their frames. Says
    /// how many there were.
    pub(crate) fn purge(&self) -> usize {
        let mut retired = self.waiting().take();
        let ranges = retired.each_ref().map(|one| one.as_ref().map(Retired::range));
        let count = ranges.iter().flatten().count();
        if count == 0 {
            return 0;
        }
        ranges.iter().flatten().for_each(|range| self.recording().intend_unmap(*range));
        self.space().purge(&mut retired, |memory| self.free_data(memory));
        self.recording().add(blockmap_kernel::trace::Record::Achieved);
        let mut areas = self.areas().lock();
        for range in ranges.into_iter().flatten() {
            areas.give_back(range.start());
        }
        count
    }
}
