//! Descriptors as the 64-bit words they are: what a walk needs to know of one, and how the words
//! of a mapping are made. The full field-by-field codec is in `descriptor`.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

use blockmap_machine::PhysAddr;

use crate::{Access, Attributes, Format, Geometry, Level, Shareability};

/// Bits of a descriptor that have the same place in every format.
///
/// Source: "VMSAv8-64 descriptor formats".
pub mod bits {
    use crate::Regime;

    /// Bit 0: a walk may use the entry.
    pub const VALID: u64 = 1;
    /// Bit 1: with bit 0, a table above level 3 and a page at level 3.
    pub const TABLE_OR_PAGE: u64 = 1 << 1;
    /// Bit 5: the output address is in the non-secure address space.
    pub const NON_SECURE: u64 = 1 << 5;
    /// Bit 6, AP\[1\]: the unprivileged level has access. RES1 where there is no such level.
    pub const UNPRIVILEGED: u64 = 1 << 6;
    /// Bit 7, AP\[2\]: stores fault.
    #[doc(alias = "PTE_RDONLY")]
    pub const READ_ONLY: u64 = 1 << 7;
    /// Bit 10: the access flag; a leaf without it faults and is never cached.
    #[doc(alias = "PTE_AF")]
    pub const ACCESSED: u64 = 1 << 10;
    /// Bit 11 of a valid leaf: it belongs to one ASID.
    #[doc(alias = "PTE_NG")]
    pub const NOT_GLOBAL: u64 = 1 << 11;
    /// Bit 11 of an invalid leaf: software's word that the rest of it still means something.
    #[doc(alias = "PTE_PRESENT_INVALID")]
    pub const PRESENT: u64 = 1 << 11;
    /// Bit 16 of a block: nT, FEAT_BBM level 1's promise about its caching.
    pub const NO_TRANSLATION: u64 = 1 << 16;
    /// Bit 50: guarded page (FEAT_BTI).
    #[doc(alias = "PTE_GP")]
    pub const GUARDED: u64 = 1 << 50;
    /// Bit 51: dirty bit modifier (FEAT_HAFDBS).
    #[doc(alias = "PTE_DBM")]
    pub const DIRTY_MODIFIER: u64 = 1 << 51;
    /// Bit 52: one of a contiguous run.
    #[doc(alias = "PTE_CONT")]
    pub const CONTIGUOUS: u64 = 1 << 52;
    /// Bit 53: the privileged level may not execute. RES0 where there is a single level.
    #[doc(alias = "PTE_PXN")]
    pub const PXN: u64 = 1 << 53;
    /// Bit 54: the unprivileged level may not execute; where there is a single level, nobody.
    #[doc(alias = "PTE_UXN")]
    pub const UXN: u64 = 1 << 54;

    /// Bit 55, which hardware leaves to software: somebody owns the leaf, and nobody else changes its
    /// size or its rights.
    pub const HELD: u64 = 1 << 55;

    /// The bit that keeps the privileged level from executing a leaf in `regime`.
    #[inline(always)]
    #[must_use]
    pub const fn privileged_execute_never(regime: Regime) -> u64 {
        if regime.has_unprivileged() { PXN } else { UXN }
    }
}

/// What a walk does at an entry, and what software meant by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bit 0 clear, and not marked present: the walk faults, nothing is mapped.
    Invalid,
    /// Leads to a table one level down.
    Table,
    /// Maps memory: a page at level 3, a block above it.
    #[doc(alias = "pmd_leaf")]
    Leaf,
    /// Bit 0 clear, but a leaf in every other respect: the walk faults, and the memory behind it
    /// can be given back by setting bit 0.
    PresentInvalid,
    /// Bit 0 set and bit 1 clear where no block may be. The walk faults; nobody should write it.
    Reserved,
}

impl Geometry {
    /// What a walk does at an entry of `level` that holds `word`.
    #[inline(always)]
    #[must_use]
    pub const fn kind(self, level: Level, word: u64) -> Kind {
        let is_table_or_page = word & bits::TABLE_OR_PAGE != 0;
        let is_last = matches!(level, Level::L3);
        let is_leaf_shaped = is_last == is_table_or_page && self.allows_leaf(level);
        match (word & bits::VALID != 0, is_leaf_shaped) {
            (true, true) => Kind::Leaf,
            (true, false) if is_table_or_page => Kind::Table,
            (true, false) => Kind::Reserved,
            (false, true) if word & bits::PRESENT != 0 => Kind::PresentInvalid,
            (false, _) => Kind::Invalid,
        }
    }

    /// The bits of a descriptor that hold output address bits from `lowest` up.
    #[inline(always)]
    pub(crate) const fn address_mask(self, lowest: u32) -> u64 {
        let low = !((1 << lowest) - 1);
        match self.format() {
            Format::Base => low & ((1 << 48) - 1),
            Format::Lpa => low & ((1 << 48) - 1) | 0xf << 12,
            Format::Lpa2 => low & ((1 << 50) - 1) | 0b11 << 8,
        }
    }

    /// The output address in the bits of `word` from `lowest` up.
    #[inline(always)]
    const fn address(self, lowest: u32, word: u64) -> PhysAddr {
        let low = !((1 << lowest) - 1);
        PhysAddr::new(match self.format() {
            Format::Base => word & low & ((1 << 48) - 1),
            Format::Lpa => word & low & ((1 << 48) - 1) | (word >> 12 & 0xf) << 48,
            Format::Lpa2 => word & low & ((1 << 50) - 1) | (word >> 8 & 0b11) << 50,
        })
    }

    /// The bits of a descriptor that say `address`.
    #[inline(always)]
    const fn address_bits(self, address: PhysAddr) -> u64 {
        let value = address.value();
        match self.format() {
            Format::Base => value,
            Format::Lpa => value & ((1 << 48) - 1) | (value >> 48) << 12,
            Format::Lpa2 => value & ((1 << 50) - 1) | (value >> 50) << 8,
        }
    }

    /// The table that a table descriptor leads to.
    #[inline(always)]
    #[must_use]
    #[doc(alias = "pmd_page_paddr")]
    pub const fn table_address(self, word: u64) -> PhysAddr {
        self.address(self.granule().page_bits(), word)
    }

    /// A table descriptor that leads to `table`, a multiple of the granule, and restricts nothing.
    #[inline(always)]
    #[must_use]
    pub const fn table_word(self, table: PhysAddr) -> u64 {
        self.address_bits(table) | bits::VALID | bits::TABLE_OR_PAGE
    }

    /// The table descriptor `word`, leading to `table` instead.
    #[inline]
    #[must_use]
    pub const fn with_table(self, word: u64, table: PhysAddr) -> u64 {
        word & !self.address_mask(self.granule().page_bits()) | self.address_bits(table)
    }

    /// The first byte that a leaf at `level`, valid or present but invalid, maps.
    #[inline(always)]
    #[must_use]
    pub const fn leaf_output(self, level: Level, word: u64) -> PhysAddr {
        self.address(self.span_bits(level), word)
    }

    /// Everything a leaf says but where its memory is and how large it is: equal for leaves that
    /// grant the same, at whatever level and in or out of a contiguous run.
    #[inline(always)]
    #[must_use]
    pub const fn leaf_meaning(self, word: u64) -> u64 {
        word & !self.address_mask(self.granule().page_bits())
            & !bits::TABLE_OR_PAGE
            & !bits::CONTIGUOUS
    }

    /// A leaf at `level` with what [`Geometry::leaf_meaning`] gave, mapping `output`, a multiple
    /// of the level's span. It is not in a contiguous run.
    #[inline(always)]
    #[must_use]
    pub const fn leaf_word(self, level: Level, output: PhysAddr, meaning: u64) -> u64 {
        let page = if matches!(level, Level::L3) { bits::TABLE_OR_PAGE } else { 0 };
        self.address_bits(output) | meaning | page
    }

    /// How many bytes above `output` a progression of leaf words may step by plain addition: up to
    /// where the address's next bits are kept elsewhere in the descriptor, if they are.
    #[inline(always)]
    #[must_use]
    pub const fn progression_bytes(self, output: PhysAddr) -> u64 {
        let period = match self.format() {
            Format::Base => return u64::MAX,
            Format::Lpa => 1 << 48,
            Format::Lpa2 => 1 << 50,
        };
        period - (output.value() & (period - 1))
    }

    /// What a valid leaf with `attributes` says, for [`Geometry::leaf_word`].
    #[inline(always)]
    #[must_use]
    pub const fn meaning(self, attributes: Attributes) -> u64 {
        let regime = self.regime();
        let never = bits::privileged_execute_never(regime);
        let access = match attributes.access {
            Access::ReadOnly => bits::READ_ONLY | never,
            Access::ReadWrite => never,
            Access::ReadExecute => bits::READ_ONLY,
            Access::ReadWriteExecute => 0,
        };
        // AP[1] is RES1 in a regime with a single exception level; where there are two, the
        // unprivileged one gets neither access nor execution.
        let unprivileged = if regime.has_unprivileged() { bits::UXN } else { bits::UNPRIVILEGED };
        let shareability = match (self.format(), attributes.shareability) {
            (Format::Lpa2, _) | (_, Shareability::Non) => 0,
            (_, Shareability::Outer) => 0b10 << 8,
            (_, Shareability::Inner) => 0b11 << 8,
        };
        #[expect(clippy::as_conversions, reason = "widening; From is not const")]
        let memory = (attributes.memory.value() as u64) << 2;
        access | unprivileged | shareability | memory | bits::ACCESSED | bits::VALID
    }

    /// Whether a table of this geometry can be at `table`: aligned, and addressable.
    #[inline(always)]
    #[must_use]
    pub const fn can_address_table(self, table: PhysAddr) -> bool {
        table.is_aligned(self.page_bytes()) && table.value() <= self.highest_output().value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_leaves_differ_by_a_constant_until_the_progression_ends() {
        for geometry in Geometry::every().filter(|geometry| geometry.output_bits() == 52) {
            let bytes = geometry.span_bytes(Level::L2);
            for bit in 47..52 {
                let start = PhysAddr::new((1 << bit) - 3 * bytes);
                let first = geometry.leaf_word(Level::L2, start, 0);
                let within = geometry.progression_bytes(start);
                for step in 0..6 {
                    let output = start.wrapping_add(step * bytes);
                    if output > geometry.highest_output() {
                        break;
                    }
                    let word = geometry.leaf_word(Level::L2, output, 0);
                    let is_progression = word == first + step * bytes;
                    assert_eq!(is_progression, step * bytes < within, "{geometry:?} {output}");
                    assert_eq!(geometry.leaf_output(Level::L2, word), output);
                }
            }
        }
    }

    #[test]
    fn a_table_is_found_where_it_is_said_to_be() {
        for geometry in Geometry::every() {
            for bit in 0..52 {
                let table = PhysAddr::new(1 << bit);
                let is_possible =
                    bit >= geometry.granule().page_bits() && bit < geometry.output_bits();
                assert_eq!(geometry.can_address_table(table), is_possible);
                if is_possible {
                    let word = geometry.table_word(table);
                    assert_eq!(geometry.table_address(word), table);
                    assert_eq!(geometry.kind(Level::L1, word), Kind::Table);
                }
            }
        }
    }
}
