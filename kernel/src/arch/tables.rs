//! The translation tables that are part of the image: those of start-up, and the empty one.

use core::cell::UnsafeCell;

use blockmap::vmsa::machine::{PhysAddr, VirtAddr};
use blockmap::vmsa::{Format, Geometry, Granule, Half, Regime};

use super::image;

/// The lower half, for identity maps: 4 KiB pages and 48 bits, as the kernel's own half.
pub(super) const LOWER: Geometry =
    match Geometry::new((Regime::El1And0, Half::Lower), (Granule::Kib4, Format::Base), 48, 48) {
        Ok(geometry) => geometry,
        Err(_) => panic!("there is no such geometry"),
    };

const ENTRIES: usize = 512;

/// A translation table in the image.
#[repr(C, align(4096))]
pub(super) struct Table(UnsafeCell<[u64; ENTRIES]>);

// SAFETY: the words are only accessed by `entry` and `set_entry`, whole and volatile, and written
// by the boot CPU alone.
unsafe impl Sync for Table {}

impl Table {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; ENTRIES]))
    }

    fn word(&self, index: usize) -> *mut u64 {
        self.0.get().cast::<u64>().wrapping_add(index % ENTRIES)
    }

    /// The entry `index`.
    pub(super) fn entry(&self, index: usize) -> u64 {
        // SAFETY: `word` stays inside the table.
        unsafe { self.word(index).read_volatile() }
    }

    /// Writes the entry `index`.
    pub(super) fn set_entry(&self, index: usize, word: u64) {
        // SAFETY: `word` stays inside the table; see `Sync` for who writes.
        unsafe { self.word(index).write_volatile(word) }
    }

    /// Where the running code sees the table: its physical address with the MMU off.
    pub(super) fn address(&self) -> VirtAddr {
        address_of(&raw const *self)
    }

    /// Where the table is in memory when the image is loaded at `load`.
    pub(super) fn memory(&self, load: PhysAddr) -> PhysAddr {
        let offset = self.address().offset_from(image::LINK).unwrap_or(0);
        load.wrapping_add(offset)
    }
}

/// The address that a pointer holds.
pub(super) fn address_of<T>(pointer: *const T) -> VirtAddr {
    #[expect(clippy::as_conversions, reason = "usize has 64 bits here; From does not say so")]
    VirtAddr::new(pointer.addr() as u64)
}

/// Every table of the image.
#[repr(C)]
pub(super) struct Tables {
    /// No entry is valid: for TTBR0 when nothing of the lower half is mapped, and for TTBR1 between
    /// two roots.
    pub(super) empty: Table,
    /// Root, level 1, 2 and 3 of the identity map of start-up code.
    pub(super) identity: [Table; 4],
    /// Root, level 1 and level 2 of the map that the image starts with.
    pub(super) image: [Table; 3],
    /// Level 3 of it: 2 MiB each.
    pub(super) image_pages: [Table; 4],
    /// The boot window's; the first is its root.
    pub(super) window: [Table; 16],
}

/// They are written with the MMU off, so they are apart from data that is zeroed with it on.
#[unsafe(link_section = ".boot_tables")]
pub(super) static TABLES: Tables = Tables {
    empty: Table::new(),
    identity: [const { Table::new() }; 4],
    image: [const { Table::new() }; 3],
    image_pages: [const { Table::new() }; 4],
    window: [const { Table::new() }; 16],
};
