//! A page of the identity map that can be pointed at memory, for what is done while this CPU does not
//! use the kernel's tables.

use blockmap::vmsa::machine::{PhysAddr, VirtAddr};
use blockmap::vmsa::{Access, Attributes, Geometry, Level, Mair, Shareability};

use super::tables::{LOWER, TABLES};
use super::{ground, image};

/// The shape of the identity map.
pub(crate) const GEOMETRY: Geometry = LOWER;

/// Where the page is.
pub(crate) fn address() -> VirtAddr {
    image::identity_window(ground::load())
}

/// Points the page at `memory`, a multiple of the page, or at nothing. It takes the barriers of any
/// entry that becomes valid, or the invalidation of one that was.
///
/// # Safety
/// Until it is pointed at nothing, and TLBs hold nothing of it, what is stored there is the caller's
/// to store; only one CPU calls this at a time.
pub(crate) unsafe fn point(memory: Option<PhysAddr>) {
    let [.., level3] = &TABLES.identity;
    let attributes = Attributes {
        memory: Mair::NORMAL,
        shareability: Shareability::Inner,
        access: Access::ReadWrite,
    };
    let leaf = |memory| LOWER.leaf_word(Level::L3, memory, LOWER.meaning(attributes));
    let index = usize::from(LOWER.index(Level::L3, address()));
    level3.set_entry(index, memory.map_or(0, leaf));
}
