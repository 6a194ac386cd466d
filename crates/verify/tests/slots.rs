//! Operations on different slots go side by side, and keep out of each other's way where they have
//! tables or leaves in common.
//!
//! The platform here lets another operation run in the middle of a walk, as another CPU might, and
//! panics where that operation would have to wait.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::{Cell, RefCell};

use blockmap::host::{Host, MAY_PARK, MayPark};
use blockmap::{
    Mapping, NotParked, Phase, Platform, Refusal, Root, Scope, Space, Switch, Terms, TopUp,
};
use blockmap_machine::{Entry, Event, Machine, Pattern, PhysAddr, Span, VirtRange};
use blockmap_verify::program::{attributes, range, words_for};
use blockmap_vmsa::{Access, Change, Format, Geometry, Granule, Half, Leaves, Regime};

const GIB: u64 = 1 << 30;

/// What happens between two loads.
type Meanwhile = fn(&Slots<'_>);

/// A host with a lock for each slot and one for the root.
struct Slots<'m> {
    host: &'m Host<'m>,
    held: RefCell<Vec<Scope>>,
    readers: Cell<u32>,
    /// After an entry of this table has been loaded, this happens.
    meanwhile: Cell<Option<(PhysAddr, Meanwhile)>>,
}

impl Machine for Slots<'_> {
    fn load(&self, entry: Entry) -> u64 {
        let word = self.host.load(entry);
        if let Some((_, meanwhile)) = self.meanwhile.get().filter(|(at, _)| *at == entry.table) {
            self.meanwhile.set(None);
            meanwhile(self);
        }
        word
    }

    fn scan(&self, span: Span, pattern: Pattern) -> u16 {
        self.host.scan(span, pattern)
    }

    fn perform(&self, event: Event) {
        self.host.perform(event);
    }
}

impl Platform for Slots<'_> {
    type Machine = Self;
    type MayPark = MayPark;
    type Held = Scope;

    fn geometry(&self) -> Geometry {
        self.host.geometry()
    }

    fn machine(&self) -> &Self {
        self
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

    fn hold(&self, scope: Scope, also: Option<Scope>) -> (Terms, Scope) {
        let scope = also.map_or(scope, |also| scope.hull(also));
        for held in self.held.borrow().iter() {
            let apart = held.last_slot < scope.first_slot || scope.last_slot < held.first_slot;
            assert!(apart, "would wait for a slot");
            let roots = (held.root, scope.root);
            assert_ne!(roots, (Root::Changes, Root::Changes), "would wait for the root");
        }
        self.held.borrow_mut().push(scope);
        if scope.root == Root::Untouched {
            self.enter_reader();
        }
        let terms = self.try_hold_terms().expect("would wait for the terms");
        (terms, scope)
    }

    fn let_go(&self, scope: &Scope) {
        if scope.root == Root::Untouched {
            self.leave_reader(Phase::Even);
        }
        self.held.borrow_mut().retain(|held| held != scope);
        self.release_terms();
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

    fn quiesce(&self, may_park: &MayPark, switch: &Switch) -> Result<(), NotParked> {
        self.host.quiesce(may_park, switch)
    }

    fn enter_reader(&self) -> Phase {
        self.readers.set(self.readers.get() + 1);
        Phase::Even
    }

    fn leave_reader(&self, _phase: Phase) {
        self.readers.set(self.readers.get() - 1);
    }

    fn wait_for_readers(&self) {
        assert_eq!(self.readers.get(), 0, "would wait for a reader");
    }
}

fn with_slots(geometry: Geometry, check: impl FnOnce(&Slots<'_>, PhysAddr)) {
    let words = words_for(geometry, 32);
    let ignore = |_: &Event| ();
    let host = Host::new(geometry, &words, &ignore);
    let root = host.new_root().unwrap();
    let held = RefCell::default();
    check(&Slots { host: &host, held, readers: Cell::new(0), meanwhile: Cell::new(None) }, root);
}

fn mapping(start: u64, gib: u64) -> Mapping {
    Mapping {
        range: range(start, gib * GIB),
        output: PhysAddr::new(512 * GIB),
        attributes: attributes(Access::ReadWrite),
        leaves: Leaves::Largest,
    }
}

#[test]
fn changes_of_different_slots_go_side_by_side() {
    with_slots(Geometry::KERNEL_4K_48, |slots, root| {
        let space = Space::new(slots, root);
        let base = space.geometry().inputs().0.value();
        space.map(mapping(base, 6)).unwrap();
        let pages = [range(base, 4096), range(base + 5 * GIB, 4096)];
        let [first, second] =
            pages.map(|page| space.plan_protect(page, Change::ReadOnly, &MAY_PARK).unwrap());
        first.reserve().unwrap().commit().unwrap();
        second.reserve().unwrap().commit().unwrap();
        for page in pages {
            // The second time there is nothing left to split.
            assert_eq!(space.plan_protect(page, Change::ReadOnly, &MAY_PARK).unwrap().tables(), 0);
        }
    });
}

#[test]
#[should_panic(expected = "would wait for a slot")]
fn a_block_above_the_slots_is_not_split_from_two_of_them() {
    let upper = (Regime::El1And0, Half::Upper);
    let lpa2 = Geometry::new(upper, (Granule::Kib4, Format::Lpa2), 48, 52).unwrap();
    with_slots(lpa2, |slots, root| {
        let space = Space::new(slots, root);
        let base = space.geometry().inputs().0.value();
        space.map(mapping(base, 512)).unwrap();
        let _first = space.plan_protect(range(base, 4096), Change::ReadOnly, &MAY_PARK).unwrap();
        let second = range(base + 5 * GIB, 4096);
        let _second = space.plan_protect(second, Change::ReadOnly, &MAY_PARK);
    });
}

#[test]
#[should_panic(expected = "would wait for a reader")]
fn a_table_that_a_walk_may_be_in_is_not_freed() {
    with_slots(Geometry::KERNEL_4K_48, |slots, root| {
        let space = Space::new(slots, root);
        let base = space.geometry().inputs().0.value();
        space.map(mapping(base, 1)).unwrap();
        // Between the walk's first load and its second, the table that it goes to is emptied.
        slots.meanwhile.set(Some((root, |slots| {
            let space = Space::new(slots, Host::BASE);
            let base = space.geometry().inputs().0.value();
            space.unmap(range(base, GIB), &MAY_PARK).unwrap();
        })));
        let _ = space.protect(range(base + GIB, GIB), Change::ReadOnly, &MAY_PARK);
    });
}

#[test]
#[should_panic(expected = "would wait for a reader")]
fn the_old_tables_of_a_repaint_are_not_freed_under_a_reader() {
    with_slots(Geometry::KERNEL_4K_48, |slots, root| {
        let space = Space::new(slots, root);
        let base = space.geometry().inputs().0.value();
        space.map(mapping(base, 1)).unwrap();
        let _reader = space.reader();
        let _ = space.repaint(range(base, 2 << 20), &[], &MAY_PARK);
    });
}

/// A change that is tried after the old slots have been read, while their new tables are filled.
#[test]
#[should_panic(expected = "would wait for a slot")]
fn a_change_during_the_fill_of_a_repaint_waits() {
    with_slots(Geometry::KERNEL_4K_48, |slots, root| {
        let space = Space::new(slots, root);
        let base = space.geometry().inputs().0.value();
        space.map(mapping(base, 2)).unwrap();
        let part = range(base + GIB - (2 << 20), 4 << 20);
        let ready = space.plan_repaint(part, &[], &MAY_PARK).unwrap().reserve().unwrap();
        let level_1 =
            space.geometry().table_address(slots.host.load(Entry { table: root, index: 0 }));
        slots.meanwhile.set(Some((level_1, |slots| {
            let space = Space::new(slots, Host::BASE);
            let base = space.geometry().inputs().0.value();
            space.protect(range(base + GIB, 4096), Change::ReadOnly, &MAY_PARK).unwrap();
        })));
        ready.commit().unwrap();
    });
}
