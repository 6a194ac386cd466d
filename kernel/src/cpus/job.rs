//! What a CPU does besides waiting.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use blockmap::vmsa::machine::VirtAddr;

use super::{load, writers};
use crate::memory::System;
use crate::run;

/// What a CPU is to do, and how far it has come.
#[derive(Debug)]
pub(crate) struct Job {
    order: AtomicU32,
    /// Whether it is at it.
    busy: AtomicU32,
    /// The page that lists what to read and write.
    list: AtomicU64,
    accesses: AtomicU64,
    wrong: AtomicU64,
    /// How many changes it is to make.
    changes: AtomicU64,
    /// How often it found a slot's lock held by another CPU.
    waits: AtomicU64,
}

/// What a CPU is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing: wait.
    Wait,
    /// Read and write the frames of its list, and check what it reads.
    Load,
    /// Change the pages of its list.
    Change,
    /// Read the tables of the linear map.
    Read,
    /// Leave the kernel's tables.
    Leave,
}

impl Job {
    /// Nothing to do.
    pub(crate) const fn new() -> Self {
        Self {
            order: AtomicU32::new(0),
            busy: AtomicU32::new(0),
            list: AtomicU64::new(0),
            accesses: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            waits: AtomicU64::new(0),
        }
    }

    /// What is to be done.
    pub(crate) fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Wait,
            1 => Order::Load,
            2 => Order::Change,
            4 => Order::Read,
            _ => Order::Leave,
        }
    }

    /// From now on this is to be done.
    pub(crate) fn set_order(&self, order: Order) {
        let number = match order {
            Order::Wait => 0,
            Order::Load => 1,
            Order::Change => 2,
            Order::Leave => 3,
            Order::Read => 4,
        };
        self.order.store(number, Ordering::Release);
    }

    /// What the load has done: accesses, and words that were not what had been written there.
    pub(crate) fn done(&self) -> (u64, u64) {
        (self.accesses.load(Ordering::Relaxed), self.wrong.load(Ordering::Relaxed))
    }

    /// Loads the CPU with the frames that the page at `list` names, from its next turn on.
    pub(crate) fn begin_load(&self, list: VirtAddr) {
        self.list.store(list.value(), Ordering::Relaxed);
        self.accesses.store(0, Ordering::Relaxed);
        self.wrong.store(0, Ordering::Relaxed);
        self.set_order(Order::Load);
    }

    /// Has the CPU read the tables, from its next turn on.
    pub(super) fn begin_reading(&self) {
        self.accesses.store(0, Ordering::Relaxed);
        self.wrong.store(0, Ordering::Relaxed);
        self.set_order(Order::Read);
    }

    /// The CPU is to make so many changes to the pages that the page at `list` names, once it
    /// [begins](Job::begin_changes).
    pub(super) fn prepare_changes(&self, list: VirtAddr, changes: u64) {
        self.list.store(list.value(), Ordering::Relaxed);
        for count in [&self.accesses, &self.wrong, &self.waits] {
            count.store(0, Ordering::Relaxed);
        }
        self.changes.store(changes, Ordering::Relaxed);
    }

    /// Has the CPU make its changes.
    pub(super) fn begin_changes(&self) {
        self.busy.store(1, Ordering::Relaxed);
        self.set_order(Order::Change);
    }

    /// On the CPU itself: makes the changes, and then has nothing to do.
    pub(super) fn change(&self) {
        self.set_order(Order::Wait);
        if let (Some(list), Some(system)) = (self.list(), run::system()) {
            for number in 0..self.changes.load(Ordering::Relaxed) {
                let is_right = writers::change(system, list, number);
                self.wrong.fetch_add(u64::from(!is_right), Ordering::Relaxed);
                self.accesses.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.busy.store(0, Ordering::Release);
    }

    /// Whether it has changes to make, or made some that nobody has heard of.
    pub(super) fn has_changes(&self) -> bool {
        self.changes.load(Ordering::Relaxed) != 0
    }

    /// On the CPU itself: a lock that it wants is held by another CPU.
    pub(crate) fn add_wait(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it found a lock held, since its changes began.
    pub(super) fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// The page that lists the frames; `None` if there is no load.
    pub(crate) fn list(&self) -> Option<VirtAddr> {
        Some(self.list.load(Ordering::Relaxed)).filter(|list| *list != 0).map(VirtAddr::new)
    }

    /// Ends the load: once the CPU [is not busy](Job::is_busy) it makes no pass any more.
    pub(crate) fn end_load(&self) {
        self.set_order(Order::Wait);
        // Either the CPU sees the order before its next pass, or the caller that it is busy: on each
        // side the store comes before the load for everyone.
        fence(Ordering::SeqCst);
    }

    /// The list is nobody's any more.
    pub(crate) fn forget_list(&self) {
        self.list.store(0, Ordering::Relaxed);
        self.changes.store(0, Ordering::Relaxed);
    }

    /// Whether the CPU is at it.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) != 0
    }

    /// On the CPU itself: reads the tables until told to stop.
    pub(super) fn read(&self) {
        self.busy.store(1, Ordering::Relaxed);
        // As in `end_load`.
        fence(Ordering::SeqCst);
        let mapped = run::system().map(System::linear_bytes);
        while self.order() == Order::Read {
            let is_same = run::system().map(System::linear_bytes) == mapped;
            self.wrong.fetch_add(u64::from(!is_same), Ordering::Relaxed);
            self.accesses.fetch_add(1, Ordering::Relaxed);
        }
        self.busy.store(0, Ordering::Release);
    }

    /// On the CPU itself: reads and writes until told to stop.
    pub(super) fn run(&self) {
        self.busy.store(1, Ordering::Relaxed);
        // As in `end_load`.
        fence(Ordering::SeqCst);
        while self.order() == Order::Load
            && let Some(list) = self.list()
        {
            let (accesses, wrong) = load::pass(list);
            self.accesses.fetch_add(accesses, Ordering::Relaxed);
            self.wrong.fetch_add(wrong, Ordering::Relaxed);
        }
        self.busy.store(0, Ordering::Release);
    }
}
