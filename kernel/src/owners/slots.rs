//! Slots: single instructions, run out of line, as a probe runs the one it replaced.
//!
//! A page has 64 of them. Writing one takes the page out of use, so it is done only while nobody is
//! in any of its slots; where somebody is, another page is taken.

use core::fmt;

use blockmap::machine::{VirtAddr, VirtRange};
use blockmap_kernel::frames::FRAME_BYTES;
use blockmap_kernel::module::Parts;
use blockmap_kernel::out_of_line::{OutOfLine, OutOfLineError};
use thiserror::Error;

use crate::arch::probe::{self, Fault};
use crate::lock::Lock;
use crate::memory::{Executable, ExecutableError, Purpose, System, Writing};

/// Pages of slots at a time.
const MOST_PAGES: u32 = 16;

/// Slots of a page.
const SLOTS: u32 = 64;

/// Bytes of a slot.
const SLOT_BYTES: u64 = FRAME_BYTES / 64;

/// Why something was not done with a slot.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum SlotError {
    /// The instruction can't be run out of line. Nothing was changed.
    #[error(transparent)]
    Instruction(#[from] OutOfLineError),
    /// There is no memory for more. Nothing was changed.
    #[error(transparent)]
    Memory(#[from] ExecutableError),
    /// There is no place to remember more. Nothing was changed.
    #[error("{MOST_PAGES} pages of {SLOTS} slots are the most: free one first")]
    TooMany,
    /// There is none of this number.
    #[error("there is no slot {0}: `modules` lists all")]
    None(u32),
    /// Its page is being run. Nothing was changed.
    #[error("somebody runs a slot of the same page")]
    Running,
    /// The instruction faulted.
    #[error("fault: {0}")]
    Fault(Fault),
}

/// A page of slots.
#[derive(Debug)]
struct Page {
    memory: Executable,
    /// A bit for each slot in use.
    used: u64,
    /// CPUs that are in one of them.
    running: u32,
}

/// A slot, as it is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotSeen {
    number: u32,
    at: VirtAddr,
    /// Where the linear map shows its page.
    alias: Option<VirtRange>,
}

static PAGES: Lock<[Option<Page>; 16]> = Lock::new([const { None }; 16]);

/// Puts the instruction `word` into a slot.
///
/// # Errors
/// See [`SlotError`].
pub(crate) fn put(system: &'static System<'static>, word: u32) -> Result<SlotSeen, SlotError> {
    let instruction = OutOfLine::new(word)?;
    if let Some(seen) = put_into_used(instruction) {
        return Ok(seen);
    }
    // Taking memory may wait for others: no lock is held.
    let memory = system.take_executable(FRAME_BYTES, Purpose::Slot)?;
    let seen = put_into_new(memory, instruction);
    if seen.is_err() {
        system.release_executable();
    }
    seen
}

/// Runs a slot with `argument` in x0; gives what is there afterwards.
///
/// # Errors
/// See [`SlotError`].
pub(crate) fn run(number: u32, argument: u64) -> Result<u64, SlotError> {
    let none = SlotError::None(number);
    let at = with(number, |page| {
        page.running += 1;
        page.memory.range().start().wrapping_add(u64::from(number % SLOTS) * SLOT_BYTES)
    });
    // SAFETY: a slot has an instruction that goes nowhere else, and a return; who had it put there
    // answers for what it does.
    let result = unsafe { probe::execute(at.ok_or(none)?, argument) };
    with(number, |page| page.running -= 1);
    result.map_err(SlotError::Fault)
}

/// Gives a slot back.
///
/// # Errors
/// See [`SlotError`].
pub(crate) fn free(system: &'static System<'static>, number: u32) -> Result<(), SlotError> {
    let bit = 1 << (number % SLOTS);
    let rest = with(number, |page| {
        if page.running > 0 {
            return Err(SlotError::Running);
        }
        page.used &= !bit;
        Ok(page.used)
    });
    if rest.ok_or(SlotError::None(number))?? == 0 {
        let page = place(number).and_then(|place| PAGES.lock().get_mut(place)?.take_if(is_unused));
        drop(page);
        system.release_executable();
    }
    Ok(())
}

/// All slots in use.
pub(crate) fn all() -> impl Iterator<Item = SlotSeen> {
    (0..MOST_PAGES * SLOTS).filter_map(|number| with(number, |page| page.seen(number)))
}

fn is_unused(page: &mut Page) -> bool {
    page.used == 0 && page.running == 0
}

/// Where the page of a slot is kept.
fn place(number: u32) -> Option<usize> {
    usize::try_from(number / SLOTS).ok()
}

/// What `what` makes of the page of a slot that is in use.
fn with<T>(number: u32, what: impl FnOnce(&mut Page) -> T) -> Option<T> {
    let mut pages = PAGES.lock();
    let page = pages.get_mut(place(number)?)?.as_mut()?;
    (page.used & 1 << (number % SLOTS) != 0).then(|| what(page))
}

/// Puts an instruction into a page that has room and nobody is in.
fn put_into_used(instruction: OutOfLine) -> Option<SlotSeen> {
    let mut pages = PAGES.lock();
    let fits = |page: &mut Page| page.used != u64::MAX && page.running == 0;
    let found = (0..)
        .zip(pages.iter_mut())
        .find_map(|(place, page)| page.take_if(fits).map(|taken| (place, page, taken)));
    let (place, home, Page { memory, used, running }) = found?;
    let slot = used.trailing_ones();
    let memory = written(memory.reopen(), slot, instruction);
    let page = home.insert(Page { memory, used: used | 1 << slot, running });
    Some(page.seen(place * SLOTS + slot))
}

/// Puts an instruction into the first slot of a new page.
fn put_into_new(mut memory: Writing, instruction: OutOfLine) -> Result<SlotSeen, SlotError> {
    memory.bytes().fill(0);
    let mut pages = PAGES.lock();
    let mut empty = (0..).zip(pages.iter_mut()).filter(|(_, page)| page.is_none());
    let (place, home) = empty.next().ok_or(SlotError::TooMany)?;
    let memory = written(memory, 0, instruction);
    Ok(home.insert(Page { memory, used: 1, running: 0 }).seen(place * SLOTS))
}

/// Writes a slot of a page, and takes the page into use.
fn written(mut memory: Writing, slot: u32, instruction: OutOfLine) -> Executable {
    let start = usize::try_from(u64::from(slot) * SLOT_BYTES).unwrap_or(0);
    let place = memory.bytes().get_mut(start..).unwrap_or_default();
    for (bytes, word) in place.chunks_exact_mut(4).zip(instruction.function()) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    memory.seal(Parts { text: FRAME_BYTES, ..Parts::default() })
}

impl Page {
    fn seen(&self, number: u32) -> SlotSeen {
        let offset = u64::from(number % SLOTS) * SLOT_BYTES;
        let at = self.memory.range().start().wrapping_add(offset);
        SlotSeen { number, at, alias: self.memory.alias() }
    }
}

impl SlotSeen {
    /// Its number.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }
}

impl fmt::Display for SlotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, at, alias } = self;
        write!(f, "slot {number} at {at}")?;
        alias.map_or(Ok(()), |alias| write!(f, ", its page in the linear map at {alias}"))
    }
}
