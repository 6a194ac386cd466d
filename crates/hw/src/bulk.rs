//! Many neighbouring entries of tables in use at a time: in pairs of general registers or in vector
//! registers, many to a turn, with as little between two loads or stores as there can be.
//!
//! What is stored is stored whole: each half of a pair is single-copy atomic by itself, and so is each
//! element of 64 bits. [entries-are-stored-whole]

mod vectors;

use core::arch::asm;

use blockmap_machine::Pattern;

use crate::entries::{ENTRY_BYTES, load, store};
use crate::fill::{BulkRegisters, FEWEST, permits_vectors};

/// Entries that a turn of the loops over most of a table takes.
const MOST: u16 = 64;

/// Entries that a turn of the loops over the rest takes.
const EIGHT: u16 = 8;

/// Takes eight entries at `$entry` and those after them, `$turns` times, through registers that
/// `$change` changes, and moves `$entry` on.
macro_rules! rewrite {
    ($turns:literal, $entry:ident, [$($change:literal),+], $($bits:ident),+) => {
        asm!(
            concat!(".rept ", $turns),
            "ldp {a}, {b}, [{entry}, #0]",
            "ldp {c}, {d}, [{entry}, #16]",
            "ldp {e}, {f}, [{entry}, #32]",
            "ldp {g}, {h}, [{entry}, #48]",
            ".irp word, {a}, {b}, {c}, {d}, {e}, {f}, {g}, {h}",
            $($change,)+
            ".endr",
            "stp {a}, {b}, [{entry}], #64",
            "stp {c}, {d}, [{entry}, #-48]",
            "stp {e}, {f}, [{entry}, #-32]",
            "stp {g}, {h}, [{entry}, #-16]",
            ".endr",
            entry = inout(reg) $entry,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            e = out(reg) _,
            f = out(reg) _,
            g = out(reg) _,
            h = out(reg) _,
            $($bits = in(reg) $bits,)+
            options(nostack, preserves_flags),
        )
    };
}

/// Clears the bits of `clear`, then sets those of `set`, in `count` entries from `entry` on.
///
/// # Safety
/// As [`store`], for each of them; nobody else writes them meanwhile. For vector registers as
/// [`Cpu::with_bulk_through`](crate::Cpu::with_bulk_through).
#[inline]
pub(crate) unsafe fn update(
    (mut entry, mut count): (u64, u16),
    (clear, set): (u64, u64),
    through: BulkRegisters,
) {
    if through == BulkRegisters::Vector && count >= FEWEST && permits_vectors() {
        let turns = (u64::from(count / MOST), u64::from(count % MOST / EIGHT));
        // SAFETY: the caller vouches for `count` entries; the CPU permits the registers.
        unsafe { vectors::update(entry, (clear, set), turns) };
        let rest = count % EIGHT;
        entry = entry.wrapping_add(u64::from(count - rest) * ENTRY_BYTES);
        count = rest;
    }
    if count >= EIGHT {
        // SAFETY: the caller vouches for these entries, which are the rest.
        unsafe { update_in_pairs(entry, clear, set, count) };
    } else {
        // SAFETY: as above.
        unsafe { update_few(entry, clear, set, count.into()) };
    }
}

/// The same one by one.
///
/// # Safety
/// As [`update`].
#[inline(never)]
unsafe fn update_few(mut entry: u64, clear: u64, set: u64, mut left: u64) {
    while let Some(less) = left.checked_sub(1) {
        // SAFETY: the caller vouches for so many entries, of which at least one is left.
        let old = unsafe { load(entry) };
        // SAFETY: as above.
        unsafe { store(entry, old & !clear | set) };
        entry = entry.wrapping_add(ENTRY_BYTES);
        left = less;
    }
}

/// The same through general registers.
///
/// # Safety
/// As [`update`].
#[inline(never)]
unsafe fn update_in_pairs(mut entry: u64, clear: u64, set: u64, mut count: u16) {
    while let Some(left) = count.checked_sub(MOST) {
        // Most changes clear or set, and don't do both.
        match (clear, set) {
            // SAFETY: the caller vouches for `count` entries, of which at least sixty-four are left.
            (0, _) => unsafe { rewrite!("8", entry, [r"orr \word, \word, {set}"], set) },
            // SAFETY: as above.
            (_, 0) => unsafe { rewrite!("8", entry, [r"bic \word, \word, {clear}"], clear) },
            // SAFETY: as above.
            (_, _) => unsafe {
                rewrite!(
                    "8",
                    entry,
                    [r"bic \word, \word, {clear}", r"orr \word, \word, {set}"],
                    clear,
                    set
                );
            },
        }
        count = left;
    }
    while let Some(left) = count.checked_sub(EIGHT) {
        // SAFETY: the caller vouches for `count` entries, of which at least eight are left.
        unsafe {
            rewrite!(
                "1",
                entry,
                [r"bic \word, \word, {clear}", r"orr \word, \word, {set}"],
                clear,
                set
            );
        }
        count = left;
    }
    // SAFETY: the caller vouches for these entries, which are the rest.
    unsafe { update_few(entry, clear, set, count.into()) };
}

/// What eight entries at `$entry` and those after them, `$turns` times, have in common: `$gather`
/// adds each to what is found, which begins as `$begin`.
macro_rules! gather {
    ($turns:literal, $entry:ident, [$($gather:literal),+], $($found:ident = $begin:expr),+) => {
        asm!(
            concat!(".rept ", $turns),
            "ldp {a}, {b}, [{entry}], #64",
            "ldp {c}, {d}, [{entry}, #-48]",
            "ldp {e}, {f}, [{entry}, #-32]",
            "ldp {g}, {h}, [{entry}, #-16]",
            ".irp word, {a}, {b}, {c}, {d}, {e}, {f}, {g}, {h}",
            $($gather,)+
            ".endr",
            ".endr",
            entry = inout(reg) $entry => _,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            e = out(reg) _,
            f = out(reg) _,
            g = out(reg) _,
            h = out(reg) _,
            $($found = inout(reg) $begin => $found,)+
            options(nostack, preserves_flags, readonly),
        )
    };
}

/// Whether the [`MOST`] entries from `entry` on match.
///
/// # Safety
/// As [`load`], for each of them.
#[inline(always)]
unsafe fn all_match(entry: u64, pattern: Pattern) -> bool {
    let (zeros, ones) = (pattern.mask & !pattern.value, pattern.value);
    // Bits that any of them has, and bits that all of them have. Where one kind is enough to know,
    // that is half of what there is to do.
    let (any, all): (u64, u64);
    if ones == 0 {
        all = u64::MAX;
        // SAFETY: the caller vouches for sixty-four entries.
        unsafe { gather!("8", entry, [r"orr {any}, {any}, \word"], any = 0_u64) };
    } else if zeros == 0 {
        any = 0;
        // SAFETY: as above.
        unsafe { gather!("8", entry, [r"and {all}, {all}, \word"], all = u64::MAX) };
    } else {
        // SAFETY: as above.
        unsafe {
            gather!(
                "8",
                entry,
                [r"orr {any}, {any}, \word", r"and {all}, {all}, \word"],
                any = 0_u64,
                all = u64::MAX
            );
        }
    }
    any & zeros | !all & ones == 0
}

/// How many of the `count` entries from `entry` on match `pattern` before the first that doesn't.
///
/// # Safety
/// As [`load`], for each of them; for vector registers as
/// [`Cpu::with_bulk_through`](crate::Cpu::with_bulk_through).
#[inline(always)]
pub(crate) unsafe fn scan(
    (entry, count): (u64, u16),
    pattern: Pattern,
    through: BulkRegisters,
) -> u16 {
    if count < MOST {
        // SAFETY: the caller vouches for `count` entries.
        unsafe { scan_rest(entry, pattern, count) }
    } else {
        // SAFETY: the caller vouches for the same.
        unsafe { scan_most((entry, count), pattern, through) }
    }
}

/// As [`scan`], [`MOST`] at a time and then the rest.
///
/// # Safety
/// As [`scan`].
#[inline(never)]
unsafe fn scan_most((entry, count): (u64, u16), pattern: Pattern, through: BulkRegisters) -> u16 {
    let turns = count / MOST;
    let matching = if through == BulkRegisters::Vector && permits_vectors() {
        // SAFETY: the caller vouches for `count` entries; the CPU permits the registers.
        let left = unsafe { vectors::scan(entry, pattern, u64::from(turns)) };
        // INVARIANT: no more are left than there were.
        turns.saturating_sub(u16::try_from(left).unwrap_or(turns))
    } else {
        // SAFETY: the caller vouches for `count` entries.
        unsafe { turns_that_match(entry, pattern, turns) }
    };
    let matching = matching * MOST;
    let rest = entry.wrapping_add(u64::from(matching) * ENTRY_BYTES);
    // SAFETY: the caller vouches for these entries, which are the rest.
    matching.wrapping_add(unsafe { scan_rest(rest, pattern, count.wrapping_sub(matching)) })
}

/// How many times [`MOST`] entries, `turns` at most, match from `entry` on.
///
/// # Safety
/// As [`load`], for each of them.
#[inline(never)]
unsafe fn turns_that_match(mut entry: u64, pattern: Pattern, turns: u16) -> u16 {
    let mut left = turns;
    // SAFETY: the caller vouches for sixty-four entries in each turn that is left.
    while left > 0 && unsafe { all_match(entry, pattern) } {
        entry = entry.wrapping_add(u64::from(MOST) * ENTRY_BYTES);
        left = left.wrapping_sub(1);
    }
    turns.wrapping_sub(left)
}

/// As [`scan`], eight at a time and then one by one.
///
/// # Safety
/// As [`load`], for each of them.
#[inline(never)]
unsafe fn scan_rest(mut entry: u64, pattern: Pattern, count: u16) -> u16 {
    let mut left = u64::from(count);
    let Pattern { mask, value } = pattern;
    while left >= u64::from(EIGHT) {
        let (any, all): (u64, u64);
        // SAFETY: the caller vouches for `count` entries, of which at least eight are left.
        unsafe {
            gather!(
                "1",
                entry,
                [r"orr {any}, {any}, \word", r"and {all}, {all}, \word"],
                any = 0_u64,
                all = u64::MAX
            );
        }
        if any & mask != value || all & mask != value {
            break;
        }
        entry = entry.wrapping_add(8 * ENTRY_BYTES);
        left = left.wrapping_sub(u64::from(EIGHT));
    }
    while left > 0 {
        // SAFETY: the caller vouches for `count` entries, of which at least one is left.
        if !pattern.matches(unsafe { load(entry) }) {
            break;
        }
        entry = entry.wrapping_add(ENTRY_BYTES);
        left = left.wrapping_sub(1);
    }
    // INVARIANT: no more are left than there were.
    count.wrapping_sub(u16::try_from(left).unwrap_or(count))
}

#[cfg(test)]
mod tests;
