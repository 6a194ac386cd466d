//! The generic timer's virtual counter, the clock of boot timelines; and the cycle counter, for what
//! is too short for that.

use core::arch::asm;

/// The virtual count, in ticks of [`frequency_hz`], read after everything before it is done.
///
/// Source: "The Generic Timer in AArch64 state".
#[inline]
#[must_use]
pub fn ticks() -> u64 {
    // The counter may be read ahead of earlier instructions otherwise.
    // SAFETY: ISB touches neither memory nor registers.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
    arm_sysregs::el0::accessors::read_cntvct_el0().bits()
}

/// Ticks of the counter in a second, as firmware wrote it down; zero where it didn't.
#[inline]
#[must_use]
pub fn frequency_hz() -> u64 {
    arm_sysregs::el0::accessors::read_cntfrq_el0().bits()
}

/// The cycle counter. Holding one tells that the CPU which made it has such a counter, and that it
/// counts. What another CPU's counter says is not known by it.
#[derive(Clone, Copy, Debug)]
pub struct Cycles(());

impl Cycles {
    /// Has the counter of the CPU that executes this count from zero on; `None` if it has none, or
    /// one of a kind that is not the architecture's.
    ///
    /// Source: "The Performance Monitors Extension"; `ID_AA64DFR0_EL1.PMUVer`.
    #[must_use]
    pub fn begin() -> Option<Self> {
        let debug: u64;
        // SAFETY: reading a register changes nothing.
        unsafe {
            asm!("mrs {}, id_aa64dfr0_el1", out(reg) debug, options(nomem, nostack, preserves_flags));
        }
        let version = debug >> 8 & 0xf;
        if matches!(version, 0 | 0xf) {
            return None;
        }
        // PMCR_EL0: enable, begin at zero, 64 bits.
        let control = 1_u64 | 1 << 2 | 1 << 6;
        // SAFETY: the registers are there, and nothing of the kernel depends on them.
        unsafe {
            asm!(
                "msr pmccfiltr_el0, xzr",
                "msr pmcntenset_el0, {cycles}",
                "msr pmcr_el0, {control}",
                "isb",
                cycles = in(reg) 1_u64 << 31,
                control = in(reg) control,
                options(nomem, nostack, preserves_flags),
            );
        }
        Some(Self(()))
    }

    /// The cycles so far, read after everything before it is done. An emulator that counts
    /// instructions (`-icount shift=0` of QEMU's) has each take one.
    #[inline]
    #[must_use]
    pub fn now(self) -> u64 {
        let cycles: u64;
        // SAFETY: the counter is there, and reading it changes nothing. The barrier has it read after
        // what stands before.
        unsafe {
            asm!("isb", "mrs {}, pmccntr_el0", out(reg) cycles, options(nostack, preserves_flags));
        }
        cycles
    }
}
