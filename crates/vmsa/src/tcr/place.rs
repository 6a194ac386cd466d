//! Where the fields are in each register.

use super::Tcr;
use crate::{Granule, Half, Regime};

/// The lowest bit of each field that a register has once.
pub(super) struct Place {
    pub(super) output: u32,
    pub(super) access_flag: u32,
    pub(super) dirty: u32,
    /// DS.
    pub(super) wide: u32,
    /// A1, AS.
    pub(super) asids: Option<(u32, u32)>,
    pub(super) lower: TreePlace,
    pub(super) upper: Option<TreePlace>,
}

/// The lowest bit of each field that a register has for each tree.
#[derive(Clone, Copy)]
pub(super) struct TreePlace {
    pub(super) half: Half,
    pub(super) size: u32,
    /// EPDn.
    pub(super) off: Option<u32>,
    pub(super) inner: u32,
    pub(super) outer: u32,
    pub(super) shareability: u32,
    pub(super) granule: u32,
    pub(super) top_byte: u32,
}

const LOWER: TreePlace = TreePlace {
    half: Half::Lower,
    size: 0,
    off: Some(7),
    inner: 8,
    outer: 10,
    shareability: 12,
    granule: 14,
    top_byte: 37,
};

const UPPER: TreePlace = TreePlace {
    half: Half::Upper,
    size: 16,
    off: Some(23),
    inner: 24,
    outer: 26,
    shareability: 28,
    granule: 30,
    top_byte: 38,
};

const ONLY: TreePlace = TreePlace { off: None, top_byte: 20, ..LOWER };

impl Place {
    pub(super) const fn of(regime: Regime) -> Self {
        match regime {
            Regime::El1And0 | Regime::El2And0 => Self {
                output: 32,
                access_flag: 39,
                dirty: 40,
                wide: 59,
                asids: Some((22, 36)),
                lower: LOWER,
                upper: Some(UPPER),
            },
            Regime::El2 | Regime::El3 => Self {
                output: 16,
                access_flag: 21,
                dirty: 22,
                wide: 32,
                asids: None,
                lower: ONLY,
                upper: None,
            },
        }
    }

    /// The bits that the named fields of `tcr` take.
    pub(super) const fn named(&self, tcr: &Tcr) -> u64 {
        let mut bits = 0b111 << self.output | 1 << self.access_flag | 1 << self.dirty;
        if let Some((from, size)) = self.asids {
            bits |= 1 << from | 1 << size;
        }
        bits |= self.lower.named(tcr.lower.is_some());
        if let Some(upper) = &self.upper {
            bits |= upper.named(tcr.upper.is_some());
        }
        if tcr.heeds_wide() {
            bits |= 1 << self.wide;
        }
        bits
    }
}

impl TreePlace {
    const fn named(&self, is_on: bool) -> u64 {
        let off = match self.off {
            Some(bit) => 1 << bit,
            None => 0,
        };
        if is_on { off | self.walks() } else { off }
    }

    const fn walks(&self) -> u64 {
        0x3f << self.size
            | 0b11 << self.inner
            | 0b11 << self.outer
            | 0b11 << self.shareability
            | 0b11 << self.granule
            | 1 << self.top_byte
    }
}

impl Tcr {
    /// Whether DS says something of a tree: formats with 64 KiB pages don't depend on it.
    pub(super) const fn heeds_wide(&self) -> bool {
        let lower = match &self.lower {
            Some(walks) => !matches!(walks.geometry.granule(), Granule::Kib64),
            None => false,
        };
        let upper = match &self.upper {
            Some(walks) => !matches!(walks.geometry.granule(), Granule::Kib64),
            None => false,
        };
        lower || upper
    }
}
