//! A host whose reads of single entries are counted: what walks cost, in steps.

use std::cell::Cell;

use blockmap::host::{Held, Host, MayPark};
use blockmap::{NotParked, Phase, Platform, Refusal, Scope, Switch, Terms, TopUp};
use blockmap_machine::{Entry, Event, Machine, Pattern, PhysAddr, Span, VirtRange};
use blockmap_vmsa::Geometry;
use blockmap_vmsa::descriptor::Asids;

/// A host's machine and the number of entries that were read through it one by one.
#[derive(Debug)]
pub struct Counted<'h, 'm> {
    host: &'h Host<'m>,
    loads: Cell<u64>,
}

impl<'h, 'm> Counted<'h, 'm> {
    /// The same tables and locks as `host`'s; nothing has been read yet.
    #[must_use]
    pub const fn new(host: &'h Host<'m>) -> Self {
        Self { host, loads: Cell::new(0) }
    }

    /// How many entries have been read one by one: the steps of walks.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.loads.get()
    }

    fn count(&self, entries: usize) {
        self.loads.set(self.loads.get() + u64::try_from(entries).unwrap());
    }
}

impl Machine for Counted<'_, '_> {
    fn load(&self, entry: Entry) -> u64 {
        self.count(1);
        self.host.load(entry)
    }

    fn read(&self, first: Entry, words: &mut [u64]) {
        self.count(words.len());
        self.host.read(first, words);
    }

    fn scan(&self, span: Span, pattern: Pattern) -> u16 {
        self.host.scan(span, pattern)
    }

    fn perform(&self, event: Event) {
        self.host.perform(event);
    }
}

impl Platform for Counted<'_, '_> {
    type Machine = Self;
    type MayPark = MayPark;
    type Held = Held;

    fn geometry(&self) -> Geometry {
        self.host.geometry()
    }

    fn machine(&self) -> &Self {
        self
    }

    fn asids(&self) -> Asids {
        self.host.asids()
    }

    fn terms(&self) -> Terms {
        self.host.terms()
    }

    fn try_hold_terms(&self) -> Option<Terms> {
        self.host.try_hold_terms()
    }

    fn release_terms(&self) {
        self.host.release_terms();
    }

    fn hold(&self, scope: Scope, also: Option<Scope>) -> (Terms, Held) {
        self.host.hold(scope, also)
    }

    fn let_go(&self, held: &Held) {
        self.host.let_go(held);
    }

    fn refusal(&self, range: VirtRange) -> Option<Refusal> {
        self.host.refusal(range)
    }

    fn top_up(&self, tables: u32) -> TopUp {
        self.host.top_up(tables)
    }

    fn reserve(&self, tables: u32) -> Result<(), u32> {
        self.host.reserve(tables)
    }

    fn unreserve(&self, tables: u32) {
        self.host.unreserve(tables);
    }

    fn take_table(&self) -> PhysAddr {
        self.host.take_table()
    }

    fn put_back_table(&self, table: PhysAddr) {
        self.host.put_back_table(table);
    }

    fn free_table(&self, table: PhysAddr) {
        self.host.free_table(table);
    }

    fn quiesce(&self, _may_park: &MayPark, switch: &Switch) -> Result<(), NotParked> {
        switch.perform(self, switch.alone(self.host.park()?));
        Ok(())
    }

    fn enter_reader(&self) -> Phase {
        self.host.enter_reader()
    }

    fn leave_reader(&self, phase: Phase) {
        self.host.leave_reader(phase);
    }

    fn wait_for_readers(&self) {
        self.host.wait_for_readers();
    }
}
