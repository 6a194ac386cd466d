//! The loops over many entries, through vector registers of 128 bits.
//!
//! Eight entries are loaded at once and stored at once, as elements of 64 bits: each is read whole and
//! written whole, as by a load or a store of its own. [entries-are-stored-whole]
//! What is in the registers that are used is kept on the stack meanwhile.
//!
//! Source: "Requirements for single-copy atomicity", of element and structure reads and writes.

use core::arch::asm;

use blockmap_machine::Pattern;

/// Clears the bits of `clear`, then sets those of `set`, in 64 entries from `entry` on in each of `turns`,
/// then in eight in each of `eights`.
///
/// # Safety
/// As [`update`](super::update), on a CPU that permits vector registers.
#[inline(never)]
pub(super) unsafe fn update(entry: u64, (clear, set): (u64, u64), (turns, eights): (u64, u64)) {
    // SAFETY: the caller vouches for the entries; what is in the vector registers is put back, and the
    // compiler has no use for them on this target.
    unsafe {
        asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            "sub sp, sp, #96",
            "stp q0, q1, [sp]",
            "stp q2, q3, [sp, #32]",
            "stp q4, q5, [sp, #64]",
            "dup v4.2d, {set}",
            "dup v5.2d, {changed}",
            "cbz {turns}, 3f",
            "2:",
            ".rept 8",
            "ld1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [{entry}]",
            ".irp four, v0.16b, v1.16b, v2.16b, v3.16b",
            r"bit \four, v4.16b, v5.16b",
            ".endr",
            "st1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [{entry}], #64",
            ".endr",
            "sub {turns}, {turns}, #1",
            "cbnz {turns}, 2b",
            "3:",
            "cbz {eights}, 5f",
            "4:",
            "ld1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [{entry}]",
            ".irp four, v0.16b, v1.16b, v2.16b, v3.16b",
            r"bit \four, v4.16b, v5.16b",
            ".endr",
            "st1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [{entry}], #64",
            "sub {eights}, {eights}, #1",
            "cbnz {eights}, 4b",
            "5:",
            "ldp q0, q1, [sp]",
            "ldp q2, q3, [sp, #32]",
            "ldp q4, q5, [sp, #64]",
            "add sp, sp, #96",
            entry = inout(reg) entry => _,
            set = in(reg) set,
            changed = in(reg) clear | set,
            turns = inout(reg) turns => _,
            eights = inout(reg) eights => _,
            options(preserves_flags),
        );
    }
}

/// How many of `turns` are left, 64 entries from `entry` on in each, when one is met in which not all of
/// them match; none if all do. `turns` is not zero.
///
/// # Safety
/// As [`scan`](super::scan), on a CPU that permits vector registers.
#[inline(never)]
pub(super) unsafe fn scan(entry: u64, Pattern { mask, value }: Pattern, mut turns: u64) -> u64 {
    // SAFETY: as in `update`.
    unsafe {
        asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            "sub sp, sp, #96",
            "stp q0, q1, [sp]",
            "stp q2, q3, [sp, #32]",
            "stp q4, q5, [sp, #64]",
            "dup v5.2d, {value}",
            "2:",
            "movi v4.2d, #0",
            ".rept 8",
            "ld1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [{entry}], #64",
            ".irp four, v0.16b, v1.16b, v2.16b, v3.16b",
            r"eor \four, \four, v5.16b",
            r"orr v4.16b, v4.16b, \four",
            ".endr",
            ".endr",
            "umov {even}, v4.d[0]",
            "umov {odd}, v4.d[1]",
            "orr {even}, {even}, {odd}",
            "and {even}, {even}, {mask}",
            "cbnz {even}, 3f",
            "sub {turns}, {turns}, #1",
            "cbnz {turns}, 2b",
            "3:",
            "ldp q0, q1, [sp]",
            "ldp q2, q3, [sp, #32]",
            "ldp q4, q5, [sp, #64]",
            "add sp, sp, #96",
            entry = inout(reg) entry => _,
            mask = in(reg) mask,
            value = in(reg) value,
            turns = inout(reg) turns,
            even = out(reg) _,
            odd = out(reg) _,
            options(preserves_flags),
        );
    }
    turns
}
