//! What the architecture demands when a live entry's word is replaced by another.
//!
//! Source: "Using break-before-make when updating translation table entries", "Support levels for
//! changing table or block size", "TLB maintenance requirements". The reading is for tables that
//! several CPUs walk, with hardware management of the access flag and of dirty state off.

use crate::descriptor::{
    AccessFlag, Asids, Bit, Execution, Leaf, OutputSpace, Stores, Table, Unprivileged, Validity,
};
use crate::{Descriptor, Geometry, Level};

/// What it takes to replace one word by another in a live entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    /// No more than the store: nothing that a walk heeds differs.
    Nothing,
    /// The store must be visible to walkers, and a CPU that is to use the new translation must
    /// synchronise. Nothing was cached before. [invalid-is-never-cached]
    Synchronise,
    /// As [`Demand::Synchronise`], and what was made of the old word be invalidated.
    Invalidate,
    /// As [`Demand::Invalidate`], where all CPUs permit a live change of size
    /// ([`SizeChange`](crate::cpu::SizeChange)). Otherwise it is broken first, or made while
    /// nobody can see it.
    ///
    /// Between a block and a table the demand is about the size: that the table's leaves say what
    /// the block said is for the caller to know.
    SizeChange,
    /// The entry must become invalid, that be visible, the old word be invalidated everywhere and
    /// that be complete, before the new word is stored. [break-before-make]
    BreakBeforeMake(Why),
}

/// Which change it is that needs a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The output address differs, or its address space. It would be permitted where neither word
    /// allows stores and both places hold the same bytes; that can't be seen in the words.
    OutputAddress,
    /// The memory type differs, by index. [type-change-breaks] Two indices may mean the same type; that can't be seen
    /// either.
    MemoryType,
    /// The shareability differs.
    Shareability,
    /// A leaf of one ASID becomes global and may overlap what other ASIDs have there.
    Global,
    /// The entry leads to another table.
    OtherTable,
    /// The size changes, and so does something else: only the size may.
    SizeAndMore,
    /// Bits that are RES0 differ: nobody knows what they will mean.
    ReservedBits,
}

impl Geometry {
    /// What it takes to replace `old` by `new` in an entry of `level` that walkers may use.
    ///
    /// It judges one entry. Of a contiguous run, every entry has to be changed alike.
    /// [whole-run-or-none]
    #[must_use]
    pub fn demand(self, level: Level, old: u64, new: u64) -> Demand {
        match (self.walked(level, old), self.walked(level, new)) {
            (None, None) => Demand::Nothing,
            (None, Some(_)) => Demand::Synchronise,
            (Some(_), None) => Demand::Invalidate,
            (Some(Walked::Table(old)), Some(Walked::Table(new))) => between_tables(old, new),
            (Some(Walked::Leaf(old)), Some(Walked::Leaf(new))) => between_leaves(old, new),
            (Some(Walked::Leaf(leaf)), Some(Walked::Table(table)))
            | (Some(Walked::Table(table)), Some(Walked::Leaf(leaf))) => between_sizes(leaf, table),
        }
    }

    /// What a walk may use, and a TLB hold, of `word`. A word that faults is never cached, a leaf
    /// without its access flag included. [invalid-is-never-cached]
    fn walked(self, level: Level, word: u64) -> Option<Walked> {
        match self.decode(level, word) {
            Descriptor::Table(table) => Some(Walked::Table(table)),
            Descriptor::Leaf(leaf)
                if (leaf.validity, leaf.accessed) == (Validity::Valid, AccessFlag::Set) =>
            {
                Some(Walked::Leaf(leaf))
            }
            Descriptor::Leaf(_) | Descriptor::Invalid(_) | Descriptor::Reserved(_) => None,
        }
    }
}

enum Walked {
    Table(Table),
    Leaf(Leaf),
}

fn between_tables(old: Table, new: Table) -> Demand {
    if (old.next, old.space) != (new.next, new.space) {
        return Demand::BreakBeforeMake(Why::OtherTable);
    }
    if old.residue != new.residue {
        return Demand::BreakBeforeMake(Why::ReservedBits);
    }
    let heeded = |table: Table| (table.stores, table.unprivileged, table.execution);
    if heeded(old) == heeded(new) { Demand::Nothing } else { Demand::Invalidate }
}

/// What a leaf allows and a table over its pieces denies is a change besides that of size.
/// [table-denies-no-more-than-leaf]
fn between_sizes(leaf: Leaf, table: Table) -> Demand {
    if (leaf.space, table.space) == (OutputSpace::Own, OutputSpace::NonSecure) {
        return Demand::BreakBeforeMake(Why::OutputAddress);
    }
    let stores = (leaf.stores, table.stores) == (Stores::Allowed, Stores::Denied);
    let unprivileged =
        (leaf.unprivileged, table.unprivileged) == (Unprivileged::Allowed, Unprivileged::Denied);
    let execution = match table.execution {
        Execution::Everyone => false,
        Execution::UnprivilegedOnly => {
            matches!(leaf.execution, Execution::Everyone | Execution::PrivilegedOnly)
        }
        Execution::PrivilegedOnly => {
            matches!(leaf.execution, Execution::Everyone | Execution::UnprivilegedOnly)
        }
        Execution::Nobody => leaf.execution != Execution::Nobody,
    };
    if stores || unprivileged || execution {
        Demand::BreakBeforeMake(Why::SizeAndMore)
    } else {
        Demand::SizeChange
    }
}

fn between_leaves(old: Leaf, new: Leaf) -> Demand {
    if (old.output, old.space) != (new.output, new.space) {
        return Demand::BreakBeforeMake(Why::OutputAddress);
    }
    if old.memory != new.memory {
        return Demand::BreakBeforeMake(Why::MemoryType);
    }
    if old.sharing != new.sharing {
        return Demand::BreakBeforeMake(Why::Shareability);
    }
    if (old.asids, new.asids) == (Asids::One, Asids::Every) {
        return Demand::BreakBeforeMake(Why::Global);
    }
    if old.residue != new.residue {
        return Demand::BreakBeforeMake(Why::ReservedBits);
    }
    // What software keeps in a word, hardware doesn't look at.
    let heeded = |leaf| Leaf { software: 0, ignored: Bit::Clear, ..leaf };
    let resized = Leaf { contiguity: new.contiguity, ..heeded(old) };
    match (old.contiguity == new.contiguity, resized == heeded(new)) {
        (true, true) => Demand::Nothing,
        (true, false) => Demand::Invalidate,
        (false, true) => Demand::SizeChange,
        (false, false) => Demand::BreakBeforeMake(Why::SizeAndMore),
    }
}

#[cfg(test)]
mod tests;
