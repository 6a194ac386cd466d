//! The first tables, written with the MMU off: the image at its link address, with its final
//! permissions, and an identity map of start-up code.
//!
//! This runs where the image was loaded, before anything is mapped: addresses come from the program
//! counter, memory is accessed as device memory, and nothing may panic, because a panic's message
//! would be looked for at the link address. [nothing-absolute-before-the-mmu]

use blockmap::vmsa::cpu::{Mte, mte};
use blockmap::vmsa::machine::{PhysAddr, VirtAddr};
use blockmap::vmsa::{Access, Attributes, Geometry, Level, Mair, Shareability, Tcr};
use blockmap_hw::Identity;

use super::image;
use super::tables::{LOWER, TABLES, Table};

/// What `boot.S` writes into registers to turn the MMU on; it relies on the order.
#[repr(C)]
struct Registers {
    mair: u64,
    tcr: u64,
    ttbr0: u64,
    ttbr1: u64,
    sctlr: u64,
}

/// `SCTLR_EL1`'s RES1 bits and those that are RES1 where a feature is absent: LSMAOE, nTLSMD, SPAN,
/// EIS, TSCXT, EOS, SED, ITD.
///
/// Source: "SCTLR_EL1, System Control Register (EL1)".
pub(super) const SCTLR_OFF: u64 =
    1 << 29 | 1 << 28 | 1 << 23 | 1 << 22 | 1 << 20 | 1 << 11 | 1 << 8 | 1 << 7;

/// As [`SCTLR_OFF`], with the MMU (M), data (C) and instruction (I) caches and stack alignment
/// checks (SA, SA0) on. WXN is off, because `rodata=off` asks for memory that is both.
const SCTLR_ON: u64 = SCTLR_OFF | 1 << 12 | 1 << 4 | 1 << 3 | 1 << 2 | 1;

const MAIR_TAGGED: u64 = Mair::for_kernel(Mte::TaggedMemory).value();
const MAIR_UNTAGGED: u64 = Mair::for_kernel(Mte::Missing).value();

/// Without the output size, which is the CPU's to say.
const TCR: u64 = match Tcr::for_kernel(LOWER, Geometry::KERNEL_4K_48) {
    Ok(tcr) => match tcr.encode() {
        Ok(register) => register & !(0b111 << 32),
        Err(_) => panic!("the kernel's TCR_EL1 has no encoding"),
    },
    Err(_) => panic!("the two halves don't go together"),
};

/// The meaning of a leaf of Normal memory with `access`.
const fn meaning(geometry: Geometry, access: Access) -> u64 {
    geometry.meaning(Attributes { memory: Mair::NORMAL, shareability: Shareability::Inner, access })
}

/// Writes the tables of start-up for an image loaded at `load`, and says what to put into which
/// register. The caller invalidates the tables from caches afterwards. [tables-out-of-caches]
#[unsafe(no_mangle)]
extern "C" fn paint_boot_tables(load: u64, registers: &mut Registers) {
    clear_tables();
    // Code runs where it was loaded, so its addresses are physical.
    let physical = |table: &Table| PhysAddr::new(table.address().value());
    paint_image(load, physical);
    paint_identity(physical);

    let identity = Identity::read();
    // IPS: the output size is what the CPU has, up to the 48 bits that the format has.
    let output_size = (identity.mmfr0 & 0xf).min(5);
    registers.mair = match mte(identity.pfr1) {
        Mte::TaggedMemory => MAIR_TAGGED,
        Mte::Missing | Mte::InstructionsOnly => MAIR_UNTAGGED,
    };
    registers.tcr = TCR | output_size << 32;
    registers.ttbr0 = physical(&TABLES.identity[0]).value();
    registers.ttbr1 = physical(&TABLES.image[0]).value();
    registers.sctlr = SCTLR_ON;
}

/// Empties every table of start-up: they are outside what is zeroed later.
fn clear_tables() {
    let clear = |table: &Table| {
        let mut index = 0;
        while index < 512 {
            table.set_entry(index, 0);
            index = index.wrapping_add(1);
        }
    };
    clear(&TABLES.empty);
    TABLES.identity.iter().for_each(clear);
    TABLES.image.iter().for_each(clear);
    TABLES.image_pages.iter().for_each(clear);
    TABLES.window.iter().for_each(clear);
}

/// Which entry of a table at `level` an address goes through.
fn index(geometry: Geometry, level: Level, address: VirtAddr) -> usize {
    usize::from(geometry.index(level, address))
}

/// Maps the image at its link address, in pages, so that no page is ever writable and executable
/// and the stacks' guards are holes from the first instruction on.
fn paint_image(load: u64, physical: impl Fn(&Table) -> PhysAddr) {
    const GEOMETRY: Geometry = Geometry::KERNEL_4K_48;
    let [root, level1, level2] = &TABLES.image;
    let link = |table: &Table, index, to: &Table| {
        table.set_entry(index, GEOMETRY.table_word(physical(to)));
    };
    link(root, index(GEOMETRY, Level::L0, image::LINK), level1);
    link(level1, index(GEOMETRY, Level::L1, image::LINK), level2);
    let first = index(GEOMETRY, Level::L2, image::LINK);
    for (number, pages) in TABLES.image_pages.iter().enumerate() {
        link(level2, first.wrapping_add(number), pages);
    }
    for section in image::sections() {
        let meaning = meaning(GEOMETRY, section.access);
        let mut page = section.range.start().value();
        while page < section.range.end().value() {
            let offset = page.wrapping_sub(load);
            let address = image::LINK.wrapping_add(offset);
            let number = address.value() >> 21 & 0x1ff;
            let pages = TABLES.image_pages.iter().zip(0..).find(|(_, n)| *n == number);
            if let Some((pages, _)) = pages {
                let word = GEOMETRY.leaf_word(Level::L3, PhysAddr::new(page), meaning);
                pages.set_entry(index(GEOMETRY, Level::L3, address), word);
            }
            page = page.wrapping_add(GEOMETRY.page_bytes());
        }
    }
}

/// Maps the code that runs there where it was loaded, and the ground.
fn paint_identity(physical: impl Fn(&Table) -> PhysAddr) {
    let [(code, _), _] = image::identity_map();
    let code = code.start();
    let [root, level1, level2, level3] = &TABLES.identity;
    let link = |table: &Table, level, to: &Table| {
        table.set_entry(index(LOWER, level, code), LOWER.table_word(physical(to)));
    };
    link(root, Level::L0, level1);
    link(level1, Level::L1, level2);
    link(level2, Level::L2, level3);
    // All of it is in the first 2 MiB of the image, which start at a multiple of 2 MiB.
    for (range, access) in image::identity_map() {
        let meaning = meaning(LOWER, access);
        let mut page = range.start();
        while page < range.end() {
            let word = LOWER.leaf_word(Level::L3, PhysAddr::new(page.value()), meaning);
            level3.set_entry(index(LOWER, Level::L3, page), word);
            page = page.wrapping_add(LOWER.page_bytes());
        }
    }
}
