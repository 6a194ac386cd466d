//! Filling many neighbouring entries: what is stored follows from the first and a step.
//!
//! Most of what is filled is a table that nothing points to, and nobody reads it meanwhile. Entries of a
//! table in use are filled too, and each is stored whole: half of a pair, or an element of 64 bits, is
//! single-copy atomic by itself. [entries-are-stored-whole]

use core::arch::asm;

use arm_sysregs::el1::accessors::read_cpacr_el1;

use crate::entries::{ENTRY_BYTES, store};

/// Which registers a [`Cpu`](crate::Cpu) fills entries from, and compares and changes many through.
///
/// Single entries are stored from general registers whatever is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BulkRegisters {
    /// General registers, in pairs: one and a half instructions to fill an entry, two and a half to
    /// compare one and three to change it.
    General,
    /// Vector registers of 128 bits where the CPU permits them, general ones elsewhere: five eighths of
    /// an instruction, or an eighth where all entries are to be the same; one and a quarter to compare,
    /// three quarters to change. What is in those that it uses is
    /// kept on the stack meanwhile, so it can interrupt whoever else uses them, and be interrupted.
    Vector,
}

/// Entries that a turn of the loops over most of a table takes.
const MOST: u16 = 64;

/// Entries that four vector registers hold.
const EIGHT: u16 = 8;

/// The fewest entries that are worth what keeping the registers takes.
pub(crate) const FEWEST: u16 = 32;

/// Writes `count` entries from `entry` on: `value`, `value + step`, …
///
/// # Safety
/// As [`store`], for each of them; and for vector registers as
/// [`Cpu::with_bulk_through`](crate::Cpu::with_bulk_through).
#[inline]
pub(crate) unsafe fn fill(
    (mut entry, mut count): (u64, u16),
    (mut value, step): (u64, u64),
    from: BulkRegisters,
) {
    if from == BulkRegisters::Vector && count >= FEWEST && permits_vectors() {
        let wide = count - count % EIGHT;
        let turns = (u64::from(wide / MOST), u64::from(wide % MOST / EIGHT));
        if step == 0 {
            // SAFETY: the caller vouches for `count` entries; the CPU permits the registers.
            unsafe { same_in_vectors(entry, value, turns) };
        } else {
            // SAFETY: as above.
            unsafe { in_vectors(entry, value, step, turns) };
        }
        entry = entry.wrapping_add(u64::from(wide) * ENTRY_BYTES);
        value = value.wrapping_add(step.wrapping_mul(u64::from(wide)));
        count -= wide;
    }
    // SAFETY: the caller vouches for these entries, which are the rest.
    unsafe { in_pairs(entry, value, step, count) };
}

/// Whether this CPU lets its own exception level use vector registers: the lower bit of
/// `CPACR_EL1.FPEN` says so.
#[inline(always)]
#[must_use]
pub fn permits_vectors() -> bool {
    read_cpacr_el1().bits() & 1 << 20 != 0
}

/// The same for 64 entries in each of `turns`, then for eight in each of `eights`.
///
/// # Safety
/// As [`fill`], on a CPU that permits vector registers.
#[inline(never)]
unsafe fn in_vectors(entry: u64, value: u64, step: u64, (turns, eights): (u64, u64)) {
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
            "cbz {turns}, 3f",
            "2:",
            ".rept 8",
            "st1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [{entry}], #64",
            ".irp four, v0.2d, v1.2d, v2.2d, v3.2d",
            r"add \four, \four, v4.2d",
            ".endr",
            ".endr",
            "sub {turns}, {turns}, #1",
            "cbnz {turns}, 2b",
            "3:",
            "cbz {eights}, 5f",
            "4:",
            "st1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [{entry}], #64",
            ".irp four, v0.2d, v1.2d, v2.2d, v3.2d",
            r"add \four, \four, v4.2d",
            ".endr",
            "sub {eights}, {eights}, #1",
            "cbnz {eights}, 4b",
            "5:",
            "ldp q0, q1, [sp]",
            "ldp q2, q3, [sp, #32]",
            "ldr q4, [sp, #64]",
            "add sp, sp, #80",
            entry = inout(reg) entry => _,
            value = in(reg) value,
            next = in(reg) value.wrapping_add(step),
            two = in(reg) step.wrapping_mul(2),
            turns = inout(reg) turns => _,
            eights = inout(reg) eights => _,
            options(preserves_flags),
        );
    }
}

/// As [`in_vectors`], with the same value in all of them.
///
/// # Safety
/// As [`in_vectors`].
#[inline(never)]
unsafe fn same_in_vectors(entry: u64, value: u64, (turns, eights): (u64, u64)) {
    // SAFETY: as in `in_vectors`.
    unsafe {
        asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            "sub sp, sp, #64",
            "stp q0, q1, [sp]",
            "stp q2, q3, [sp, #32]",
            ".irp two, v0.2d, v1.2d, v2.2d, v3.2d",
            r"dup \two, {value}",
            ".endr",
            "cbz {turns}, 3f",
            "2:",
            ".rept 8",
            "st1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [{entry}], #64",
            ".endr",
            "sub {turns}, {turns}, #1",
            "cbnz {turns}, 2b",
            "3:",
            "cbz {eights}, 5f",
            "4:",
            "st1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [{entry}], #64",
            "sub {eights}, {eights}, #1",
            "cbnz {eights}, 4b",
            "5:",
            "ldp q0, q1, [sp]",
            "ldp q2, q3, [sp, #32]",
            "add sp, sp, #64",
            entry = inout(reg) entry => _,
            value = in(reg) value,
            turns = inout(reg) turns => _,
            eights = inout(reg) eights => _,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `work` leaves of words that were all ones.
    fn words(work: impl FnOnce(u64)) -> [u64; 520] {
        let mut words = [u64::MAX; 520];
        work(words.as_mut_ptr().expose_provenance().try_into().unwrap());
        core::hint::black_box(words)
    }

    #[test]
    fn each_way_to_fill_stores_the_same_words_and_no_others() {
        for step in [0, 0x1000, 0x20_0000, 0xffff_ffff_ffff_f000] {
            for first in 0..3 {
                for count in (0..=512_u16).step_by(usize::from(EIGHT)) {
                    let value = 0x0060_0000_4000_0703;
                    let turns = (u64::from(count / MOST), u64::from(count % MOST / EIGHT));
                    let at = |start: u64| start + first * ENTRY_BYTES;
                    // SAFETY: there are as many words from there on.
                    let pairs = words(|start| unsafe { in_pairs(at(start), value, step, count) });
                    let wide = words(|start| {
                        // SAFETY: as above; processes may use vector registers.
                        unsafe { in_vectors(at(start), value, step, turns) };
                    });
                    assert_eq!(pairs, wide, "{count} from {first} on, by {step:#x}");
                    if step == 0 {
                        let same = words(|start| {
                            // SAFETY: as above.
                            unsafe { same_in_vectors(at(start), value, turns) };
                        });
                        assert_eq!(pairs, same, "{count} from {first} on");
                    }
                }
            }
        }
    }
}
