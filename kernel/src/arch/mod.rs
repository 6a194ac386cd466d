//! What only this architecture has: the way from the first instruction to `kernel_main`, exceptions,
//! probes of memory that may fault, and the ways to end the machine.

pub(crate) mod boot;
pub(crate) mod boot_window;
pub(crate) mod conflict;
mod early;
pub(crate) mod exceptions;
pub(crate) mod exit;
pub(crate) mod gic;
pub(crate) mod ground;
pub(crate) mod identity_window;
pub(crate) mod image;
pub(crate) mod interrupts;
pub(crate) mod per_cpu;
pub(crate) mod probe;
pub(crate) mod psci;
pub(crate) mod report;
pub(crate) mod room;
pub(crate) mod semihosting;
mod tables;
pub(crate) mod ttbr;
pub(crate) mod wide;
