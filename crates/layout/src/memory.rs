//! Firmware's memory map, checked against itself and against a geometry.

use core::fmt;

use blockmap_vmsa::Geometry;
use blockmap_vmsa::machine::{PhysAddr, PhysRange};
use thiserror::Error;

use crate::cut::Cut;
use crate::firmware::{FirmwareMap, Image, MOST_BANKS, MOST_RESERVATIONS};
use crate::linear::LinearMap;
use crate::parts::{Part, Parts};
use crate::ranges::{Ranges, pages_inside, pages_touched};

/// What an arm64 kernel image's place in memory is a multiple of.
///
/// Source: Linux's "Booting AArch64 Linux", "Call the kernel image".
const IMAGE_ALIGNMENT: u64 = 2 << 20;

/// Reservations, image, initial RAM disk and device tree.
const MOST_TAKEN: usize = MOST_RESERVATIONS + 3;

/// A memory map that makes sense: holding one tells that its banks are disjoint, that a geometry
/// can address and linearly map them, and that the kernel image lies in memory that is mapped.
///
/// All ranges are whole pages, ascending and disjoint: banks rounded inward, holes and what is
/// taken outward, and those that touch are one. It is about 10 KiB large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    geometry: Geometry,
    linear: LinearMap,
    banks: Ranges<MOST_BANKS>,
    holes: Ranges<MOST_RESERVATIONS>,
    taken: Ranges<MOST_TAKEN>,
    image: Option<Image>,
    parts: Parts,
}

/// Which part of the kernel image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagePart {
    /// The instructions.
    Text,
    /// The constants.
    Rodata,
}

impl fmt::Display for ImagePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Rodata => "rodata",
        })
    }
}

/// Why a memory map makes no sense. Nothing was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MemoryMapError {
    /// No bank contains a whole page that may be mapped.
    #[error("no memory: not one page that may be mapped")]
    NoMemory,
    /// Two banks claim the same memory.
    #[error("memory banks {0} and {1} overlap")]
    BanksOverlap(PhysRange, PhysRange),
    /// A bank has addresses that the geometry can't output.
    #[error("memory bank {bank} reaches above the {output_bits} bits of an output address")]
    BankTooHigh {
        /// The bank.
        bank: PhysRange,
        /// The geometry's output size.
        output_bits: u32,
    },
    /// The distance from the lowest to the highest bank is more than the linear map spans.
    #[error("memory spans {memory}, more than the linear map's {most:#x} bytes")]
    TooWide {
        /// From the lowest bank's first byte to the highest bank's last.
        memory: PhysRange,
        /// How many bytes the linear map spans.
        most: u64,
    },
    /// The image doesn't start at a multiple of 2 MiB.
    #[error("the kernel image {0} does not start at a multiple of 2 MiB")]
    ImageMisaligned(PhysRange),
    /// The image, rounded to pages, is not in one bank, or banks that touch.
    #[error("the kernel image {0} is not in one piece of memory")]
    ImageOutsideMemory(PhysRange),
    /// Text or rodata are not whole pages, or not inside the image.
    #[error("the kernel image's {part} {range} is not a range of pages inside it")]
    ImagePart {
        /// The part.
        part: ImagePart,
        /// Where it is said to be.
        range: PhysRange,
    },
    /// Text and rodata share bytes.
    #[error("the kernel image's text {text} and rodata {rodata} overlap")]
    ImagePartsOverlap {
        /// Where the instructions are.
        text: PhysRange,
        /// Where the constants are.
        rodata: PhysRange,
    },
    /// Firmware forbids to map memory that the image was loaded into.
    #[error("no-map range {no_map} touches a page of the kernel image {image}")]
    NoMapOverImage {
        /// The forbidden range.
        no_map: PhysRange,
        /// The image.
        image: PhysRange,
    },
}

impl MemoryMap {
    /// Checks `firmware` and brings it into order, for a linear map in a table tree of `geometry`.
    ///
    /// Takes time proportional to the number of ranges, and its logarithm for sorting; and about
    /// 15 KiB of stack besides the map itself.
    ///
    /// # Errors
    /// Names the first thing found wrong, and the ranges as firmware gave them.
    pub fn new(firmware: &FirmwareMap, geometry: Geometry) -> Result<Self, MemoryMapError> {
        let highest = geometry.highest_output();
        let touched = |range| pages_touched(range, geometry.page_bytes(), highest);
        let mut map = Self {
            geometry,
            linear: place(firmware.banks(), geometry)?,
            banks: firmware.banks.clone(),
            holes: firmware.no_map.clone(),
            taken: Ranges::new(),
            image: firmware.image,
            parts: firmware.image.map_or(Parts::NONE, |image| {
                Parts::new(&image, touched(image.load).unwrap_or(image.load))
            }),
        };
        order_banks(&mut map.banks, geometry.page_bytes())?;
        if let Some(image) = firmware.image {
            check_image(image, map.banks(), geometry.page_bytes())?;
            check_no_map(firmware.no_map(), image, touched)?;
        }
        order(&mut map.holes, touched);
        collect_taken(&mut map.taken, firmware);
        order(&mut map.taken, touched);
        match map.mapped().next() {
            Some(_) => Ok(map),
            None => Err(MemoryMapError::NoMemory),
        }
    }

    /// The geometry that the map was checked against.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Where this memory appears in the linear map.
    #[must_use]
    pub const fn linear(&self) -> LinearMap {
        self.linear
    }

    /// The banks, holes included.
    #[must_use]
    pub fn banks(&self) -> &[PhysRange] {
        self.banks.as_slice()
    }

    /// What must not be mapped, inside banks or not.
    #[must_use]
    pub fn holes(&self) -> &[PhysRange] {
        self.holes.as_slice()
    }

    /// What is in use from the start, inside banks or not: reservations, the image, the initial
    /// RAM disk, the device tree.
    #[must_use]
    pub fn taken(&self) -> &[PhysRange] {
        self.taken.as_slice()
    }

    /// The memory that is mapped: banks without holes.
    #[must_use]
    pub fn mapped(&self) -> MappedMemory<'_> {
        MappedMemory(Cut::new(self.banks().iter().copied(), self.holes.as_slice()))
    }

    /// The memory that nobody uses yet: what is mapped and not taken.
    #[must_use]
    pub fn free(&self) -> FreeMemory<'_> {
        FreeMemory(Cut::new(self.mapped(), self.taken.as_slice()))
    }

    /// Whether all of `range` is mapped in one piece. What boot loaders say of the initial RAM
    /// disk and the device tree is not checked before this is asked.
    #[must_use]
    pub fn maps(&self, range: PhysRange) -> bool {
        self.mapped().any(|memory| memory.covers(range))
    }

    /// Where the kernel image is.
    #[must_use]
    pub const fn image(&self) -> Option<Image> {
        self.image
    }

    /// The image's parts, in whole pages.
    pub(crate) const fn parts(&self) -> &[Option<Part>] {
        self.parts.as_slice()
    }
}

/// The memory that is mapped, ascending and disjoint. See [`MemoryMap::mapped`].
#[derive(Clone, Debug)]
pub struct MappedMemory<'m>(Cut<'m, core::iter::Copied<core::slice::Iter<'m, PhysRange>>>);

impl Iterator for MappedMemory<'_> {
    type Item = PhysRange;

    fn next(&mut self) -> Option<PhysRange> {
        self.0.next()
    }
}

/// The memory that nobody uses, ascending and disjoint. See [`MemoryMap::free`].
#[derive(Clone, Debug)]
pub struct FreeMemory<'m>(Cut<'m, MappedMemory<'m>>);

impl Iterator for FreeMemory<'_> {
    type Item = PhysRange;

    fn next(&mut self) -> Option<PhysRange> {
        self.0.next()
    }
}

/// Places the linear map for `banks`, in any order, if they can be addressed.
fn place(banks: &[PhysRange], geometry: Geometry) -> Result<LinearMap, MemoryMapError> {
    let lowest = banks.iter().min_by_key(|bank| bank.start());
    let highest = banks.iter().max_by_key(|bank| bank.last());
    let (Some(lowest), Some(highest)) = (lowest, highest) else {
        return Err(MemoryMapError::NoMemory);
    };
    if highest.last() > geometry.highest_output() {
        return Err(MemoryMapError::BankTooHigh {
            bank: *highest,
            output_bits: geometry.output_bits(),
        });
    }
    let memory =
        PhysRange::inclusive(lowest.start(), highest.last()).ok_or(MemoryMapError::NoMemory)?;
    LinearMap::new(geometry, memory)
        .ok_or(MemoryMapError::TooWide { memory, most: LinearMap::most_bytes(geometry) })
}

/// Brings banks into order, if they are disjoint, and keeps the whole pages of them.
fn order_banks(banks: &mut Ranges<MOST_BANKS>, page: u64) -> Result<(), MemoryMapError> {
    banks.sort();
    for pair in banks.as_slice().windows(2) {
        if let [lower, higher] = pair
            && lower.overlaps(*higher)
        {
            return Err(MemoryMapError::BanksOverlap(*lower, *higher));
        }
    }
    // Banks may touch inside a page, which is whole memory then.
    banks.merge();
    banks.rewrite(|bank| pages_inside(bank, page));
    Ok(())
}

/// Brings the pages that `ranges` touch into order.
fn order<const N: usize>(ranges: &mut Ranges<N>, touched: impl Fn(PhysRange) -> Option<PhysRange>) {
    ranges.rewrite(touched);
    ranges.sort();
    ranges.merge();
}

/// Checks that the image, and its parts inside it, are where they can be.
fn check_image(image: Image, banks: &[PhysRange], page: u64) -> Result<(), MemoryMapError> {
    let Image { load, text, rodata } = image;
    if !load.start().is_aligned(IMAGE_ALIGNMENT) {
        return Err(MemoryMapError::ImageMisaligned(load));
    }
    let is_in_memory = pages_touched(load, page, PhysAddr::new(u64::MAX))
        .is_some_and(|pages| banks.iter().any(|bank| bank.covers(pages)));
    if !is_in_memory {
        return Err(MemoryMapError::ImageOutsideMemory(load));
    }
    for (part, range) in [(ImagePart::Text, text), (ImagePart::Rodata, rodata)] {
        if !load.covers(range) || pages_inside(range, page) != Some(range) {
            return Err(MemoryMapError::ImagePart { part, range });
        }
    }
    if text.overlaps(rodata) {
        return Err(MemoryMapError::ImagePartsOverlap { text, rodata });
    }
    Ok(())
}

/// Checks that no forbidden range touches a page of the image.
fn check_no_map(
    no_map: &[PhysRange],
    image: Image,
    touched: impl Fn(PhysRange) -> Option<PhysRange>,
) -> Result<(), MemoryMapError> {
    let is_over_image =
        |no_map: &&PhysRange| touched(**no_map).is_some_and(|pages| pages.overlaps(image.load));
    match no_map.iter().find(is_over_image) {
        Some(no_map) => Err(MemoryMapError::NoMapOverImage { no_map: *no_map, image: image.load }),
        None => Ok(()),
    }
}

/// Puts everything that is in use from the start into `taken`.
fn collect_taken(taken: &mut Ranges<MOST_TAKEN>, firmware: &FirmwareMap) {
    let single = [firmware.image.map(|image| image.load), firmware.initrd, firmware.device_tree];
    for range in firmware.reserved().iter().copied().chain(single.into_iter().flatten()) {
        let pushed = taken.push(range);
        debug_assert!(pushed.is_ok(), "there is room for all reservations and three more");
    }
}
