//! Where the tables of the running kernel come from, and where they go.

use core::sync::atomic::Ordering;

use blockmap::machine::{PhysAddr, PhysRange};
use blockmap_kernel::frames::{FRAME_BYTES, Purpose};

use super::System;
use crate::memory::reserve::KEPT;
use crate::referee;

/// Log2 of the tables that are allocated together when many are missing: frames whose states are in
/// one word.
const MANY_TABLES: u32 = 5;

/// The same where few are missing.
const FEW_TABLES: u32 = KEPT.ilog2();

/// The same where there are not so many together: a page out of a block of level 1 takes two.
const TWO_TABLES: u32 = 1;

impl System<'_> {
    /// How many tables the next operations find ready.
    pub(crate) fn tables_ready(&self) -> u32 {
        self.reserve.ready()
    }

    /// Allocates at most `missing` tables, which are neighbours: as many as there are steps for, or one.
    pub(super) fn allocate_tables(&self, missing: u32) -> Option<PhysRange> {
        let of = |order: u32| {
            let less = |left: u32| left.checked_sub(1 << order);
            let had = self.allowance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            let tables = had.ok().and_then(|_| self.frames.allocate_block(Purpose::Table, order));
            if had.is_ok() && tables.is_none() {
                self.allowance.fetch_add(1 << order, Ordering::Relaxed);
            }
            tables
        };
        let orders = [MANY_TABLES, FEW_TABLES, TWO_TABLES, 0];
        orders.into_iter().filter(|order| missing >> order > 0).find_map(of)
    }

    /// Gives the frame of what was a table back.
    pub(super) fn give_back(&self, table: PhysAddr) {
        if let Err(error) = self.frames.free(Purpose::Table, table) {
            panic!("a table can't be freed: {error}");
        }
    }

    /// From here on `table` is one: what is stored there is seen by the referee.
    pub(super) fn begin_table(&self, table: PhysAddr) {
        if let Some(frame) = PhysRange::new(table, FRAME_BYTES) {
            referee::watch(frame);
        }
        self.cpu.taken(table);
    }

    /// From here on `table` is none.
    pub(super) fn end_table(&self, table: PhysAddr) {
        self.cpu.freed(table);
        if let Some(frame) = PhysRange::new(table, FRAME_BYTES) {
            referee::forget(frame);
        }
    }

    /// Gives back what the reserve has more than it keeps.
    pub(super) fn trim(&self) {
        self.reserve.trim(self.cpu.silent(), |table| self.give_back(table));
    }
}
