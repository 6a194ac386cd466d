//! One CPU of several: the platform and the machine that the engine runs on.

use std::sync::{MutexGuard, PoisonError};
use std::thread;

use blockmap::host::MayPark;
use blockmap::{NotParked, Phase, Platform, Refusal, Root, Scope, Switch, Terms, TopUp};
use blockmap_machine::{Entry, Event, Machine, Pattern, PhysAddr, Span, VirtRange};
use blockmap_model::program::{Intent, Step, written};
use blockmap_vmsa::Geometry;

use super::system::System;
use super::{Crew, Noted};

/// One CPU.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'c> {
    pub(super) crew: &'c Crew,
    pub(super) cpu: usize,
}

impl Writer<'_> {
    /// How much has been written down of this CPU: to be given to [`Writer::finish`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.system().notes[self.cpu].len()
    }

    /// Writes down what the operation since `mark` was meant to do, if it was done; if it was
    /// refused, that it has done nothing.
    ///
    /// # Panics
    /// When an operation that was refused had effects.
    pub fn finish(&self, mark: usize, meant: Option<&[Intent]>) {
        let mut system = self.system();
        let notes = &mut system.notes[self.cpu];
        let is_effect = |noted: &Noted| matches!(noted, Noted::Step(_) | Noted::Freed(_));
        let has_effects = notes[mark..].iter().any(|(_, noted)| is_effect(noted));
        let Some(meant) = meant.filter(|_| has_effects) else {
            assert!(!has_effects, "an operation was refused and has done something");
            notes.truncate(mark);
            return;
        };
        let is_lock = |(_, noted): &(u64, Noted)| matches!(noted, Noted::Lock(_));
        let lock = mark + notes[mark..].iter().rposition(is_lock).unwrap();
        // Attempts that found too few tables have done nothing.
        notes.drain(mark..lock);
        let (time, _) = notes[mark];
        let intents = meant.iter().map(|intent| (time, Noted::Step(Step::Intend(*intent))));
        notes.splice(mark + 1..=mark, intents);
        let (time, _) = notes[notes.len() - 1];
        let end = notes.len() - 1;
        notes.insert(end, (time, Noted::Step(Step::Achieved)));
    }

    /// Makes the reservations of these numbers, counted since the beginning, fail.
    pub fn fail(&self, reservations: std::ops::Range<u32>) {
        self.system().failing = reservations;
    }

    /// How many reservations there have been since the beginning.
    #[must_use]
    pub fn reservations(&self) -> u32 {
        self.system().reservations
    }

    /// How many tables there are, the root included.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.system().tables()
    }

    fn system(&self) -> MutexGuard<'_, System> {
        let system = self.crew.system.lock();
        // A writer that has failed lets go of what it holds.
        system.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait_for_turn(&self) {
        drop(self.in_turn(self.system()));
    }

    fn in_turn<'s>(&self, system: MutexGuard<'s, System>) -> MutexGuard<'s, System>
    where
        Self: 's,
    {
        self.crew.moved.notify_all();
        let waits = |system: &mut System| system.turn != self.cpu && !system.has_failed;
        let system = self.crew.moved.wait_while(system, waits);
        let system = system.unwrap_or_else(PoisonError::into_inner);
        assert!(!system.has_failed || thread::panicking(), "another writer has failed");
        system
    }

    /// A step at which another may go first.
    fn point(&self) -> MutexGuard<'_, System> {
        let mut system = self.system();
        system.point(self.cpu);
        if system.may_go_on(self.cpu) { system } else { self.in_turn(system) }
    }
}

impl Machine for Writer<'_> {
    fn load(&self, entry: Entry) -> u64 {
        let mut system = self.point();
        system.watch_load(self.cpu, entry);
        system.word(entry)
    }

    fn scan(&self, span: Span, pattern: Pattern) -> u16 {
        let mut system = self.point();
        for offset in 0..span.count {
            let entry = Entry { table: span.table, index: span.first + offset };
            system.watch_load(self.cpu, entry);
            if !pattern.matches(system.word(entry)) {
                return offset;
            }
        }
        span.count
    }

    fn perform(&self, event: Event) {
        let mut system = self.point();
        if let Some(span) = written(event) {
            for offset in 0..span.count {
                let entry = Entry { table: span.table, index: span.first + offset };
                system.watch_store(self.cpu, entry);
            }
        }
        system.perform(event);
        system.note(self.cpu, Noted::Step(Step::Effect(event)));
    }
}

impl Platform for Writer<'_> {
    type Machine = Self;
    type MayPark = MayPark;
    type Held = (Scope, Option<Phase>);

    fn geometry(&self) -> Geometry {
        self.crew.geometry
    }

    fn machine(&self) -> &Self {
        self
    }

    fn terms(&self) -> Terms {
        self.crew.terms
    }

    fn try_hold_terms(&self) -> Option<Terms> {
        Some(self.terms())
    }

    fn release_terms(&self) {}

    fn hold(&self, scope: Scope, also: Option<Scope>) -> (Terms, Self::Held) {
        let scope = also.map_or(scope, |also| scope.hull(also));
        let mut system = self.point();
        while !system.try_lock(self.cpu, scope) {
            system.wait(self.cpu);
            system = self.in_turn(system);
        }
        system.note(self.cpu, Noted::Lock(scope));
        drop(system);
        let is_reader = scope.root == Root::Untouched;
        let reading = is_reader.then(|| self.enter_reader());
        (self.crew.terms, (scope, reading))
    }

    fn let_go(&self, &(scope, reading): &Self::Held) {
        if let Some(phase) = reading {
            self.leave_reader(phase);
        }
        let mut system = self.point();
        system.unlock(self.cpu, scope);
        system.note(self.cpu, Noted::Unlock(scope));
    }

    fn refusal(&self, _range: VirtRange) -> Option<Refusal> {
        None
    }

    fn top_up(&self, _tables: u32) -> TopUp {
        TopUp::Short
    }

    fn reserve(&self, tables: u32) -> Result<(), u32> {
        self.point().reserve(tables)
    }

    fn unreserve(&self, tables: u32) {
        self.system().unreserve(tables);
    }

    fn take_table(&self) -> PhysAddr {
        let mut system = self.point();
        let (table, freed) = system.take(self.cpu);
        system.note(self.cpu, Noted::Taken(table, freed));
        table
    }

    fn free_table(&self, table: PhysAddr) {
        let mut system = self.point();
        system.give_back(table);
        system.note(self.cpu, Noted::Freed(table));
    }

    fn put_back_table(&self, table: PhysAddr) {
        self.point().put_back(table);
    }

    fn quiesce(&self, _may_park: &MayPark, _switch: &Switch) -> Result<(), NotParked> {
        Err(NotParked { cpu: 0 })
    }

    fn enter_reader(&self) -> Phase {
        self.system().readers[self.cpu] += 1;
        Phase::Even
    }

    fn leave_reader(&self, _phase: Phase) {
        self.system().readers[self.cpu] -= 1;
    }

    fn wait_for_readers(&self) {
        let mut system = self.point();
        // Whoever comes later holds up nobody here, but it may: the platform may wait for it too.
        while system.readers.iter().enumerate().any(|(cpu, count)| cpu != self.cpu && *count > 0) {
            system.wait(self.cpu);
            system = self.in_turn(system);
        }
    }
}
