//! Filling a table that nothing points to: nobody reads it meanwhile, so it does not matter how wide the
//! stores are.

use core::arch::asm;

use crate::entries::{ENTRY_BYTES, store};

/// Which registers a [`Cpu`](crate::Cpu) fills tables from.
///
/// Entries of tables in use are stored from general registers whatever is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FillRegisters {
    /// General registers, in pairs: one and a half instructions for an entry.
    General,
    /// Vector registers of 128 bits: three quarters of an instruction. What is in those that it uses is
    /// kept on the stack meanwhile, so it can interrupt whoever else uses them, and be interrupted.
    Vector,
}

/// Entries that a turn of the loop over most of a table takes.
const MOST: u16 = 64;

/// Entries that a turn takes with vector registers; of less than two turns not much would be saved.
const WIDE: u16 = 32;

/// Writes `count` entries from `entry` on: `value`, `value + step`, …
///
/// # Safety
/// As [`store`], for each of them; and for vector registers as
/// [`Cpu::with_fills_from`](crate::Cpu::with_fills_from).
#[inline]
pub(crate) unsafe fn fill(
    (mut entry, mut count): (u64, u16),
    (mut value, step): (u64, u64),
    from: FillRegisters,
) {
    if from == FillRegisters::Vector && count > 2 * WIDE {
        if entry & ENTRY_BYTES != 0 {
            // SAFETY: the caller vouches for `count` entries, of which there are some.
            unsafe { store(entry, value) };
            entry = entry.wrapping_add(ENTRY_BYTES);
            value = value.wrapping_add(step);
            count -= 1;
        }
        let wide = count - count % WIDE;
        // SAFETY: the caller vouches for `count` entries and for the registers; the first is aligned.
        unsafe { in_vectors(entry, value, step, wide) };
        entry = entry.wrapping_add(u64::from(wide) * ENTRY_BYTES);
        value = value.wrapping_add(step.wrapping_mul(u64::from(wide)));
        count -= wide;
    }
    // SAFETY: the caller vouches for these entries, which are the rest.
    unsafe { in_pairs(entry, value, step, count) };
}

/// The same for `count` entries, a multiple of thirty-two and not none, from a multiple of 16 bytes on.
///
/// # Safety
/// As [`fill`].
#[inline(never)]
unsafe fn in_vectors(entry: u64, value: u64, step: u64, count: u16) {
    // SAFETY: the caller vouches for the entries; what is in the vector registers is put back, and the
    // compiler has no use for them on this target.
    unsafe {
        asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            "sub sp, sp, #80",
            "stp q0, q1, [sp]",
            "stp q2, q3, [sp, #32]",
            "str q4, [sp, #64]",
            "fmov d0, {value}",
            "ins v0.d[1], {next}",
            "dup v4.2d, {two}",
            "add v1.2d, v0.2d, v4.2d",
            "add v2.2d, v1.2d, v4.2d",
            "add v3.2d, v2.2d, v4.2d",
            "shl v4.2d, v4.2d, #2",
            "2:",
            ".rept 4",
            "stp q0, q1, [{entry}], #64",
            "stp q2, q3, [{entry}, #-32]",
            "add v0.2d, v0.2d, v4.2d",
            "add v1.2d, v1.2d, v4.2d",
            "add v2.2d, v2.2d, v4.2d",
            "add v3.2d, v3.2d, v4.2d",
            ".endr",
            "sub {left:w}, {left:w}, #32",
            "cbnz {left:w}, 2b",
            "ldp q0, q1, [sp]",
            "ldp q2, q3, [sp, #32]",
            "ldr q4, [sp, #64]",
            "add sp, sp, #80",
            entry = inout(reg) entry => _,
            value = in(reg) value,
            next = in(reg) value.wrapping_add(step),
            two = in(reg) step.wrapping_mul(2),
            left = inout(reg) u64::from(count) => _,
            options(preserves_flags),
        );
    }
}

/// The same from general registers.
///
/// # Safety
/// As [`fill`].
#[inline]
unsafe fn in_pairs(mut entry: u64, mut value: u64, step: u64, mut count: u16) {
    let two = step.wrapping_mul(2);
    while let Some(left) = count.checked_sub(MOST) {
        // SAFETY: the caller vouches for `count` entries, of which at least sixty-four are left.
        unsafe {
            asm!(
                ".rept 32",
                "stp {a}, {b}, [{entry}], #16",
                "add {a}, {a}, {two}",
                "add {b}, {b}, {two}",
                ".endr",
                entry = inout(reg) entry,
                a = inout(reg) value,
                b = inout(reg) value.wrapping_add(step) => _,
                two = in(reg) two,
                options(nostack, preserves_flags),
            );
        }
        count = left;
    }
    while let Some(left) = count.checked_sub(4) {
        // SAFETY: the caller vouches for `count` entries, of which at least four are left.
        unsafe {
            asm!(
                "stp {a}, {b}, [{entry}], #32",
                "add {a}, {a}, {two}",
                "add {b}, {b}, {two}",
                "stp {a}, {b}, [{entry}, #-16]",
                "add {a}, {a}, {two}",
                entry = inout(reg) entry,
                a = inout(reg) value,
                b = inout(reg) value.wrapping_add(step) => _,
                two = in(reg) two,
                options(nostack, preserves_flags),
            );
        }
        count = left;
    }
    while let Some(left) = count.checked_sub(1) {
        // SAFETY: the caller vouches for `count` entries, of which at least one is left.
        unsafe { store(entry, value) };
        entry = entry.wrapping_add(ENTRY_BYTES);
        value = value.wrapping_add(step);
        count = left;
    }
}
