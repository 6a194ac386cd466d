//! A table tree that can be read: root, geometry, and whoever holds the tables' words.

use core::error::Error;

use blockmap_vmsa::{
    Geometry,
    machine::{PhysAddr, VirtRange},
};

/// Reads the words of translation tables.
///
/// A kernel loads them from memory one by one (each single-copy atomic: the tables may be live);
/// a tool that pays for every request may fetch and keep the whole table when its first words are
/// asked for.
pub trait ReadTable {
    /// Why a table can't be read. [`core::convert::Infallible`] where that never happens.
    type Error: Error;

    /// Fills `words` with the entries of `table` from number `first` on. Callers never ask past
    /// the table's end.
    ///
    /// # Errors
    /// Says why these words are out of reach. `words` may then hold anything.
    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Self::Error>;
}

/// A root table with what it takes to read the tree under it.
///
/// The tree may be live and change meanwhile; whoever frees tables has to wait for readers.
#[derive(Debug)]
pub struct Tree<'r, R> {
    pub(crate) geometry: Geometry,
    pub(crate) root: PhysAddr,
    pub(crate) reader: &'r R,
    pub(crate) most_tables: u64,
    pub(crate) within: Option<VirtRange>,
}

impl<R> Clone for Tree<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Tree<'_, R> {}

impl<'r, R: ReadTable> Tree<'r, R> {
    /// Tables entered at most, unless [`Tree::with_most_tables`] says otherwise: enough for 32 TiB
    /// in 4 KiB pages.
    pub const MOST_TABLES: u64 = 1 << 24;

    /// The tree of `geometry` whose root table is at `root`: the address in `TTBRn_ELx`, without
    /// the register's other fields.
    #[must_use]
    pub const fn new(geometry: Geometry, root: PhysAddr, reader: &'r R) -> Self {
        Self { geometry, root, reader, most_tables: Self::MOST_TABLES, within: None }
    }

    /// The tree, of which at most `tables` tables are entered; the rest is reported as skipped.
    ///
    /// A table entered from two places counts twice: this is what bounds the time that hostile
    /// tables take. A sound bound for a dump is the number of frames in it.
    #[must_use]
    pub const fn with_most_tables(self, tables: u64) -> Self {
        Self { most_tables: tables, ..self }
    }

    /// The part of the tree that translates `range`. Entries that lie in it in part belong to it
    /// whole.
    #[must_use]
    pub const fn within(self, range: VirtRange) -> Self {
        Self { within: Some(range), ..self }
    }

    /// The geometry.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Where the root table is.
    #[must_use]
    pub const fn root(&self) -> PhysAddr {
        self.root
    }

    /// Whether a table may be at `table`: 8-byte aligned, and not above the highest output
    /// address. Roots may be smaller than a page, and are then aligned to less.
    pub(crate) const fn can_hold_table(&self, table: PhysAddr) -> bool {
        table.is_aligned(8) && table.value() <= self.geometry.highest_output().value()
    }
}
