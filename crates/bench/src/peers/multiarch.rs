//! `page_table_multiarch`, of ArceOS, with descriptors of its form for this machine to run on: its
//! own are for arm64 machines alone.

use blockmap::vmsa::Leaves;
use memory_addr::{PhysAddr, VirtAddr};
use page_table_entry::{GenericPTE, MappingFlags};
use page_table_multiarch::{PageSize, PageTable64, PagingHandler, PagingMetaData};

use super::{LINEAR, MEMORY, bits, frames, number, word};
use crate::subject::{Part, Refused, Subject, Tree};

/// The library.
#[derive(Debug)]
pub struct Multiarch;

/// A descriptor.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Entry(u64);

/// The shape of the tables: those of a kernel.
#[derive(Debug)]
pub struct Shape;

/// Where tables come from.
#[derive(Debug)]
pub struct Frames;

fn rights(flags: MappingFlags) -> u64 {
    match (flags.is_empty(), flags.contains(MappingFlags::WRITE)) {
        (true, _) => 0,
        (false, true) => bits::DATA,
        (false, false) => bits::DATA | bits::READ_ONLY,
    }
}

const fn page(is_huge: bool) -> u64 {
    if is_huge { 0 } else { bits::TABLE_OR_PAGE }
}

impl GenericPTE for Entry {
    fn new_page(paddr: PhysAddr, flags: MappingFlags, is_huge: bool) -> Self {
        Self(rights(flags) | page(is_huge) | number(paddr.as_usize()) & bits::OUTPUT)
    }

    fn new_table(paddr: PhysAddr) -> Self {
        Self(bits::VALID | bits::TABLE_OR_PAGE | number(paddr.as_usize()) & bits::OUTPUT)
    }

    fn paddr(&self) -> PhysAddr {
        PhysAddr::from(word(self.0 & bits::OUTPUT))
    }

    fn flags(&self) -> MappingFlags {
        match (self.is_present(), self.0 & bits::READ_ONLY) {
            (false, _) => MappingFlags::empty(),
            (true, 0) => MappingFlags::READ | MappingFlags::WRITE,
            (true, _) => MappingFlags::READ,
        }
    }

    fn set_paddr(&mut self, paddr: PhysAddr) {
        self.0 = self.0 & !bits::OUTPUT | number(paddr.as_usize()) & bits::OUTPUT;
    }

    fn set_flags(&mut self, flags: MappingFlags, is_huge: bool) {
        self.0 = self.0 & bits::OUTPUT | rights(flags) | page(is_huge);
    }

    fn bits(self) -> usize {
        word(self.0)
    }

    fn is_unused(&self) -> bool {
        self.0 == 0
    }

    fn is_present(&self) -> bool {
        self.0 & bits::VALID != 0
    }

    fn is_huge(&self) -> bool {
        self.0 & bits::TABLE_OR_PAGE == 0
    }

    fn clear(&mut self) {
        self.0 = 0;
    }
}

impl PagingMetaData for Shape {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 48;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    fn vaddr_is_valid(vaddr: usize) -> bool {
        matches!(vaddr >> Self::VA_MAX_BITS, 0 | 0xffff)
    }

    fn flush_tlb(_: Option<VirtAddr>) {}
}

impl PagingHandler for Frames {
    fn alloc_frames(num: usize, _: usize) -> Option<PhysAddr> {
        (num == 1).then(frames::take)?.map(PhysAddr::from)
    }

    fn dealloc_frames(paddr: PhysAddr, _: usize) {
        frames::give(paddr.as_usize());
    }

    fn phys_to_virt(paddr: PhysAddr) -> VirtAddr {
        VirtAddr::from(paddr.as_usize())
    }
}

/// A tree of the library's.
pub type Table = PageTable64<Shape, Entry, Frames>;

impl Subject for Multiarch {
    const NAME: &'static str = "page_table_multiarch 0.6.2";
    type Tree<'m> = Table;

    fn with_tree<R>(tables: usize, work: impl FnOnce(&mut Table) -> R) -> R {
        frames::prepare(tables);
        match Table::try_new() {
            Ok(mut table) => work(&mut table),
            Err(_) => panic!("frames were prepared"),
        }
    }
}

fn at(offset: u64) -> VirtAddr {
    VirtAddr::from(word(LINEAR + offset))
}

impl Tree for Table {
    fn map(&mut self, part: Part, leaves: Leaves) -> Result<(), Refused> {
        let output = |input: VirtAddr| PhysAddr::from(input.as_usize() - word(LINEAR - MEMORY));
        let data = MappingFlags::READ | MappingFlags::WRITE;
        let is_huge = leaves == Leaves::Largest;
        let mapped =
            self.cursor().map_region(at(part.first), output, word(part.bytes), data, is_huge);
        mapped.map_err(|why| Refused(format!("{why:?}")))
    }

    fn read_only(&mut self, part: Part) -> Result<(), Refused> {
        // It changes whole leaves only, and has nothing to make smaller ones of them.
        for edge in [part.first, part.end()] {
            let leaf = self.query(at(edge)).ok();
            if leaf.is_some_and(|(_, _, size)| !edge.is_multiple_of(number(usize::from(size)))) {
                return Err(Refused("it does not split blocks".to_owned()));
            }
        }
        let done =
            self.cursor().protect_region(at(part.first), word(part.bytes), MappingFlags::READ);
        done.map_err(|why| Refused(format!("{why:?}")))
    }

    fn translate(&self, offset: u64) -> Option<u64> {
        let (output, _, _) = self.query(at(offset)).ok()?;
        Some(number(output.as_usize()) - MEMORY)
    }

    fn is_writable(&self, offset: u64) -> bool {
        let found = self.query(at(offset));
        found.is_ok_and(|(_, flags, _)| flags.contains(MappingFlags::WRITE))
    }

    fn mapped_bytes(&self) -> u64 {
        let bytes = std::cell::Cell::new(0);
        let visit = |level: usize, _: usize, _: VirtAddr, entry: &Entry| {
            if entry.is_present() && (level == 3 || entry.is_huge()) {
                bytes.set(
                    bytes.get() + (number(usize::from(PageSize::Size4K)) << (9 * (3 - level))),
                );
            }
        };
        self.walk(512, Some(&visit), None);
        bytes.get()
    }
}
