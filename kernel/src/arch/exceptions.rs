//! Exceptions: those that a probe expects go back to it, all others are reported and end the
//! machine.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, Ordering};

use blockmap_hw::Syndrome;

use super::conflict::{self, Verdict};
use super::per_cpu::PerCpu;
use super::{exit, interrupts, probe, report};
use crate::console;

global_asm!(
    ".set LAST_STACK, {last_stack}",
    include_str!("vectors.S"),
    last_stack = const offset_of!(PerCpu, last_stack),
);

/// The registers of whatever was interrupted. `vectors.S` knows the order.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Frame {
    /// x0 to x30.
    pub(crate) x: [u64; 31],
    /// The stack pointer.
    pub(crate) sp: u64,
    /// Where it goes on.
    pub(crate) elr: u64,
    /// Its processor state.
    pub(crate) spsr: u64,
    /// The syndrome.
    pub(crate) esr: u64,
    /// The faulting address, where the syndrome says that there is one.
    pub(crate) far: u64,
}

/// What was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Caused by the instruction itself.
    Synchronous,
    /// An interrupt.
    Irq,
    /// A fast interrupt.
    Fiq,
    /// A system error.
    SystemError,
}

/// From where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The kernel.
    Kernel,
    /// The unprivileged level, in the AArch64 state.
    User,
    /// The unprivileged level, in the AArch32 state.
    User32,
}

impl Frame {
    /// The syndrome, for decoding.
    pub(crate) const fn syndrome(&self) -> Syndrome {
        Syndrome::new(self.esr)
    }
}

/// The numbers that `vectors.S` passes: the origin above the two bits of the kind.
const fn decode(vector: u64) -> (Origin, Kind) {
    let kind = match vector & 0b11 {
        0 => Kind::Synchronous,
        1 => Kind::Irq,
        2 => Kind::Fiq,
        _ => Kind::SystemError,
    };
    let origin = match vector >> 2 {
        0 => Origin::Kernel,
        1 => Origin::User,
        _ => Origin::User32,
    };
    (origin, kind)
}

/// Called by `vectors.S` on the exception stack; what it leaves in the frame is what goes on.
#[unsafe(no_mangle)]
extern "C" fn exception_taken(vector: u64, frame: &mut Frame) {
    let (origin, kind) = decode(vector);
    let is_fault_of_kernel = matches!((origin, kind), (Origin::Kernel, Kind::Synchronous));
    let is_dealt_with = is_fault_of_kernel
        && match conflict::judge(frame) {
            Verdict::Recovered => true,
            Verdict::Again => false,
            Verdict::None => probe::recover(frame),
        };
    let is_dealt_with = is_dealt_with
        || (matches!((origin, kind), (Origin::Kernel, Kind::Irq)) && interrupts::taken());
    if is_dealt_with {
        return;
    }
    report::exception(origin, kind, frame);
    exit::exit(exit::Status::Exception)
}

/// Whether the last exception has been taken: one more would find nobody to report it.
static LAST: AtomicBool = AtomicBool::new(false);

/// Called by `vectors.S` on the last stack: an exception was taken while one was handled. Ends the
/// machine; says why first, unless that is what failed.
#[unsafe(no_mangle)]
extern "C" fn last_exception_taken(kind: u64, esr: u64, elr: u64, far: u64) -> ! {
    if LAST.swap(true, Ordering::Relaxed) {
        // Reporting the last one or ending the machine has failed: nothing is left to try.
        exit::wait();
    }
    let (_, kind) = decode(kind);
    console::seize();
    report::last_exception(kind, Syndrome::new(esr), (elr, far));
    exit::exit(exit::Status::Recursion)
}
