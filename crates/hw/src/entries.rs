//! Loads and stores of table entries; `bulk` changes and compares many at a time. Every store of an
//! entry is whole: one 64-bit access, or one half of a pair of them, or an element of 64 bits, each of
//! which is single-copy atomic. [entries-are-stored-whole]
//!
//! Source: "Requirements for single-copy atomicity". Vector registers are not used here: the compiler
//! is kept out by writing the instructions, and a hypervisor that traps a store finds no such
//! register in its frame. `fill` and `bulk` may use them. Addresses are numbers here, not pointers: table memory
//! is no Rust object.
use core::arch::asm;

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: u64 = 8;

/// Reads one entry.
///
/// # Safety
/// `entry` is mapped, aligned to eight bytes, and an entry of a table.
#[inline(always)]
pub(crate) unsafe fn load(entry: u64) -> u64 {
    let value;
    // SAFETY: the caller vouches for the address.
    unsafe {
        asm!("ldr {value}, [{entry}]", value = out(reg) value, entry = in(reg) entry,
            options(nostack, preserves_flags, readonly));
    }
    value
}

/// Reads the entries from `entry` on into `words`.
///
/// # Safety
/// As [`load`], for each of them.
#[inline]
pub(crate) unsafe fn read(mut entry: u64, words: &mut [u64]) {
    let (eights, rest) = words.as_chunks_mut::<8>();
    for [a, b, c, d, e, f, g, h] in eights {
        // SAFETY: the caller vouches for as many entries as there are words.
        unsafe {
            asm!(
                "ldp {a}, {b}, [{entry}], #64",
                "ldp {c}, {d}, [{entry}, #-48]",
                "ldp {e}, {f}, [{entry}, #-32]",
                "ldp {g}, {h}, [{entry}, #-16]",
                entry = inout(reg) entry,
                a = out(reg) *a,
                b = out(reg) *b,
                c = out(reg) *c,
                d = out(reg) *d,
                e = out(reg) *e,
                f = out(reg) *f,
                g = out(reg) *g,
                h = out(reg) *h,
                options(nostack, preserves_flags, readonly),
            );
        }
    }
    for word in rest {
        // SAFETY: as above.
        *word = unsafe { load(entry) };
        entry = entry.wrapping_add(ENTRY_BYTES);
    }
}

/// Writes one entry.
///
/// # Safety
/// As [`load`]; the entry is the caller's to write.
#[inline(always)]
pub(crate) unsafe fn store(entry: u64, value: u64) {
    // SAFETY: the caller vouches for the address.
    unsafe {
        asm!("str {value}, [{entry}]", value = in(reg) value, entry = in(reg) entry,
            options(nostack, preserves_flags));
    }
}
