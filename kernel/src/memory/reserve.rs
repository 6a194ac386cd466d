//! Table memory in advance: what commits take their tables from.

use blockmap::TopUp;
use blockmap::machine::{Machine, PhysAddr, PhysRange};
use blockmap_kernel::chain::Chain;
use blockmap_kernel::frames::FRAME_BYTES;

use crate::lock::Lock;

/// The most tables that stay here when nobody wants them: more go back to where they came from.
const MOST_KEPT: u32 = 64;

/// So many are kept of those that were tables before, and allocated together where there are too few:
/// enough to take a page out of its GiB, and to make the GiB whole again, wherever others are parked for
/// it.
pub(super) const KEPT: u32 = 8;

/// So many are allocated for somebody who holds the locks of what is to be split: enough for both
/// ends of a range. More are topped up with nothing held.
const MOST_AT_ONCE: u32 = 4;

/// Tables that are ready to be taken, as many as anybody wants.
#[derive(Debug)]
pub(super) struct Reserve {
    chain: Lock<Chain>,
}

impl Reserve {
    /// No tables yet.
    pub(super) const fn new() -> Self {
        Self { chain: Lock::new(Chain::new()) }
    }

    /// How many there are that nobody has set aside.
    pub(super) fn ready(&self) -> u32 {
        self.chain.lock().free()
    }

    /// Adds tables from `allocate`, which is told how many are missing and gives at most so many, one
    /// after the other in memory: until `wanted` are there that are not set aside, or until there is
    /// no memory for more. Tells which.
    pub(super) fn top_up(
        &self,
        machine: &impl Machine,
        wanted: u32,
        allocate: impl Fn(u32) -> Option<PhysRange>,
    ) -> TopUp {
        // The lock is not held while tables are allocated: that may take a while.
        let missing =
            || wanted.checked_sub(self.chain.lock().free()).filter(|missing| *missing > 0);
        while let Some(missing) = missing() {
            let Some(tables) = allocate(missing) else { return TopUp::Short };
            let mut chain = self.chain.lock();
            tables_of(tables).for_each(|table| chain.add(machine, table));
        }
        TopUp::Enough
    }

    /// Keeps what was a table, if there are few. Tells whether it did.
    pub(super) fn keep(&self, machine: &impl Machine, table: PhysAddr) -> bool {
        let mut chain = self.chain.lock();
        let is_short = chain.free() < KEPT;
        if is_short {
            chain.add(machine, table);
        }
        is_short
    }

    /// Gives what is there beyond the most that is kept to `free`.
    pub(super) fn trim(&self, machine: &impl Machine, free: impl Fn(PhysAddr)) {
        let next = || self.chain.lock().remove_above(machine, MOST_KEPT);
        core::iter::from_fn(next).for_each(free);
    }

    /// Sets `tables` aside, or says how many there are. A few that are missing come from `allocate`, and
    /// with them those that are kept, as far as it has them: it gives at most as many as it is told,
    /// neighbours.
    pub(super) fn set_aside_or_add(
        &self,
        machine: &impl Machine,
        tables: u32,
        allocate: impl Fn(u32) -> Option<PhysRange>,
    ) -> Result<(), u32> {
        let had = match self.chain.lock().set_aside(tables) {
            Ok(()) => return Ok(()),
            Err(had) => had,
        };
        let mut missing = tables - had;
        if missing > MOST_AT_ONCE {
            return Err(had);
        }
        // The lock is not held while tables are allocated: that may take a while.
        while let Some(added) = allocate(missing.max(KEPT)) {
            let mut chain = self.chain.lock();
            for table in tables_of(added) {
                chain.add(machine, table);
                missing = missing.saturating_sub(1);
            }
            if missing == 0 {
                return chain.set_aside(tables);
            }
        }
        self.chain.lock().set_aside(tables)
    }

    /// Gives back what was set aside and not taken.
    pub(super) fn give_back(&self, tables: u32) {
        self.chain.lock().give_back(tables);
    }

    /// Takes back one that was taken: it is set aside again.
    pub(super) fn put_back(&self, machine: &impl Machine, table: PhysAddr) {
        self.chain.lock().put_back(machine, table);
    }

    /// Takes one of those set aside.
    pub(super) fn take(&self, machine: &impl Machine) -> Option<PhysAddr> {
        self.chain.lock().take(machine)
    }
}

fn tables_of(memory: PhysRange) -> impl Iterator<Item = PhysAddr> {
    (0..memory.bytes() / FRAME_BYTES)
        .map(move |number| memory.start().wrapping_add(number * FRAME_BYTES))
}
