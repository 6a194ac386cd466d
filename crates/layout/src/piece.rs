//! Equal leaves in a row: what a plan is made of.

use blockmap_vmsa::machine::{PhysAddr, VirtAddr};
use blockmap_vmsa::{Attributes, LeafSize};

/// Equal leaves, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first leaf's first input address.
    pub input: VirtAddr,
    /// The first leaf's first output address.
    pub output: PhysAddr,
    /// The size of each: a page, a block, or a contiguous run of either.
    pub size: LeafSize,
    /// How many of this size; at least one.
    pub count: u64,
    /// What they grant.
    pub attributes: Attributes,
}

impl Piece {
    /// How many bytes it maps.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        // INVARIANT: a piece lies within the linear map, so this does not overflow.
        self.count.saturating_mul(self.size.bytes())
    }

    /// The highest input address.
    #[must_use]
    pub const fn last(&self) -> VirtAddr {
        self.input.wrapping_add(self.bytes().saturating_sub(1))
    }
}
