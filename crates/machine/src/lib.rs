//! The words of a change to a live translation table: addresses, effects, and whoever performs them.
//!
//! Everything that happens to a table is an [`Event`]: a store, a bulk fill or update, a barrier,
//! a TLB invalidation, a cache maintenance instruction. A [`Machine`] performs events in program
//! order; the only thing that comes back is what [`Machine::load`] and [`Machine::scan`] read. On
//! the CPU the trait compiles to the bare instructions; on a host the same calls can be recorded,
//! printed, read back ([`trace`]) and judged.
//!
//! This crate knows no architecture beyond those names. What a descriptor means is in
//! `blockmap-vmsa`.
#![no_std]
#![forbid(unsafe_code)]

mod address;
mod event;
mod perform;
mod tlbi;
pub mod trace;

pub use address::{PhysAddr, PhysRange, VirtAddr, VirtRange};
pub use event::{Barrier, CacheOp, Entry, Event, Span};
pub use perform::{Machine, Pattern};
pub use tlbi::{Invalidate, Tlbi};
