//! A host as the engine's platform.

use blockmap_machine::{Entry, PhysAddr, VirtRange};
use blockmap_vmsa::Geometry;
use blockmap_vmsa::descriptor::Asids;

use super::{Host, MayPark};
use crate::{NotParked, Phase, Platform, Refusal, Root, Scope, Switch, Terms, TopUp};

/// The locks, terms and reader that an operation on a host holds.
#[derive(Debug)]
pub struct Held {
    scope: Scope,
    reading: Option<Phase>,
}

impl Host<'_> {
    #[inline]
    fn hold_terms(&self) -> Terms {
        assert!(!self.changing.get(), "would wait for the terms for ever");
        self.holds.set(self.holds.get() + 1);
        self.terms.get()
    }
}

impl Platform for Host<'_> {
    type Machine = Self;
    type MayPark = MayPark;
    type Held = Held;

    #[inline]
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    #[inline]
    fn machine(&self) -> &Self {
        self
    }

    #[inline]
    fn asids(&self) -> Asids {
        self.asids.get()
    }

    #[inline]
    fn terms(&self) -> Terms {
        self.terms.get()
    }

    #[inline]
    fn try_hold_terms(&self) -> Option<Terms> {
        (!self.changing.get()).then(|| self.hold_terms())
    }

    #[inline]
    fn release_terms(&self) {
        self.holds.set(self.holds.get() - 1);
    }

    #[inline]
    fn hold(&self, scope: Scope, also: Option<Scope>) -> (Terms, Held) {
        let scope = also.map_or(scope, |also| scope.hull(also));
        let terms = self.hold_terms();
        assert!(self.lock.get().is_none(), "a second operation would wait for ever");
        self.lock.set(Some(scope));
        let is_reader = scope.root == Root::Untouched;
        let reading = is_reader.then(|| self.enter_reader());
        (terms, Held { scope, reading })
    }

    #[inline]
    fn let_go(&self, held: &Held) {
        if let Some(phase) = held.reading {
            self.leave_reader(phase);
        }
        assert_eq!(self.lock.replace(None), Some(held.scope), "other locks than were taken");
        self.release_terms();
    }

    #[inline]
    fn refusal(&self, range: VirtRange) -> Option<Refusal> {
        self.refused.get().filter(|(refused, _)| refused.overlaps(range)).map(|(_, why)| why)
    }

    fn top_up(&self, tables: u32) -> TopUp {
        assert!(self.lock.get().is_none(), "allocating with a lock held");
        if self.available() < tables { TopUp::Short } else { TopUp::Enough }
    }

    #[inline]
    fn reserve(&self, tables: u32) -> Result<(), u32> {
        let available = self.available();
        if tables > available {
            return Err(available);
        }
        self.reserved.set(self.reserved.get() + tables);
        Ok(())
    }

    fn unreserve(&self, tables: u32) {
        self.reserved.set(self.reserved.get() - tables);
    }

    #[inline]
    fn take_table(&self) -> PhysAddr {
        self.reserved.set(self.reserved.get() - 1);
        self.in_use.set(self.in_use.get() + 1);
        if self.allowance.get() != u32::MAX {
            self.allowance.set(self.allowance.get() - 1);
        }
        if let Some(table) = self.freed.get() {
            let next = self.word(Entry { table, index: 0 }).get();
            self.freed.set((next != 0).then(|| PhysAddr::new(next)));
            return table;
        }
        let number = self.unused.replace(self.unused.get() + 1);
        Self::BASE.wrapping_add(number * self.geometry.page_bytes())
    }

    fn put_back_table(&self, table: PhysAddr) {
        self.keep_free(table);
        self.reserved.set(self.reserved.get() + 1);
        if self.allowance.get() != u32::MAX {
            self.allowance.set(self.allowance.get() + 1);
        }
    }

    fn free_table(&self, table: PhysAddr) {
        assert_eq!(self.readers.get(), 0, "a reader may still be in the table");
        self.keep_free(table);
    }

    fn quiesce(&self, _may_park: &MayPark, switch: &Switch) -> Result<(), NotParked> {
        switch.perform(self, switch.alone(self.park()?));
        Ok(())
    }

    #[inline]
    fn enter_reader(&self) -> Phase {
        self.readers.set(self.readers.get() + 1);
        Phase::Even
    }

    #[inline]
    fn leave_reader(&self, _phase: Phase) {
        self.readers.set(self.readers.get() - 1);
    }

    fn wait_for_readers(&self) {
        assert_eq!(self.readers.get(), 0, "waiting for a reader on the same CPU");
    }
}
