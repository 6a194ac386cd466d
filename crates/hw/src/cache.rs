//! Cache maintenance by address.

use core::arch::asm;

use arm_sysregs::el0::accessors::read_ctr_el0;
use blockmap_machine::{CacheOp, VirtRange};

/// Bytes of the smallest data (`DminLine`) and instruction (`IminLine`) cache line.
///
/// Source: "CTR_EL0, Cache Type Register": log2 of words, in bits 19:16 and 3:0.
fn line_bytes(op: CacheOp) -> u64 {
    let ctr = read_ctr_el0().bits();
    let log2_words = match op {
        CacheOp::DcCvau | CacheOp::DcCivac | CacheOp::DcIvac => ctr >> 16 & 0xf,
        CacheOp::IcIvau => ctr & 0xf,
    };
    4 << log2_words
}

/// Whether an instruction fetched through one address is found through every other address of the
/// same memory: the policy is PIPT, `CTR_EL0.L1Ip` 0b11.
fn fetches_are_found_by_any_alias() -> bool {
    read_ctr_el0().bits() >> 14 & 0b11 == 0b11
}

/// Maintains every line that has a byte in `range`. The caller completes it with a DSB.
///
/// Lines that are only partly in `range` are cleaned where they would be invalidated alone.
///
/// Instruction caches are maintained by the address that memory is reached through here, not the
/// one it is executed from. Where that isn't the same, all of them are invalidated instead.
/// [instruction-aliases]
///
/// # Safety
/// `range` is mapped, with Normal memory; for [`CacheOp::DcIvac`] nobody misses what was written to
/// its lines and not written back.
pub(crate) unsafe fn maintain(op: CacheOp, range: VirtRange) {
    if matches!(op, CacheOp::IcIvau) && !fetches_are_found_by_any_alias() {
        // SAFETY: instruction caches hold copies only.
        unsafe { asm!("ic ialluis", options(nostack, preserves_flags)) };
        return;
    }
    let bytes = line_bytes(op);
    let mut line = range.start().align_down(bytes);
    loop {
        let covers_line = VirtRange::new(line, bytes).is_some_and(|line| range.covers(line));
        let op = match op {
            // What else is in the line is not the range's to lose. [invalidate-whole-lines-only]
            CacheOp::DcIvac if !covers_line => CacheOp::DcCivac,
            CacheOp::DcIvac | CacheOp::DcCvau | CacheOp::DcCivac | CacheOp::IcIvau => op,
        };
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
