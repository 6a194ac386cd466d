//! Leaves and tables, counted.

use blockmap_vmsa::{Geometry, Level};

use crate::piece::Piece;

/// A number for each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PerLevel<T> {
    minus1: T,
    l0: T,
    l1: T,
    l2: T,
    l3: T,
}

impl<T: Copy> PerLevel<T> {
    const fn at(&self, level: Level) -> T {
        match level {
            Level::Minus1 => self.minus1,
            Level::L0 => self.l0,
            Level::L1 => self.l1,
            Level::L2 => self.l2,
            Level::L3 => self.l3,
        }
    }

    const fn at_mut(&mut self, level: Level) -> &mut T {
        match level {
            Level::Minus1 => &mut self.minus1,
            Level::L0 => &mut self.l0,
            Level::L1 => &mut self.l1,
            Level::L2 => &mut self.l2,
            Level::L3 => &mut self.l3,
        }
    }
}

/// How many leaves a plan has at each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeafCounts {
    single: PerLevel<u64>,
    in_runs: PerLevel<u64>,
}

impl LeafCounts {
    /// Leaves at `level` that stand for themselves.
    #[must_use]
    pub const fn single(&self, level: Level) -> u64 {
        self.single.at(level)
    }

    /// Leaves at `level` that are part of a contiguous run.
    #[must_use]
    pub const fn in_runs(&self, level: Level) -> u64 {
        self.in_runs.at(level)
    }

    /// All leaves, those of runs counted one by one: the entries that are written.
    #[must_use]
    pub fn total(&self) -> u64 {
        Level::ALL.into_iter().fold(0, |sum: u64, level| {
            sum.saturating_add(self.single(level)).saturating_add(self.in_runs(level))
        })
    }

    pub(crate) fn add(&mut self, piece: &Piece) {
        let leaves = piece.count.saturating_mul(u64::from(piece.size.entries()));
        let counts = match piece.size.run {
            Some(_) => &mut self.in_runs,
            None => &mut self.single,
        };
        let count = counts.at_mut(piece.size.level);
        *count = count.saturating_add(leaves);
    }
}

/// How many tables a plan takes at each level below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableCounts {
    geometry: Geometry,
    tables: PerLevel<u64>,
    /// Which table of each level the piece counted last ended in, counted from the half's start.
    latest: PerLevel<Option<u64>>,
}

impl TableCounts {
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self { geometry, tables: PerLevel::default(), latest: PerLevel::default() }
    }

    /// Tables at `level`; none at the root's level and above it.
    #[must_use]
    pub const fn at(&self, level: Level) -> u64 {
        self.tables.at(level)
    }

    /// All tables below the root.
    #[must_use]
    pub fn total(&self) -> u64 {
        Level::ALL.into_iter().fold(0, |sum: u64, level| sum.saturating_add(self.at(level)))
    }

    /// The bytes that all tables below the root take: each is as large as a page.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.total().saturating_mul(self.geometry.page_bytes())
    }

    /// Counts the tables that lead to `piece`, which lies above all pieces counted before.
    pub(crate) fn add(&mut self, piece: &Piece) {
        let mut above = self.geometry.root_level();
        while above < piece.size.level
            && let Some(level) = above.next()
        {
            // A table at `level` is what one entry of the level above it covers.
            let bits = self.geometry.span_bits(above);
            let (Some(first), Some(last)) =
                (piece.input.value().checked_shr(bits), piece.last().value().checked_shr(bits))
            else {
                return;
            };
            let first_new = match self.latest.at(level) {
                Some(latest) if latest == first => first.saturating_add(1),
                Some(_) | None => first,
            };
            let new = last.saturating_add(1).saturating_sub(first_new);
            let count = self.tables.at_mut(level);
            *count = count.saturating_add(new);
            *self.latest.at_mut(level) = Some(last);
            above = level;
        }
    }
}
