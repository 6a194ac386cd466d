//! The two table roots of this CPU, and how they are replaced.

use core::arch::asm;

use blockmap::vmsa::machine::PhysAddr;

use super::image;
use super::tables::{TABLES, Table, address_of};

unsafe extern "C" {
    /// In `idmap.S`; taken as an address because it is called where it was loaded.
    static replace_ttbr1: u8;
}

/// The root of the lower half's tables in use.
fn ttbr0() -> u64 {
    let root;
    // SAFETY: reading a register changes nothing.
    unsafe { asm!("mrs {}, ttbr0_el1", out(reg) root, options(nomem, nostack, preserves_flags)) };
    root
}

/// Uses `root` for the lower half, with nothing of other tables left in this CPU's TLB.
///
/// # Safety
/// `root` is a table whose tree maps the lower half as its user expects; nobody uses memory through
/// what the lower half mapped until now.
pub(super) unsafe fn install_lower(root: PhysAddr, load: PhysAddr) {
    // Through the empty table, as `replace_ttbr1` does for the upper half.
    // [root-through-empty-table]
    // SAFETY: the caller vouches for both tables' users; the kernel runs in the upper half.
    unsafe {
        asm!(
            "msr ttbr0_el1, {empty}",
            "isb",
            "tlbi vmalle1",
            "dsb nsh",
            "isb",
            "msr ttbr0_el1, {root}",
            "isb",
            empty = in(reg) TABLES.empty.memory(load).value(),
            root = in(reg) root.value(),
            options(nostack, preserves_flags),
        );
    }
}

/// The table that maps nothing.
pub(crate) fn empty_root(load: PhysAddr) -> PhysAddr {
    TABLES.empty.memory(load)
}

/// The root of the identity map of start-up code, for as long as the image runs.
pub(crate) fn identity_root(load: PhysAddr) -> PhysAddr {
    let [root, ..] = &TABLES.identity;
    root.memory(load)
}

/// Replaces the upper half's tables by those under `root`, on this CPU, for an image loaded at
/// `load`: through the empty table, from code in the identity map.
///
/// # Safety
/// `root`'s tree maps the image at its link address with the memory it has now, and everything else
/// that is used in the upper half; it was written through caches or invalidated from them, and a
/// barrier has made it visible to this CPU's walks.
pub(crate) unsafe fn switch_upper(root: PhysAddr, load: PhysAddr) {
    let before = PhysAddr::new(ttbr0());
    let link_address = address_of(&raw const replace_ttbr1);
    let offset = link_address.offset_from(image::LINK).unwrap_or(0);
    let code = load.wrapping_add(offset);
    let identity: &Table = &TABLES.identity[0];
    let interrupts: u64;
    // SAFETY: masking exceptions takes nothing away.
    unsafe {
        asm!("mrs {}, daif", "msr daifset, #0xf", out(reg) interrupts,
            options(nomem, nostack, preserves_flags));
    }
    // SAFETY: nothing uses the lower half until it is restored below.
    unsafe { install_lower(identity.memory(load), load) };
    // SAFETY: the code is in the identity map and touches no memory; the caller vouches for the
    // new tables.
    unsafe {
        asm!("blr {code}", code = in(reg) code.value(), in("x0") root.value(),
            in("x1") TABLES.empty.memory(load).value(), clobber_abi("C"));
    }
    // SAFETY: it was installed before.
    unsafe { install_lower(before, load) };
    // SAFETY: this restores the mask that was read above.
    unsafe { asm!("msr daif, {}", in(reg) interrupts, options(nomem, nostack)) };
}
