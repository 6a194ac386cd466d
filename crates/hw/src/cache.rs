//! Cache maintenance by address.

use core::arch::asm;

use arm_sysregs::el0::accessors::read_ctr_el0;
use blockmap_machine::{CacheOp, VirtRange};

use crate::lines::{CacheType, Way, on_line};

/// Maintains every line that has a byte in `range`. The caller completes it with a DSB.
///
/// What is done to which line: `lines`.
///
/// # Safety
/// `range` is mapped, with Normal memory; for [`CacheOp::DcIvac`] nobody misses what was written to
/// its lines and not written back.
pub(crate) unsafe fn maintain(op: CacheOp, range: VirtRange) {
    let bytes = match CacheType(read_ctr_el0().bits()).way(op) {
        Way::LineByLine(bytes) => bytes,
        Way::EveryInstruction => {
            // SAFETY: instruction caches hold copies only.
            unsafe { asm!("ic ialluis", options(nostack, preserves_flags)) };
            return;
        }
    };
    let mut line = range.start().align_down(bytes);
    loop {
        let op = on_line(op, range, VirtRange::new(line, bytes));
        // SAFETY: the caller vouches for the range; the rest of a line is in the same page.
        unsafe { maintain_line(op, line.value()) };
        match line.checked_add(bytes) {
            Some(next) if next <= range.last() => line = next,
            Some(_) | None => break,
        }
    }
}

/// Maintains the line that holds the address `line`.
///
/// # Safety
/// As [`maintain`].
#[inline(always)]
unsafe fn maintain_line(op: CacheOp, line: u64) {
    match op {
        // SAFETY: cleaning changes no data; the caller vouches that the address is mapped.
        CacheOp::DcCvau => unsafe {
            asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags));
        },
        // SAFETY: as above.
        CacheOp::DcCivac => unsafe {
            asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags));
        },
        // SAFETY: the caller vouches that nobody misses what the line holds.
        CacheOp::DcIvac => unsafe {
            asm!("dc ivac, {}", in(reg) line, options(nostack, preserves_flags));
        },
        // SAFETY: instruction caches hold copies only; the address is mapped.
        CacheOp::IcIvau => unsafe {
            asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags));
        },
    }
}
