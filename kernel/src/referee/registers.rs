//! Registers of EL2, and those of EL1 by the names that they have at EL2 while `HCR_EL2.E2H` is
//! set.
//!
//! Source: "System register aliasing when HCR_EL2.E2H is 1".

use core::arch::asm;

use blockmap::vmsa::Half;

macro_rules! readers {
    ($($(#[$doc:meta])* $name:ident = $register:literal,)*) => {$(
        $(#[$doc])*
        pub(super) fn $name() -> u64 {
            let value;
            // SAFETY: reading the register changes nothing.
            unsafe {
                asm!(concat!("mrs {}, ", $register), out(reg) value,
                    options(nomem, nostack, preserves_flags));
            }
            value
        }
    )*};
}

macro_rules! writers {
    ($($(#[$doc:meta])* $name:ident = $register:literal,)*) => {$(
        $(#[$doc])*
        pub(super) fn $name(value: u64) {
            // SAFETY: EL1 finds the value when it is returned to; nothing of EL2 depends on it.
            unsafe {
                asm!(concat!("msr ", $register, ", {}"), in(reg) value,
                    options(nostack, preserves_flags));
            }
        }
    )*};
}

readers! {
    /// Why EL2 was entered.
    esr = "esr_el2",
    /// The address of the access that trapped.
    far = "far_el2",
    /// The page of the intermediate address, for the faults that say it.
    hpfar = "hpfar_el2",
    /// What [`super::start::start`] had put there.
    state = "tpidr_el2",
    /// Where EL1's vectors are.
    vectors = "s3_5_c12_c0_0",
    /// The result of EL1's last address translation instruction.
    translated = "par_el1",
    /// EL1's memory types, read at EL1.
    kernel_mair = "mair_el1",
    /// EL1's translation control, read at EL1.
    kernel_tcr = "tcr_el1",
    /// EL1's system control, read at EL1.
    kernel_sctlr = "sctlr_el1",
    /// The root of EL1's upper half, read at EL1.
    kernel_upper_root = "ttbr1_el1",
    /// Where EL2 goes on, and with which state, after the exception that it failed in.
    elr = "elr_el2",
}

writers! {
    /// What EL1 finds in `ESR_EL1`.
    set_kernel_esr = "s3_5_c5_c2_0",
    /// What EL1 finds in `FAR_EL1`.
    set_kernel_far = "s3_5_c6_c0_0",
    /// What EL1 finds in `ELR_EL1`.
    set_kernel_elr = "s3_5_c4_c0_1",
    /// What EL1 finds in `SPSR_EL1`.
    set_kernel_spsr = "s3_5_c4_c0_0",
    /// What EL1 finds in `PAR_EL1`.
    set_translated = "par_el1",
}

/// Gives a half of EL1's address space other tables.
pub(super) fn set_kernel_root(half: Half, value: u64) {
    match half {
        // SAFETY: EL1 asked for it; EL2 has roots of its own.
        Half::Lower => unsafe {
            asm!("msr s3_5_c2_c0_0, {}", in(reg) value, options(nostack, preserves_flags));
        },
        // SAFETY: as above.
        Half::Upper => unsafe {
            asm!("msr s3_5_c2_c0_1, {}", in(reg) value, options(nostack, preserves_flags));
        },
    }
}

/// Removes everything that came from stage 2 or through it from the TLBs of every CPU, and waits.
///
/// Source: "TLBI VMALLS12E1IS".
pub(super) fn flush_stage2() {
    // SAFETY: a TLB holds copies of what the tables say; dropping them loses nothing.
    unsafe {
        asm!("dsb ish", "tlbi vmalls12e1is", "dsb ish", "isb", options(nostack, preserves_flags));
    }
}
