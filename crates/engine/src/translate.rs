//! What an address translates to.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant a few instructions of each level are left"
)]

use core::ops::ControlFlow::{self, Break, Continue};

use blockmap_machine::{Entry, Machine, PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, Level};

use crate::{Platform, Space};

/// What a walk goes on with: the next table; or, where it ends, the output address if there is one.
type Walk = ControlFlow<Option<PhysAddr>, PhysAddr>;

impl<P: Platform> Space<'_, P> {
    /// The output address that a valid leaf translates `address` to, or `None`.
    ///
    /// It tells what the tables say now; without a lock the answer may be old when it arrives.
    #[inline(always)]
    #[must_use]
    pub fn translate(&self, address: VirtAddr) -> Option<PhysAddr> {
        if !self.geometry().translates(VirtRange::new(address, 1)?) {
            return None;
        }
        let _reader = self.reader();
        match self.walk(address) {
            Break(output) => output,
            Continue(_) => None,
        }
    }

    /// Walks `address` from the root.
    #[inline(always)]
    fn walk(&self, address: VirtAddr) -> Walk {
        let table = self.step(Level::Minus1, self.root(), address)?;
        let table = self.step(Level::L0, table, address)?;
        let table = self.step(Level::L1, table, address)?;
        let table = self.step(Level::L2, table, address)?;
        self.step(Level::L3, table, address)
    }

    /// The step of a walk through `table`, of `level`; none where the root is below it.
    #[inline(always)]
    fn step(&self, level: Level, table: PhysAddr, address: VirtAddr) -> Walk {
        let geometry = self.geometry();
        if level < geometry.root_level() {
            return Continue(table);
        }
        let word = self.machine().load(Entry { table, index: geometry.index(level, address) });
        match geometry.kind(level, word) {
            Kind::Table => Continue(geometry.table_address(word)),
            Kind::Leaf => {
                let within = address.value() & (geometry.span_bytes(level) - 1);
                Break(geometry.leaf_output(level, word).checked_add(within))
            }
            Kind::Invalid | Kind::PresentInvalid | Kind::Reserved => Break(None),
        }
    }
}
