//! Counts of one part of a tree.

use blockmap_dump::vmsa::Level;
use blockmap_dump::{ReadTable, Tree};
use serde::Serialize;

/// What one part of a tree is made of.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Part {
    /// The region's name, or `all`.
    pub(super) name: &'static str,
    /// Bytes that valid leaves map.
    pub(super) mapped_bytes: u64,
    /// Bytes behind leaves that are present but invalid.
    pub(super) invalid_bytes: u64,
    /// TLB entries that hold all of it at once.
    pub(super) tlb_entries: u64,
    /// Table pages on the way to it, the root among them.
    pub(super) tables: u64,
    /// Their bytes.
    pub(super) table_bytes: u64,
    /// The tables of each level that has any.
    pub(super) levels: Vec<LevelTables>,
    /// Valid leaves, and sound contiguous runs, of each size that there is, the largest first.
    pub(super) sizes: Vec<SizeCount>,
    /// Contiguous runs that are not what they claim.
    pub(super) misprogrammed: u64,
    /// Entries with a reserved encoding.
    pub(super) reserved: u64,
    /// Stretches that could not be read.
    pub(super) skipped: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct LevelTables {
    pub(super) level: i8,
    pub(super) tables: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct SizeCount {
    pub(super) bytes: u64,
    pub(super) count: u64,
}

impl Part {
    /// Counts `tree`, which may be a part of one.
    pub(super) fn of<R: ReadTable>(name: &'static str, tree: &Tree<'_, R>) -> Self {
        let stat = tree.stat();
        let levels = Level::ALL
            .into_iter()
            .map(|level| LevelTables { level: level.number(), tables: stat.level(level).tables });
        let sizes = stat.sizes().filter(|size| size.count > 0);
        Self {
            name,
            mapped_bytes: stat.mapped_bytes(),
            invalid_bytes: stat.invalid_bytes(),
            tlb_entries: stat.tlb_entries(),
            tables: stat.tables(),
            table_bytes: stat.table_bytes(),
            levels: levels.filter(|level| level.tables > 0).collect(),
            sizes: sizes
                .map(|size| SizeCount { bytes: size.size.bytes(), count: size.count })
                .collect(),
            misprogrammed: stat.misprogrammed,
            reserved: stat.reserved,
            skipped: stat.skipped,
        }
    }

    /// Whether there is anything in it.
    pub(super) const fn is_used(&self) -> bool {
        self.mapped_bytes + self.invalid_bytes + self.skipped + self.reserved > 0
    }
}
