//! Table memory in advance: what commits take their tables from.

use blockmap::machine::PhysAddr;

use crate::lock::Lock;

/// The most tables that are kept in advance, and so the most that one operation can take.
const MOST: usize = 64;

/// Tables that are ready to be taken.
#[derive(Debug)]
pub(super) struct Reserve {
    inner: Lock<Inner>,
}

#[derive(Debug)]
struct Inner {
    tables: [PhysAddr; MOST],
    /// How many there are.
    ready: usize,
    /// How many of those are set aside for plans.
    set_aside: usize,
}

impl Reserve {
    /// No tables yet.
    pub(super) const fn new() -> Self {
        let inner = Inner { tables: [PhysAddr::new(0); MOST], ready: 0, set_aside: 0 };
        Self { inner: Lock::new(inner) }
    }

    /// Adds tables from `allocate` until `wanted` are there that are not set aside, or until
    /// there is no room or no memory for more.
    /// A table that there is no room for goes back by `free`: somebody else was faster.
    pub(super) fn top_up(
        &self,
        wanted: u32,
        allocate: impl Fn() -> Option<PhysAddr>,
        free: impl Fn(PhysAddr),
    ) {
        let wanted = usize::try_from(wanted).unwrap_or(MOST);
        // The lock is not held while a table is allocated: that may take a while.
        while self.wants_more(wanted)
            && let Some(table) = allocate()
        {
            if !self.add(table) {
                return free(table);
            }
        }
    }

    fn wants_more(&self, wanted: usize) -> bool {
        let inner = self.inner.lock();
        inner.ready < MOST && inner.ready - inner.set_aside < wanted
    }

    /// Keeps `table`; tells whether there was room.
    pub(super) fn add(&self, table: PhysAddr) -> bool {
        let mut inner = self.inner.lock();
        let ready = inner.ready;
        match inner.tables.get_mut(ready) {
            Some(place) => {
                *place = table;
                inner.ready += 1;
                true
            }
            None => false,
        }
    }

    /// Sets `tables` aside, or says how many there are.
    pub(super) fn set_aside(&self, tables: u32) -> Result<(), u32> {
        let mut inner = self.inner.lock();
        let had = inner.ready - inner.set_aside;
        match usize::try_from(tables) {
            Ok(wanted) if wanted <= had => {
                inner.set_aside += wanted;
                Ok(())
            }
            Ok(_) | Err(_) => Err(u32::try_from(had).unwrap_or(0)),
        }
    }

    /// Gives back what was set aside and not taken.
    pub(super) fn give_back(&self, tables: u32) {
        let mut inner = self.inner.lock();
        inner.set_aside -= usize::try_from(tables).unwrap_or(0);
    }

    /// Takes back one that was taken: it is set aside again.
    pub(super) fn put_back(&self, table: PhysAddr) {
        let mut inner = self.inner.lock();
        let ready = inner.ready;
        if let Some(place) = inner.tables.get_mut(ready) {
            *place = table;
            inner.ready += 1;
            inner.set_aside += 1;
        }
    }

    /// Takes one of those set aside.
    pub(super) fn take(&self) -> Option<PhysAddr> {
        let mut inner = self.inner.lock();
        let last = inner.ready.checked_sub(1)?;
        inner.set_aside = inner.set_aside.checked_sub(1)?;
        inner.ready = last;
        inner.tables.get(last).copied()
    }
}
