//! Sources of translation tables: finds the tables of an arm64 kernel in a running machine, a dump
//! or an image, and reads them.
//!
//! [`open`] takes where to look ([`SourceSpec`]) and what the user knows better ([`Overrides`]).
//! What it returns says what was found and from where ([`Provenance`]), and has the trees, ready
//! for `blockmap-dump`:
//!
//! ```no_run
//! use blockmap_inspect::{Overrides, SourceSpec, open};
//!
//! let source: SourceSpec = "ram.bin@0x40000000".parse()?;
//! let inspected = open(&source, &Overrides::default())?;
//! println!("{}", inspected.origin);
//! let reader = inspected.reader();
//! for found in &inspected.trees {
//!     println!("{}: {} tables", found, found.tree(&reader).stat().tables());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing that is read is trusted: a source that is cut short, contradicts itself or goes away
//! ends in an error that says so, in bounded time and memory.
#![forbid(unsafe_code)]

mod elf;
mod file;
mod find;
mod folder;
mod format;
mod frozen;
mod gdb;
mod inspected;
mod interrupt;
mod kdump;
mod linux;
mod memory;
mod open;
mod opened;
mod overrides;
mod provenance;
mod qmp;
mod raw;
mod reader;
mod registers;
mod search;
mod snapshot;
mod spec;
mod text;

pub use blockmap_dump as dump;
pub use blockmap_vmsa as vmsa;
pub use find::{FindError, FoundTree};
pub use format::FormatError;
pub use gdb::GdbError;
pub use inspected::{Inspected, Outputs};
pub use linux::{Area, Place, Symbols, SymbolsError, VmCoreInfo};
pub use memory::{Life, Pace, PhysicalMemory, ReadError};
pub use open::{OpenError, open};
pub use overrides::{Names, Overrides, Search};
pub use provenance::{Line, Provenance, Topic};
pub use qmp::QmpError;
pub use reader::TableReader;
pub use registers::Registers;
pub use spec::{FileAt, GdbAddress, SourceSpec, SpecError};
