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
    /// The memory type differs, by index. Two indices may mean the same type; that can't be seen
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
mod tests {
    use super::*;
    use crate::{Change, bits};

    /// A writable, never-executable block of Normal memory.
    const BLOCK: u64 = 0x0060_0000_4000_0701;
    const PAGE: u64 = BLOCK | bits::TABLE_OR_PAGE;
    const TABLE: u64 = 0x5000_0003;

    fn demand(level: Level, old: u64, new: u64) -> Demand {
        Geometry::KERNEL_4K_48.demand(level, old, new)
    }

    #[test]
    fn what_faults_is_never_cached() {
        let absent = BLOCK & !bits::VALID;
        for faulting in [0, absent, absent | bits::PRESENT, BLOCK & !bits::ACCESSED] {
            assert_eq!(demand(Level::L1, faulting, BLOCK), Demand::Synchronise);
            assert_eq!(demand(Level::L1, faulting, TABLE), Demand::Synchronise);
            assert_eq!(demand(Level::L1, faulting, 0xff00), Demand::Nothing);
            assert_eq!(demand(Level::L1, BLOCK, faulting), Demand::Invalidate);
            assert_eq!(demand(Level::L1, TABLE, faulting), Demand::Invalidate);
        }
        // Reserved: valid, but no block may be there.
        assert_eq!(demand(Level::L0, BLOCK, TABLE), Demand::Synchronise);
    }

    #[test]
    fn permissions_and_other_harmless_bits_need_no_break() {
        let harmless = [
            bits::READ_ONLY,
            bits::UNPRIVILEGED,
            bits::PXN,
            bits::UXN,
            bits::DIRTY_MODIFIER,
            bits::GUARDED,
            bits::NO_TRANSLATION,
            1 << 59,
        ];
        for bit in harmless {
            assert_eq!(demand(Level::L1, BLOCK, BLOCK ^ bit), Demand::Invalidate, "{bit:#x}");
        }
        assert_eq!(demand(Level::L1, BLOCK, BLOCK | bits::NOT_GLOBAL), Demand::Invalidate);
        for bit in [1 << 55, 1 << 58, 1 << 63] {
            assert_eq!(demand(Level::L1, BLOCK, BLOCK ^ bit), Demand::Nothing);
        }
        assert_eq!(demand(Level::L1, BLOCK, BLOCK), Demand::Nothing);
    }

    #[test]
    fn what_a_walk_finds_elsewhere_or_otherwise_needs_a_break() {
        let broken = [
            (1 << 30, Why::OutputAddress),
            (bits::NON_SECURE, Why::OutputAddress),
            (1 << 2, Why::MemoryType),
            (1 << 8, Why::Shareability),
            (1 << 12, Why::ReservedBits),
            (bits::CONTIGUOUS | bits::READ_ONLY, Why::SizeAndMore),
        ];
        for (bit, why) in broken {
            assert_eq!(demand(Level::L1, BLOCK, BLOCK ^ bit), Demand::BreakBeforeMake(why));
        }
        let private = BLOCK | bits::NOT_GLOBAL;
        let global = Demand::BreakBeforeMake(Why::Global);
        assert_eq!(demand(Level::L1, private, BLOCK), global);
        let other = Demand::BreakBeforeMake(Why::OtherTable);
        assert_eq!(demand(Level::L1, TABLE, TABLE ^ 0x1000), other);
    }

    #[test]
    fn a_size_change_is_nothing_else() {
        for (old, new) in [(BLOCK, TABLE), (TABLE, BLOCK), (BLOCK, BLOCK | bits::CONTIGUOUS)] {
            assert_eq!(demand(Level::L1, old, new), Demand::SizeChange);
            assert_eq!(demand(Level::L1, new, old), Demand::SizeChange);
        }
        assert_eq!(demand(Level::L3, PAGE, PAGE | bits::CONTIGUOUS), Demand::SizeChange);
        let (no_execute, no_stores, secure) = (0b11 << 59, 1 << 62, 1 << 63);
        assert_eq!(demand(Level::L1, BLOCK, TABLE | no_execute), Demand::SizeChange);
        let more = Demand::BreakBeforeMake(Why::SizeAndMore);
        assert_eq!(demand(Level::L1, BLOCK ^ bits::PXN, TABLE | no_execute), more);
        assert_eq!(demand(Level::L1, BLOCK, TABLE | no_stores), more);
        let (user, no_user) = (BLOCK | bits::UNPRIVILEGED, TABLE | 1 << 61);
        assert_eq!(demand(Level::L1, BLOCK, no_user), Demand::SizeChange);
        assert_eq!(demand(Level::L1, user, no_user), more);
        let elsewhere = Demand::BreakBeforeMake(Why::OutputAddress);
        assert_eq!(demand(Level::L1, BLOCK, TABLE | secure), elsewhere);
        assert_eq!(demand(Level::L1, TABLE, TABLE | no_execute), Demand::Invalidate);
        assert_eq!(demand(Level::L1, TABLE, TABLE | bits::ACCESSED), Demand::Nothing);
    }

    #[test]
    fn no_change_of_rights_needs_a_break_in_any_geometry() {
        for geometry in Geometry::every() {
            let meaning = geometry.leaf_meaning(BLOCK) & !geometry.address_mask(16);
            let output = crate::machine::PhysAddr::new(0);
            let word = geometry.leaf_word(Level::L3, output, meaning & !(0b11 << 8));
            for change in Change::ALL {
                let new = change.masks(geometry.regime()).apply(word);
                let found = geometry.demand(Level::L3, word, new);
                assert!(matches!(found, Demand::Nothing | Demand::Invalidate), "{change:?}");
                let back = geometry.demand(Level::L3, new, word);
                let is_invalid = change == Change::Invalid;
                let expected = if is_invalid { Demand::Synchronise } else { found };
                assert_eq!(back, expected, "{change:?}");
            }
        }
    }
}
