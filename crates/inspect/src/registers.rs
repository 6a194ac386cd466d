//! The registers that say where the tables are.

use blockmap_vmsa::{Regime, Ttbr};

/// The registers of one CPU's current translation regime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Whose registers: with `HCR_EL2.E2H` set and a kernel at EL2, those of EL2&0.
    pub regime: Regime,
    /// `TCR_ELx`.
    pub tcr: u64,
    /// `TTBR0_ELx`.
    pub ttbr0: Ttbr,
    /// `TTBR1_ELx`, where the regime has one.
    pub ttbr1: Option<Ttbr>,
    /// `MAIR_ELx`.
    pub mair: Option<u64>,
}
