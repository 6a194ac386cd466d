//! The running kernel as the engine's platform.
#![expect(
    clippy::inline_always,
    reason = "where the scopes are known most of what they are compared with is not left"
)]

use blockmap::machine::{PhysAddr, VirtRange};
use blockmap::vmsa::Geometry;
use blockmap::vmsa::descriptor::Asids;
use blockmap::{NotParked, Phase, Platform, Refusal, Scope, Switch, Terms, TopUp};
use blockmap_kernel::entrance::{Locks, Pass};

use super::System;
use crate::console::pause;
use crate::cpus::MayPark;
use crate::memory::recorded::Recorded;

impl<'a> Platform for System<'a> {
    type Machine = Recorded<'a>;
    type MayPark = MayPark;
    type Held = Pass;

    #[inline]
    fn geometry(&self) -> Geometry {
        Geometry::KERNEL_4K_48
    }

    #[inline]
    fn machine(&self) -> &Recorded<'a> {
        &self.cpu
    }

    #[inline]
    fn asids(&self) -> Asids {
        self.leaf_asids()
    }

    fn terms(&self) -> Terms {
        self.entrance.terms()
    }

    fn try_hold_terms(&self) -> Option<Terms> {
        self.entrance.try_hold_terms()
    }

    fn release_terms(&self) {
        self.entrance.release_terms();
    }

    #[inline(always)]
    fn hold(&self, scope: Scope, also: Option<Scope>) -> (Terms, Pass) {
        let pass = self.entrance.enter(self.recording(), Locks::of(scope, also));
        (self.entrance.terms(), pass)
    }

    #[inline(always)]
    fn let_go(&self, held: &Pass) {
        self.entrance.leave(self.recording(), *held);
    }

    fn refusal(&self, range: VirtRange) -> Option<Refusal> {
        match self.changeable_memory(range) {
            Err(why) => Some(why),
            Ok(None) => None,
            Ok(Some(memory)) => self.holds_tables(memory).err(),
        }
    }

    fn top_up(&self, tables: u32) -> TopUp {
        let allocate = |missing| self.allocate_tables(missing);
        let result = self.reserve.top_up(self.cpu.silent(), tables, allocate);
        match result {
            TopUp::Enough => {}
            // Who can't have so many wants none of them.
            TopUp::Short => self.trim(),
        }
        result
    }

    fn reserve(&self, tables: u32) -> Result<(), u32> {
        // With `debug_pagealloc` an allocation takes locks that the caller may hold.
        let allocate = |missing| {
            if self.unmaps_free_pages() { None } else { self.allocate_tables(missing) }
        };
        // Nothing is trimmed where there are too few: what is there may be what somebody else has come
        // to have ready a moment ago.
        self.reserve.set_aside_or_add(self.cpu.silent(), tables, allocate)
    }

    fn unreserve(&self, tables: u32) {
        self.reserve.give_back(tables);
        self.trim();
    }

    fn take_table(&self) -> PhysAddr {
        match self.reserve.take(self.cpu.silent()) {
            Some(table) => {
                self.begin_table(table);
                table
            }
            None => panic!("a table was taken that was not set aside"),
        }
    }

    fn put_back_table(&self, table: PhysAddr) {
        self.end_table(table);
        self.reserve.put_back(self.cpu.silent(), table);
    }

    fn free_table(&self, table: PhysAddr) {
        self.end_table(table);
        if !self.reserve.keep(self.cpu.silent(), table) {
            self.give_back(table);
        }
    }

    fn quiesce(&self, may_park: &MayPark, switch: &Switch) -> Result<(), NotParked> {
        self.switch(may_park, switch)
    }

    fn enter_reader(&self) -> Phase {
        self.entrance.enter_reader()
    }

    fn leave_reader(&self, phase: Phase) {
        self.entrance.leave_reader(phase);
    }

    fn wait_for_readers(&self) {
        self.entrance.wait_for_readers(pause);
    }
}
