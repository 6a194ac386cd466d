//! Stage 1 of Arm's VMSAv8-64 translation, as facts: what every bit of a descriptor means, which
//! geometries exist, what TLB maintenance instructions take, what a change to a live entry demands.
//!
//! Everything here is pure. A [`Geometry`] is a validated value: one translation table tree's
//! regime, half, granule, input and output size. It comes first in every call that depends on it,
//! and a caller that passes a constant pays nothing for it.
//!
//! Source: *Arm Architecture Reference Manual for A-profile architecture* (DDI 0487), chapter
//! "The AArch64 Virtual Memory System Architecture". Rules are cited by their keys in
//! `docs/rules.md`.
#![no_std]
#![forbid(unsafe_code)]

mod attributes;
pub mod descriptor;
mod geometry;
mod granule;
mod leaves;
mod level;
mod regime;
pub mod tlbi;
mod word;

pub use attributes::{Access, Attributes, Change, Masks, MemoryIndex, Shareability};
pub use blockmap_machine as machine;
pub use descriptor::Descriptor;
pub use geometry::{Format, Geometry, GeometryError};
pub use granule::Granule;
pub use leaves::{LeafSize, Leaves};
pub use level::Level;
pub use regime::{Half, Regime};
pub use tlbi::{Asid, Operation, RangeInvalidations, Reach, Scope, TlbiForm};
pub use word::{Kind, bits};
