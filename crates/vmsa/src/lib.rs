//! Stage 1 of Arm's VMSAv8-64 translation, as facts: what every bit of a descriptor means, which
//! geometries exist, what TLB maintenance instructions take, what a change to a live entry demands.
//!
//! Everything here is pure. A [`Geometry`] is a validated value: one translation table tree's
//! regime, half, granule, input and output size. It comes first in every call that depends on it,
//! and a caller that passes a constant pays nothing for it.
//!
//! | question | answer |
//! |---|---|
//! | which trees exist, and what are their levels, spans and runs | [`Geometry`], [`LeafSize`] |
//! | what is this word, and how is one made, where speed counts | [`Geometry::kind`], [`Geometry::meaning`], [`Geometry::leaf_word`] |
//! | what does every bit of it say | [`descriptor`] |
//! | how is a right given or taken | [`Change`] |
//! | what does replacing one word by another take | [`demand`] |
//! | which instruction invalidates an address or a range | [`tlbi`] |
//! | what do the control registers say | [`Tcr`], [`Ttbr`], [`mair`] |
//! | who is this CPU, and may live sizes change on it | [`cpu`] |
//!
//! ```
//! use blockmap_vmsa::machine::{PhysAddr, VirtAddr};
//! use blockmap_vmsa::{
//!     Access, Attributes, Change, Demand, Geometry, Leaves, Level, Mair, Reach, Shareability,
//! };
//!
//! let kernel = Geometry::KERNEL_4K_48;
//! let (input, output) = (VirtAddr::new(0xffff_0000_4000_0000), PhysAddr::new(0x8000_0000));
//!
//! // The largest leaf for three GiB that start there.
//! let size = kernel.largest_leaf(input, output, 3 << 30, Leaves::Largest);
//! assert_eq!(size.map(|size| (size.level, size.bytes())), Some((Level::L1, 1 << 30)));
//!
//! // Its word, and that of the same leaf without stores.
//! let meaning = kernel.meaning(Attributes {
//!     memory: Mair::NORMAL,
//!     shareability: Shareability::Inner,
//!     access: Access::ReadWrite,
//! });
//! let old = kernel.leaf_word(Level::L1, output, meaning);
//! let new = Change::ReadOnly.masks(kernel.regime()).apply(old);
//! assert_eq!((old, new), (0x0060_0000_8000_0701, 0x0060_0000_8000_0781));
//!
//! // What it takes to replace the one by the other, and the instruction that does it.
//! assert_eq!(kernel.demand(Level::L1, old, new), Demand::Invalidate);
//! let invalidate = kernel.invalidate_address(input, Reach::LastLevel);
//! assert_eq!((invalidate.op.mnemonic(), invalidate.operand), ("vaale1is", 0x0ff0_0004_0000));
//! ```
//!
//! Source: *Arm Architecture Reference Manual for A-profile architecture* (DDI 0487), chapter
//! "The AArch64 Virtual Memory System Architecture". Sections are cited by title, rules by their
//! keys in `docs/rules.md`.
#![no_std]
#![forbid(unsafe_code)]

mod attributes;
pub mod cpu;
pub mod demand;
pub mod descriptor;
mod geometry;
mod granule;
mod leaves;
mod level;
pub mod mair;
mod regime;
pub mod tcr;
pub mod tlbi;
mod ttbr;
mod word;

pub use attributes::{Access, Attributes, Change, Masks, MemoryIndex, Shareability};
pub use blockmap_machine as machine;
pub use demand::Demand;
pub use descriptor::Descriptor;
pub use geometry::{Format, Geometry, GeometryError};
pub use granule::Granule;
pub use leaves::{LeafSize, Leaves};
pub use level::Level;
pub use mair::Mair;
pub use regime::{Half, Regime};
pub use tcr::Tcr;
pub use tlbi::{Asid, Operation, RangeInvalidations, Reach, Scope, TlbiForm};
pub use ttbr::Ttbr;
pub use word::{Kind, bits};
