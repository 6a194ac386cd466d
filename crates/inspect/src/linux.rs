//! What Linux says about itself: VMCOREINFO, and the areas of its address space.

mod area;
mod image;
mod vmcoreinfo;

pub use area::Area;
pub(crate) use area::{areas, areas_by_size};
pub(crate) use image::{Sought, through_image};
pub(crate) use vmcoreinfo::MOST_BYTES;
pub use vmcoreinfo::VmCoreInfo;
