//! Statistics: leaves of each size, memory of the tables, and TLB entries that the map needs.

use blockmap_vmsa::{Geometry, LeafSize, Level};

use crate::{Mapped, ReadTable, Tree, What, group::Groups, per_level::PerLevel};

/// What a tree has at one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LevelStat {
    /// Tables whose entries are of this level, the root among them.
    pub tables: u64,
    /// Valid leaves, those in contiguous runs included.
    pub leaves: u64,
    /// Sound contiguous runs of valid leaves.
    pub runs: u64,
    /// Present but invalid leaves.
    pub invalid: u64,
}

/// Valid leaves, or contiguous runs of them, of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeStat {
    /// The size.
    pub size: LeafSize,
    /// How many there are; a leaf counts with its run, when that is sound, and not by itself.
    pub count: u64,
    /// Bytes that all of them map.
    pub bytes: u64,
}

/// What a tree, or a part of one, is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "DirectMap4k")]
pub struct Stat {
    geometry: Geometry,
    levels: PerLevel<LevelStat>,
    /// Groups of leaves, at the places of contiguous runs, of which some carry the contiguous bit
    /// although the group is not whole, does not lead to as aligned a place, or differs in what
    /// its leaves say. A TLB may translate such addresses wrongly. [whole-run-or-none]
    pub misprogrammed: u64,
    /// Entries with a reserved encoding.
    pub reserved: u64,
    /// Stretches that could not be read, and are in no other number.
    pub skipped: u64,
}

impl Stat {
    /// What the tree has at `level`.
    #[must_use]
    pub const fn level(&self, level: Level) -> LevelStat {
        self.levels.at(level)
    }

    /// Leaves and contiguous runs of every size the geometry has, the largest first.
    pub fn sizes(&self) -> impl Iterator<Item = SizeStat> {
        let geometry = self.geometry;
        Level::ALL
            .into_iter()
            .flat_map(move |level| {
                let LevelStat { leaves, runs, .. } = self.levels.at(level);
                let run = geometry.run_size(level);
                let in_runs = run.map_or(0, |run| runs * u64::from(run.entries()));
                let count = |size: Option<LeafSize>, count: u64| {
                    size.map(|size| SizeStat { size, count, bytes: count * size.bytes() })
                };
                [count(run, runs), count(geometry.leaf_size(level), leaves - in_runs)]
            })
            .flatten()
    }

    /// Table pages of all levels, the root included.
    #[must_use]
    pub fn tables(&self) -> u64 {
        Level::ALL.iter().map(|&level| self.level(level).tables).sum()
    }

    /// Bytes of the table pages, a root counted as a whole page even if it has fewer entries.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        self.tables() * self.geometry.page_bytes()
    }

    /// TLB entries that would hold all valid leaves at once, where a TLB holds every size in one.
    #[must_use]
    pub fn tlb_entries(&self) -> u64 {
        self.sizes().map(|size| size.count).sum()
    }

    /// Bytes that valid leaves map.
    #[must_use]
    pub fn mapped_bytes(&self) -> u64 {
        self.sizes().map(|size| size.bytes).sum()
    }

    /// Bytes behind leaves that are present but invalid.
    #[must_use]
    pub fn invalid_bytes(&self) -> u64 {
        let bytes = |level| {
            let size = self.geometry.leaf_size(level)?;
            Some(self.level(level).invalid * size.bytes())
        };
        Level::ALL.into_iter().filter_map(bytes).sum()
    }
}

impl<R: ReadTable> Tree<'_, R> {
    /// Counts what the tree is made of.
    #[must_use]
    pub fn stat(&self) -> Stat {
        let geometry = self.geometry;
        let mut stat = Stat {
            geometry,
            levels: PerLevel::default(),
            misprogrammed: 0,
            reserved: 0,
            skipped: 0,
        };
        let mut groups = Groups::default();
        let mut runs = self.runs();
        for run in &mut runs {
            let count = run.count(geometry);
            match run.what {
                What::Gap => {}
                What::Reserved(_) => stat.reserved += count,
                What::Skipped(_) => stat.skipped += 1,
                What::Leaves(mapped) => {
                    stat.levels.at_mut(run.level).add_leaves(mapped, count);
                    groups.add(geometry.run_size(run.level), run.range, mapped);
                }
            }
        }
        let found = groups.finish();
        stat.misprogrammed = found.misprogrammed;
        for level in Level::ALL {
            let at = stat.levels.at_mut(level);
            at.runs = found.sound.at(level);
            at.tables = runs.tables().at(level);
        }
        stat
    }
}

impl LevelStat {
    fn add_leaves(&mut self, mapped: Mapped, count: u64) {
        if mapped.is_valid() {
            self.leaves += count;
        } else {
            self.invalid += count;
        }
    }
}
