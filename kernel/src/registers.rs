//! Where the registers of devices are mapped: whole pages around them, each region at a place of its own.

use blockmap::machine::{PhysRange, VirtAddr, VirtRange};
use blockmap::vmsa::{Geometry, Level};

const PAGE: u64 = Geometry::KERNEL_4K_48.page_bytes();
const BLOCK: u64 = Geometry::KERNEL_4K_48.span_bytes(Level::L2);

/// Registers, and what is mapped for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Whole pages.
    pub pages: VirtRange,
    /// The memory that they show: as many bytes.
    pub memory: PhysRange,
    /// Where the first register is among them.
    pub registers: VirtAddr,
}

/// Maps the first `most` bytes of `region`, a multiple of the page, and the rest of their pages, at
/// `at`, a multiple of the page; `None` if that is past the end of addresses.
#[must_use]
pub fn place(at: VirtAddr, region: PhysRange, most: u64) -> Option<Placed> {
    let within = region.start().value() % PAGE;
    let bytes = region.bytes().min(most).checked_add(within)?.checked_next_multiple_of(PAGE)?;
    Some(Placed {
        pages: VirtRange::new(at, bytes)?,
        memory: PhysRange::new(region.start().align_down(PAGE), bytes)?,
        registers: at.wrapping_add(within),
    })
}

/// Maps `regions` one after the other into `room`, which begins at a multiple of 2 MiB: each as far
/// into a block as it is in memory, so that blocks can map it. Of one that finds no room the lower part is
/// mapped, and nothing of those after it.
pub fn in_a_row(
    room: VirtRange,
    regions: impl Iterator<Item = PhysRange>,
) -> impl Iterator<Item = Placed> {
    let mut used = 0_u64;
    regions.filter_map(move |region| {
        let start = region.start().align_down(PAGE).value() % BLOCK;
        let most = room.bytes().checked_sub(used)?.checked_sub(start)?;
        // What is in front of it in its first page counts.
        let most = most.checked_sub(region.start().value() % PAGE).filter(|most| *most > 0)?;
        let placed = place(room.start().wrapping_add(used + start), region, most)?;
        used = used.checked_add(start + placed.pages.bytes())?.checked_next_multiple_of(BLOCK)?;
        Some(placed)
    })
}

#[cfg(test)]
mod tests;
