//! What firmware says of memory, collected as it comes: nothing here is checked against the rest.

use core::fmt;

use blockmap_vmsa::machine::{PhysAddr, PhysRange};
use thiserror::Error;

use crate::ranges::Ranges;

/// How many memory banks a [`FirmwareMap`] has room for.
pub const MOST_BANKS: usize = 128;

/// How many reserved ranges, and how many no-map ranges, a [`FirmwareMap`] has room for.
pub const MOST_RESERVATIONS: usize = 256;

/// Where the kernel image is in physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// All of it, from the first byte that was loaded to the last byte it uses, zeroed data
    /// included.
    pub load: PhysRange,
    /// The instructions; whole pages inside `load`.
    pub text: PhysRange,
    /// The constants; whole pages inside `load`, before or after `text`.
    pub rodata: PhysRange,
}

/// Memory banks, reservations and the image, as firmware and the boot loader tell them: in any
/// order, at byte precision, not yet checked. [`MemoryMap::new`](crate::MemoryMap::new) does that.
///
/// It has fixed room for [`MOST_BANKS`] banks and [`MOST_RESERVATIONS`] ranges of each other kind,
/// about 10 KiB in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmwareMap {
    pub(crate) banks: Ranges<MOST_BANKS>,
    pub(crate) reserved: Ranges<MOST_RESERVATIONS>,
    pub(crate) no_map: Ranges<MOST_RESERVATIONS>,
    pub(crate) image: Option<Image>,
    pub(crate) initrd: Option<PhysRange>,
    pub(crate) device_tree: Option<PhysRange>,
}

/// What a list of ranges is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Memory banks.
    Banks,
    /// Ranges that are mapped but not free.
    Reserved,
    /// Ranges that must not be mapped.
    NoMap,
}

impl List {
    const fn room(self) -> usize {
        match self {
            Self::Banks => MOST_BANKS,
            Self::Reserved | Self::NoMap => MOST_RESERVATIONS,
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Banks => "memory banks",
            Self::Reserved => "reserved ranges",
            Self::NoMap => "no-map ranges",
        })
    }
}

/// Why a range was not added. The map is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddError {
    /// A bank of no bytes.
    #[error("the memory bank at {start} is empty; leave it out")]
    EmptyBank {
        /// Where it would be.
        start: PhysAddr,
    },
    /// The range would reach past the end of the 64-bit space.
    #[error("{bytes:#x} bytes from {start} on reach past the end of the address space")]
    Wraps {
        /// The first byte.
        start: PhysAddr,
        /// How many bytes.
        bytes: u64,
    },
    /// The list has no room for one more.
    #[error("no room for {range} among the {} {list}; join ranges that touch", .list.room())]
    TooMany {
        /// The list.
        list: List,
        /// The range that was one too many.
        range: PhysRange,
    },
}

impl FirmwareMap {
    /// A map of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            banks: Ranges::new(),
            reserved: Ranges::new(),
            no_map: Ranges::new(),
            image: None,
            initrd: None,
            device_tree: None,
        }
    }

    /// Adds a bank of memory: `bytes` bytes from `start` on.
    ///
    /// # Errors
    /// The bank is empty, wraps, or is one too many. The map is then as it was.
    pub fn add_bank(&mut self, start: PhysAddr, bytes: u64) -> Result<(), AddError> {
        if bytes == 0 {
            return Err(AddError::EmptyBank { start });
        }
        add(&mut self.banks, List::Banks, (start, bytes))
    }

    /// Adds a range that is in use: it is mapped as other memory is, but never handed out. Where it
    /// lies outside every bank it says nothing, and so does a range of no bytes, which firmware
    /// uses as a placeholder.
    ///
    /// # Errors
    /// The range wraps, or is one too many. The map is then as it was.
    pub fn add_reserved(&mut self, start: PhysAddr, bytes: u64) -> Result<(), AddError> {
        add(&mut self.reserved, List::Reserved, (start, bytes))
    }

    /// Adds a range that must not be mapped, because a CPU may read what is mapped at any time: a
    /// hole, even where a bank has it. A range of no bytes says nothing.
    ///
    /// Source: Devicetree Specification, "/reserved-memory Node", `no-map`.
    ///
    /// # Errors
    /// The range wraps, or is one too many. The map is then as it was.
    pub fn add_no_map(&mut self, start: PhysAddr, bytes: u64) -> Result<(), AddError> {
        add(&mut self.no_map, List::NoMap, (start, bytes))
    }

    /// Says where the kernel image is.
    pub const fn set_image(&mut self, image: Image) {
        self.image = Some(image);
    }

    /// Says where the initial RAM disk is.
    pub const fn set_initrd(&mut self, initrd: PhysRange) {
        self.initrd = Some(initrd);
    }

    /// Says where the device tree blob is.
    pub const fn set_device_tree(&mut self, device_tree: PhysRange) {
        self.device_tree = Some(device_tree);
    }

    /// The banks, in the order in which they were added.
    #[must_use]
    pub fn banks(&self) -> &[PhysRange] {
        self.banks.as_slice()
    }

    /// The reserved ranges, in the order in which they were added.
    #[must_use]
    pub fn reserved(&self) -> &[PhysRange] {
        self.reserved.as_slice()
    }

    /// The ranges that must not be mapped, in the order in which they were added.
    #[must_use]
    pub fn no_map(&self) -> &[PhysRange] {
        self.no_map.as_slice()
    }

    /// The kernel image.
    #[must_use]
    pub const fn image(&self) -> Option<Image> {
        self.image
    }

    /// The initial RAM disk.
    #[must_use]
    pub const fn initrd(&self) -> Option<PhysRange> {
        self.initrd
    }

    /// The device tree blob.
    #[must_use]
    pub const fn device_tree(&self) -> Option<PhysRange> {
        self.device_tree
    }
}

fn add<const N: usize>(
    ranges: &mut Ranges<N>,
    list: List,
    (start, bytes): (PhysAddr, u64),
) -> Result<(), AddError> {
    if bytes == 0 {
        return Ok(());
    }
    let range = PhysRange::new(start, bytes).ok_or(AddError::Wraps { start, bytes })?;
    ranges.push(range).map_err(|_full| AddError::TooMany { list, range })
}
