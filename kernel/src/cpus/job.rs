//! What a CPU does besides waiting.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use blockmap::vmsa::machine::VirtAddr;

use super::load;

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
}

/// What a CPU is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing: wait.
    Wait,
    /// Read and write the frames of its list, and check what it reads.
    Load,
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
        }
    }

    /// What is to be done.
    pub(crate) fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Wait,
            1 => Order::Load,
            _ => Order::Leave,
        }
    }

    /// From now on this is to be done.
    pub(crate) fn set_order(&self, order: Order) {
        let number = match order {
            Order::Wait => 0,
            Order::Load => 1,
            Order::Leave => 2,
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
    }

    /// Whether the CPU is at it.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) != 0
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
