//! Exceptions that the kernel takes because the referee says so.

use super::frame::Frame;
use super::registers;

/// What the kernel is made to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Injected {
    /// An access found two entries for its address in the TLB.
    TlbConflict(Access),
    /// Memory answered an access with an error: the referee can't do it for the kernel.
    External(Access),
    /// The instruction doesn't exist.
    Undefined,
}

/// What the kernel's access was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Load,
    Store,
    Fetch,
}

/// The condition flags, DIT and PAN: what of the processor state an exception leaves alone.
/// `SCTLR_EL1.SPAN` is set, so PAN is.
const KEPT_STATE: u64 = 0xf << 28 | 1 << 24 | 1 << 22;

/// EL1 on its own stack pointer, everything masked.
const EXCEPTION_STATE: u64 = 0x3c5;

/// Has the kernel take an exception for the instruction that trapped, with `far` as its address.
///
/// Source: "Exception entry", "ISS encoding for an exception from a Data Abort".
pub(super) fn inject(frame: &mut Frame, injected: Injected, far: u64) {
    let is_privileged = frame.spsr & 0b1100 != 0;
    let (class, status) = match injected {
        Injected::Undefined => (0, 0),
        Injected::TlbConflict(access) => abort(access, 0x30),
        Injected::External(access) => abort(access, 0x10),
    };
    let class = if is_privileged || class == 0 { class } else { class - 1 };
    registers::set_kernel_esr(class << 26 | 1 << 25 | status);
    registers::set_kernel_far(far);
    registers::set_kernel_elr(frame.elr);
    registers::set_kernel_spsr(frame.spsr);
    let vector = match frame.spsr & 0b1_1111 {
        0b0_0100 => 0,
        0b0_0101 => 0x200,
        0b0_0000 => 0x400,
        _ => 0x600,
    };
    frame.elr = registers::vectors().wrapping_add(vector);
    frame.spsr = EXCEPTION_STATE | frame.spsr & KEPT_STATE;
}

/// The class of an abort taken without a change of level, and its ISS with this fault status.
const fn abort(access: Access, status: u64) -> (u64, u64) {
    match access {
        Access::Load => (0x25, status),
        Access::Store => (0x25, status | 1 << 6),
        Access::Fetch => (0x21, status),
    }
}
