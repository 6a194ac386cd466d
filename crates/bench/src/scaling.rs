//! What grows with memory: tables, and what the engine reads and changes.

use std::cell::Cell;

use blockmap::host::{Host, MAY_PARK};
use blockmap::machine::{Event, PhysAddr, VirtAddr, VirtRange};
use blockmap::vmsa::{Access, Attributes, Change, Leaves, MemoryIndex, Shareability};
use blockmap::{Mapping, Space};

use crate::subject::{GIB, PAGE, Refused};
use blockmap::vmsa::Geometry;
use blockmap_verify::counted::Counted;

/// The sizes of memory that are asked for, in GiB.
pub const SIZES: [u64; 7] = [1, 4, 16, 64, 256, 1024, 4096];

/// The most memory that is repainted: its tables are as large as a 512th of it.
const MOST_REPAINTED: u64 = 64;

/// What an operation did: entries that walks read one by one, and entries that it stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Entries read one by one.
    pub loads: u64,
    /// Entries stored, each of a bulk effect counted.
    pub stores: u64,
}

/// What it takes with so much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How much.
    pub gib: u64,
    /// Tables of the map in blocks, the root counted.
    pub tables_in_blocks: u64,
    /// Tables of the map in pages, as the plan of it counts them.
    pub tables_in_pages: u64,
    /// Mapping all of it in blocks.
    pub map: Work,
    /// Making a page in the middle of it read-only.
    pub page: Work,
    /// Making pages of all of it, where it was done.
    pub repaint: Option<Work>,
}

/// Measures one size.
///
/// # Errors
/// The engine refused.
pub fn size(gib: u64) -> Result<Size, Refused> {
    let stores = Cell::new(0);
    let log = |event: &Event| stores.set(stores.get() + stored(event));
    let repainted = if gib <= MOST_REPAINTED { gib * 514 } else { 0 };
    let tables = usize::try_from(64 + repainted).unwrap_or(usize::MAX);
    let words = vec![Cell::new(0); tables * 512];
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &log);
    let root = host.new_root().ok_or_else(|| Refused("no root".to_owned()))?;
    let counted = Counted::new(&host);
    let space = Space::new(&counted, root);
    let done = |work: &mut dyn FnMut() -> Result<(), Refused>| {
        let loads = counted.loads();
        stores.set(0);
        work()?;
        Ok(Work { loads: counted.loads() - loads, stores: stores.get() })
    };
    let in_pages = space.plan_map(mapping(gib, Leaves::Pages)?).map_err(refused)?;
    let tables_in_pages = u64::from(in_pages.tables()) + 1;
    drop(in_pages);
    let map = done(&mut || space.map(mapping(gib, Leaves::Largest)?).map_err(refused))?;
    let tables_in_blocks = host.tables_in_use().into();
    let middle = linear(gib * GIB / 2 + 0x1555_5000, PAGE)?;
    let page = done(&mut || space.protect(middle, Change::ReadOnly, &MAY_PARK).map_err(refused))?;
    let all = linear(0, gib * GIB)?;
    let repaint = (gib <= MOST_REPAINTED)
        .then(|| done(&mut || space.repaint(all, &[], &MAY_PARK).map_err(refused)))
        .transpose()?;
    Ok(Size { gib, tables_in_blocks, tables_in_pages, map, page, repaint })
}

fn refused<E: std::error::Error>(why: E) -> Refused {
    let told: &dyn std::error::Error = &why;
    Refused(told.to_string())
}

fn linear(first: u64, bytes: u64) -> Result<VirtRange, Refused> {
    let start = VirtAddr::new(0xffff_0000_0000_0000).wrapping_add(first);
    VirtRange::new(start, bytes).ok_or_else(|| Refused("an empty range".to_owned()))
}

fn mapping(gib: u64, leaves: Leaves) -> Result<Mapping, Refused> {
    let memory = MemoryIndex::new(0).ok_or_else(|| Refused("no memory type".to_owned()))?;
    let attributes =
        Attributes { memory, shareability: Shareability::Inner, access: Access::ReadWrite };
    let output = PhysAddr::new(1 << 40);
    Ok(Mapping { range: linear(0, gib * GIB)?, output, attributes, leaves })
}

/// How many entries an effect stores.
fn stored(event: &Event) -> u64 {
    match event {
        Event::Store { .. } => 1,
        Event::Fill { span, .. } | Event::Update { span, .. } => span.count.into(),
        Event::Barrier(_) | Event::Invalidate(_) | Event::Maintain { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_costs_the_same_whatever_memory_there_is() {
        let [small, large] = [16, 4096].map(|gib| size(gib).unwrap());
        assert_eq!(small.page, large.page);
        assert_eq!(small.tables_in_blocks, 2, "the root, and a table of 1 GiB blocks");
        assert_eq!(small.tables_in_pages, 2 + 16 + 16 * 512);
        assert_eq!(large.tables_in_pages, 1 + 8 + 4096 + 4096 * 512);
        let repaint = small.repaint.unwrap();
        assert!(repaint.stores >= 16 * (512 + 1) * 512, "{repaint:?}");
    }
}
