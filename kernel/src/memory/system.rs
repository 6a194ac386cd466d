//! The running kernel as the engine's platform.

use core::sync::atomic::{AtomicU32, Ordering, fence};

use blockmap::dump::Tree;
use blockmap::layout::{LinearMap, MemoryMap};
use blockmap::machine::{PhysAddr, PhysRange, VirtRange};
use blockmap::vmsa::{Change, Geometry};
use blockmap::{Platform, ProtectError, Reader, Refusal, Scope, Space, Terms};
use blockmap_hw::Window;
use blockmap_kernel::frames::{Counts, FRAME_BYTES, Frames, Purpose, State};
use blockmap_kernel::trace::{BeginError, Origin, Recording, TraceText};
use spin::RelaxStrategy;

use super::address_map::IMAGE_SIDE;
use super::locks::SlotLocks;
use super::recorded::Recorded;
use super::reserve::Reserve;
use crate::console::Yield;
use crate::referee;

/// The kernel's memory: its CPU, frames, locks and table reserve.
#[derive(Debug)]
pub(crate) struct System<'a> {
    cpu: Recorded<'a>,
    origin: Origin,
    linear: LinearMap,
    frames: Frames<'a>,
    /// The memory that the kernel itself runs on: the image, and what the zone maps.
    own: [PhysRange; 2],
    locks: SlotLocks,
    reserve: Reserve,
    /// Tables that may still be allocated: `fail-tables=`.
    allowance: AtomicU32,
    readers: AtomicU32,
}

/// What a running system is made of.
pub(super) struct Parts<'a> {
    pub(super) cpu: Recorded<'a>,
    /// What there is besides: root, terms, CPU.
    pub(super) origin: Origin,
    pub(super) frames: Frames<'a>,
    pub(super) own: [PhysRange; 2],
    pub(super) fail_tables: Option<u32>,
}

impl<'a> System<'a> {
    /// The system whose memory `memory` says.
    pub(super) fn new(memory: &MemoryMap, parts: Parts<'a>) -> Self {
        Self {
            cpu: parts.cpu,
            origin: parts.origin,
            linear: memory.linear(),
            frames: parts.frames,
            own: parts.own,
            locks: SlotLocks::new(),
            reserve: Reserve::new(),
            allowance: AtomicU32::new(parts.fail_tables.unwrap_or(u32::MAX)),
            readers: AtomicU32::new(0),
        }
    }

    /// The kernel's tables.
    pub(crate) const fn space(&self) -> Space<'_, Self> {
        Space::new(self, self.origin.root)
    }

    /// How many frames are in which state.
    pub(crate) fn frames(&self) -> Counts {
        self.frames.counts()
    }

    /// The memory that `range` of the linear map shows; `None` outside the linear map.
    pub(crate) fn memory_of(&self, range: VirtRange) -> Option<PhysRange> {
        let start = self.linear.output(range.start())?;
        self.linear.output(range.last())?;
        PhysRange::new(start, range.bytes())
    }

    /// How memory is reached whose physical address is known.
    pub(crate) const fn window(&self) -> Window {
        let (base, memstart) = (self.linear.base().value(), self.linear.memstart().value());
        Window::Linear { offset: base.wrapping_sub(memstart) }
    }

    /// The account of what is done to the tables.
    pub(crate) const fn recording(&self) -> &Recording<'a> {
        self.cpu.recording()
    }

    /// The same as text.
    pub(crate) const fn trace_text(&self) -> TraceText<'_> {
        TraceText { recording: self.recording(), origin: self.origin }
    }

    /// Begins the account anew, with what the tables hold now.
    pub(crate) fn begin_trace(&self) -> Result<(), BeginError> {
        self.recording().begin()?;
        let reader = self.space().reader();
        self.recording().add_tables(self.tree(&reader), &reader);
        Ok(())
    }

    /// Changes what the leaves of `range` grant, and records what is meant by it.
    pub(crate) fn protect(&self, range: VirtRange, change: Change) -> Result<(), ProtectError> {
        self.recording().intend_change(self.tree(&self.space().reader()), range, change);
        let result = self.space().protect(range, change);
        self.recording().ended(&result);
        result
    }

    fn tree<'r>(&self, reader: &'r Reader<'r, Self>) -> Tree<'r, Reader<'r, Self>> {
        Tree::new(self.geometry(), self.origin.root, reader)
    }

    fn allocate_table(&self) -> Option<PhysAddr> {
        let one_less = |left: u32| left.checked_sub(1);
        self.allowance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok()?;
        let table = self.frames.allocate(Purpose::Table)?;
        if let Some(frame) = PhysRange::new(table, FRAME_BYTES) {
            referee::watch(frame);
        }
        Some(table)
    }
}

impl<'a> Platform for System<'a> {
    type Machine = Recorded<'a>;

    #[inline]
    fn geometry(&self) -> Geometry {
        Geometry::KERNEL_4K_48
    }

    #[inline]
    fn machine(&self) -> &Recorded<'a> {
        &self.cpu
    }

    /// One CPU is admitted, once and for all, so the terms need no holding.
    fn hold_terms(&self) -> Terms {
        self.origin.terms
    }

    fn release_terms(&self) {}

    fn lock(&self, scope: Scope) {
        self.locks.lock(scope);
    }

    fn unlock(&self, scope: Scope) {
        self.locks.unlock(scope);
    }

    fn refusal(&self, range: VirtRange) -> Option<Refusal> {
        if range.overlaps(IMAGE_SIDE) {
            return Some(Refusal::ImageZone);
        }
        let memory = self.memory_of(range)?;
        if self.own.iter().any(|own| own.overlaps(memory)) {
            return Some(Refusal::ImageZone);
        }
        self.frames.first_in(State::Table, memory).map(|_| Refusal::Tables)
    }

    fn top_up(&self, tables: u32) {
        self.reserve.top_up(tables, || self.allocate_table());
    }

    fn reserve(&self, tables: u32) -> Result<(), u32> {
        self.reserve.set_aside(tables)
    }

    fn unreserve(&self, tables: u32) {
        self.reserve.give_back(tables);
    }

    fn take_table(&self) -> PhysAddr {
        match self.reserve.take() {
            Some(table) => {
                self.cpu.taken(table);
                table
            }
            None => panic!("a table was taken that was not set aside"),
        }
    }

    fn free_table(&self, table: PhysAddr) {
        self.cpu.freed(table);
        if let Some(frame) = PhysRange::new(table, FRAME_BYTES) {
            referee::forget(frame);
        }
        if let Err(error) = self.frames.free(Purpose::Table, table) {
            panic!("a table can't be freed: {error}");
        }
    }

    fn enter_reader(&self) {
        self.readers.fetch_add(1, Ordering::Relaxed);
        // Announced before any table is loaded, for everyone: a store followed by loads.
        fence(Ordering::SeqCst);
    }

    fn leave_reader(&self) {
        self.readers.fetch_sub(1, Ordering::Release);
    }

    fn wait_for_readers(&self) {
        while self.readers.load(Ordering::Acquire) != 0 {
            Yield::relax();
        }
    }
}
