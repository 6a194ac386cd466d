//! The RAM of a Linux kernel, rebuilt from what it printed of its tables.
//!
//! Its text has no output addresses. Those of the linear map and of the image follow from where
//! they are in that machine; others are made up, with one address for each byte.

use blockmap_dump::vmsa::machine::VirtAddr;
use blockmap_dump::vmsa::{Geometry, Level, bits};

use crate::image::{Image, RAM};
use crate::run::file;

pub(crate) const BLOCKS: &str =
    include_str!("../../../crates/dump/tests/reading/linux/ptdump-mode1.txt");
pub(crate) const PAGES: &str =
    include_str!("../../../crates/dump/tests/reading/linux/ptdump-mode2.txt");
pub(crate) const REPAINTED: &str =
    include_str!("../../../crates/dump/tests/reading/linux/ptdump-mode3.txt");

const KERNEL: Geometry = Geometry::KERNEL_4K_48;

/// The linear map's first address, and the image's with its memory.
pub(crate) const LINEAR: u64 = 0xffff_0000_0000_0000;
pub(crate) const IMAGE: u64 = 0xffff_8000_8000_0000;
pub(crate) const IMAGE_OUTPUT: u64 = RAM + (2 << 20);

/// The image's last byte but one page, as the dump has it.
const IMAGE_BYTES: u64 = 0x73_c000;

/// A source with the tables that `dump` tells of.
pub(crate) fn source(dump: &str, name: &str) -> String {
    rebuilt(dump).save(&file(name))
}

/// RAM with the tables that `dump` tells of, and what Linux writes down about itself.
pub(crate) fn rebuilt(dump: &str) -> Image {
    let mut image = Image::new(KERNEL);
    for line in dump.lines().filter(|line| !line.starts_with("---[")) {
        add(&mut image, line);
    }
    let offset = IMAGE.wrapping_sub(IMAGE_OUTPUT);
    let root = image.root().wrapping_add(offset);
    let info = format!(
        "OSRELEASE=7.3.4-test\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)={root:x}\n\
         SYMBOL(_stext)={:x}\nNUMBER(VA_BITS)=48\nNUMBER(MODULES_VADDR)=0xffff800000000000\n\
         NUMBER(MODULES_END)=0xffff800080000000\nNUMBER(VMALLOC_START)=0xffff800080000000\n\
         NUMBER(VMALLOC_END)=0xfffffdffbf800000\nNUMBER(VMEMMAP_START)=0xfffffdffc0000000\n\
         NUMBER(VMEMMAP_END)=0xffffffffc0000000\nNUMBER(kimage_voffset)={offset:#x}\n\
         NUMBER(PHYS_OFFSET)={RAM:#x}\nNUMBER(TCR_EL1_T1SZ)=0x10\nKERNELOFFSET=0\n",
        IMAGE + 0x1_0000,
    );
    image.write(RAM + (16 << 20), info);
    image
}

/// Where an address of the machine leads.
fn output(input: u64, meaning: u64) -> u64 {
    match input {
        _ if meaning & DEVICE != 0 => 0x0800_0000 + (input & 0xff_ffff),
        LINEAR..0xffff_8000_0000_0000 => RAM + (input - LINEAR),
        IMAGE..IMAGE_END => IMAGE_OUTPUT + (input - IMAGE),
        _ => (1 << 32) + (input & 0xffff_ffff),
    }
}

/// The memory index of devices: bit 2 of three.
const DEVICE: u64 = 4 << 2;

const IMAGE_END: u64 = IMAGE + IMAGE_BYTES;

/// Adds what a line tells of: leaves, or a table with room for the gap.
fn add(image: &mut Image, line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let (from, to) = words[0].split_once('-').unwrap();
    let address = |text: &str| u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap();
    let (from, to) = (address(from), address(to));
    let level = match words[2] {
        "PGD" => Level::L0,
        "PUD" => Level::L1,
        "PMD" => Level::L2,
        _ => Level::L3,
    };
    match meaning(&words[3..]) {
        None => drop(image.table_at(level, VirtAddr::new(from))),
        Some(meaning) => {
            image.map(level, (from, to.wrapping_sub(from)), output(from, meaning), meaning);
        }
    }
}

/// An entry's bits, but for its address, from the words of a line: `None` for a gap.
fn meaning(words: &[&str]) -> Option<u64> {
    if words.is_empty() {
        return None;
    }
    let word = words.iter().fold(bits::VALID | bits::PXN, |word, name| match *name {
        "F" => word & !bits::VALID,
        "ro" => word | bits::READ_ONLY,
        "x" => word & !bits::PXN,
        "SHD" => word | 0b11 << 8,
        "AF" => word | bits::ACCESSED,
        "NG" => word | bits::NOT_GLOBAL,
        "CON" => word | bits::CONTIGUOUS,
        "UXN" => word | bits::UXN,
        "MEM/NORMAL-TAGGED" => word | 1 << 2,
        "MEM/NORMAL-NC" => word | 2 << 2,
        "DEVICE/nGnRE" => word | DEVICE,
        "RW" | "NX" | "BLK" | "MEM/NORMAL" => word,
        other => panic!("unknown word {other}"),
    });
    Some(word)
}
