//! The generic timer's virtual counter: the clock of boot timelines and measurements.

/// The virtual count, in ticks of [`frequency_hz`], read after everything before it is done.
///
/// Source: "The Generic Timer in AArch64 state".
#[inline]
#[must_use]
pub fn ticks() -> u64 {
    // The counter may be read ahead of earlier instructions otherwise.
    // SAFETY: ISB touches neither memory nor registers.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) };
    arm_sysregs::el0::accessors::read_cntvct_el0().bits()
}

/// Ticks of the counter in a second, as firmware wrote it down; zero where it didn't.
#[inline]
#[must_use]
pub fn frequency_hz() -> u64 {
    arm_sysregs::el0::accessors::read_cntfrq_el0().bits()
}
