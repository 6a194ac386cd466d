//! A guard pool: objects that each have a page for themselves, between pages that nobody may touch,
//! so that an access past an object's end or after its time faults, and can be told whose it was.
//!
//! Here is which object is where, and what became of it; who has the pages made valid and invalid is
//! the kernel's business. Nothing here waits: everything can be asked from any context.
//!
//! ```
//! use blockmap::machine::VirtAddr;
//! use blockmap_kernel::guard::{Moment, Pool};
//!
//! let pool = Pool::new();
//! let start = VirtAddr::new(0xffff_0000_4000_0000);
//! let object = pool.take((start, 40), Moment { cpu: 0, ticks: 100 })?;
//! // It ends where its page ends.
//! assert_eq!(object.range.end(), object.page.end());
//! pool.give_back((start, object.range.start()), Moment { cpu: 1, ticks: 250 })?;
//! let story = pool.story(start, object.range.start()).expect("it is in the pool");
//! assert_eq!(
//!     story.to_string(),
//!     "object 0, 40 bytes at 0xffff000040002fd8: taken by CPU 0 at tick 100, \
//!      given back by CPU 1 at tick 250"
//! );
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod exchange;
mod story;

use blockmap::machine::{VirtAddr, VirtRange};
use thiserror::Error;

use crate::frames::FRAME_BYTES;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

pub use exchange::Exchange;
pub use story::{Spot, Story};

/// Objects of a pool.
pub const OBJECTS: u32 = 255;

/// Bytes of a pool: two guard pages, then a page and a guard page for each object.
pub const POOL_BYTES: u64 = (2 + 2 * 255) * FRAME_BYTES;

/// What objects start at a multiple of, unless they are larger than a page without what is left.
const ALIGNMENT: u64 = 8;

/// Who did something, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The number of the CPU.
    pub cpu: u32,
    /// What its counter said.
    pub ticks: u64,
}

/// An object: nobody else has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its number.
    pub number: u32,
    /// Its bytes, which end at most 7 bytes before the page's end.
    pub range: VirtRange,
    /// The page that it has for itself.
    pub page: VirtRange,
}

/// Why there is no object. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TakeError {
    /// An object fits in a page, and is not empty.
    #[error("an object of {0} bytes is none of a guard pool: 1 to 4096 are possible")]
    Bytes(u64),
    /// All are taken.
    #[error("all {OBJECTS} objects of the guard pool are taken")]
    Full,
}

/// Why an object was not given back. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GiveError {
    /// No object starts there, or started when it was last taken.
    #[error("no object of the guard pool starts at {0}")]
    NoObject(VirtAddr),
    /// It was given back before.
    #[error("{0}; it can't be given back twice")]
    Twice(Story),
}

#[derive(Debug)]
struct Place {
    /// One of [`UNTOUCHED`], [`TAKEN`], [`GIVEN`], [`BUSY`].
    state: AtomicU32,
    bytes: AtomicU32,
    taken: Stamp,
    given: Stamp,
}

const UNTOUCHED: u32 = 0;
const TAKEN: u32 = 1;
const GIVEN: u32 = 2;
/// Somebody is changing it.
const BUSY: u32 = 3;

#[derive(Debug)]
struct Stamp {
    cpu: AtomicU32,
    ticks: AtomicU64,
}

impl Stamp {
    fn set(&self, moment: Moment) {
        self.cpu.store(moment.cpu, Ordering::Relaxed);
        self.ticks.store(moment.ticks, Ordering::Relaxed);
    }

    fn get(&self) -> Moment {
        Moment { cpu: self.cpu.load(Ordering::Relaxed), ticks: self.ticks.load(Ordering::Relaxed) }
    }
}

/// What became of each object of a pool.
#[derive(Debug)]
pub struct Pool {
    places: [Place; OBJECTS_LENGTH],
    /// Where the next search begins: what was given back last is used again last.
    next: AtomicU32,
}

const OBJECTS_LENGTH: usize = 255;

impl Pool {
    /// A pool of which nothing was ever taken.
    #[must_use]
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { places: [const { Place::new() }; OBJECTS_LENGTH], next: AtomicU32::new(0) }
    }

    /// Takes an object of `bytes` of the pool that begins at `start`. Its page is made valid next.
    ///
    /// # Errors
    /// See [`TakeError`].
    pub fn take(&self, (start, bytes): (VirtAddr, u64), now: Moment) -> Result<Object, TakeError> {
        let small = u32::try_from(bytes).ok().filter(|_| (1..=FRAME_BYTES).contains(&bytes));
        let small = small.ok_or(TakeError::Bytes(bytes))?;
        let first = self.next.load(Ordering::Relaxed);
        for step in 0..OBJECTS {
            let number = (first + step) % OBJECTS;
            let Some(place) = self.place(number) else { continue };
            let free = [UNTOUCHED, GIVEN];
            let claimed = free.into_iter().any(|state| place.claim(state));
            if claimed {
                place.bytes.store(small, Ordering::Relaxed);
                place.taken.set(now);
                place.state.store(TAKEN, Ordering::Release);
                self.next.store((number + 1) % OBJECTS, Ordering::Relaxed);
                return object(start, (number, bytes)).ok_or(TakeError::Full);
            }
        }
        Err(TakeError::Full)
    }

    /// Gives back the object at `address` of the pool that begins at `start`. Its page was not made
    /// invalid yet: whoever gives it back sees to it that nobody takes the object meanwhile.
    ///
    /// # Errors
    /// See [`GiveError`].
    pub fn give_back(
        &self,
        (start, address): (VirtAddr, VirtAddr),
        now: Moment,
    ) -> Result<Object, GiveError> {
        let found = self.object_at(start, address).filter(|one| one.range.start() == address);
        let object = found.ok_or(GiveError::NoObject(address))?;
        let place = self.place(object.number).ok_or(GiveError::NoObject(address))?;
        if !place.claim(TAKEN) {
            let story = self.story(start, address).ok_or(GiveError::NoObject(address))?;
            return Err(GiveError::Twice(story));
        }
        place.given.set(now);
        place.state.store(GIVEN, Ordering::Release);
        Ok(object)
    }

    /// How many objects are taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        let is_taken = |place: &&Place| place.state.load(Ordering::Relaxed) == TAKEN;
        u32::try_from(self.places.iter().filter(is_taken).count()).unwrap_or(OBJECTS)
    }

    /// Forgets what became of the objects: the pool is another one from now on.
    pub fn forget(&self) {
        self.places.iter().for_each(|place| place.state.store(UNTOUCHED, Ordering::Relaxed));
    }

    fn place(&self, number: u32) -> Option<&Place> {
        self.places.get(usize::try_from(number).ok()?)
    }

    /// The object in whose page `address` is, as it was taken last.
    fn object_at(&self, start: VirtAddr, address: VirtAddr) -> Option<Object> {
        let page = address.offset_from(start)? / FRAME_BYTES;
        let number = u32::try_from(page.checked_sub(2)?).ok()?;
        let number = number.is_multiple_of(2).then_some(number / 2)?;
        let bytes = self.place(number)?.bytes.load(Ordering::Relaxed);
        object(start, (number, bytes.into()))
    }
}

impl Place {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Self {
            state: AtomicU32::new(UNTOUCHED),
            bytes: AtomicU32::new(0),
            taken: Stamp { cpu: AtomicU32::new(0), ticks: AtomicU64::new(0) },
            given: Stamp { cpu: AtomicU32::new(0), ticks: AtomicU64::new(0) },
        }
    }

    /// Makes it busy if it is in `state`; tells whether it was.
    fn claim(&self, state: u32) -> bool {
        let acquire = (Ordering::Acquire, Ordering::Relaxed);
        self.state.compare_exchange(state, BUSY, acquire.0, acquire.1).is_ok()
    }
}

#[cfg(not(loom))]
impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

/// Object `number` of the pool that begins at `start`, if it has so many bytes and at least one.
fn object(start: VirtAddr, (number, bytes): (u32, u64)) -> Option<Object> {
    let page = start.wrapping_add((2 + 2 * u64::from(number)) * FRAME_BYTES);
    let first = page.wrapping_add(FRAME_BYTES - bytes.next_multiple_of(ALIGNMENT));
    Some(Object {
        number,
        range: VirtRange::new(first, bytes)?,
        page: VirtRange::new(page, FRAME_BYTES)?,
    })
}

#[cfg(test)]
mod tests;
