//! Lookup levels, counted as the Arm manual does: up towards the pages.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

use core::fmt;

/// A lookup level. A walk starts at a geometry's root level and ends at level 3 at the latest.
///
/// Linux names the tables of a 4 KiB, 48-bit map PGD (level 0), PUD (1), PMD (2) and PTE (3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Level −1: the root of input addresses over 48 bits with FEAT_LPA2.
    Minus1,
    /// Level 0.
    #[doc(alias = "PGD")]
    #[doc(alias = "P4D")]
    L0,
    /// Level 1: 1 GiB blocks with the 4 KiB granule.
    #[doc(alias = "PUD")]
    L1,
    /// Level 2: 2 MiB, 32 MiB or 512 MiB blocks by granule.
    #[doc(alias = "PMD")]
    L2,
    /// Level 3: pages.
    #[doc(alias = "PTE")]
    L3,
}

impl Level {
    /// Every level, from the root downwards.
    pub const ALL: [Self; 5] = [Self::Minus1, Self::L0, Self::L1, Self::L2, Self::L3];

    /// The level that a table entry of this level leads to; `None` at level 3, which has none.
    #[inline(always)]
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Minus1 => Some(Self::L0),
            Self::L0 => Some(Self::L1),
            Self::L1 => Some(Self::L2),
            Self::L2 => Some(Self::L3),
            Self::L3 => None,
        }
    }

    /// How many levels lie below this one: 0 at level 3, 4 at level −1.
    #[inline(always)]
    #[must_use]
    pub const fn levels_below(self) -> u32 {
        match self {
            Self::Minus1 => 4,
            Self::L0 => 3,
            Self::L1 => 2,
            Self::L2 => 1,
            Self::L3 => 0,
        }
    }

    /// The level with `below` levels under it, if there is one.
    #[inline(always)]
    #[must_use]
    pub const fn with_levels_below(below: u32) -> Option<Self> {
        match below {
            4 => Some(Self::Minus1),
            3 => Some(Self::L0),
            2 => Some(Self::L1),
            1 => Some(Self::L2),
            0 => Some(Self::L3),
            _ => None,
        }
    }

    /// The level as the manual writes it: −1 to 3.
    #[must_use]
    pub const fn number(self) -> i8 {
        match self {
            Self::Minus1 => -1,
            Self::L0 => 0,
            Self::L1 => 1,
            Self::L2 => 2,
            Self::L3 => 3,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {}", self.number())
    }
}
