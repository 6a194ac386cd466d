//! Loads and stores of table entries. Every store of an entry is whole: one 64-bit access, or one
//! half of a pair of them, each of which is single-copy atomic. [entries-are-stored-whole]
//!
//! Source: "Requirements for single-copy atomicity". Vector registers are never used: the compiler
//! is kept out by writing the instructions. Addresses are numbers here, not pointers: table memory
//! is no Rust object.
use core::arch::asm;

use blockmap_machine::Pattern;

const ENTRY_BYTES: u64 = 8;

/// Entries that one turn of the bulk loop writes: an eighth of a table of 4 KiB.
const MOST: u16 = 64;

/// Entries of a contiguous run of pages of 4 KiB, which is what is left of most tables.
const RUN: u16 = 16;

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

/// Writes `count` entries from `entry` on: `value`, `value + step`, …
///
/// # Safety
/// As [`store`], for each of them.
#[inline]
pub(crate) unsafe fn fill(mut entry: u64, mut value: u64, step: u64, mut count: u16) {
    let two = step.wrapping_mul(2);
    // Each value takes an addition, each pair of them a store: what is besides is for the turns.
    macro_rules! turns {
        ($entries:expr, $pairs:literal) => {
            while let Some(left) = count.checked_sub($entries) {
                // SAFETY: the caller vouches for `count` entries, of which so many are left.
                unsafe {
                    asm!(
                        concat!(".rept ", $pairs),
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
        };
    }
    turns!(MOST, "32");
    turns!(RUN, "8");
    turns!(2, "1");
    if count > 0 {
        // SAFETY: the caller vouches for `count` entries, of which one is left.
        unsafe { store(entry, value) };
    }
}

/// Clears the bits of `clear`, then sets those of `set`, in `count` entries from `entry` on.
///
/// # Safety
/// As [`store`], for each of them; nobody else writes them meanwhile.
#[inline]
pub(crate) unsafe fn update(mut entry: u64, clear: u64, set: u64, mut count: u16) {
    macro_rules! turns {
        ($entries:literal, $fours:literal) => {
            while let Some(left) = count.checked_sub($entries) {
                // Single stores: these entries are live, and a store of a pair tells a hypervisor
                // that traps it neither registers nor size.
                // SAFETY: the caller vouches for `count` entries, of which so many are left.
                unsafe {
                    asm!(
                        concat!(".rept ", $fours),
                        "ldp {a}, {b}, [{entry}]",
                        "ldp {c}, {d}, [{entry}, #16]",
                        "bic {a}, {a}, {clear}",
                        "bic {b}, {b}, {clear}",
                        "bic {c}, {c}, {clear}",
                        "bic {d}, {d}, {clear}",
                        "orr {a}, {a}, {set}",
                        "orr {b}, {b}, {set}",
                        "orr {c}, {c}, {set}",
                        "orr {d}, {d}, {set}",
                        "str {a}, [{entry}], #32",
                        "str {b}, [{entry}, #-24]",
                        "str {c}, [{entry}, #-16]",
                        "str {d}, [{entry}, #-8]",
                        ".endr",
                        entry = inout(reg) entry,
                        clear = in(reg) clear,
                        set = in(reg) set,
                        a = out(reg) _,
                        b = out(reg) _,
                        c = out(reg) _,
                        d = out(reg) _,
                        options(nostack, preserves_flags),
                    );
                }
                count = left;
            }
        };
    }
    turns!(64, "16");
    turns!(4, "1");
    while let Some(left) = count.checked_sub(1) {
        // SAFETY: the caller vouches for `count` entries, of which at least one is left.
        let old = unsafe { load(entry) };
        // SAFETY: as above.
        unsafe { store(entry, old & !clear | set) };
        entry = entry.wrapping_add(ENTRY_BYTES);
        count = left;
    }
}

/// The bits that so many fours of entries all have. It is unsafe as [`load`] is, for each of them.
macro_rules! all_of {
    ($fours:literal, $entry:expr) => {{
        let all: u64;
        asm!(
            "mov {all}, #-1",
            concat!(".rept ", $fours),
            "ldp {a}, {b}, [{entry}], #32",
            "ldp {c}, {d}, [{entry}, #-16]",
            "and {all}, {all}, {a}",
            "and {all}, {all}, {b}",
            "and {all}, {all}, {c}",
            "and {all}, {all}, {d}",
            ".endr",
            entry = inout(reg) $entry => _,
            all = out(reg) all,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            options(nostack, preserves_flags, readonly),
        );
        all
    }};
}

/// The bits by which any of so many fours of entries differs from a value. It is as unsafe.
macro_rules! any_but {
    ($fours:literal, $entry:expr, $value:expr) => {{
        let any: u64;
        asm!(
            "mov {any}, xzr",
            concat!(".rept ", $fours),
            "ldp {a}, {b}, [{entry}], #32",
            "ldp {c}, {d}, [{entry}, #-16]",
            "eor {a}, {a}, {value}",
            "eor {b}, {b}, {value}",
            "eor {c}, {c}, {value}",
            "eor {d}, {d}, {value}",
            "orr {any}, {any}, {a}",
            "orr {any}, {any}, {b}",
            "orr {any}, {any}, {c}",
            "orr {any}, {any}, {d}",
            ".endr",
            entry = inout(reg) $entry => _,
            value = in(reg) $value,
            any = out(reg) any,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            options(nostack, preserves_flags, readonly),
        );
        any
    }};
}

/// How many of the `count` entries from `entry` on match `pattern` before the first that doesn't.
///
/// # Safety
/// As [`load`], for each of them.
#[inline]
pub(crate) unsafe fn scan(mut entry: u64, pattern: Pattern, count: u16) -> u16 {
    let Pattern { mask, value } = pattern;
    let mut left = count;
    macro_rules! turns {
        ($entries:literal, $fours:literal) => {
            while left >= $entries {
                // SAFETY: the caller vouches for `count` entries, of which so many are left.
                let differ = unsafe {
                    if mask == value {
                        !all_of!($fours, entry)
                    } else {
                        any_but!($fours, entry, value)
                    }
                };
                if differ & mask != 0 {
                    break;
                }
                entry = entry.wrapping_add(ENTRY_BYTES * $entries);
                left = left.wrapping_sub($entries);
            }
        };
    }
    turns!(64, "16");
    turns!(4, "1");
    while left > 0 {
        // SAFETY: the caller vouches for `count` entries, of which at least one is left.
        if !pattern.matches(unsafe { load(entry) }) {
            break;
        }
        entry = entry.wrapping_add(ENTRY_BYTES);
        left = left.wrapping_sub(1);
    }
    count.wrapping_sub(left)
}
