//! The half of the kernel that any machine can run: what firmware says, what a person types, which
//! frames are free. The other half, which needs an arm64 CPU, is the binary beside it.
//!
//! Nothing here touches a register or memory it was not given, so all of it is tested on the host.
#![no_std]
#![forbid(unsafe_code)]

pub mod absent;
pub mod archive;
pub mod areas;
pub mod chain;
pub mod cmdline;
pub mod devicetree;
pub mod entrance;
pub mod frames;
pub mod guard;
pub mod heal;
pub mod identity;
pub mod interrupt;
pub mod jit;
pub mod module;
pub mod monitor;
mod number;
pub mod out_of_line;
pub mod own;
pub mod pages;
pub mod parking;
pub mod registers;
pub mod report;
pub mod shelf;
pub mod sync;
pub mod trace;
pub mod witness;
