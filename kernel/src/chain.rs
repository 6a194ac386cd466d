//! Free tables in any number without room of their own: each keeps where the next one is in its
//! first word.

use blockmap::machine::{Entry, Machine, PhysAddr};

/// Tables that nothing points to but each other.
///
/// A table's first word is written while it is here, and whoever takes it finds it with arbitrary
/// content.
#[derive(Debug, Default)]
pub struct Chain {
    first: Option<PhysAddr>,
    ready: u32,
    set_aside: u32,
}

/// Bit 0 of a table's first word, above which the next one's address stands; zero at the end.
const MORE: u64 = 1;

impl Chain {
    /// No tables yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: None, ready: 0, set_aside: 0 }
    }

    /// How many tables are not set aside.
    #[must_use]
    pub const fn free(&self) -> u32 {
        self.ready.saturating_sub(self.set_aside)
    }

    /// Adds `table`, which `machine` reaches and nobody uses.
    pub fn add(&mut self, machine: &impl Machine, table: PhysAddr) {
        let next = self.first.map_or(0, |next| next.value() | MORE);
        machine.store(Entry { table, index: 0 }, next);
        self.first = Some(table);
        self.ready = self.ready.saturating_add(1);
    }

    /// Sets `tables` tables aside, all or none.
    ///
    /// # Errors
    /// How many there are.
    pub const fn set_aside(&mut self, tables: u32) -> Result<(), u32> {
        let free = self.free();
        if tables > free {
            return Err(free);
        }
        self.set_aside += tables;
        Ok(())
    }

    /// Gives back `tables` that were set aside and not taken.
    pub const fn give_back(&mut self, tables: u32) {
        self.set_aside = self.set_aside.saturating_sub(tables);
    }

    /// Takes one of those set aside; `None` if there is none.
    pub fn take(&mut self, machine: &impl Machine) -> Option<PhysAddr> {
        let set_aside = self.set_aside.checked_sub(1)?;
        let table = self.unlink(machine)?;
        self.set_aside = set_aside;
        Some(table)
    }

    /// Takes back one that was taken: it is set aside again.
    pub fn put_back(&mut self, machine: &impl Machine, table: PhysAddr) {
        self.add(machine, table);
        self.set_aside = self.set_aside.saturating_add(1);
    }

    /// Removes one that is not set aside, if more than `keep` are not.
    pub fn remove_above(&mut self, machine: &impl Machine, keep: u32) -> Option<PhysAddr> {
        if self.free() > keep { self.unlink(machine) } else { None }
    }

    fn unlink(&mut self, machine: &impl Machine) -> Option<PhysAddr> {
        let table = self.first?;
        let next = machine.load(Entry { table, index: 0 });
        self.first = (next & MORE != 0).then(|| PhysAddr::new(next & !MORE));
        self.ready = self.ready.saturating_sub(1);
        Some(table)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::Cell;
    use std::vec::Vec;

    use blockmap::Platform;
    use blockmap::host::Host;
    use blockmap::vmsa::Geometry;

    use super::*;

    /// A chain of so many tables of a host.
    fn with(tables: u32, check: impl FnOnce(&Host<'_>, &mut Chain)) {
        let words: Vec<Cell<u64>> = (0..512 * tables).map(|_| Cell::new(u64::MAX)).collect();
        let host = Host::new(Geometry::KERNEL_4K_48, &words, &|_| ());
        host.reserve(tables).unwrap();
        let mut chain = Chain::new();
        for _ in 0..tables {
            chain.add(&host, host.take_table());
        }
        check(&host, &mut chain);
    }

    #[test]
    fn every_table_comes_out_once_and_no_more_than_are_set_aside() {
        with(5, |host, chain| {
            assert_eq!(chain.take(host), None);
            assert_eq!(chain.set_aside(6), Err(5));
            chain.set_aside(4).unwrap();
            assert_eq!((chain.free(), chain.set_aside(2)), (1, Err(1)));
            let mut taken: Vec<PhysAddr> = core::iter::from_fn(|| chain.take(host)).collect();
            assert_eq!((taken.len(), chain.free()), (4, 1));
            taken.extend(chain.remove_above(host, 0));
            taken.sort_unstable();
            taken.dedup();
            assert_eq!(taken.len(), 5);
            assert_eq!((chain.remove_above(host, 0), chain.set_aside(1)), (None, Err(0)));
        });
    }

    #[test]
    fn what_is_put_back_is_set_aside() {
        with(3, |host, chain| {
            chain.set_aside(2).unwrap();
            let [one, other] = [(), ()].map(|()| chain.take(host).unwrap());
            // Whoever had it wrote to it.
            host.store(Entry { table: one, index: 0 }, 0x1234_5678);
            chain.put_back(host, one);
            chain.put_back(host, other);
            assert_eq!((chain.free(), chain.set_aside), (1, 2));
            chain.give_back(2);
            assert_eq!(chain.free(), 3);
            let all: Vec<_> = core::iter::from_fn(|| chain.remove_above(host, 1)).collect();
            assert_eq!(all, [other, one]);
        });
    }
}
