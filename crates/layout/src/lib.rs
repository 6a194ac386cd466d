//! From firmware's memory map to a plan of the linear map, before anything is written.
//!
//! A kernel maps all its memory at one fixed distance from where it is: the linear map. This crate
//! decides, purely, what that map looks like:
//!
//! 1. [`FirmwareMap`] collects what firmware and the boot loader say: memory banks, reserved and
//!    forbidden ranges, the kernel image.
//! 2. [`MemoryMap::new`] checks it against itself and a geometry: what comes out makes sense.
//! 3. [`decide`] says whether the map is made of blocks or of pages, and why.
//! 4. A [`LinearPlan`] knows every leaf, its attributes, and the exact number of tables.
//!
//! Nothing here writes a table, allocates or panics, whatever firmware says.
//!
//! ```
//! use blockmap_layout::{FirmwareMap, LinearPlan, MemoryMap, Paint, Rodata};
//! use blockmap_vmsa::cpu::Mte;
//! use blockmap_vmsa::machine::PhysAddr;
//! use blockmap_vmsa::{Geometry, Leaves, Level};
//!
//! let mut firmware = FirmwareMap::new();
//! firmware.add_bank(PhysAddr::new(0x4000_0000), 12 << 30)?;
//! let memory = MemoryMap::new(&firmware, Geometry::KERNEL_4K_48)?;
//!
//! let paint = Paint::of_kernel(Rodata::On, Mte::Missing);
//! let blocks = LinearPlan::new(&memory, paint, Leaves::Largest);
//! assert_eq!(blocks.leaf_counts().single(Level::L1), 12);
//! assert_eq!(blocks.table_counts().total(), 1);
//!
//! let pages = LinearPlan::new(&memory, paint, Leaves::Pages);
//! assert_eq!(pages.table_counts().bytes(), 24_628 << 10);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod count;
mod cut;
mod firmware;
mod intent;
mod linear;
mod memory;
mod paint;
mod parts;
mod piece;
mod plan;
mod policy;
mod ranges;
mod rodata;
mod strategy;

pub use blockmap_vmsa as vmsa;
pub use count::{LeafCounts, TableCounts};
pub use firmware::{AddError, FirmwareMap, Image, List, MOST_BANKS, MOST_RESERVATIONS};
pub use intent::{Intent, Intents, Stretch, Stretches};
pub use linear::LinearMap;
pub use memory::{FreeMemory, ImagePart, MappedMemory, MemoryMap, MemoryMapError};
pub use paint::{Paint, Purpose};
pub use piece::Piece;
pub use plan::{LinearPlan, Pieces};
pub use policy::{DebugPagealloc, Decision, Inputs, LateGuard, Why, World, decide};
pub use rodata::{Rodata, RodataError};
pub use strategy::{Admitted, Answer, KeptOff, Repaint, SizeChoice, SizeChoiceError, Strategy};
