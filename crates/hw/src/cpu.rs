//! The CPU that executes this, as the machine whose events change a live map.

use core::arch::asm;

use blockmap_machine::{
    Barrier, CacheOp, Entry, Event, Invalidate, Machine, Pattern, PhysAddr, PhysRange, Span,
    VirtAddr, VirtRange,
};

use crate::fill::{BulkRegisters, fill};
use crate::{bulk, cache, compare, entries, tlb};

/// How memory is reached whose physical address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// At its physical address: the identity map of start-up.
    Identity,
    /// At its physical address plus `offset`, modulo 2^64: the linear map.
    Linear {
        /// Linear address less physical address.
        offset: u64,
    },
}

impl Window {
    /// The address at which `memory` is reached.
    #[inline]
    #[must_use]
    pub const fn address(self, memory: PhysAddr) -> VirtAddr {
        match self {
            Self::Identity => VirtAddr::new(memory.value()),
            Self::Linear { offset } => VirtAddr::new(memory.value().wrapping_add(offset)),
        }
    }
}

/// The CPU that executes this: events performed here happen.
///
/// Holding one tells that somebody answers for every event; there is no second way to make one and
/// it can't be copied.
///
/// # Invariants
/// What the Safety section of [`Cpu::new`] asks for holds while the value lives.
#[derive(Debug)]
pub struct Cpu {
    /// Address less physical address, modulo 2^64.
    offset: u64,
    bulk_through: BulkRegisters,
}

impl Cpu {
    /// The CPU, reaching tables and maintained memory through `window`.
    ///
    /// # Safety
    /// From here on every event is safe to perform, so the caller answers for all of them:
    /// - `window` maps, readable, writable and as Normal write-back memory, every table and every
    ///   cache-maintained range that an event names, for as long as this value lives or until
    ///   [`Cpu::move_window`];
    /// - the table memory that events name belongs to the holder: no Rust reference to it exists,
    ///   and others write to it only as the engine's locks and held entries allow;
    /// - no change of a map takes away, moves or restricts memory that Rust code still uses in that
    ///   way, nor makes it reachable in a way that breaks Rust's aliasing rules;
    /// - every CPU that walks the tables is in the inner shareable domain, so that broadcast
    ///   maintenance reaches it.
    #[must_use]
    pub const unsafe fn new(window: Window) -> Self {
        let offset = window.address(PhysAddr::new(0)).value();
        Self { offset, bulk_through: BulkRegisters::General }
    }

    /// The same CPU, which fills tables from these registers, and compares and changes through them.
    ///
    /// # Safety
    /// For [`BulkRegisters::Vector`]: a CPU whose `CPACR_EL1.FPEN` permits vector registers has them, and
    /// what higher levels have of the kind permits them too; and nobody's state is kept in more than
    /// 128 bits of a register (SVE, SME) where a fill could interrupt its use.
    #[must_use]
    pub const unsafe fn with_bulk_through(self, registers: BulkRegisters) -> Self {
        Self { bulk_through: registers, ..self }
    }

    /// Reaches tables through `window` from now on.
    ///
    /// # Safety
    /// As [`Cpu::new`] of `window`.
    pub const unsafe fn move_window(&mut self, window: Window) {
        self.offset = window.address(PhysAddr::new(0)).value();
    }

    /// The address at which `memory` is reached.
    #[inline]
    #[must_use]
    pub const fn address(&self, memory: PhysAddr) -> VirtAddr {
        VirtAddr::new(memory.value().wrapping_add(self.offset))
    }

    /// The address of the entry `index` of `table`.
    #[inline(always)]
    fn entry(&self, table: PhysAddr, index: u16) -> u64 {
        let table = self.address(table);
        table.wrapping_add(u64::from(index) * 8).value()
    }

    /// Maintains caches over `range`.
    #[inline]
    fn maintain(&self, op: CacheOp, range: PhysRange) {
        if let Some(range) = VirtRange::new(self.address(range.start()), range.bytes()) {
            // SAFETY: `new`'s caller answers for every range that events name.
            unsafe { cache::maintain(op, range) };
        }
    }
}

/// Performs a barrier.
#[inline(always)]
fn barrier(barrier: Barrier) {
    macro_rules! instruction {
        ($text:literal) => {
            // SAFETY: a barrier orders accesses and makes none.
            unsafe { asm!($text, options(nostack, preserves_flags)) }
        };
    }
    match barrier {
        Barrier::DsbIshst => instruction!("dsb ishst"),
        Barrier::DsbIsh => instruction!("dsb ish"),
        Barrier::DsbNshst => instruction!("dsb nshst"),
        Barrier::DsbNsh => instruction!("dsb nsh"),
        Barrier::Isb => instruction!("isb"),
    }
}

impl Machine for Cpu {
    #[inline(always)]
    fn load(&self, entry: Entry) -> u64 {
        // SAFETY: `new`'s caller answers for every table that events name.
        unsafe { entries::load(self.entry(entry.table, entry.index)) }
    }

    #[inline]
    fn read(&self, first: Entry, words: &mut [u64]) {
        // SAFETY: as for `load`.
        unsafe { entries::read(self.entry(first.table, first.index), words) }
    }

    #[inline(always)]
    fn scan(&self, span: Span, pattern: Pattern) -> u16 {
        // SAFETY: as for `load`.
        unsafe {
            let entries = (self.entry(span.table, span.first), span.count);
            bulk::scan(entries, pattern, self.bulk_through)
        }
    }

    #[inline]
    fn climb(&self, span: Span, first: u64, step: u64) -> u16 {
        // SAFETY: as for `load`.
        unsafe { compare::climb(self.entry(span.table, span.first), first, step, span.count) }
    }

    #[inline(always)]
    fn perform(&self, event: Event) {
        match event {
            // SAFETY: `new`'s caller answers for every event.
            Event::Store { entry, value } => unsafe {
                entries::store(self.entry(entry.table, entry.index), value);
            },
            // SAFETY: as above.
            Event::Fill { span, value, step } => unsafe {
                let entries = (self.entry(span.table, span.first), span.count);
                fill(entries, (value, step), self.bulk_through);
            },
            Event::Update { span: Span { table, first, count: 1 }, clear, set } => {
                let entry = self.entry(table, first);
                // SAFETY: as above.
                let old = unsafe { entries::load(entry) };
                // SAFETY: as above.
                unsafe { entries::store(entry, old & !clear | set) };
            }
            // SAFETY: as above.
            Event::Update { span, clear, set } => unsafe {
                let entries = (self.entry(span.table, span.first), span.count);
                bulk::update(entries, (clear, set), self.bulk_through);
            },
            Event::Barrier(which) => barrier(which),
            Event::Invalidate(invalidate @ Invalidate { .. }) => tlb::invalidate(invalidate),
            Event::Maintain { op, range } => self.maintain(op, range),
        }
    }
}
