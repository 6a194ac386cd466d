//! The atomics that this library is made of: the processor's, or loom's.
//!
//! With `--cfg loom` they are those of loom, which tries every order in which the CPUs could get to
//! them, and every value that the memory model lets a load have. `cargo xtask loom` runs the tests
//! in `kernel/tests/loom` so. Everything here that several CPUs use takes its atomics from this
//! module, and is told by its caller how to wait.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
