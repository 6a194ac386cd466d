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
//! Nothing here allocates, and the largest thing on the stack is a buffer of 64 entries.
//!
//! ```
//! use blockmap_dump::vmsa::machine::{PhysAddr, VirtAddr};
//! use blockmap_dump::vmsa::{Geometry, Level, Mair, bits};
//! use blockmap_dump::{Marker, ReadTable, Style, Tree};
//!
//! /// Two tables, the root at 0x1000 and one at 0x2000.
//! struct Tables([[u64; 512]; 2]);
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("there are two tables only")]
//! struct Missing;
//!
//! impl ReadTable for Tables {
//!     type Error = Missing;
//!
//!     fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Missing> {
//!         let entries = match table.value() {
//!             0x1000 => &self.0[0],
//!             0x2000 => &self.0[1],
//!             _ => return Err(Missing),
//!         };
//!         words.copy_from_slice(&entries[usize::from(first)..][..words.len()]);
//!         Ok(())
//!     }
//! }
//!
//! let kernel = Geometry::KERNEL_4K_48;
//! let mut tables = Tables([[0; 512]; 2]);
//! tables.0[0][0] = kernel.table_word(PhysAddr::new(0x2000));
//! let data = bits::VALID | bits::ACCESSED | bits::PXN | bits::UXN | 0b11 << 8;
//! for (number, gib) in [(0, 1), (1, 2), (2, 3)] {
//!     tables.0[1][number] = kernel.leaf_word(Level::L1, PhysAddr::new(gib << 30), data);
//! }
//!
//! let tree = Tree::new(kernel, PhysAddr::new(0x1000), &tables);
//! let address = VirtAddr::new(0xffff_0000_4000_1234);
//! assert_eq!(tree.walk(address).output(), Some(PhysAddr::new(0x8000_1234)));
//! assert_eq!(tree.stat().tlb_entries(), 3);
//! assert!(tree.wx().passed());
//!
//! let markers = [Marker { start: kernel.inputs().0, name: "Linear Mapping start" }];
//! let mut text = String::new();
//! tree.ptdump(Style { mair: Mair::KERNEL, markers: &markers }, &mut text)?;
//! assert_eq!(text, "\
//! ---[ Linear Mapping start ]---
//! 0xffff000000000000-0xffff0000c0000000           3G PUD       RW NX SHD AF        BLK UXN    MEM/NORMAL
//! 0xffff0000c0000000-0xffff008000000000         509G PUD
//! 0xffff008000000000-0x0000000000000000      261632G PGD
//! ");
//! # Ok::<(), core::fmt::Error>(())
//! ```
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
pub use ptdump::{Marker, Outputs, Style};
pub use rights::{Limits, Rights, RightsPair};
pub use run::{Mapped, Run, Runs, What};
pub use size::Size;
pub use stat::{LevelStat, SizeStat, Stat};
pub use tree::{ReadTable, Tree};
pub use walk::{Outcome, Step, Walk};
pub use walk_text::Described;
pub use wx::{Finding, Wx};
