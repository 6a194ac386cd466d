//! Memory reached at its physical address, while there is no linear map.
//!
//! The boot window is the lower half's map during start-up: empty at first, extended on demand,
//! never executable. Its tables are part of the image, so that covering memory allocates nothing.

use core::cell::Cell;
use core::slice;

use blockmap::vmsa::machine::{PhysAddr, PhysRange, VirtAddr};
use blockmap::vmsa::{Access, Attributes, Kind, Level, Mair, Shareability};
use thiserror::Error;

use super::tables::{LOWER, TABLES, Table};
use super::ttbr;

/// What is behind a part of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Memory: Normal, write-back. Everything in the 2 MiB blocks that the range touches must be
    /// memory, because the CPU may read ahead in it.
    Memory,
    /// A device's registers: Device-nGnRE, the pages that the range touches and no others.
    Device,
}

/// Why memory was not covered. What was covered before still is; part of the range may be too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum CoverError {
    /// The range reaches past the 48 bits of address that the window has.
    #[error("{0} is beyond the 48-bit addresses of the boot window")]
    OutOfReach(PhysRange),
    /// The image has a fixed number of tables for the window.
    #[error("{0} needs more boot window tables than the image has; cover fewer, larger ranges")]
    OutOfTables(PhysRange),
}

/// Why the device tree can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum DeviceTreeError {
    /// The boot protocol wants x0 to be a multiple of eight, and not zero.
    #[error("{0} in x0 at entry is not the address of a device tree")]
    NoAddress(PhysAddr),
    /// The window can't reach it.
    #[error("device tree: {0}")]
    Cover(CoverError),
    /// It doesn't start as a device tree does.
    #[error("no device tree at {at}: it starts with {magic:#x} and not with 0xd00dfeed")]
    Magic {
        /// Where it should be.
        at: PhysAddr,
        /// What is there.
        magic: u32,
    },
    /// The boot protocol allows 2 MiB; a header alone is 40 bytes.
    #[error("the device tree at {at} says it has {bytes} bytes, not 40 to 2 MiB")]
    Size {
        /// Where it is.
        at: PhysAddr,
        /// What its header says.
        bytes: u32,
    },
}

/// The boot window. Holding it tells that memory it covers is at its physical address.
#[derive(Debug)]
pub(crate) struct BootWindow {
    load: PhysAddr,
    dtb: PhysAddr,
    /// How many of the window's tables are in use; the root always is.
    taken: Cell<usize>,
}

const BLOCK_BYTES: u64 = LOWER.span_bytes(Level::L2);

impl Contents {
    fn meaning(self) -> u64 {
        let (memory, shareability) = match self {
            Self::Memory => (Mair::NORMAL, Shareability::Inner),
            Self::Device => (Mair::DEVICE_NGNRE, Shareability::Non),
        };
        LOWER.meaning(Attributes { memory, shareability, access: Access::ReadWrite })
    }
}

impl BootWindow {
    /// Opens the window, empty.
    ///
    /// # Safety
    /// It is called once, by the boot CPU, for the image's load address and what the firmware
    /// passed as the device tree.
    pub(super) unsafe fn open(load: PhysAddr, dtb: PhysAddr) -> Self {
        let root: &Table = &TABLES.window[0];
        // SAFETY: start-up code, which the lower half mapped until now, has done its work.
        unsafe { ttbr::install_lower(root.memory(load), load) };
        Self { load, dtb, taken: Cell::new(1) }
    }

    /// Makes `range` reachable at its physical address. What is covered already stays as it is.
    pub(crate) fn cover(&self, range: PhysRange, contents: Contents) -> Result<(), CoverError> {
        if range.last().value() > LOWER.highest_output().value() {
            return Err(CoverError::OutOfReach(range));
        }
        let unit = match contents {
            Contents::Memory => BLOCK_BYTES,
            Contents::Device => LOWER.page_bytes(),
        };
        let mut at = range.start().align_down(unit);
        let end = range.last().align_down(unit).wrapping_add(unit);
        while at < end {
            let bytes = self.cover_one(at, end, contents).ok_or(CoverError::OutOfTables(range))?;
            at = at.wrapping_add(bytes);
        }
        // No translation was valid before, so none is cached and none has to be invalidated.
        // [invalid-is-never-cached]
        publish();
        Ok(())
    }

    /// Covers one leaf's worth from `at` on, and says how many bytes that is; `None` when the
    /// tables have run out.
    fn cover_one(&self, at: PhysAddr, end: PhysAddr, contents: Contents) -> Option<u64> {
        let address = VirtAddr::new(at.value());
        let mut table: &Table = &TABLES.window[0];
        let mut level = Level::L0;
        loop {
            let index = usize::from(LOWER.index(level, address));
            let bytes = LOWER.span_bytes(level);
            let fits = at.is_aligned(bytes) && end.offset_from(at) >= Some(bytes);
            let is_page = matches!(level, Level::L3);
            let may_be_block = matches!(contents, Contents::Memory) && LOWER.allows_leaf(level);
            let word = table.entry(index);
            table = match LOWER.kind(level, word) {
                Kind::Table => self.known(LOWER.table_address(word))?,
                Kind::Leaf => return Some(bytes.wrapping_sub(at.value() & bytes.wrapping_sub(1))),
                Kind::Invalid | Kind::PresentInvalid | Kind::Reserved
                    if is_page || (fits && may_be_block) =>
                {
                    table.set_entry(index, LOWER.leaf_word(level, at, contents.meaning()));
                    return Some(bytes);
                }
                Kind::Invalid | Kind::PresentInvalid | Kind::Reserved => {
                    let below = self.take()?;
                    // The new table is empty, and was made so before the MMU was on.
                    table.set_entry(index, LOWER.table_word(below.memory(self.load)));
                    below
                }
            };
            level = level.next()?;
        }
    }

    /// One more table, empty.
    fn take(&self) -> Option<&'static Table> {
        let table = TABLES.window.get(self.taken.get())?;
        self.taken.set(self.taken.get().saturating_add(1));
        Some(table)
    }

    /// The window's table at `memory`.
    fn known(&self, memory: PhysAddr) -> Option<&'static Table> {
        TABLES.window.iter().find(|table| table.memory(self.load) == memory)
    }

    /// The device tree, covered, with the size that its header says.
    pub(crate) fn device_tree(&self) -> Result<&[u8], DeviceTreeError> {
        let at = self.dtb;
        let header = PhysRange::new(at, 8).ok_or(DeviceTreeError::NoAddress(at))?;
        if at.value() == 0 || !at.is_aligned(8) {
            return Err(DeviceTreeError::NoAddress(at));
        }
        self.cover(header, Contents::Memory).map_err(DeviceTreeError::Cover)?;
        // SAFETY: the words are covered, aligned, and nobody writes them.
        let magic = u32::from_be(unsafe { pointer::<u32>(at).read_volatile() });
        if magic != 0xd00d_feed {
            return Err(DeviceTreeError::Magic { at, magic });
        }
        // SAFETY: as above.
        let bytes = u32::from_be(unsafe { pointer::<u32>(at).wrapping_add(1).read_volatile() });
        if !(40..=2 << 20).contains(&bytes) {
            return Err(DeviceTreeError::Size { at, bytes });
        }
        if let Some(all) = PhysRange::new(at, u64::from(bytes)) {
            self.cover(all, Contents::Memory).map_err(DeviceTreeError::Cover)?;
        }
        let length = usize::try_from(bytes).unwrap_or(0);
        // SAFETY: the bytes are covered and firmware's, which writes nothing any more; the slice
        // lives as long as the window.
        Ok(unsafe { slice::from_raw_parts(pointer(at), length) })
    }

    /// Closes the window: the lower half maps nothing from now on.
    ///
    /// # Safety
    /// Nobody uses memory or devices at their physical address any more.
    pub(crate) unsafe fn close(self) {
        // SAFETY: the caller vouches that the window is not in use.
        unsafe { ttbr::install_lower(ttbr::empty_root(self.load), self.load) };
    }
}

/// Where the window shows what is at `memory`.
fn pointer<T>(memory: PhysAddr) -> *const T {
    core::ptr::with_exposed_provenance(usize::try_from(memory.value()).unwrap_or(0))
}

/// Makes the table entries written visible to walks of this CPU. [publish-after-fill]
fn publish() {
    // SAFETY: barriers make no access.
    unsafe { core::arch::asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
}
