//! The referee: a part of the image that stays at EL2 and watches what the kernel does to its
//! tables.
//!
//! The kernel calls for it once, before it paints its map; see [`start()`]. From then on memory that
//! holds a translation table is read-only to the kernel at stage 2, and its TLB maintenance and
//! writes of table roots trap. Each such instruction is noted, then done for the kernel: the
//! kernel's own account of its effects must agree with what is noted here, store for store.
//!
//! The kernel says which frames are tables ([`watch`], [`forget`]). One that it forgot to name
//! would show as stores that its account has and the referee's has not.
//!
//! It guards against mistakes and not against malice: its code is the kernel's text. It runs on
//! tables and a stack of its own, in memory that the kernel can only read, and takes nothing from
//! the map that it watches. Every CPU comes under it before it reports, with a stack of its own; what it
//! knows is shared. A CPU in disguise stays in it.

mod answer;
mod call;
mod frame;
mod inject;
mod observe;
mod registers;
mod start;
mod state;

pub(crate) use call::{CallError, Tally, conflict, forget, is_there, tally, watch};
pub(crate) use start::{Asked, MOST_CPUS, RefereeError, STACK_SHIFT, account, bytes_needed, start};

use core::arch::global_asm;

/// The call that the referee comes into being by, for `enter.S`.
pub(crate) const START: u32 = call::Function::Start.identifier();

global_asm!(include_str!("referee/vectors.S"));
