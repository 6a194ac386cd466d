//! `page-table-generic`, of rCore, with descriptors of its form: it has none of its own.

use blockmap::vmsa::Leaves;
use page_table_generic::{
    FrameAllocator, MapConfig, PageTable, PageTableEntry, PhysAddr, TableMeta, VirtAddr,
};

use super::{LINEAR, MEMORY, bits, frames, number, word};
use crate::subject::{PAGE, Part, Refused, Subject, Tree};

/// The library.
#[derive(Debug)]
pub struct Generic;

/// A descriptor.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Entry(u64);

/// The shape of the tables: those of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Shape;

/// Where tables come from.
#[derive(Clone, Copy, Debug)]
pub struct Frames;

impl PageTableEntry for Entry {
    type PteConfig = u64;

    fn new_page(paddr: PhysAddr, config: u64, is_huge: bool) -> Self {
        let page = if is_huge { 0 } else { bits::TABLE_OR_PAGE };
        Self(config | page | number(paddr.as_usize()))
    }

    fn new_table(paddr: PhysAddr) -> Self {
        Self(bits::VALID | bits::TABLE_OR_PAGE | number(paddr.as_usize()))
    }

    fn paddr(&self, _: bool) -> PhysAddr {
        PhysAddr::from_usize(word(self.0 & bits::OUTPUT))
    }

    fn config(&self, _: bool) -> u64 {
        self.0 & !(bits::OUTPUT | bits::TABLE_OR_PAGE)
    }

    fn present(&self) -> bool {
        self.0 & bits::VALID != 0
    }

    fn huge(&self, is_dir: bool) -> bool {
        is_dir && self.present() && self.0 & bits::TABLE_OR_PAGE == 0
    }

    fn unused(&self) -> bool {
        self.0 == 0
    }

    fn clear(&mut self) {
        self.0 = 0;
    }
}

impl TableMeta for Shape {
    type P = Entry;
    const PAGE_SIZE: usize = 4096;
    const LEVEL_BITS: &[usize] = &[9, 9, 9, 9];
    const MAX_BLOCK_LEVEL: usize = 3;

    fn flush(_: Option<VirtAddr>) {}
}

impl FrameAllocator for Frames {
    fn alloc_frame(&self) -> Option<PhysAddr> {
        frames::take().map(PhysAddr::from_usize)
    }

    fn dealloc_frame(&self, frame: PhysAddr) {
        frames::give(frame.as_usize());
    }

    fn phys_to_virt(&self, paddr: PhysAddr) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(paddr.as_usize())
    }
}

/// A tree of the library's.
pub type Table = PageTable<Shape, Frames>;

impl Subject for Generic {
    const NAME: &'static str = "page-table-generic 0.9.1";
    type Tree<'m> = Table;

    fn with_tree<R>(tables: usize, work: impl FnOnce(&mut Table) -> R) -> R {
        frames::prepare(tables);
        match Table::new(Frames) {
            Ok(mut table) => work(&mut table),
            Err(why) => panic!("frames were prepared: {why}"),
        }
    }
}

fn at(offset: u64) -> VirtAddr {
    VirtAddr::from_usize(word(LINEAR + offset))
}

impl Tree for Table {
    fn map(&mut self, part: Part, leaves: Leaves) -> Result<(), Refused> {
        let config = MapConfig {
            vaddr: at(part.first),
            paddr: PhysAddr::from_usize(word(MEMORY + part.first)),
            size: word(part.bytes),
            pte: bits::DATA,
            allow_huge: leaves == Leaves::Largest,
            flush: false,
        };
        page_table_generic::PageTableRef::map(self, &config).map_err(|why| Refused(why.to_string()))
    }

    fn read_only(&mut self, part: Part) -> Result<(), Refused> {
        let config = bits::DATA | bits::READ_ONLY;
        let done = self.protect_region(at(part.first), word(part.bytes), config);
        done.map_err(|why| Refused(why.to_string()))
    }

    fn translate(&self, offset: u64) -> Option<u64> {
        let output = self.translate_phys(at(offset)).ok()?;
        Some(number(output.as_usize()) - MEMORY)
    }

    fn is_writable(&self, offset: u64) -> bool {
        let found = self.query(at(offset));
        found.is_ok_and(|(_, config, _)| config & bits::READ_ONLY == 0)
    }

    fn mapped_bytes(&self) -> u64 {
        self.walk_valid().map(|entry| PAGE << (9 * (entry.level - 1))).sum()
    }
}
