//! What only this architecture has: the way from the first instruction to `kernel_main`, exceptions,
//! probes of memory that may fault, and the ways to end the machine.

pub(crate) mod boot;
pub(crate) mod boot_window;
pub(crate) mod conflict;
mod early;
pub(crate) mod exceptions;
pub(crate) mod exit;
pub(crate) mod image;
pub(crate) mod probe;
pub(crate) mod report;
pub(crate) mod semihosting;
mod tables;
pub(crate) mod ttbr;
