//! What Linux says about itself: VMCOREINFO, the areas of its address space, and its symbols.

mod area;
mod image;
mod markers;
mod symbols;
mod vmcoreinfo;

pub use area::Area;
pub(crate) use area::{areas, areas_by_size};
pub(crate) use image::{Sought, through_image};
pub(crate) use markers::areas_of_kernel;
pub use symbols::{Place, Symbols, SymbolsError};
pub(crate) use vmcoreinfo::MOST_BYTES;
pub use vmcoreinfo::VmCoreInfo;
