//! The memory that start-up sets aside before it writes a table, and the platform that takes
//! tables from it: one CPU, no locks, nothing ever given back.

use core::cell::Cell;
use core::convert::Infallible;

use blockmap::layout::Strategy;
use blockmap::machine::{Event, Machine, PhysAddr, PhysRange, VirtRange};
use blockmap::vmsa::{Geometry, TlbiForm};
use blockmap::{NotParked, Phase, Platform, Refusal, Scope, Switch, Terms, TopUp};
use blockmap_kernel::frames::FRAME_BYTES;
use blockmap_kernel::trace::{Held, Record, Recording};

use super::recorded::Recorded;

/// Tables for start-up's maps, in one piece of memory that the boot window shows.
#[derive(Debug)]
pub(super) struct Arena {
    cpu: Recorded<'static>,
    tables: PhysRange,
    taken: Cell<u64>,
}

impl Arena {
    /// An arena of the whole frames of `tables`, which `cpu` reaches.
    pub(super) const fn new(cpu: Recorded<'static>, tables: PhysRange) -> Self {
        Self { cpu, tables, taken: Cell::new(0) }
    }

    /// Takes a table and empties it: a root, the first of all tables. `None` if all are taken.
    pub(super) fn take_root(&self) -> Option<PhysAddr> {
        self.reserve(1).ok()?;
        let table = self.next_table();
        let entries = self.geometry().granule().entries();
        let span = blockmap::machine::Span { table, first: 0, count: entries };
        // The trace begins with an empty root, as if it had been in use all the time: so what is
        // painted below it can be judged by the rules for live tables.
        self.recording().add(Record::Held(Held { span, value: 0, step: 0 }));
        self.cpu.taken(table);
        self.cpu.perform(Event::Fill { span, value: 0, step: 0 });
        Some(table)
    }

    fn next_table(&self) -> PhysAddr {
        let number = self.taken.replace(self.taken.get() + 1);
        self.tables.start().wrapping_add(number * FRAME_BYTES)
    }

    /// How many tables were taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// The account of what was done.
    pub(super) const fn recording(&self) -> &Recording<'static> {
        self.cpu.recording()
    }

    /// The same, when nothing more is done.
    pub(super) fn into_recording(self) -> Recording<'static> {
        self.cpu.into_recording()
    }

    /// The memory of the tables that were taken; `None` if none was.
    pub(super) fn used(&self) -> Option<PhysRange> {
        PhysRange::new(self.tables.start(), self.taken.get() * FRAME_BYTES)
    }

    /// The memory of the tables that were not; `None` if all were.
    pub(super) fn unused(&self) -> Option<PhysRange> {
        let taken = self.taken.get() * FRAME_BYTES;
        PhysRange::new(self.tables.start().wrapping_add(taken), self.tables.bytes() - taken)
    }
}

impl Platform for Arena {
    type Machine = Recorded<'static>;
    /// Nobody may: there is nobody to park, and nothing is split.
    type MayPark = Infallible;
    type Held = ();

    #[inline]
    fn geometry(&self) -> Geometry {
        Geometry::KERNEL_4K_48
    }

    #[inline]
    fn machine(&self) -> &Recorded<'static> {
        &self.cpu
    }

    fn terms(&self) -> Terms {
        // No walker uses the tree yet, so no size is live; one CPU, so no broadcast is needed.
        Terms { strategy: Strategy::Live, tlbi: TlbiForm::ByAddress }
    }

    fn try_hold_terms(&self) -> Option<Terms> {
        Some(self.terms())
    }

    fn release_terms(&self) {}

    fn hold(&self, _scope: Scope, _also: Option<Scope>) -> (Terms, ()) {
        (self.terms(), ())
    }

    fn let_go(&self, _held: &()) {}

    fn refusal(&self, _range: VirtRange) -> Option<Refusal> {
        None
    }

    fn top_up(&self, _tables: u32) -> TopUp {
        TopUp::Short
    }

    fn reserve(&self, tables: u32) -> Result<(), u32> {
        let left = self.tables.bytes() / FRAME_BYTES - self.taken.get();
        if u64::from(tables) <= left {
            Ok(())
        } else {
            Err(u32::try_from(left).unwrap_or(u32::MAX))
        }
    }

    fn unreserve(&self, _tables: u32) {}

    fn take_table(&self) -> PhysAddr {
        let table = self.next_table();
        self.cpu.taken(table);
        table
    }

    fn put_back_table(&self, _table: PhysAddr) {}

    /// Start-up unmaps nothing; a table that came back would stay unused.
    fn free_table(&self, _table: PhysAddr) {}

    fn quiesce(&self, may_park: &Infallible, _switch: &Switch) -> Result<(), NotParked> {
        match *may_park {}
    }

    fn enter_reader(&self) -> Phase {
        Phase::Even
    }

    fn leave_reader(&self, _phase: Phase) {}

    fn wait_for_readers(&self) {}
}
