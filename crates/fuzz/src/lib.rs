//! Input from outside, and what must hold whatever it is: each target takes any bytes at all, hands
//! them to one reader of ours, and panics when the reader does not keep its word.
//!
//! `tests/seeds.rs` feeds every target the seeds beside it and random changes of them, always;
//! `cargo xtask fuzz` has libFuzzer search for input that reaches new code, for as long as asked.
//!
//! ```
//! let target = blockmap_fuzz::target("trace").expect("its name");
//! (target.feed)(b"store 0x40001000[12] 0x711");
//! ```
#![forbid(unsafe_code)]

mod archive;
mod devicetree;
mod fields;
mod memory_map;
mod module;
mod mutation;
mod source;
mod tables;
mod text;
mod words;

pub use mutation::Mutations;

/// A reader of input from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called on the command line; its seeds are in the folder of this name.
    pub name: &'static str,
    /// Reads the input. Panics when it is not read as it must be.
    pub feed: fn(&[u8]),
    /// How long it takes.
    pub cost: Cost,
}

/// How long a target takes for an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Microseconds.
    Small,
    /// Milliseconds.
    Large,
}

/// Every target.
pub const TARGETS: [Target; 11] = [
    Target { name: "archive", feed: archive::feed, cost: Cost::Small },
    Target { name: "command-line", feed: text::command_line, cost: Cost::Small },
    Target { name: "device-tree", feed: devicetree::feed, cost: Cost::Small },
    Target { name: "memory-map", feed: memory_map::feed, cost: Cost::Small },
    Target { name: "module", feed: module::feed, cost: Cost::Small },
    Target { name: "monitor", feed: text::monitor, cost: Cost::Small },
    Target { name: "program", feed: text::program, cost: Cost::Small },
    Target { name: "source", feed: source::feed, cost: Cost::Large },
    Target { name: "tables", feed: tables::feed, cost: Cost::Large },
    Target { name: "trace", feed: text::trace, cost: Cost::Small },
    Target { name: "words", feed: words::feed, cost: Cost::Small },
];

/// The target with this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
