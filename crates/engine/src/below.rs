//! The tables below an entry.

use blockmap_machine::{Entry, Machine, PhysAddr};
use blockmap_vmsa::{Kind, Level};

use crate::{Platform, Space};

impl<P: Platform> Space<'_, P> {
    /// Calls `each` with `table`, of `level`, and all tables below it: from the pages up, and as deep
    /// as there are levels.
    pub(crate) fn each_table(&self, (level, table): (Level, PhysAddr), each: &impl Fn(PhysAddr)) {
        self.only_in(level, (table, None), each);
    }

    /// Calls `each` with the tables that are below an entry of `level` with the one word, and not
    /// below it with the other: from the pages up.
    pub(crate) fn only_below(
        &self,
        level: Level,
        (one, other): (u64, u64),
        each: &impl Fn(PhysAddr),
    ) {
        let geometry = self.geometry();
        let Some(below) = level.next() else { return };
        if one == other || geometry.kind(level, one) != Kind::Table {
            return;
        }
        let is_table = geometry.kind(level, other) == Kind::Table;
        let beside = is_table.then(|| geometry.table_address(other));
        self.only_in(below, (geometry.table_address(one), beside), each);
    }

    fn only_in(
        &self,
        level: Level,
        (table, beside): (PhysAddr, Option<PhysAddr>),
        each: &impl Fn(PhysAddr),
    ) {
        if level != Level::L3 {
            for index in 0..self.geometry().entries(level) {
                let word = |table| self.machine().load(Entry { table, index });
                self.only_below(level, (word(table), beside.map_or(0, word)), each);
            }
        }
        each(table);
    }
}
