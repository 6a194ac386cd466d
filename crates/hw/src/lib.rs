//! The arm64 CPU as a [`Machine`](blockmap_machine::Machine): entry access, barriers, TLB and cache
//! maintenance, identity registers.
//!
//! It is the only library of the project with `asm!`. A live map is reached through [`Cpu`] alone,
//! and a `Cpu` comes out of one `unsafe` constructor, whose Safety section covers every event
//! performed through it; see `Cpu::new`.
//!
//! On other architectures only [`Syndrome`] is left, which is pure.
#![no_std]
#![cfg_attr(
    target_arch = "aarch64",
    expect(
        clippy::inline_always,
        reason = "an event built in the argument must become the bare instruction"
    )
)]

#[cfg(target_arch = "aarch64")]
mod bulk;
#[cfg(target_arch = "aarch64")]
mod cache;
#[cfg(target_arch = "aarch64")]
mod compare;
#[cfg(target_arch = "aarch64")]
mod counter;
#[cfg(target_arch = "aarch64")]
mod cpu;
#[cfg(target_arch = "aarch64")]
mod entries;
#[cfg(target_arch = "aarch64")]
mod fill;
#[cfg(target_arch = "aarch64")]
mod identity;
#[cfg(any(target_arch = "aarch64", test))]
mod lines;
mod syndrome;
#[cfg(target_arch = "aarch64")]
mod tlb;
#[cfg(target_arch = "aarch64")]
mod translate;

#[cfg(target_arch = "aarch64")]
pub use counter::{Counters, Reading, frequency_hz, ticks};
#[cfg(target_arch = "aarch64")]
pub use cpu::{Cpu, Window};
#[cfg(target_arch = "aarch64")]
pub use fill::{BulkRegisters, permits_vectors};
#[cfg(target_arch = "aarch64")]
pub use identity::Identity;
pub use syndrome::{Abort, AccessKind, Class, FaultStatus, Syndrome};
#[cfg(target_arch = "aarch64")]
pub use translate::{Translated, translate};
