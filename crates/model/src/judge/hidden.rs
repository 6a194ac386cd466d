//! What walkers and fetches could find instead of what was stored: halves, old lines of caches,
//! another tree's entries.

use std::collections::BTreeMap;

use blockmap_machine::{Barrier, Entry, Event, PhysAddr, PhysRange, VirtRange};

use super::Judge;
use super::tree::Place;
use crate::coherence::{self, Lines, Touch};
use crate::decode::{Leaf, Word};
use crate::program::{Context, Program, Write, written};
use crate::rights::Rights;
use crate::verdict::Rule;

/// What is not as it was stored.
#[derive(Debug)]
pub(super) struct Hidden {
    /// Memory of which caches may have something else, and what they have of it.
    lines: Vec<(PhysRange, Lines)>,
    /// Entries of which half has been stored: what they held before, and when.
    torn: BTreeMap<Entry, (Option<u64>, u64)>,
}

impl Hidden {
    pub(super) fn new(program: &Program) -> Self {
        Self { lines: coherence::pieces(program), torn: BTreeMap::new() }
    }
}

/// What a TLB may hold of another tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    Nothing,
    Something,
}

impl Judge<'_> {
    /// A CPU stores half of an entry: `event` as an update of that half.
    pub(super) fn store_half(&mut self, cpu: usize, entry: Entry, event: Event) {
        let table = self.tables.entry(entry.table).or_default();
        let (now, places) = (table.get(entry.index), table.places.clone());
        let read = match self.hidden.torn.remove(&entry) {
            // The second half alone, unless the first is sure to be there.
            Some((before, time)) if self.cpus[cpu].published < time => half(event).apply(before),
            Some(_) => None,
            None => {
                self.hidden.torn.insert(entry, (now, self.time));
                half(event).apply(now)
            }
        };
        for place in places {
            let is_met = |word| self.program.shape.decode(place.height, word) != Word::Fault;
            if read.is_some_and(is_met) {
                let at = place
                    .start
                    .wrapping_add(u64::from(entry.index) * self.program.shape.span(place.height));
                let seen = format!("the entry {entry}, of which half has been stored");
                self.find(Rule::EntriesAreStoredWhole, self.holder(), at, &seen);
            }
        }
        self.write(cpu, event);
    }

    /// Something that concerns caches is done to memory.
    pub(super) fn touch(&mut self, cpu: usize, touch: Touch, range: PhysRange) {
        for (piece, lines) in &mut self.hidden.lines {
            if range.covers(*piece) {
                *lines = lines.after(cpu, touch);
            }
        }
        match touch {
            Touch::Code => {
                if let Some((at, to)) = self.other_way(range, Rights::executes) {
                    let seen = format!("{to}, whose instructions are not what was stored");
                    self.find(Rule::CodeCleanBeforeRun, self.holder(), at.start(), &seen);
                }
            }
            Touch::PastCaches => {
                let linked = self
                    .tables
                    .iter()
                    .find(|(table, found)| range.contains(**table) && !found.places.is_empty());
                let start = linked.and_then(|(_, found)| found.places.first()).copied();
                if let Some(place) = start {
                    let seen = "a table that caches may hide";
                    self.find(Rule::TablesOutOfCaches, self.holder(), place.start, seen);
                }
            }
            Touch::Maintain(_) => {}
        }
    }

    /// A CPU passes a barrier.
    pub(super) fn settle_lines(&mut self, cpu: usize, barrier: Barrier) {
        for (_, lines) in &mut self.hidden.lines {
            *lines = lines.after_barrier(cpu, barrier);
        }
    }

    /// A table is linked.
    pub(super) fn check_linked(&mut self, table: PhysAddr, place: Place) {
        let page = PhysRange::new(table, self.program.shape.span(0));
        let is_of = |piece: PhysRange| page.is_some_and(|page| page.overlaps(piece));
        let mut lines = self.hidden.lines.iter();
        if lines.any(|(piece, lines)| is_of(*piece) && lines.hide_tables()) {
            let seen = "a table that caches may hide";
            self.find(Rule::TablesOutOfCaches, self.holder(), place.start, seen);
        }
        let first = Entry { table, index: 0 };
        let torn = self.hidden.torn.range(first..).next().filter(|(entry, _)| entry.table == table);
        if torn.is_some() {
            let seen = "an entry of which half has been stored";
            self.find(Rule::EntriesAreStoredWhole, self.holder(), place.start, seen);
        }
    }

    /// Walkers can meet leaves: what is executed through them must be what was stored.
    pub(super) fn check_fetched(&mut self, range: VirtRange, leaf: Leaf, rights: Rights) {
        let Some(output) = PhysRange::new(leaf.output, range.bytes()) else { return };
        let mut lines = self.hidden.lines.iter();
        let is_hidden = lines.any(|(piece, lines)| piece.overlaps(output) && lines.hide_code());
        if rights.executes() && is_hidden {
            let seen = "a leaf whose instructions are not what was stored";
            self.find(Rule::CodeCleanBeforeRun, self.holder(), range.start(), seen);
        }
    }

    /// A CPU makes new words of old ones that hardware may change meanwhile.
    pub(super) fn check_updates(&mut self, cpu: usize, event: Event, before: &[Option<u64>]) {
        let (Event::Update { span, .. }, Some(_)) = (event, written(event)) else { return };
        let shape = self.program.shape;
        let places = self.tables.get(&span.table).map(|table| table.places.clone());
        for place in places.unwrap_or_default() {
            let changes = |word: &Option<u64>| {
                word.is_some_and(|word| shape.updated(place.height, word).is_some())
            };
            if let Some(offset) = (0_u64..).zip(before).find(|(_, word)| changes(word)) {
                let index = u64::from(span.first) + offset.0;
                let at = place.start.wrapping_add(index * shape.span(place.height));
                let seen = "what hardware has made of the entry, overwritten";
                self.find(Rule::HardwareUpdatesAreOff, cpu, at, seen);
            }
        }
    }

    /// A CPU's root changes: entries of another tree must have left its TLB.
    pub(super) fn check_tree(&mut self, cpu: usize) {
        let now = &mut self.cpus[cpu];
        let uses = |context: Context| now.context == context || now.lingering == Some(context);
        let (live, other) = (uses(Context::Live), uses(Context::Other));
        if other {
            now.others = Others::Something;
        }
        if live && now.others == Others::Something {
            let at = self.program.shape.inputs().start();
            let seen = "entries of another tree";
            self.find(Rule::RootThroughEmptyTable, cpu, at, seen);
        }
    }
}

/// What half a store does to an entry.
fn half(event: Event) -> Write {
    match event {
        Event::Update { clear, set, .. } => Write::Bits { clear, set },
        Event::Store { .. }
        | Event::Fill { .. }
        | Event::Barrier(_)
        | Event::Invalidate(_)
        | Event::Maintain { .. } => Write::Bits { clear: 0, set: 0 },
    }
}
