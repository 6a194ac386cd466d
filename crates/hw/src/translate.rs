//! Asking the CPU itself how it translates an address.

use core::arch::asm;

use blockmap_machine::{PhysAddr, VirtAddr};

use crate::{FaultStatus, Syndrome};

/// What the CPU's own walk for a privileged load came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translated {
    /// The address reaches memory.
    To(PhysAddr),
    /// The load would fault for this reason.
    Fault(FaultStatus),
}

/// How this CPU translates `address` for a privileged load: from its TLB or by a walk.
///
/// Source: "AT S1E1R, Address Translate Stages 1 EL1 Read", "PAR_EL1, Physical Address Register".
#[must_use]
pub fn translate(address: VirtAddr) -> Translated {
    let par: u64;
    // SAFETY: the instruction writes PAR_EL1 and nothing else; a failed walk raises no exception.
    unsafe {
        asm!(
            "at s1e1r, {address}",
            "isb",
            "mrs {par}, par_el1",
            address = in(reg) address.value(),
            par = out(reg) par,
            options(nostack, preserves_flags),
        );
    }
    if par & 1 == 0 {
        // Bits 51:12 are the page, the rest is the offset in it.
        let page = par & 0x000f_ffff_ffff_f000;
        Translated::To(PhysAddr::new(page | address.value() & 0xfff))
    } else {
        Translated::Fault(Syndrome::fault_status(par >> 1 & 0x3f))
    }
}
