//! Reads arm64 stage 1 translation tables: every entry in order, runs of equal leaves, Linux's
//! ptdump text, statistics, and checks that no memory is both writable and executable.
//!
//! A [`Tree`] is a root table, its [`Geometry`](blockmap_vmsa::Geometry) and something that can
//! [read tables](ReadTable): a kernel reading its own memory, or a tool reading a dump. Tables need
//! not be well-formed. Whatever they hold, a reading ends: it goes at most five levels deep, never
//! enters a table twice on one path, and enters no more tables than [`Tree::with_most_tables`]
//! allows. What could not be read is part of the result, with the address of the table; nothing is
//! guessed in its place.
//!
//! Nothing here allocates, and the largest thing on the stack is a buffer of sixteen entries.
#![no_std]
#![forbid(unsafe_code)]

mod alias;
mod column;
mod entry;
mod group;
mod memory;
mod per_level;
mod ptdump;
mod rights;
mod run;
mod size;
mod stat;
mod tree;
mod walk;
mod walk_text;
mod wx;

pub use alias::{Alias, AliasAudit, Protection};
pub use blockmap_vmsa as vmsa;
pub use column::level_name;
pub use entry::{Entries, Entry, Found, Refusal, Skipped};
pub use ptdump::{Marker, Style};
pub use rights::{Limits, Rights, RightsPair};
pub use run::{Mapped, Run, Runs, What};
pub use size::Size;
pub use stat::{LevelStat, SizeStat, Stat};
pub use tree::{ReadTable, Tree};
pub use walk::{Outcome, Step, Walk};
pub use walk_text::Described;
pub use wx::{Finding, Wx};
