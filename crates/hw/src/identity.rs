//! Which CPU this is, and what it has: the identification registers as plain words.

use arm_sysregs::el0::accessors::read_ctr_el0;
use arm_sysregs::el1::accessors::{
    read_id_aa64isar0_el1, read_id_aa64mmfr0_el1, read_id_aa64mmfr1_el1, read_id_aa64mmfr2_el1,
    read_id_aa64pfr0_el1, read_id_aa64pfr1_el1, read_midr_el1, read_mpidr_el1,
};

/// The identification registers of the CPU that read them, undecoded: `blockmap-vmsa` knows what
/// they say.
///
/// Source: "Identification registers" of the AArch64 system register descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `MIDR_EL1`: maker, part and revision.
    pub midr: u64,
    /// `MPIDR_EL1`: which of the machine's CPUs.
    pub mpidr: u64,
    /// `CTR_EL0`: cache line sizes.
    pub ctr: u64,
    /// `ID_AA64MMFR0_EL1`: physical address size, granules.
    pub mmfr0: u64,
    /// `ID_AA64MMFR1_EL1`: hardware access flag, VHE.
    pub mmfr1: u64,
    /// `ID_AA64MMFR2_EL1`: FEAT_BBM.
    pub mmfr2: u64,
    /// `ID_AA64ISAR0_EL1`: TLB maintenance by range.
    pub isar0: u64,
    /// `ID_AA64PFR0_EL1`: exception levels, interrupt controller interface.
    pub pfr0: u64,
    /// `ID_AA64PFR1_EL1`: memory tagging.
    pub pfr1: u64,
}

impl Identity {
    /// Reads the registers of the CPU that executes this.
    #[must_use]
    pub fn read() -> Self {
        Self {
            midr: read_midr_el1().bits(),
            mpidr: read_mpidr_el1().bits(),
            ctr: read_ctr_el0().bits(),
            mmfr0: read_id_aa64mmfr0_el1().bits(),
            mmfr1: read_id_aa64mmfr1_el1().bits(),
            mmfr2: read_id_aa64mmfr2_el1().bits(),
            isar0: read_id_aa64isar0_el1().bits(),
            pfr0: read_id_aa64pfr0_el1().bits(),
            pfr1: read_id_aa64pfr1_el1().bits(),
        }
    }
}
