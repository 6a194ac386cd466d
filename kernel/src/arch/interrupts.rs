//! Interrupts: on and off, and what is done when one is taken.

use core::arch::asm;

use super::gic::{self, Ipi};
use super::room;
use crate::owners::guard;

/// The bit of DAIF that masks interrupts.
const MASKED: u64 = 1 << 7;

fn daif() -> u64 {
    let daif;
    // SAFETY: reading a register changes nothing.
    unsafe { asm!("mrs {}, daif", out(reg) daif, options(nomem, nostack, preserves_flags)) };
    daif
}

/// Whether this CPU takes interrupts.
pub(crate) fn are_on() -> bool {
    daif() & MASKED == 0
}

/// Whether an interrupt would be taken if it were not masked.
///
/// Source: "Interrupt Status Register".
pub(super) fn is_pending() -> bool {
    let pending: u64;
    // SAFETY: reading a register changes nothing.
    unsafe {
        asm!("isb", "mrs {}, isr_el1", out(reg) pending, options(nomem, nostack, preserves_flags));
    }
    pending & MASKED != 0
}

/// Takes interrupts from now on.
pub(crate) fn turn_on() {
    // SAFETY: interrupts change nothing that the interrupted code relies on.
    unsafe { asm!("msr daifclr, #2", options(nostack, preserves_flags)) };
}

/// Does `what` with all exceptions masked that can be, and leaves them as they were.
pub(crate) fn all_masked<T>(what: impl FnOnce() -> T) -> T {
    let before = daif();
    // SAFETY: masking exceptions takes nothing away.
    unsafe { asm!("msr daifset, #0xf", options(nostack, preserves_flags)) };
    let result = what();
    // SAFETY: this restores the masks that were read above.
    unsafe { asm!("msr daif, {}", in(reg) before, options(nostack, preserves_flags)) };
    result
}

/// Waits for an interrupt, unless `is_needed` says that there is something to do: an interrupt
/// that comes in between ends the wait.
pub(crate) fn wait_unless(is_needed: impl FnOnce() -> bool) {
    // SAFETY: masking interrupts takes nothing away.
    unsafe { asm!("msr daifset, #2", options(nostack, preserves_flags)) };
    if !is_needed() {
        // SAFETY: waiting changes nothing; an interrupt ends it though it is masked.
        unsafe { asm!("wfi", options(nostack, preserves_flags)) };
    }
    turn_on();
}

/// An interrupt was taken by the kernel: does what it asks for, and tells whether there is a
/// controller that could say what that is.
///
/// That it says nothing is no fault: an interrupt that was acknowledged a moment ago may be
/// signalled for a little longer, and one that nobody had asked for is counted.
pub(super) fn taken() -> bool {
    while let Some(interrupt) = gic::acknowledge() {
        match interrupt {
            Ipi::Park => room::answer(),
            // The CPU is awake, which was the purpose.
            Ipi::Wake => {}
            Ipi::Guard => guard::interrupted(),
        }
    }
    gic::is_there()
}
