//! Translation regimes and the half of the address space a table tree serves.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

/// A stage 1 translation regime of AArch64.
///
/// Source: "Translation regimes".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Regime {
    /// EL1&0: two halves, ASIDs, UXN and PXN.
    El1And0,
    /// EL2 with `HCR_EL2.E2H` clear: one half, no ASIDs, a single XN.
    El2,
    /// EL2&0, `HCR_EL2.E2H` set: as EL1&0. Its TLB maintenance is that of EL1&0 too where
    /// `HCR_EL2.TGE` is set, as for a kernel at EL2.
    El2And0,
    /// EL3: one half, no ASIDs, a single XN.
    El3,
}

impl Regime {
    /// All four.
    pub const ALL: [Self; 4] = [Self::El1And0, Self::El2, Self::El2And0, Self::El3];

    /// Whether the regime has an unprivileged exception level: two halves, ASIDs and
    /// not-global entries, AP\[1\], and execute-never bits for each of the two.
    #[inline(always)]
    #[must_use]
    pub const fn has_unprivileged(self) -> bool {
        matches!(self, Self::El1And0 | Self::El2And0)
    }

    /// `==` for const functions.
    pub(crate) const fn is(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::El1And0, Self::El1And0)
                | (Self::El2, Self::El2)
                | (Self::El2And0, Self::El2And0)
                | (Self::El3, Self::El3)
        )
    }
}

/// Which half of the input addresses a table tree translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    /// From zero up: the tree under TTBR0.
    Lower,
    /// Down from the top of the 64-bit space: the tree under TTBR1.
    Upper,
}
