//! The CPU, with an account of everything it does to the tables.

use blockmap::machine::{Entry, Event, Machine, Pattern, PhysAddr, Span, VirtAddr};
use blockmap_hw::Cpu;
use blockmap_kernel::trace::{Record, Recording, Slot};

/// The CPU that executes this. While recording is on, every event is recorded before it happens;
/// while it is off, that costs a load and a branch.
#[derive(Debug)]
pub(crate) struct Recorded<'a> {
    cpu: Cpu,
    recording: Recording<'a>,
}

impl<'a> Recorded<'a> {
    /// The machine `cpu`, whose events go to `recording`.
    pub(super) const fn new(cpu: Cpu, recording: Recording<'a>) -> Self {
        Self { cpu, recording }
    }

    /// The account.
    pub(super) const fn recording(&self) -> &Recording<'a> {
        &self.recording
    }

    /// The account, without the CPU.
    pub(super) fn into_recording(self) -> Recording<'a> {
        self.recording
    }

    /// The CPU without an account: for memory that is no table.
    pub(super) const fn silent(&self) -> &Cpu {
        &self.cpu
    }

    /// Records that `table` became a table.
    pub(super) fn taken(&self, table: PhysAddr) {
        self.recording.add(Record::Taken(table));
    }

    /// Records that `table` is given back.
    pub(super) fn freed(&self, table: PhysAddr) {
        self.recording.add(Record::Freed(table));
    }

    /// Out of line, so that what is not recorded stays the bare instructions.
    #[cold]
    #[inline(never)]
    fn record(&self, event: Event) {
        self.recording.add(Record::Event(event));
    }
}

#[expect(clippy::inline_always, reason = "with an event built in the argument, what is left of it")]
impl Machine for Recorded<'_> {
    #[inline(always)]
    fn load(&self, entry: Entry) -> u64 {
        self.cpu.load(entry)
    }

    #[inline(always)]
    fn read(&self, first: Entry, words: &mut [u64]) {
        self.cpu.read(first, words);
    }

    #[inline(always)]
    fn scan(&self, span: Span, pattern: Pattern) -> u16 {
        self.cpu.scan(span, pattern)
    }

    #[inline(always)]
    fn climb(&self, span: Span, first: u64, step: u64) -> u16 {
        self.cpu.climb(span, first, step)
    }

    #[inline(always)]
    fn perform(&self, event: Event) {
        if self.recording.is_on() {
            self.record(event);
        }
        self.cpu.perform(event);
    }
}

/// The slots of `records` records at `address`.
///
/// # Safety
/// Memory for them is mapped there, readable and writable, while the slots are used, and nobody
/// else uses it.
pub(super) unsafe fn slots(address: VirtAddr, records: u32) -> &'static [Slot] {
    let number = usize::try_from(address.value()).unwrap_or(0);
    let count = usize::try_from(records).unwrap_or(0);
    let first = core::ptr::with_exposed_provenance::<Slot>(number);
    // SAFETY: the caller vouches for the memory; a slot may hold anything.
    unsafe { core::slice::from_raw_parts(first, count) }
}
