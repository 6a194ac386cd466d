//! Mapping memory where nothing is mapped yet.
//!
//! ```text timeline: map
//! 1. store  live entry -> table, invalid   a walker sees: nothing mapped
//! 2. fill   new table                      a walker sees: nothing mapped
//! 3. dsb ishst                             a walker sees: nothing mapped
//! 4. update live entry, valid              a walker sees: nothing, or all below it
//! 5. dsb ishst                             a walker sees: everything
//! 6. isb
//! ```
//!
//! What goes into tables that are live already is stored as it comes: leaves as they will be,
//! pointers to new tables with bit 0 clear, so that one barrier publishes all new tables and one
//! bulk update for each live table links them. [publish-after-fill] Without new tables steps 1 to
//! 4 are one fill. Entries that were invalid are in no TLB, so nothing is invalidated.
//! [invalid-is-never-cached] Of several mappings each takes steps 1 to 4, and the last two steps are for
//! all.
#![expect(
    clippy::inline_always,
    reason = "a plan that is made in one place and committed there is not moved"
)]

mod commit;
mod piece;

use blockmap_machine::{Machine, Pattern, PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap_vmsa::{Attributes, Kind, Leaves, Level, bits};
use thiserror::Error;

use crate::plan::{Hold, Parking, Work};
use crate::space::Place;
use crate::{NotParked, OutOfTables, Plan, Platform, RangeError, Refusal, Root, Space};

/// Entries in which nothing is mapped, nor marked present.
const UNMAPPED: Pattern = Pattern { mask: bits::VALID | bits::PRESENT, value: 0 };

/// What to map, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The input addresses: whole pages.
    pub range: VirtRange,
    /// What the first of them translates to; the others follow it.
    pub output: PhysAddr,
    /// The memory's type, shareability and permissions.
    pub attributes: Attributes,
    /// Which leaves to use.
    pub leaves: Leaves,
}

/// A checked mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling {
    pub(crate) mapping: Mapping,
    pub(crate) holes: Holes,
    pub(crate) end: End,
}

/// Whether a mapping is in force when its commit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    /// Another is to follow, or what completes all.
    Open,
}

/// How far what is to be filled reaches in the tables that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holes {
    /// From where it begins in a table to the end of the mapping or of the table.
    Whole,
    /// Up to a table, here or there, which is filled by itself.
    Parts,
}

/// Why nothing was mapped. The tables are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MapError {
    /// The range is no range of these tables.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The output address must be a multiple of the granule's page.
    #[error("the output address {0} is not a multiple of the page")]
    UnalignedOutput(PhysAddr),
    /// The output addresses from here on reach beyond the output size of these tables.
    #[error("the memory from {0} on reaches beyond the output address size")]
    OutputSize(PhysAddr),
    /// The system maps nothing more in this range.
    #[error("nothing more is mapped in {range}: {why}")]
    Refused {
        /// The range asked for.
        range: VirtRange,
        /// Why.
        why: Refusal,
    },
    /// Something is mapped at this address of the range, or marked present.
    #[error("something is mapped at {0}: unmap it first")]
    AlreadyMapped(VirtAddr),
    /// Not enough table memory.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

impl<P: Platform> Space<'_, P> {
    /// Plans to [`Space::map`]: locks and checks, and changes nothing.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn plan_map(&self, mapping: Mapping) -> Result<Plan<'_, P>, MapError> {
        self.plan_one_of(mapping, End::Complete)
    }

    /// Does what [`Space::map`] does for each of `mappings`, which share the barriers that make them
    /// usable: they are all in force when it returns.
    ///
    /// # Errors
    /// See [`MapError`]: of the first that can't be. Those before it are in force, and nothing else was
    /// changed.
    pub fn map_all(&self, mappings: impl Iterator<Item = Mapping>) -> Result<(), MapError> {
        let mut result = Ok(());
        for mapping in mappings {
            match self.carry_out(|| self.plan_one_of(mapping, End::Open)) {
                Ok(Ok(()) | Err(NotParked { .. })) => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.complete_new();
        result
    }

    /// Plans a mapping whose commit ends so.
    #[inline(always)]
    fn plan_one_of(&self, mapping: Mapping, end: End) -> Result<Plan<'_, P>, MapError> {
        self.check(mapping.range)?;
        if !mapping.output.is_aligned(self.geometry().page_bytes()) {
            return Err(MapError::UnalignedOutput(mapping.output));
        }
        match PhysRange::new(mapping.output, mapping.range.bytes()) {
            Some(output) if output.last() <= self.geometry().highest_output() => {}
            Some(_) | None => return Err(MapError::OutputSize(mapping.output)),
        }
        let locks = Hold::new(self, mapping.range, Root::Changes, Parking::Never);
        match self.platform().refusal(mapping.range) {
            // Where tables were shown once nothing is mapped now, or the plan will say so.
            None | Some(Refusal::Tables) => {}
            Some(why @ (Refusal::ImageZone | Refusal::ImageAlias)) => {
                return Err(MapError::Refused { range: mapping.range, why });
            }
        }
        let (mut tables, mut holes) = (0, Holes::Whole);
        let mut next = Some(mapping.range.start());
        while let Some(at) = next {
            let place = self.find(at);
            let span = self.span_up_to(place.table(), at, mapping.range.last());
            let count = self.machine().scan(span, UNMAPPED);
            if count < span.count {
                holes = Holes::Parts;
            }
            let hole = self.hole(mapping, place, (at, count))?;
            tables += self.tables_for(mapping, place.level, hole);
            next = above(hole, mapping.range);
        }
        Ok(Plan::new(locks, Work::Map(Filling { mapping, holes, end }), tables))
    }

    /// The part of the mapping from `at` on that the `count` entries from that of `place` on translate, in
    /// which nothing is mapped.
    fn hole(
        &self,
        mapping: Mapping,
        place: Place,
        (at, count): (VirtAddr, u16),
    ) -> Result<VirtRange, MapError> {
        let end = match self.after((place.level, at), count, mapping.range.last()) {
            Some(next) => next,
            None => mapping.range.end(),
        };
        let bytes = end.value().wrapping_sub(at.value());
        match VirtRange::new(at, bytes) {
            Some(hole) if count > 0 && place.kind == Kind::Invalid => Ok(hole),
            Some(_) | None => Err(MapError::AlreadyMapped(at)),
        }
    }

    /// How many tables below `level` it takes to map `hole`.
    fn tables_for(&self, mapping: Mapping, level: Level, hole: VirtRange) -> u32 {
        let mut tables = 0;
        let mut next = Some(hole.start());
        while let Some(at) = next {
            let Some(piece) = self.piece(mapping, (level, hole), at) else { break };
            tables += self
                .entered(level, piece, hole)
                .map_or(0, |first| first.levels_below() - piece.size.level.levels_below() + 1);
            next = self.after((piece.size.level, at), piece.count, hole.last());
        }
        tables
    }
}

/// The first address above `part` that is in `whole`.
pub(crate) fn above(part: VirtRange, whole: VirtRange) -> Option<VirtAddr> {
    (part.last() < whole.last()).then(|| part.end())
}
