//! Which leaves a mapping is made of, a table's worth at a time.

use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::{LeafSize, Leaves, Level};

use super::Mapping;
use crate::cut::used_run;
use crate::{Platform, Space};

/// Leaves of one size, neighbours in one table.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) at: VirtAddr,
    pub(super) output: PhysAddr,
    pub(super) size: LeafSize,
    /// Entries, not runs.
    pub(super) count: u16,
}

impl<P: Platform> Space<'_, P> {
    /// The leaves at `at`: the largest that fit into `hole`, which entries at `level` cover.
    #[inline]
    pub(super) fn piece(
        &self,
        mapping: Mapping,
        (level, hole): (Level, VirtRange),
        at: VirtAddr,
    ) -> Option<Piece> {
        let geometry = self.geometry();
        let output = mapping.output.wrapping_add(at.offset_from(mapping.range.start())?);
        let left = hole.end().value().wrapping_sub(at.value());
        let mut size = geometry.largest_leaf(at, output, left, mapping.leaves)?;
        if size.level < level {
            // The table is there already: its leaves are no larger than its entries.
            size = used_run(geometry, level).or(geometry.leaf_size(level))?;
        }
        let run = match mapping.leaves {
            Leaves::Largest => used_run(geometry, size.level),
            Leaves::Pages => None,
        };
        let offset = at.value() ^ output.value();
        let next_run = run.filter(|run| size.run.is_none() && offset & (run.bytes() - 1) == 0);
        Some(Piece { at, output, size, count: self.piece_count(at, left, size, next_run) })
    }

    /// How many entries can follow in the same table with leaves of the same size: up to where the
    /// first run starts, if one can.
    #[inline]
    fn piece_count(
        &self,
        at: VirtAddr,
        left: u64,
        size: LeafSize,
        next_run: Option<LeafSize>,
    ) -> u16 {
        let geometry = self.geometry();
        let span = geometry.span_bytes(size.level);
        let in_table = geometry.entries(size.level) - geometry.index(size.level, at);
        let mut bytes = left.min(span * u64::from(in_table));
        if let Some(run) = next_run {
            let to_run = run.bytes() - (at.value() & (run.bytes() - 1));
            if to_run + run.bytes() <= bytes {
                bytes = to_run;
            }
        }
        let whole = bytes - bytes % size.bytes();
        u16::try_from(whole / span).unwrap_or(in_table)
    }

    /// The highest level below `level` of whose table the piece is the first in `hole`; `None` if
    /// all tables on the way to it are there.
    #[inline]
    pub(super) fn entered(&self, level: Level, piece: Piece, hole: VirtRange) -> Option<Level> {
        let geometry = self.geometry();
        let mut above = level;
        while above < piece.size.level {
            let below = above.next()?;
            if piece.at == hole.start() || piece.at.is_aligned(geometry.span_bytes(above)) {
                return Some(below);
            }
            above = below;
        }
        None
    }
}
