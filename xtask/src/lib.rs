//! The project's commands, one a module, as a library: the tests that boot a machine use
//! [`image`] and [`qemu`] too, so that there is one place that builds the image and one that knows
//! QEMU's arguments.
//!
//! It names no crate of ours: it must build, and say what is wrong, when nothing else does.
#![forbid(unsafe_code)]

pub mod bench;
pub mod boot;
pub mod check;
mod cpio;
pub mod demo;
pub mod doc;
pub mod fuzz;
pub mod guest;
pub mod image;
pub mod instructions;
pub mod loom;
pub mod miri;
pub mod modules;
pub mod mutants;
pub mod oracle;
pub mod qemu;
pub mod random;
pub mod setup;
pub mod stage;
pub mod survivors;
pub mod test;
pub mod tidy;
pub mod workspace;
