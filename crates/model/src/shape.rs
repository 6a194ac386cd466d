//! The shape of a table tree, in numbers: written from the manual for the model alone.

use blockmap_machine::{VirtAddr, VirtRange};

/// The translation granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Granule {
    /// 4 KiB.
    Kib4,
    /// 16 KiB.
    Kib16,
    /// 64 KiB.
    Kib64,
}

/// Where descriptors keep output address bits above 47.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Nowhere: 48 bits.
    Base,
    /// Bits 51 to 48 in bits 15 to 12: 64 KiB granule, FEAT_LPA.
    Lpa,
    /// Bits 51 and 50 in bits 9 and 8: smaller granules, FEAT_LPA2.
    Lpa2,
}

/// The translation regime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Regime {
    /// EL1&0.
    El1,
    /// EL2 alone: one range of addresses, one set of permissions.
    El2,
    /// EL2&0.
    El2Host,
    /// EL3.
    El3,
}

/// Which end of the address space the tree translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    /// From zero up: TTBR0.
    Lower,
    /// Down from the top: TTBR1.
    Upper,
}

/// One tree's shape. Tables are told apart by *height*: 0 for tables of pages (level 3), one more
/// for each level above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The granule.
    pub granule: Granule,
    /// The descriptor layout.
    pub format: Format,
    /// Bits of an input address.
    pub input_bits: u32,
    /// Bits of an output address.
    pub output_bits: u32,
    /// The regime.
    pub regime: Regime,
    /// The half.
    pub half: Half,
    /// Who keeps access flags and dirty state: `TCR_ELx.{HA, HD}`.
    pub updates: Updates,
}

/// Who keeps access flags and dirty state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Updates {
    /// Software: no entry changes by itself.
    BySoftware,
    /// Walkers: they set access flags, and make leaves with a dirty-bit modifier writable.
    ByHardware,
}

/// The largest height: that of a level −1 table.
pub const HIGHEST: u32 = 4;

impl Shape {
    /// The kernel's half with 4 KiB pages and 48 bits.
    pub const KERNEL_4K_48: Self = Self {
        granule: Granule::Kib4,
        format: Format::Base,
        input_bits: 48,
        output_bits: 48,
        regime: Regime::El1,
        half: Half::Upper,
        updates: Updates::BySoftware,
    };

    /// Bits of an address within a page.
    #[must_use]
    pub const fn page_bits(self) -> u32 {
        match self.granule {
            Granule::Kib4 => 12,
            Granule::Kib16 => 14,
            Granule::Kib64 => 16,
        }
    }

    /// Bits of an address within what one entry of a table at `height` translates.
    #[must_use]
    pub const fn span_bits(self, height: u32) -> u32 {
        // A table of eight-byte entries fills a page.
        self.page_bits() + height * (self.page_bits() - 3)
    }

    /// Bytes that one entry of a table at `height` translates.
    #[must_use]
    pub const fn span(self, height: u32) -> u64 {
        1 << self.span_bits(height)
    }

    /// The height of the root table.
    #[must_use]
    pub const fn top(self) -> u32 {
        (self.input_bits - self.page_bits()).div_ceil(self.page_bits() - 3) - 1
    }

    /// Entries of a table at `height`; the root may have fewer than a page holds.
    #[must_use]
    pub const fn entries(self, height: u32) -> u32 {
        let stride = self.page_bits() - 3;
        let left = self.input_bits - self.span_bits(height);
        1 << if left < stride { left } else { stride }
    }

    /// The index of the entry for `address` in a table at `height`.
    #[must_use]
    pub fn index(self, height: u32, address: VirtAddr) -> u16 {
        let mask = u64::from(self.entries(height)) - 1;
        let index = address.value() >> self.span_bits(height) & mask;
        // At most 2^13 entries fit into the largest page.
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    /// Whether a leaf may stand in a table at `height`.
    ///
    /// Source: "Block descriptor and Page descriptor"; the largest blocks come with 52-bit output
    /// addresses.
    #[must_use]
    pub const fn has_leaves(self, height: u32) -> bool {
        let highest = match (self.granule, self.format) {
            (Granule::Kib4, Format::Lpa2) => 3,
            (Granule::Kib4, Format::Base | Format::Lpa)
            | (Granule::Kib16, Format::Lpa2)
            | (Granule::Kib64, Format::Lpa | Format::Lpa2) => 2,
            (Granule::Kib16, Format::Base | Format::Lpa) | (Granule::Kib64, Format::Base) => 1,
        };
        height <= highest
    }

    /// How many entries a contiguous run at `height` has; one where the bit has no meaning.
    ///
    /// Source: "The Contiguous bit".
    #[must_use]
    pub const fn run_entries(self, height: u32) -> u64 {
        match (self.granule, height) {
            (Granule::Kib4, 0..=2) => 16,
            (Granule::Kib16, 0) => 128,
            (Granule::Kib16 | Granule::Kib64, 1) | (Granule::Kib64, 0) => 32,
            _ => 1,
        }
    }

    /// Bytes of a contiguous run at `height`.
    #[must_use]
    pub const fn run_span(self, height: u32) -> u64 {
        self.span(height) * self.run_entries(height)
    }

    /// The addresses that the tree translates.
    #[must_use]
    pub fn inputs(self) -> VirtRange {
        let bytes = 1 << self.input_bits;
        let start = match self.half {
            Half::Lower => 0,
            Half::Upper => 0_u64.wrapping_sub(bytes),
        };
        let whole = VirtRange::new(VirtAddr::new(start), bytes);
        // INVARIANT: input sizes are 25 to 52 bits, so the range neither is empty nor wraps.
        whole.unwrap_or_else(|| unreachable!("a half of 2^{} bytes", self.input_bits))
    }

    /// The height of the tables of an architectural level: 3 gives 0.
    #[must_use]
    pub fn level_of(height: u32) -> i64 {
        3 - i64::from(height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_entries_are_the_manuals() {
        let shape = Shape::KERNEL_4K_48;
        assert_eq!((shape.top(), shape.entries(3), shape.span(2)), (3, 512, 1 << 30));
        assert_eq!(shape.inputs().start(), VirtAddr::new(0xffff_0000_0000_0000));
        let short = Shape { input_bits: 39, ..shape };
        assert_eq!((short.top(), short.entries(2)), (2, 512));
        let sixteen = Shape { granule: Granule::Kib16, ..shape };
        assert_eq!((sixteen.top(), sixteen.entries(3), sixteen.run_span(0)), (3, 2, 2 << 20));
        let sixty_four = Shape { granule: Granule::Kib64, ..shape };
        assert_eq!(
            (sixty_four.top(), sixty_four.entries(2), sixty_four.span(1)),
            (2, 64, 512 << 20)
        );
        let large = Shape { input_bits: 52, format: Format::Lpa2, ..shape };
        assert_eq!((large.top(), large.entries(4)), (4, 16));
    }
}
