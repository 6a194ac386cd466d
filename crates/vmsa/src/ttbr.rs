//! `TTBRn_ELx`: where a table tree's root is.

use blockmap_machine::PhysAddr;

use crate::{Asid, Format, Geometry};

const COMMON: u64 = 1;
/// Bits 47:1, of which those below the root's alignment are zero.
const BASE: u64 = (1 << 48) - 2;
/// Bits 5:2, which hold address bits 51:48 with LPA2 and with 52-bit output addresses.
const HIGH_BASE: u64 = 0xf << 2;

/// The value of a `TTBRn_ELx` register.
///
/// Source: "TTBR0_EL1, Translation Table Base Register 0 (EL1)".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ttbr(u64);

impl Ttbr {
    /// The register with this value.
    #[inline]
    #[must_use]
    pub const fn new(register: u64) -> Self {
        Self(register)
    }

    /// The register's value.
    #[inline]
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The ASID it names; it counts in the register that `TCR_ELx.A1` chooses.
    #[inline]
    #[must_use]
    pub const fn asid(self) -> Asid {
        let [.., low, high] = self.0.to_le_bytes();
        Asid::new(u16::from_le_bytes([low, high]))
    }

    /// Whether the CPU may share what it caches of the tree with others that say the same (CnP,
    /// FEAT_TTCNP).
    #[inline]
    #[must_use]
    pub const fn is_common(self) -> bool {
        self.0 & COMMON != 0
    }
}

impl Geometry {
    /// The register for the tree whose root table is at `root`, not shared with other CPUs.
    ///
    /// `None` where no root can be: see [`Geometry::root_alignment`]; or it is out of reach.
    #[must_use]
    pub const fn ttbr(self, root: PhysAddr, asid: Asid) -> Option<Ttbr> {
        let value = root.value();
        if !root.is_aligned(self.root_alignment()) || value > self.highest_output().value() {
            return None;
        }
        #[expect(clippy::as_conversions, reason = "widening; From is not const")]
        let asid = (asid.value() as u64) << 48;
        Some(Ttbr(asid | value & BASE | (value >> 48) << 2))
    }

    /// Where the tree that `register` leads to has its root.
    #[must_use]
    pub const fn root(self, register: Ttbr) -> PhysAddr {
        let base = register.0 & BASE & !(self.root_alignment() - 1);
        let high = if self.is_wide() { (register.0 & HIGH_BASE) << 46 } else { 0 };
        PhysAddr::new(high | base)
    }

    /// What a root table's address is a multiple of: the table's size, and 64 bytes at least with
    /// LPA2 and with 52-bit output addresses.
    #[must_use]
    pub const fn root_alignment(self) -> u64 {
        #[expect(clippy::as_conversions, reason = "widening; From is not const")]
        let bytes = 8 * self.entries(self.root_level()) as u64;
        if self.is_wide() && bytes < 64 { 64 } else { bytes }
    }

    /// Whether the register has room for address bits 51:48.
    const fn is_wide(self) -> bool {
        match self.format() {
            Format::Lpa2 => true,
            Format::Base | Format::Lpa => self.output_bits() == 52,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_survives_wherever_it_can_be() {
        for geometry in Geometry::every() {
            let alignment = geometry.root_alignment();
            assert!(alignment <= geometry.page_bytes());
            let is_wide = geometry.format() == Format::Lpa2 || geometry.output_bits() == 52;
            assert!(alignment >= 64 || !is_wide);
            for bit in 0..geometry.output_bits() {
                let root = PhysAddr::new(1 << bit);
                let register = geometry.ttbr(root, Asid::new(0x8001));
                if root.is_aligned(alignment) {
                    let register = register.unwrap();
                    assert_eq!(geometry.root(register), root);
                    assert_eq!(register.asid(), Asid::new(0x8001));
                    assert!(!register.is_common());
                } else {
                    assert_eq!(register, None);
                }
            }
            let far = PhysAddr::new(1 << geometry.output_bits());
            assert_eq!(geometry.ttbr(far, Asid::new(0)), None);
        }
    }

    #[test]
    fn the_top_of_a_wide_address_goes_where_smaller_roots_have_zeros() {
        let half = (crate::Regime::El1And0, crate::Half::Upper);
        let tables = (crate::Granule::Kib4, Format::Lpa2);
        let wide = Geometry::new(half, tables, 52, 52).unwrap();
        let register = wide.ttbr(PhysAddr::new(0xf_0000_1234_5000), Asid::new(1)).unwrap();
        assert_eq!(register.value(), 0x0001_0000_1234_503c);
        assert_eq!(wide.root(Ttbr::new(register.value() | COMMON)).value(), 0xf_0000_1234_5000);
    }
}
