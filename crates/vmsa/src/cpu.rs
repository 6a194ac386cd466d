//! Who a CPU is, and what it can do, read from its identification registers.
//!
//! Every function takes a register's value and is pure: on the CPU the value comes from `MRS`, on
//! a host from a dump.
//!
//! Source: the register's name is the section's title.

use core::fmt;

mod attested;
mod feature;
mod midr;

pub use attested::{ATTESTED, Attested};
pub use feature::{GranuleSupport, Mte, granule_support, input_bits, mte, output_bits, tlbi_form};
pub use midr::{Midr, Release};

/// What happens on a CPU when a live leaf changes its size: a block replaced by a table or a table
/// by a block, the Contiguous bit set or cleared, with nothing else changed.
///
/// In ascending order: what all CPUs of a system guarantee is the least of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SizeChange {
    /// The entry must be invalid in between, and TLBs be rid of the old one.
    NeedsBreak,
    /// It is permitted (with FEAT_BBM level 1 under conditions), but a TLB that comes to hold both
    /// sizes may raise a conflict abort.
    MayAbort,
    /// It is permitted, and never aborts.
    Quiet,
}

/// What a CPU's [`SizeChange`] was concluded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// `ID_AA64MMFR2_EL1.BBM` says so; its value.
    Register(u8),
    /// Its maker says so of this design, whatever the register holds.
    Attested(&'static Attested),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(level) => write!(f, "ID_AA64MMFR2_EL1.BBM is {level}"),
            Self::Attested(_) => f.write_str("attested by its maker"),
        }
    }
}

/// What happens on a CPU with these values of `MIDR_EL1` and `ID_AA64MMFR2_EL1` when a live leaf
/// changes its size, and how that is known. [size-change-by-cpu]
///
/// The register's word is taken where it says that there is never an abort (3, FEAT_BBML3), then
/// the list of designs; then 1 and 2 mean [`SizeChange::MayAbort`], 0 [`SizeChange::NeedsBreak`].
#[must_use]
pub fn size_change(midr: Midr, mmfr2: u64) -> (SizeChange, Why) {
    let level = bbm(mmfr2);
    if level >= 3 {
        return (SizeChange::Quiet, Why::Register(level));
    }
    if let Some(attested) = Attested::of(midr) {
        return (SizeChange::Quiet, Why::Attested(attested));
    }
    let change = if level == 0 { SizeChange::NeedsBreak } else { SizeChange::MayAbort };
    (change, Why::Register(level))
}

/// `ID_AA64MMFR2_EL1.BBM`: the level of FEAT_BBM, 0 to 3; higher values promise more than 3 does.
#[must_use]
pub const fn bbm(mmfr2: u64) -> u8 {
    field(mmfr2, 52)
}

/// The four bits of an identification register from `lowest` up.
const fn field(register: u64, lowest: u32) -> u8 {
    let [low, ..] = (register >> lowest & 0xf).to_le_bytes();
    low
}

#[cfg(test)]
mod tests;
