//! The kernel's own account of what it does to its tables: every effect, in order, in memory that
//! is set aside for it at boot.
//!
//! What no longer fits is counted and left out, and so is all that follows: a [`Recording`] has no
//! gap, so that what is kept can be replayed from its beginning and judged.
//!
//! ```
//! use blockmap::machine::{Barrier, Event};
//! use blockmap_kernel::trace::{Record, Recording, Slot};
//!
//! let slots: [Slot; 2] = Default::default();
//! let recording = Recording::begun(&slots);
//! for _ in 0..3 {
//!     recording.add(Record::Event(Event::Barrier(Barrier::DsbIsh)));
//! }
//! assert_eq!((recording.records().count(), recording.dropped()), (2, 1));
//! ```

mod edge;
mod held;
mod intent;
mod note;
mod record;
#[cfg(test)]
mod tests;
mod text;

use thiserror::Error;

use crate::sync::{AtomicBool, AtomicU64, Ordering};

pub use edge::{Edge, Member};
pub use held::Held;
pub use intent::{Intent, Meanwhile, Target};
pub use note::Piece;
pub use record::Record;
pub use text::{Origin, TraceText};

/// The most records that memory can be set aside for: 128 MiB of them.
pub const MOST_RECORDS: u32 = 1 << 22;

/// Room for one record. Before a recording begins in it, it may hold anything.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Slot([AtomicU64; 4]);

impl Slot {
    /// Bytes of a slot.
    pub const BYTES: u64 = 32;

    fn clear(&self) {
        let [head, ..] = &self.0;
        head.store(0, Ordering::Relaxed);
    }

    fn write(&self, by: u16, record: Record) {
        let ([head, rest @ ..], [first, others @ ..]) = (&self.0, record.words());
        for (word, value) in rest.iter().zip(others) {
            word.store(value, Ordering::Relaxed);
        }
        // Whoever sees the head sees the rest.
        head.store(first | u64::from(by) << BY, Ordering::Release);
    }

    /// What was written since the slot was cleared, and by which CPU.
    fn read(&self) -> Option<(u16, Record)> {
        let [head, rest @ ..] = &self.0;
        let head = head.load(Ordering::Acquire);
        let [a, b, c] = rest.each_ref().map(|word| word.load(Ordering::Relaxed));
        let [.., low, high] = head.to_le_bytes();
        let record = Record::of_words([head & !(0xffff << BY), a, b, c])?;
        Some((u16::from_le_bytes([low, high]), record))
    }
}

/// Where the first word of a slot has the CPU's number; what is below is the record's.
const BY: u32 = 48;

/// Why recording did not begin. What was recorded before is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BeginError {
    /// No memory was set aside.
    #[error("there is no memory for a trace: say trace=EVENTS on the command line, 32 bytes each")]
    NoRoom,
    /// Recording is on.
    #[error("recording is on; trace off ends it, and trace on then begins a new trace")]
    AlreadyOn,
}

/// Records of what was done, in order and without a gap, up to the first that found no room.
#[derive(Debug)]
pub struct Recording<'a> {
    slots: &'a [Slot],
    is_on: AtomicBool,
    /// How many records there would be if all had found room.
    count: AtomicU64,
    /// The number of the CPU that asks.
    own: fn() -> u32,
}

impl<'a> Recording<'a> {
    /// A recording without room, which never records.
    #[must_use]
    pub fn without_room() -> Self {
        Self { slots: &[], is_on: AtomicBool::new(false), count: AtomicU64::new(0), own: || 0 }
    }

    /// A recording into `slots` that is on from now on.
    ///
    /// Every slot is cleared here, so that their memory is there when the first record comes.
    #[must_use]
    pub fn begun(slots: &'a [Slot]) -> Self {
        slots.iter().for_each(Slot::clear);
        Self { slots, is_on: AtomicBool::new(true), count: AtomicU64::new(0), own: || 0 }
    }

    /// The same recording, to which several CPUs add: `own` tells which of them asks. Otherwise all
    /// is CPU 0's.
    #[must_use]
    pub fn of_several(self, own: fn() -> u32) -> Self {
        Self { own, ..self }
    }

    /// The same recording, whose slots are reached as `slots` from now on.
    #[must_use]
    pub fn reached_as(self, slots: &[Slot]) -> Recording<'_> {
        Recording { slots, is_on: self.is_on, count: self.count, own: self.own }
    }

    /// Begins anew: what was recorded is forgotten. Nobody adds meanwhile: a record whose place was
    /// taken before would be among those of the new recording.
    ///
    /// # Errors
    /// See [`BeginError`].
    pub fn begin(&self) -> Result<(), BeginError> {
        if self.slots.is_empty() {
            return Err(BeginError::NoRoom);
        }
        if self.is_on() {
            return Err(BeginError::AlreadyOn);
        }
        let used = self.count.swap(0, Ordering::Relaxed);
        let used = usize::try_from(used).unwrap_or(usize::MAX);
        self.slots.iter().take(used).for_each(Slot::clear);
        self.is_on.store(true, Ordering::Release);
        Ok(())
    }

    /// Records nothing from now on, and tells whether something was recorded until now.
    pub fn end(&self) -> bool {
        self.is_on.swap(false, Ordering::Relaxed)
    }

    /// Whether what is done is recorded. It costs a load.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Adds a record, if recording is on: before what it says is done.
    pub fn add(&self, record: Record) {
        if self.is_on() {
            let number = self.count.fetch_add(1, Ordering::Relaxed);
            self.put(number, record);
        }
    }

    /// Adds a line of `text`, if recording is on. What isn't printable ASCII becomes `?`.
    pub fn note(&self, text: &str) {
        if self.is_on() {
            let pieces = Piece::of_line(text);
            let count = u64::try_from(pieces.len()).unwrap_or(0);
            let first = self.count.fetch_add(count, Ordering::Relaxed);
            for (number, piece) in (first..).zip(pieces) {
                let begins = number == first;
                self.put(number, if begins { Record::Note(piece) } else { Record::More(piece) });
            }
        }
    }

    fn put(&self, number: u64, record: Record) {
        if let Some(slot) = usize::try_from(number).ok().and_then(|number| self.slots.get(number)) {
            slot.write(u16::try_from((self.own)()).unwrap_or(u16::MAX), record);
        }
    }

    /// What was recorded, from the beginning.
    ///
    /// It ends before a record that another CPU is still adding.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.records_from(0).map(|(_, record)| record)
    }

    /// What was recorded and by which CPU, from the record with this number on.
    fn records_from(&self, number: usize) -> impl Iterator<Item = (u16, Record)> {
        self.slots.iter().skip(number).map_while(Slot::read)
    }

    /// How many records found no room, all of them after the last that did.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let room = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        self.count.load(Ordering::Relaxed).saturating_sub(room)
    }
}
