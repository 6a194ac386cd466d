//! `count on|off`: what commands that change the tables cost.

use core::fmt;

use blockmap::machine::{Barrier, Event};
use blockmap_kernel::monitor::Power;
use blockmap_kernel::trace::Record;

use super::{Monitor, say};
use crate::console::println;
use crate::{count, cpus};

/// How often what was done to tables and TLBs.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
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

impl Monitor<'_> {
    pub(super) fn count(what: Power) {
        match what {
            Power::On => say(count::begin()),
            Power::Off => {
                count::end();
                println!("done");
            }
        }
    }

    /// Does `what`, and says what it cost if that is asked for: cycles; or effects while these are
    /// recorded, which takes cycles of its own.
    pub(super) fn counted<T>(&self, what: impl FnOnce() -> T) -> T {
        if !count::is_on() {
            return what();
        }
        let recording = self.system.recording();
        let parkings = cpus::parkings().count;
        let known = recording.records().count();
        let begun = count::now();
        let result = what();
        let ended = count::now();
        if recording.is_on() {
            let mut tally = Tally::default();
            recording.records().skip(known).for_each(|record| tally.add(record));
            println!("effects: {tally}");
            if recording.dropped() > 0 {
                println!("effects: and what found no room in the trace");
            }
        } else {
            println!("cycles: {}", count::between(begun, ended));
            let after = cpus::parkings();
            if after.count != parkings {
                println!("cycles with all others parked: {}", after.cycles);
            }
        }
        result
    }
}
