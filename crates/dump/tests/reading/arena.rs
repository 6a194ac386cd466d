//! Translation tables on the host, for the tests: made entry by entry, read like any others.

use std::collections::BTreeMap;

use blockmap_dump::{
    ReadTable, Tree,
    vmsa::{
        Format, Geometry, Granule, Half, Kind, Level, Mair, Regime,
        machine::{PhysAddr, VirtAddr},
    },
};

/// Memory types at the indices that they have in Linux.
pub(crate) const MAIR: Mair = Mair::KERNEL;

/// A table that the arena doesn't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is at {0}")]
pub(crate) struct Missing(pub(crate) PhysAddr);

/// Tables by address. All of them are full-sized, the root too.
pub(crate) struct Arena {
    geometry: Geometry,
    tables: BTreeMap<PhysAddr, Vec<u64>>,
    root: PhysAddr,
    next: PhysAddr,
}

impl Arena {
    /// An arena with an empty root table.
    pub(crate) fn new(geometry: Geometry) -> Self {
        let root = PhysAddr::new(1 << 24);
        let mut arena = Self { geometry, tables: BTreeMap::new(), root, next: root };
        arena.add_table();
        arena
    }

    /// Where the root table is.
    pub(crate) fn root(&self) -> PhysAddr {
        self.root
    }

    /// The tree that starts at the root table.
    pub(crate) fn tree(&self) -> Tree<'_, Self> {
        Tree::new(self.geometry, self.root(), self)
    }

    /// Adds an empty table that nothing leads to.
    pub(crate) fn add_table(&mut self) -> PhysAddr {
        let table = self.next;
        let words = vec![0; usize::from(self.geometry.granule().entries())];
        self.tables.insert(table, words);
        self.next = table.checked_add(self.geometry.page_bytes()).unwrap();
        table
    }

    /// Stores one entry.
    pub(crate) fn set(&mut self, table: PhysAddr, index: u16, word: u64) {
        self.tables.get_mut(&table).unwrap()[usize::from(index)] = word;
    }

    /// Forgets a table.
    pub(crate) fn remove(&mut self, table: PhysAddr) {
        self.tables.remove(&table).unwrap();
    }

    /// The table of `level` on the way to `input`; it and those above are made where missing.
    pub(crate) fn table_at(&mut self, level: Level, input: VirtAddr) -> PhysAddr {
        let mut table = self.root();
        let mut at = self.geometry.root_level();
        while at != level {
            let index = self.geometry.index(at, input);
            let word = self.tables[&table][usize::from(index)];
            table = if self.geometry.kind(at, word) == Kind::Table {
                self.geometry.table_address(word)
            } else {
                let next = self.add_table();
                self.set(table, index, self.geometry.table_word(next));
                next
            };
            at = at.next().unwrap();
        }
        table
    }

    /// Stores the entry of `level` for `input`.
    pub(crate) fn put(&mut self, level: Level, input: VirtAddr, word: u64) {
        let table = self.table_at(level, input);
        self.set(table, self.geometry.index(level, input), word);
    }
}

impl ReadTable for Arena {
    type Error = Missing;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Missing> {
        let table = self.tables.get(&table).ok_or(Missing(table))?;
        words.copy_from_slice(&table[usize::from(first)..][..words.len()]);
        Ok(())
    }
}

/// Geometries that between them have every granule, format, regime and root level.
pub(crate) fn geometries() -> Vec<Geometry> {
    use {Format::*, Granule::*, Half::*, Regime::*};
    let sizes = [
        (El1And0, Upper, Kib4, Base, 48, 48),
        (El1And0, Upper, Kib4, Base, 39, 40),
        (El1And0, Lower, Kib4, Base, 30, 36),
        (El1And0, Upper, Kib4, Lpa2, 52, 52),
        (El2And0, Upper, Kib16, Base, 48, 48),
        (El2, Lower, Kib16, Base, 47, 48),
        (El1And0, Upper, Kib16, Lpa2, 52, 52),
        (El3, Lower, Kib64, Base, 48, 48),
        (El1And0, Upper, Kib64, Lpa, 52, 52),
        (El1And0, Lower, Kib64, Base, 25, 32),
    ];
    let geometry = |(regime, half, granule, format, input, output)| {
        Geometry::new((regime, half), (granule, format), input, output).unwrap()
    };
    sizes.into_iter().map(geometry).collect()
}
