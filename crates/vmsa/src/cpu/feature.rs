//! What a CPU can do: the fields of its identification registers that tables depend on.

use super::field;
use crate::{Granule, TlbiForm};

/// Whether stage 1 tables of a granule exist, and how wide their addresses can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GranuleSupport {
    /// They don't.
    Missing,
    /// They do, with input addresses of up to 48 bits, and with 64 KiB pages up to [`input_bits`].
    Present,
    /// They do, with addresses of up to 52 bits where `TCR_ELx.DS` is set.
    WithLpa2,
}

/// What of the Memory Tagging Extension a CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mte {
    /// Nothing.
    Missing,
    /// The instructions, but no memory with tags.
    InstructionsOnly,
    /// Memory with tags (FEAT_MTE2 or later): Normal Tagged is a memory type.
    TaggedMemory,
}

/// `ID_AA64PFR1_EL1.MTE`.
#[must_use]
pub const fn mte(pfr1: u64) -> Mte {
    match field(pfr1, 8) {
        0 => Mte::Missing,
        1 => Mte::InstructionsOnly,
        _ => Mte::TaggedMemory,
    }
}

/// `ID_AA64MMFR0_EL1.TGran4`, `.TGran16` or `.TGran64`.
#[must_use]
pub const fn granule_support(mmfr0: u64, granule: Granule) -> GranuleSupport {
    match granule {
        Granule::Kib4 => match field(mmfr0, 28) {
            0 => GranuleSupport::Present,
            // The field is signed: 15 is missing, and what was never given out as well.
            8..=15 => GranuleSupport::Missing,
            _ => GranuleSupport::WithLpa2,
        },
        Granule::Kib16 => match field(mmfr0, 20) {
            0 => GranuleSupport::Missing,
            1 => GranuleSupport::Present,
            _ => GranuleSupport::WithLpa2,
        },
        Granule::Kib64 => match field(mmfr0, 24) {
            8..=15 => GranuleSupport::Missing,
            _ => GranuleSupport::Present,
        },
    }
}

/// `ID_AA64MMFR0_EL1.PARange`: bits of a physical address. The 56 bits of the newest value need
/// 128-bit descriptors; with those of 64 bits, 52 are in reach.
#[must_use]
pub const fn output_bits(mmfr0: u64) -> u32 {
    match field(mmfr0, 0) {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        6 => 52,
        _ => 56,
    }
}

/// `ID_AA64MMFR2_EL1.VARange`: bits of an input address with 64 KiB pages and 64-bit descriptors.
#[must_use]
pub const fn input_bits(mmfr2: u64) -> u32 {
    match field(mmfr2, 16) {
        0 => 48,
        _ => 52,
    }
}

/// `ID_AA64ISAR0_EL1.TLB`: whether the CPU has the range forms of TLB maintenance.
#[must_use]
pub const fn tlbi_form(isar0: u64) -> TlbiForm {
    match field(isar0, 56) {
        0 | 1 => TlbiForm::ByAddress,
        _ => TlbiForm::Ranged,
    }
}
