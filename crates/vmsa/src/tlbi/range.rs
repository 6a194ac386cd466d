//! Invalidation of a range by few instructions.
//!
//! The operand of a range form holds the ASID in bits 63:48, TG, the granule, in 47:46, SCALE in
//! 45:44, NUM in 43:39, the TTL hint in 38:37 and the base in 36:0. It covers (NUM + 1) ×
//! 2^(5 × SCALE + 1) pages from the base up. The base is counted in pages, and with
//! `TCR_ELx.DS` in units of 64 KiB.
//!
//! Source: "TLBI RVAE1, TLBI RVAE1NXS" and its relatives.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant few instructions are left of one operand"
)]

use core::iter::FusedIterator;

use blockmap_machine::{Invalidate, Tlbi, VirtAddr, VirtRange};

use super::{Operation, Reach, Scope, level_field};
use crate::{Geometry, Regime};

/// log2 of the most pages that one instruction covers: SCALE 3, NUM 31.
const MOST_PAGES_BITS: u32 = 21;

/// The same as a number of pages.
const MOST_PAGES: u64 = 1 << MOST_PAGES_BITS;

impl Geometry {
    /// Removes what was made of the entries on the walks of a range, in every ASID where the
    /// regime has them, on every CPU, by range forms: every CPU must have them
    /// ([`TlbiForm::Ranged`](crate::TlbiForm::Ranged)).
    ///
    /// It is one instruction up to [`Geometry::range_invalidation_limit`], and one more for each
    /// further multiple of it. An instruction covers more than was asked for rather than be
    /// followed by a second one: by less than the unit of its scale, so less than twice the range,
    /// whose start is rounded down to 64 KiB with LPA2; and never beyond the half's end. The part
    /// of `range` that the half doesn't translate is left out.
    #[inline]
    #[must_use]
    pub const fn invalidate_range(self, range: VirtRange, reach: Reach) -> RangeInvalidations {
        self.invalidations_of_range(range, Operation::broadcast(reach))
    }

    /// As [`Geometry::invalidate_range`], for any scope, ASID and hint.
    ///
    /// A hint is dropped where the instruction's base is no multiple of that level's span: which
    /// addresses are covered would be unpredictable. [range-hint-needs-alignment]
    #[inline(always)]
    #[must_use]
    pub const fn invalidations_of_range(
        self,
        range: VirtRange,
        operation: Operation,
    ) -> RangeInvalidations {
        let (lowest, highest) = self.inputs();
        let first = max(range.start().value(), lowest.value()) >> self.granule().page_bits();
        let last = min(range.last().value(), highest.value()) >> self.granule().page_bits();
        let mut rest = RangeInvalidations {
            geometry: self,
            operation,
            page: first,
            pages: if first <= last { last - first + 1 } else { 0 },
        };
        if rest.pages > 1 {
            let below = first & ((1 << (self.range_base_bit() - self.granule().page_bits())) - 1);
            rest.page -= below;
            rest.pages += below;
        }
        rest
    }

    /// The instruction of [`Geometry::invalidate_range`], if there is one and it is of more than a page.
    #[inline(always)]
    #[must_use]
    pub fn invalidate_range_by_one(self, range: VirtRange, reach: Reach) -> Option<Invalidate> {
        let all = self.invalidations_of_range(range, Operation::broadcast(reach));
        matches!(all.pages, 2..=MOST_PAGES).then(|| all.instruction(all.pages))
    }

    /// Bytes that one range instruction covers at most: 8 GiB with 4 KiB pages, 32 GiB with
    /// 16 KiB, 128 GiB with 64 KiB.
    #[inline]
    #[must_use]
    pub const fn range_invalidation_limit(self) -> u64 {
        self.page_bytes() << MOST_PAGES_BITS
    }

    #[inline(always)]
    const fn range_op(self, operation: Operation) -> Tlbi {
        use Reach::{AllLevels, LastLevel};
        use Scope::{EveryCpu, ThisCpu};
        let every_asid = operation.asid.is_none();
        match (self.regime(), operation.reach, operation.scope) {
            (Regime::El1And0 | Regime::El2And0, reach, scope) => match (every_asid, reach, scope) {
                (false, AllLevels, ThisCpu) => Tlbi::Rvae1,
                (false, AllLevels, EveryCpu) => Tlbi::Rvae1is,
                (false, LastLevel, ThisCpu) => Tlbi::Rvale1,
                (false, LastLevel, EveryCpu) => Tlbi::Rvale1is,
                (true, AllLevels, ThisCpu) => Tlbi::Rvaae1,
                (true, AllLevels, EveryCpu) => Tlbi::Rvaae1is,
                (true, LastLevel, ThisCpu) => Tlbi::Rvaale1,
                (true, LastLevel, EveryCpu) => Tlbi::Rvaale1is,
            },
            (Regime::El2, AllLevels, ThisCpu) => Tlbi::Rvae2,
            (Regime::El2, AllLevels, EveryCpu) => Tlbi::Rvae2is,
            (Regime::El2, LastLevel, ThisCpu) => Tlbi::Rvale2,
            (Regime::El2, LastLevel, EveryCpu) => Tlbi::Rvale2is,
            (Regime::El3, AllLevels, ThisCpu) => Tlbi::Rvae3,
            (Regime::El3, AllLevels, EveryCpu) => Tlbi::Rvae3is,
            (Regime::El3, LastLevel, ThisCpu) => Tlbi::Rvale3,
            (Regime::El3, LastLevel, EveryCpu) => Tlbi::Rvale3is,
        }
    }
}

/// The instructions that invalidate a range, from its start up: an iterator.
#[derive(Clone, Debug)]
pub struct RangeInvalidations {
    geometry: Geometry,
    operation: Operation,
    /// The first page that is left, as an address divided by the granule.
    page: u64,
    /// How many pages are left.
    pages: u64,
}

impl RangeInvalidations {
    /// One instruction for `pages` pages, at least two, from `page` on.
    #[inline(always)]
    fn instruction(&self, pages: u64) -> Invalidate {
        let geometry = self.geometry;
        let page_bits = geometry.granule().page_bits();
        // The lowest whose thirty-two units, 2^(5 × scale + 6) pages, are enough.
        let above = |bits: u32| u64::from(pages > 1 << bits);
        let scale = above(6) + above(11) + above(16);
        let unit_bits = 5 * scale + 1;
        let units = ((pages - 1) >> unit_bits) + 1;

        // Every half is a power of two of units, so what reaches past its end has room below.
        let (_, highest) = geometry.inputs();
        let to_end = (highest.value() >> page_bits) - self.page + 1;
        let beyond = (units << unit_bits).saturating_sub(to_end);
        let base = (self.page - beyond) << page_bits;

        let hint = match self.operation.hint {
            Some(level) if geometry.leaf_size(level).is_some() => {
                let is_aligned = VirtAddr::new(base).is_aligned(geometry.span_bytes(level));
                if is_aligned { level_field(level) } else { 0 }
            }
            Some(_) | None => 0,
        };
        let operand = geometry.asid_field(self.operation)
            | geometry.tg() << 46
            | scale << 44
            | (units - 1) << 39
            | hint << 37
            | base >> geometry.range_base_bit() & ((1 << 37) - 1);
        Invalidate { op: geometry.range_op(self.operation), operand }
    }
}

impl Iterator for RangeInvalidations {
    type Item = Invalidate;

    #[inline]
    fn next(&mut self) -> Option<Invalidate> {
        let pages = min(self.pages, MOST_PAGES);
        let instruction = match pages {
            0 => return None,
            // No range form covers a single page.
            1 => {
                let address = VirtAddr::new(self.page << self.geometry.granule().page_bits());
                self.geometry.invalidation_of_address(address, self.operation)
            }
            _ => self.instruction(pages),
        };
        self.page += pages;
        self.pages -= pages;
        Some(instruction)
    }
}

impl FusedIterator for RangeInvalidations {}

const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}

const fn max(a: u64, b: u64) -> u64 {
    if a < b { b } else { a }
}
