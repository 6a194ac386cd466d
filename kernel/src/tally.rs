//! How often what was done to tables and TLBs.

use core::fmt;

use blockmap::machine::{Barrier, Event};
use blockmap_kernel::trace::{Record, Recording};

/// How often what was done to tables and TLBs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Entries stored, one by one or in bulk.
    entries: u64,
    /// Invalidations.
    tlbi: u64,
    /// Barriers that wait for memory.
    dsb: u64,
    /// Barriers for the instructions of this CPU.
    isb: u64,
    /// Operations on caches.
    maintained: u64,
    /// Frames that became tables.
    tables: u64,
}

impl Tally {
    /// What was recorded after so many records.
    pub(crate) fn after(known: usize, recording: &Recording<'_>) -> Self {
        let mut tally = Self::default();
        recording.records().skip(known).for_each(|record| tally.add(record));
        tally
    }

    fn add(&mut self, record: Record) {
        match record {
            Record::Event(Event::Store { .. }) => self.entries += 1,
            Record::Event(Event::Fill { span, .. } | Event::Update { span, .. }) => {
                self.entries += u64::from(span.count);
            }
            Record::Event(Event::Invalidate(_)) => self.tlbi += 1,
            Record::Event(Event::Barrier(Barrier::Isb)) => self.isb += 1,
            Record::Event(Event::Barrier(
                Barrier::DsbIshst | Barrier::DsbIsh | Barrier::DsbNshst | Barrier::DsbNsh,
            )) => self.dsb += 1,
            Record::Event(Event::Maintain { .. }) => self.maintained += 1,
            Record::Taken(_) => self.tables += 1,
            Record::Freed(_)
            | Record::Held(_)
            | Record::Intend(_)
            | Record::Achieved
            | Record::Refused
            | Record::Code(_)
            | Record::Edge(_)
            | Record::Aside
            | Record::Back
            | Record::Note(_)
            | Record::More(_) => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, tlbi, dsb, isb, maintained, tables } = self;
        write!(
            f,
            "{entries} entries stored, {tlbi} TLBI, {dsb} DSB, {isb} ISB, {maintained} ranges of \
             caches, {tables} tables"
        )
    }
}
