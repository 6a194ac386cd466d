//! Leaves that became small are made large again once what they were made small for is over.

use core::sync::atomic::{AtomicU64, Ordering};

use blockmap::machine::{VirtAddr, VirtRange};
use blockmap::{CollapseError, Collapsed};
use blockmap_hw::{frequency_hz, ticks};
use blockmap_kernel::heal::{Queue, SLOT_BYTES, Which};

use super::address_map::LINEAR;
use super::system::System;
use crate::arch::interrupts;
use crate::lock::Lock;

/// What waits to be healed, and what came of healing so far.
#[derive(Debug)]
pub(super) struct Healing {
    /// Used with interrupts masked: who waits for it waits for some hundred instructions of another
    /// CPU, in whatever context it is.
    queue: Lock<Queue>,
    tables: AtomicU64,
    runs: AtomicU64,
    /// When the next step is due, by the counter of ticks.
    due: AtomicU64,
}

/// How many steps there are in a second.
const STEPS_A_SECOND: u64 = 10;

/// What came of healing since the machine started, and what waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Healed {
    /// Tables that were given back.
    pub(crate) tables: u64,
    /// Contiguous runs that were made.
    pub(crate) runs: u64,
    /// Slots that wait.
    pub(crate) waiting: u64,
}

impl Healing {
    /// Nothing waits.
    pub(super) const fn new() -> Self {
        let [tables, runs, due] = [const { AtomicU64::new(0) }; 3];
        Self { queue: Lock::new(Queue::new()), tables, runs, due }
    }

    fn with<T>(&self, what: impl FnOnce(&mut Queue) -> T) -> T {
        interrupts::all_masked(|| what(&mut self.queue.lock()))
    }

    fn count(&self, done: Collapsed) {
        self.tables.fetch_add(done.tables.into(), Ordering::Relaxed);
        self.runs.fetch_add(done.runs.into(), Ordering::Relaxed);
    }
}

impl System<'_> {
    /// Remembers that leaves of `range` may be as large again as those around them: whoever gives
    /// memory back says so, and somebody heals it later. What is not in the linear map stays as
    /// large as it is.
    ///
    /// From any context: it never fails, and waits for nobody who waits.
    pub(crate) fn heal_later(&self, range: VirtRange) {
        if let Some(view) = range.intersection(LINEAR).filter(|_| !self.unmaps_free_pages()) {
            self.healing.with(|queue| queue.add(view));
        }
    }

    /// As [`System::heal_later`], of ranges that may be neighbours: each slot is remembered once.
    pub(super) fn heal_all_later(&self, each: impl FnOnce(&mut dyn FnMut(VirtRange))) {
        let mut last = None;
        each(&mut |range: VirtRange| {
            let slot = |address: VirtAddr| address.align_down(SLOT_BYTES);
            let only = Some(slot(range.start())).filter(|only| *only == slot(range.last()));
            if only.is_none() || only != last {
                self.heal_later(range);
            }
            last = only;
        });
    }

    /// Makes leaves large again wherever that was put off, a slot at a time; between two slots it
    /// holds nothing.
    ///
    /// # Errors
    /// See [`CollapseError`]; what was not healed waits on.
    pub(crate) fn heal(&self) -> Result<Collapsed, CollapseError> {
        let mut done = Collapsed::default();
        while let Some(slot) = self.healing.with(|queue| queue.take(Which::All)) {
            done = done.and(self.heal_slot(slot)?);
        }
        Ok(done)
    }

    /// To be called again and again by a CPU that has nothing else to do: makes a step of healing
    /// when one is due, ten times a second, and of the parts that are quiet takes one slot at most.
    pub(crate) fn heal_a_step(&self) {
        let now = ticks();
        if now < self.healing.due.load(Ordering::Relaxed) {
            return;
        }
        self.healing.due.store(now + frequency_hz() / STEPS_A_SECOND, Ordering::Relaxed);
        let ripe = self.healing.with(|queue| {
            queue.step();
            queue.take(Which::Ripe)
        });
        if let Some(slot) = ripe {
            self.recording().note("heal, by itself");
            // Whoever wants to know why it was not healed asks for it.
            let _ = self.heal_slot(slot);
        }
    }

    /// Makes leaves of all memory that the linear map shows large again, whatever made them small.
    ///
    /// # Errors
    /// See [`CollapseError`]; all below the slot at fault is healed.
    pub(crate) fn heal_all(&self) -> Result<Collapsed, CollapseError> {
        self.frame_states()
            .banks()
            .filter_map(|bank| self.linear_range(bank))
            .for_each(|view| self.heal_later(view));
        self.heal()
    }

    /// What came of healing so far.
    pub(crate) fn healed(&self) -> Healed {
        Healed {
            tables: self.healing.tables.load(Ordering::Relaxed),
            runs: self.healing.runs.load(Ordering::Relaxed),
            waiting: self.healing.with(|queue| queue.slots()),
        }
    }

    /// How many bytes the linear map maps, valid or not: read as anybody may, while it changes.
    pub(crate) fn linear_bytes(&self) -> u64 {
        let reader = self.space().reader();
        let stat = self.tree(&reader).within(LINEAR).stat();
        stat.mapped_bytes() + stat.invalid_bytes()
    }

    fn heal_slot(&self, slot: VirtRange) -> Result<Collapsed, CollapseError> {
        // No address is to translate to anything else: nothing is intended.
        let result = self.space().collapse(slot, &Self::may_park());
        match result {
            Ok(done) => self.healing.count(done),
            // Where no size changes, nothing ever became smaller.
            Err(CollapseError::SizeChange(_)) => self.healing.with(Queue::clear),
            Err(_) => self.heal_later(slot),
        }
        result
    }
}
