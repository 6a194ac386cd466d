//! The shape of one translation table tree.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

mod every;

use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};
use thiserror::Error;

use crate::{Granule, Half, Level, Regime};

/// Where a descriptor keeps its output address.
///
/// Source: "VMSAv8-64 descriptor formats".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Output addresses of up to 48 bits, in bits 47 and below.
    Base,
    /// 64 KiB granule with FEAT_LPA and 52-bit output: address bits 51:48 in bits 15:12.
    Lpa,
    /// 4 or 16 KiB granule with `TCR_ELx.DS` set: address bits 49:48 in their place, 51:50 in
    /// bits 9:8, where other formats keep shareability.
    Lpa2,
}

impl Format {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Base, Self::Lpa, Self::Lpa2];
}

/// One table tree's regime, half, granule, input size and output size: holding one tells that the
/// combination exists.
///
/// It is a value, not a type: the kernel passes a constant, which folds; tools loop over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    regime: Regime,
    half: Half,
    granule: Granule,
    format: Format,
    input_bits: u32,
    output_bits: u32,
}

/// Why a combination of regime, half, granule and sizes is no geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// EL2 and EL3 have a single table tree, for the lower half.
    #[error("this regime translates the lower half only")]
    NoUpperHalf,
    /// [`Format::Lpa`] is the 64 KiB granule's, [`Format::Lpa2`] that of the other two.
    #[error("this granule does not have that descriptor format")]
    FormatOfOtherGranule,
    /// Input addresses have 25 to 48 bits; up to 52 with LPA2 or the 64 KiB granule.
    #[error("{0} input address bits: not from 25 to 48, or to 52 with LPA2 or 64 KiB pages")]
    InputBits(u32),
    /// Output addresses have 32, 36, 40, 42, 44 or 48 bits, or 52 with LPA or LPA2.
    #[error("{0} output address bits: not 32, 36, 40, 42, 44, 48, or 52 with LPA or LPA2")]
    OutputBits(u32),
}

impl Geometry {
    /// Linux's usual kernel map, and this project's: EL1, upper half, 4 KiB pages, 48 bits both.
    pub const KERNEL_4K_48: Self = Self {
        regime: Regime::El1And0,
        half: Half::Upper,
        granule: Granule::Kib4,
        format: Format::Base,
        input_bits: 48,
        output_bits: 48,
    };

    /// The sizes an output address can have, in bits.
    pub const OUTPUT_BITS: [u32; 7] = [32, 36, 40, 42, 44, 48, 52];

    /// The geometry with these properties.
    ///
    /// `input_bits` is 64 − T*n*SZ, `output_bits` the size `TCR_ELx.(I)PS` names.
    ///
    /// # Errors
    /// Says which property doesn't go with the others.
    pub const fn new(
        (regime, half): (Regime, Half),
        (granule, format): (Granule, Format),
        input_bits: u32,
        output_bits: u32,
    ) -> Result<Self, GeometryError> {
        if matches!(half, Half::Upper) && !regime.has_unprivileged() {
            return Err(GeometryError::NoUpperHalf);
        }
        let is_64k = matches!(granule, Granule::Kib64);
        let wide = match format {
            Format::Base => false,
            Format::Lpa if is_64k => true,
            Format::Lpa2 if !is_64k => true,
            Format::Lpa | Format::Lpa2 => return Err(GeometryError::FormatOfOtherGranule),
        };
        let input_most = if is_64k || matches!(format, Format::Lpa2) { 52 } else { 48 };
        if input_bits < 25 || input_bits > input_most {
            return Err(GeometryError::InputBits(input_bits));
        }
        match output_bits {
            32 | 36 | 40 | 42 | 44 | 48 => {}
            52 if wide => {}
            _ => return Err(GeometryError::OutputBits(output_bits)),
        }
        Ok(Self { regime, half, granule, format, input_bits, output_bits })
    }

    /// The translation regime.
    #[inline(always)]
    #[must_use]
    pub const fn regime(self) -> Regime {
        self.regime
    }

    /// The half of the address space.
    #[inline(always)]
    #[must_use]
    pub const fn half(self) -> Half {
        self.half
    }

    /// The granule.
    #[inline(always)]
    #[must_use]
    pub const fn granule(self) -> Granule {
        self.granule
    }

    /// The descriptor format.
    #[inline(always)]
    #[must_use]
    pub const fn format(self) -> Format {
        self.format
    }

    /// Bits of an input address that are translated.
    #[inline(always)]
    #[must_use]
    #[doc(alias = "VA_BITS")]
    pub const fn input_bits(self) -> u32 {
        self.input_bits
    }

    /// Bits an output address may have.
    #[inline(always)]
    #[must_use]
    pub const fn output_bits(self) -> u32 {
        self.output_bits
    }

    /// Bytes of a page.
    #[inline(always)]
    #[must_use]
    pub const fn page_bytes(self) -> u64 {
        self.granule.bytes()
    }

    /// The level at which a walk starts.
    ///
    /// Source: "Selection between TTBR0 and TTBR1 … initial lookup level".
    #[inline(always)]
    #[must_use]
    pub const fn root_level(self) -> Level {
        let resolved = self.input_bits - self.granule.page_bits() - 1;
        match Level::with_levels_below(resolved / self.granule.index_bits()) {
            Some(level) => level,
            None => Level::Minus1,
        }
    }

    /// Input address bits below those that index a table of `level`, which is the root's level or one
    /// below it: of higher ones the answer may be more than an address has.
    #[inline(always)]
    #[must_use]
    pub const fn span_bits(self, level: Level) -> u32 {
        self.granule.page_bits() + level.levels_below() * self.granule.index_bits()
    }

    /// Bytes of input addresses that one entry at `level` covers, which is the root's level or one
    /// below it. With 64 KiB pages an entry of level −1, which no geometry walks, would cover 2^68:
    /// asking for that panics, or in builds without overflow checks gives a wrong number.
    #[inline(always)]
    #[must_use]
    #[doc(alias = "PMD_SIZE")]
    #[doc(alias = "PUD_SIZE")]
    pub const fn span_bytes(self, level: Level) -> u64 {
        1 << self.span_bits(level)
    }

    /// Entries of a table at `level`: full, except at the root when fewer bits are left for it.
    #[inline(always)]
    #[must_use]
    pub const fn entries(self, level: Level) -> u16 {
        if level.levels_below() == self.root_level().levels_below() {
            1 << (self.input_bits - self.span_bits(level))
        } else {
            self.granule.entries()
        }
    }

    /// Which entry of a table at `level` an address goes through.
    #[inline(always)]
    #[must_use]
    #[doc(alias = "pmd_index")]
    pub const fn index(self, level: Level, address: VirtAddr) -> u16 {
        let mask = self.entries(level) - 1;
        #[expect(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            reason = "masked below the width of a u16"
        )]
        let low = (address.value() >> self.span_bits(level)) as u16;
        low & mask
    }

    /// The half's lowest and highest input addresses.
    #[inline(always)]
    #[must_use]
    pub const fn inputs(self) -> (VirtAddr, VirtAddr) {
        let highest_lower = (1 << self.input_bits) - 1;
        match self.half {
            Half::Lower => (VirtAddr::new(0), VirtAddr::new(highest_lower)),
            Half::Upper => (VirtAddr::new(!highest_lower), VirtAddr::new(u64::MAX)),
        }
    }

    /// Whether every address of `range` is translated by this tree.
    #[inline(always)]
    #[must_use]
    pub const fn translates(self, range: VirtRange) -> bool {
        let (lowest, highest) = self.inputs();
        lowest.value() <= range.start().value() && range.last().value() <= highest.value()
    }

    /// The highest output address.
    #[inline(always)]
    #[must_use]
    pub const fn highest_output(self) -> PhysAddr {
        PhysAddr::new((1 << self.output_bits) - 1)
    }

    /// Whether an entry at `level` may map memory: a page at level 3, a block above it.
    ///
    /// Source: "VMSAv8-64 Block descriptor and Page descriptor".
    #[inline(always)]
    #[must_use]
    pub const fn allows_leaf(self, level: Level) -> bool {
        match (self.granule, level) {
            (_, Level::L3 | Level::L2) | (Granule::Kib4, Level::L1) => true,
            (Granule::Kib4, Level::L0) | (Granule::Kib16, Level::L1) => {
                matches!(self.format, Format::Lpa2)
            }
            (Granule::Kib64, Level::L1) => matches!(self.format, Format::Lpa),
            _ => false,
        }
    }

    /// How many neighbouring leaves at `level` form a contiguous run, where runs exist.
    ///
    /// Source: "The Contiguous bit".
    #[inline(always)]
    #[must_use]
    #[doc(alias = "contpte")]
    #[doc(alias = "CONT_PTES")]
    pub const fn run_entries(self, level: Level) -> Option<u16> {
        match (self.granule, level) {
            (Granule::Kib4, Level::L1 | Level::L2 | Level::L3) => Some(16),
            (Granule::Kib16, Level::L2) | (Granule::Kib64, Level::L2 | Level::L3) => Some(32),
            (Granule::Kib16, Level::L3) => Some(128),
            _ => None,
        }
    }

    /// Bytes that a contiguous run at `level` covers, where runs exist.
    #[inline(always)]
    #[must_use]
    pub const fn run_bytes(self, level: Level) -> Option<u64> {
        match self.run_entries(level) {
            #[expect(clippy::as_conversions, reason = "widening; From is not const")]
            Some(entries) => Some((entries as u64) << self.span_bits(level)),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
