//! What the referee knows, in memory that the kernel can only read.

use blockmap::machine::{PhysAddr, PhysRange};
use blockmap_hw::Cpu;
use blockmap_kernel::witness::{IdentityTree, Log, OutOfTables, Seen, Stage2};
use spin::mutex::SpinMutex;

use super::registers;
use crate::console::Yield;

/// Bytes of a page, the unit of what is watched.
pub(super) const PAGE_BYTES: u64 = 0x1000;

/// The state as EL2 finds it: `TPIDR_EL2` holds its address.
pub(super) type Shared = SpinMutex<Referee, Yield>;

/// The referee.
#[derive(Debug)]
pub(super) struct Referee {
    /// What the kernel may do with memory.
    pub(super) stage2: IdentityTree<Cpu>,
    /// What it did.
    pub(super) log: Log<'static>,
    /// The memory that the referee itself runs on.
    pub(super) own: PhysRange,
    /// How often what happened.
    pub(super) counts: Counts,
    /// The page whose next accesses conflict.
    pub(super) conflict: Option<Conflict>,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Stores to watched pages.
    pub(super) stores: u64,
    /// TLB maintenance.
    pub(super) invalidations: u64,
    /// Pages that are watched now.
    pub(super) watched: u64,
    /// Pages that were to be watched and couldn't be, for want of tables.
    pub(super) missed: u64,
    /// Accesses that were answered with an abort, because the referee could not do them.
    pub(super) refused: u64,
    /// TLB conflict aborts that were injected.
    pub(super) conflicts: u64,
}

/// A page whose accesses are answered with TLB conflict aborts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conflict {
    /// The page.
    pub(super) page: PhysAddr,
    /// How many accesses more.
    pub(super) times: u64,
    /// What the kernel may do with it afterwards.
    rights: Stage2,
}

impl Referee {
    /// Notes what a CPU does next.
    pub(super) fn note(&mut self, cpu: u16, seen: Seen) {
        match seen {
            Seen::Store { .. } => self.counts.stores += 1,
            Seen::Invalidate(_) => self.counts.invalidations += 1,
            Seen::Root { .. } => {}
        }
        self.log.add(cpu, seen);
    }

    /// Whether stores to `address` are the referee's to do.
    pub(super) fn is_watched(&self, address: PhysAddr) -> bool {
        self.stage2.rights_of_page(address) == Some(Stage2::ReadOnly)
    }

    /// Has stores to `page` trap, or not trap any more. The caller flushes stage 2.
    pub(super) fn set_watched(
        &mut self,
        page: PhysAddr,
        rights: Stage2,
    ) -> Result<(), OutOfTables> {
        let before = self.is_watched(page);
        self.set_rights(page, rights)?;
        match (before, self.is_watched(page)) {
            (false, true) => self.counts.watched += 1,
            (true, false) => self.counts.watched -= 1,
            (true, true) | (false, false) => {}
        }
        Ok(())
    }

    fn set_rights(&mut self, page: PhysAddr, rights: Stage2) -> Result<(), OutOfTables> {
        match PhysRange::new(page, PAGE_BYTES) {
            Some(range) => self.stage2.map(range, rights.meaning()),
            None => Ok(()),
        }
    }

    /// Has the next `times` accesses to `page` conflict, where no page does.
    pub(super) fn begin_conflict(&mut self, page: PhysAddr, times: u64) -> Result<(), OutOfTables> {
        if times > 0 {
            let is_watched = self.is_watched(page);
            let rights = if is_watched { Stage2::ReadOnly } else { Stage2::ReadWrite };
            self.set_rights(page, Stage2::Nothing)?;
            self.conflict = Some(Conflict { page, times, rights });
            registers::flush_stage2();
        }
        Ok(())
    }

    /// Has no page's accesses conflict any more.
    pub(super) fn end_conflict(&mut self) -> Result<(), OutOfTables> {
        match self.conflict.take() {
            Some(Conflict { page, rights, .. }) => {
                self.set_rights(page, rights)?;
                registers::flush_stage2();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether an access to `address` conflicts. If so it is counted, and one fewer is left.
    pub(super) fn takes_conflict(&mut self, address: PhysAddr) -> bool {
        let Some(conflict) = self.conflict else { return false };
        if address.align_down(PAGE_BYTES) != conflict.page {
            return false;
        }
        self.counts.conflicts += 1;
        match conflict.times - 1 {
            // The page is in a table of pages already, so none is needed.
            0 => drop(self.end_conflict()),
            times => self.conflict = Some(Conflict { times, ..conflict }),
        }
        true
    }
}
