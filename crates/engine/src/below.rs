//! The tables below an entry.

use blockmap_machine::{Entry, Machine, Pattern, PhysAddr};
use blockmap_vmsa::{Kind, Level, bits};

use crate::{Platform, Space};

/// Above the pages: an entry that is a block, or nothing.
const NO_TABLE: Pattern = Pattern { mask: bits::TABLE_OR_PAGE, value: 0 };

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
        let entries = if level == Level::L3 { 0 } else { self.geometry().entries(level) };
        let mut index = 0;
        while index < entries {
            let entry = Entry { table, index };
            if beside.is_none() {
                index += self.machine().scan(entry.span(entries - index), NO_TABLE);
            }
            if index < entries {
                let word = |table| self.machine().load(Entry { table, index });
                self.only_below(level, (word(table), beside.map_or(0, word)), each);
                index += 1;
            }
        }
        each(table);
    }
}
