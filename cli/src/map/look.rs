//! What a place of a picture looks like: by the size of its leaves, and by what they grant.

use blockmap_dump::vmsa::{Geometry, LeafSize, Level};
use serde::Serialize;

use crate::survey::Leaves;

/// How large leaves are, the smallest first: that is what a place shows which has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Grain {
    /// Pages.
    Page,
    /// Contiguous runs of pages.
    PageRun,
    /// Level 2 blocks.
    Block,
    /// Contiguous runs of them.
    BlockRun,
    /// Blocks of the levels above.
    Large,
}

/// What leaves grant, the worst last: that is what a place shows which has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tint {
    /// Loads and stores.
    Data,
    /// Loads.
    Constant,
    /// Nothing now: present but invalid.
    Invalid,
    /// Loads and execution.
    Code,
    /// All three.
    Open,
}

/// Size and grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Look {
    pub(super) grain: Grain,
    pub(super) tint: Tint,
}

impl Grain {
    pub(super) const ALL: [Self; 5] =
        [Self::Large, Self::BlockRun, Self::Block, Self::PageRun, Self::Page];

    /// As the sign in a terminal.
    pub(super) const fn sign(self) -> char {
        match self {
            Self::Large => '█',
            Self::BlockRun => '▓',
            Self::Block => '▒',
            Self::PageRun => '░',
            Self::Page => '·',
        }
    }

    /// As a number in a page's data, and in the names of its colours.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Page => 0,
            Self::PageRun => 1,
            Self::Block => 2,
            Self::BlockRun => 3,
            Self::Large => 4,
        }
    }

    /// Bytes of such a leaf or run, if the geometry has them.
    pub(super) fn bytes(self, geometry: Geometry) -> Option<u64> {
        let size = match self {
            Self::Page => geometry.leaf_size(Level::L3),
            Self::PageRun => geometry.run_size(Level::L3),
            Self::Block => geometry.leaf_size(Level::L2),
            Self::BlockRun => geometry.run_size(Level::L2),
            Self::Large => geometry.leaf_size(Level::L1),
        };
        size.map(LeafSize::bytes)
    }
}

impl Tint {
    pub(super) const ALL: [Self; 5] =
        [Self::Data, Self::Constant, Self::Code, Self::Invalid, Self::Open];

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Data => "writable",
            Self::Constant => "read-only",
            Self::Code => "executable",
            Self::Invalid => "invalid",
            Self::Open => "writable and executable",
        }
    }

    /// As the name of its colours.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Constant => "constant",
            Self::Code => "code",
            Self::Invalid => "invalid",
            Self::Open => "open",
        }
    }

    /// As a number in a page's data.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Constant => 1,
            Self::Code => 2,
            Self::Invalid => 3,
            Self::Open => 4,
        }
    }
}

impl Look {
    /// How leaves look.
    pub(super) fn of(geometry: Geometry, leaves: &Leaves) -> Self {
        let is_run = leaves.mapped.is_contiguous() && geometry.run_size(leaves.level).is_some();
        let grain = match (leaves.level, is_run) {
            (Level::L3, false) => Grain::Page,
            (Level::L3, true) => Grain::PageRun,
            (Level::L2, false) => Grain::Block,
            (Level::L2, true) => Grain::BlockRun,
            (Level::L1 | Level::L0 | Level::Minus1, _) => Grain::Large,
        };
        let rights = leaves.mapped.rights(geometry);
        let tint = match (rights.writable(), rights.executable()) {
            _ if !leaves.mapped.is_valid() => Tint::Invalid,
            (true, true) => Tint::Open,
            (false, true) => Tint::Code,
            (true, false) => Tint::Data,
            (false, false) => Tint::Constant,
        };
        Self { grain, tint }
    }

    /// A place that has both: the smallest leaves and the worst grant.
    pub(super) fn with(self, other: Self) -> Self {
        Self { grain: self.grain.min(other.grain), tint: self.tint.max(other.tint) }
    }
}
