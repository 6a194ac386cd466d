//! `TCR_ELx`: how large the halves are, what their granules are, how walks reach memory.
//!
//! A register decodes to the geometries of its tree or trees, and is made of them. Bits that say
//! nothing of that are kept as they are in [`Tcr::others`].
//!
//! Source: "TCR_EL1, Translation Control Register (EL1)", and those of EL2 and EL3. TCR_EL2 has
//! the form of TCR_EL1 where `HCR_EL2.E2H` is set: [`Regime::El2And0`].

mod decode;
mod encode;
mod place;

use thiserror::Error;

use crate::{Geometry, GeometryError, Half, Regime, Shareability};
use place::Place;

/// What a `TCR_ELx` register says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tcr {
    /// Whose register.
    pub regime: Regime,
    /// The tree under TTBR0; `None` where EPD0 turns its walks off.
    pub lower: Option<Walks>,
    /// The tree under TTBR1; `None` where EPD1 turns its walks off, and in a regime with one half.
    pub upper: Option<Walks>,
    /// (I)PS: bits of an output address: 32, 36, 40, 42, 44, 48 or 52. A tree whose format stops
    /// at 48 has no more than that.
    pub output_bits: u32,
    /// A1 and AS; `None` in a regime without ASIDs.
    pub asids: Option<AsidControl>,
    /// HA and HD.
    pub hardware: HardwareUpdates,
    /// Every bit of the register that is not named here, where it is, the fields of a tree whose
    /// walks are off included.
    pub others: u64,
}

/// One tree's part of the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Walks {
    /// The tree. With 64 KiB pages its format is [`Format::Lpa`](crate::Format::Lpa) exactly
    /// where output addresses have 52 bits.
    pub geometry: Geometry,
    /// SHn: the shareability of the tables, and with LPA2 of all that the tree maps.
    pub shareability: Shareability,
    /// IRGNn: how inner caches treat the tables.
    pub inner: WalkCaching,
    /// ORGNn: how outer caches treat the tables.
    pub outer: WalkCaching,
    /// TBIn: whether the highest byte of an input address counts.
    pub top_byte: TopByte,
}

/// How caches treat translation tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WalkCaching {
    /// Not at all.
    NonCacheable,
    /// Write-back, allocated by loads and stores.
    WriteBack,
    /// Write-through, allocated by loads.
    WriteThrough,
    /// Write-back, allocated by loads.
    WriteBackReadAllocate,
}

/// Whether the highest byte of an input address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopByte {
    /// It must repeat the bits below it.
    Checked,
    /// It is left to software.
    Ignored,
}

/// Which ASID is the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AsidControl {
    /// AS: how many bits it has.
    pub size: AsidSize,
    /// A1: the half whose base register names it.
    pub from: Half,
}

/// How many bits an ASID has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AsidSize {
    /// Eight: the upper eight bits of every ASID field must be zero.
    Eight,
    /// Sixteen.
    Sixteen,
}

/// What hardware writes into leaves by itself (FEAT_HAFDBS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HardwareUpdates {
    /// Nothing: no entry ever changes but by a store.
    None,
    /// The access flag.
    AccessFlag,
    /// The access flag, and AP\[2\] of leaves with DBM.
    AccessFlagAndDirty,
    /// HD without HA, which does nothing.
    DirtyAlone,
}

/// Why a register's value is not understood, or why there is no register with these trees. A
/// register was neither read nor written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TcrError {
    /// TGn has its reserved value.
    #[error("the granule of the {0:?} half is reserved")]
    Granule(Half),
    /// SHn has its reserved value.
    #[error("the shareability of walks in the {0:?} half is reserved")]
    Shareability(Half),
    /// (I)PS names a size that 64-bit descriptors can't reach, or is to name one that it can't.
    #[error("the output address size is reserved")]
    OutputBits,
    /// TnSZ is outside what the granule and format allow.
    #[error("the size of the {0:?} half: {1}")]
    Geometry(Half, GeometryError),
    /// A tree is of another regime or half than its place in the register.
    #[error("a tree of another regime or half: give each half a tree of its own")]
    OtherPlace,
    /// The trees' formats or output sizes differ, and the register has one field for both.
    #[error("the trees' formats or output sizes differ: make them agree")]
    Disagree,
    /// The register can't turn off the walks of a regime's only half.
    #[error("a regime with one half needs a tree for it")]
    NoTree,
    /// `asids` is missing where there are ASIDs, or there where there are none.
    #[error("ASIDs belong to regimes with an unprivileged level, and to all of them")]
    Asids,
    /// `others` has bits that another field says.
    #[error("the other bits overlap a named field")]
    Others,
}

impl Tcr {
    /// What a kernel writes for its two trees: walks write-back cacheable and inner shareable, top
    /// bytes checked, 16-bit ASIDs named by TTBR0, and no hardware updates, so that nothing but
    /// its own stores ever changes an entry. [hardware-updates-are-off]
    ///
    /// # Errors
    /// The trees disagree on regime, format or output size.
    pub const fn for_kernel(lower: Geometry, upper: Geometry) -> Result<Self, TcrError> {
        let tcr = Self {
            regime: upper.regime(),
            lower: Some(Walks::cached(lower)),
            upper: Some(Walks::cached(upper)),
            output_bits: upper.output_bits(),
            asids: Some(AsidControl { size: AsidSize::Sixteen, from: Half::Lower }),
            hardware: HardwareUpdates::None,
            others: 0,
        };
        match tcr.encode() {
            Ok(_) => Ok(tcr),
            Err(error) => Err(error),
        }
    }
}

impl Walks {
    /// Walks of this tree through write-back caches, inner shareable, top bytes checked.
    #[must_use]
    pub const fn cached(geometry: Geometry) -> Self {
        Self {
            geometry,
            shareability: Shareability::Inner,
            inner: WalkCaching::WriteBack,
            outer: WalkCaching::WriteBack,
            top_byte: TopByte::Checked,
        }
    }
}

#[cfg(test)]
mod tests;
