//! Entries that follow each other step by step, seen many at a time.

use core::arch::asm;

use crate::entries::{ENTRY_BYTES, load};

/// How many of the `count` entries from `entry` on are `first`, `first` and `step`, and so on, before the
/// first that isn't.
///
/// # Safety
/// As [`load`], for each of them.
#[inline]
pub(crate) unsafe fn climb(mut entry: u64, first: u64, step: u64, count: u16) -> u16 {
    let (mut wanted, mut left) = (first, count);
    // SAFETY: the caller vouches for `count` entries, of which at least eight are looked at.
    let eighth = |entry: u64| unsafe { load(entry.wrapping_add(7 * ENTRY_BYTES)) };
    // Where there are few that is seen by the eighth.
    let is_long = count >= 8 && eighth(entry) == first.wrapping_add(step.wrapping_mul(7));
    while is_long && left >= 8 {
        // SAFETY: the caller vouches for `count` entries, of which at least eight are left.
        let (differing, next) = unsafe { climb_eight(entry, wanted, step) };
        if differing != 0 {
            break;
        }
        wanted = next;
        entry = entry.wrapping_add(8 * ENTRY_BYTES);
        left = left.wrapping_sub(8);
    }
    while left > 0 {
        // SAFETY: the caller vouches for `count` entries, of which at least one is left.
        if unsafe { load(entry) } != wanted {
            break;
        }
        wanted = wanted.wrapping_add(step);
        entry = entry.wrapping_add(ENTRY_BYTES);
        left = left.wrapping_sub(1);
    }
    count.wrapping_sub(left)
}

/// Something but 0 if any of eight entries from `entry` on is not `wanted`, `wanted` and `step`, and so on;
/// and what the ninth would be.
///
/// # Safety
/// As [`load`], for each of them.
#[inline]
unsafe fn climb_eight(entry: u64, wanted: u64, step: u64) -> (u64, u64) {
    let (differing, next): (u64, u64);
    // SAFETY: the caller vouches for eight entries.
    unsafe {
        asm!(
            "ldp {a}, {b}, [{entry}, #0]",
            "ldp {c}, {d}, [{entry}, #16]",
            "ldp {e}, {f}, [{entry}, #32]",
            "ldp {g}, {h}, [{entry}, #48]",
            "cmp {a}, {wanted}",
            "add {wanted}, {wanted}, {step}",
            "ccmp {b}, {wanted}, #0, eq",
            "add {wanted}, {wanted}, {step}",
            "ccmp {c}, {wanted}, #0, eq",
            "add {wanted}, {wanted}, {step}",
            "ccmp {d}, {wanted}, #0, eq",
            "add {wanted}, {wanted}, {step}",
            "ccmp {e}, {wanted}, #0, eq",
            "add {wanted}, {wanted}, {step}",
            "ccmp {f}, {wanted}, #0, eq",
            "add {wanted}, {wanted}, {step}",
            "ccmp {g}, {wanted}, #0, eq",
            "add {wanted}, {wanted}, {step}",
            "ccmp {h}, {wanted}, #0, eq",
            "add {wanted}, {wanted}, {step}",
            "csetm {a}, ne",
            entry = in(reg) entry,
            wanted = inout(reg) wanted => next,
            step = in(reg) step,
            a = out(reg) differing,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            e = out(reg) _,
            f = out(reg) _,
            g = out(reg) _,
            h = out(reg) _,
            options(nostack, readonly),
        );
    }
    (differing, next)
}
