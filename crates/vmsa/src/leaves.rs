//! How large a leaf may be where a mapping stands.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

use blockmap_machine::{PhysAddr, VirtAddr};

use crate::{Geometry, Level};

/// Which leaves a mapping is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leaves {
    /// The largest that fit at each place: blocks of every level, and contiguous runs at levels 2
    /// and 3. Runs of level 1 blocks exist, but few TLBs hold an entry of their size.
    Largest,
    /// Pages, and no runs of them.
    Pages,
}

/// A size that a TLB may hold as one entry: a page, a block, or a contiguous run of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeafSize {
    /// Where its leaves are.
    pub level: Level,
    /// How many neighbouring leaves make it up when it is a contiguous run; `None` is one leaf.
    pub run: Option<u16>,
    bytes: u64,
}

impl LeafSize {
    /// Bytes that it maps; its input and output address are multiples of this.
    #[inline(always)]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// How many entries of a table it takes.
    #[inline(always)]
    #[must_use]
    pub const fn entries(self) -> u16 {
        match self.run {
            Some(entries) => entries,
            None => 1,
        }
    }
}

impl Geometry {
    /// The size of one leaf at `level`; `None` where a walk of this geometry finds no leaf.
    #[inline(always)]
    #[must_use]
    pub const fn leaf_size(self, level: Level) -> Option<LeafSize> {
        let is_walked = level.levels_below() <= self.root_level().levels_below();
        if is_walked && self.allows_leaf(level) {
            Some(LeafSize { level, run: None, bytes: self.span_bytes(level) })
        } else {
            None
        }
    }

    /// The size of a contiguous run at `level`; `None` where there are no runs, and where a table
    /// of this geometry is smaller than one.
    ///
    /// Source: "The Contiguous bit".
    #[inline(always)]
    #[must_use]
    pub const fn run_size(self, level: Level) -> Option<LeafSize> {
        match (self.leaf_size(level), self.run_entries(level)) {
            (Some(_), Some(entries)) if entries <= self.entries(level) => {
                #[expect(clippy::as_conversions, reason = "widening; From is not const")]
                let bytes = (entries as u64) << self.span_bits(level);
                Some(LeafSize { level, run: Some(entries), bytes })
            }
            _ => None,
        }
    }

    /// The largest leaf or run, among `leaves`, that may start at `input`, map `output`, and is no
    /// longer than `bytes_left`.
    ///
    /// `None` when not even a page fits: one of the addresses is no multiple of the granule, less
    /// than a page is left, or the output address is out of the geometry's reach.
    #[inline(always)]
    #[must_use]
    pub const fn largest_leaf(
        self,
        input: VirtAddr,
        output: PhysAddr,
        bytes_left: u64,
        leaves: Leaves,
    ) -> Option<LeafSize> {
        let reach = self.highest_output().value();
        if bytes_left == 0 || output.value() > reach {
            return None;
        }
        let above_first = reach - output.value();
        let room = Room {
            alignment: input.value() | output.value(),
            above_first: if bytes_left - 1 < above_first { bytes_left - 1 } else { above_first },
        };
        let page = self.leaf_size(Level::L3);
        match leaves {
            Leaves::Pages => room.or(None, page),
            Leaves::Largest => {
                let size = room.or(None, self.leaf_size(Level::L0));
                let size = room.or(size, self.leaf_size(Level::L1));
                let size = room.or(size, self.run_size(Level::L2));
                let size = room.or(size, self.leaf_size(Level::L2));
                let size = room.or(size, self.run_size(Level::L3));
                room.or(size, page)
            }
        }
    }
}

/// Where a leaf is to be: the bits of its addresses, and how many bytes there are but the first.
#[derive(Clone, Copy)]
struct Room {
    alignment: u64,
    above_first: u64,
}

impl Room {
    /// What was found before; if nothing was, `next` if it fits.
    #[inline(always)]
    const fn or(self, found: Option<LeafSize>, next: Option<LeafSize>) -> Option<LeafSize> {
        match (found, next) {
            (Some(_), _) => found,
            (None, Some(LeafSize { bytes, .. }))
                if self.alignment & (bytes - 1) == 0 && bytes - 1 <= self.above_first =>
            {
                next
            }
            (None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
