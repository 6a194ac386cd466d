//! A small Linux in memory: its tables and what it wrote down about itself.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use blockmap_inspect::vmsa::{
    Geometry, Level, bits,
    machine::{PhysAddr, VirtAddr},
};

/// Where its memory begins.
pub(crate) const BASE: u64 = 0x4000_0000;

/// Its image's input addresses over its output addresses.
const VOFFSET: u64 = 0xffff_8000_4000_0000;

/// Where its root table is.
pub(crate) const ROOT: u64 = BASE + 0x20_0000;

/// Two pages of its linear map are made of these.
pub(crate) const DATA: u64 =
    bits::VALID | bits::ACCESSED | bits::PXN | bits::UXN | 0b11 << 8 | 1 << 2;

/// Four megabytes of memory.
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
}

impl Image {
    /// Memory of zeros.
    pub(crate) fn empty() -> Self {
        Self { bytes: vec![0; 4 << 20] }
    }

    /// A Linux of 4 KiB pages and 48 bits, whose linear map is one block and a table of pages.
    pub(crate) fn linux() -> Self {
        let mut image = Self::empty();
        let geometry = Geometry::KERNEL_4K_48;
        let table = |number: u64| PhysAddr::new(ROOT + number * 0x1000);
        image.store(ROOT, geometry.table_word(table(1)));
        image.store(table(1).value(), geometry.table_word(table(2)));
        let block = geometry.leaf_word(Level::L2, PhysAddr::new(BASE), DATA);
        image.store(table(2).value(), block);
        image.store(table(2).value() + 8, geometry.table_word(table(3)));
        for page in 0..512 {
            let output = PhysAddr::new(BASE + 0x20_0000 + page * 0x1000);
            let rights = if page < 16 { bits::READ_ONLY } else { 0 };
            let word = geometry.leaf_word(Level::L3, output, DATA | rights);
            image.store(table(3).value() + 8 * page, word);
        }
        image.write(BASE + 0x5000, vmcoreinfo().as_bytes());
        image
    }

    pub(crate) fn store(&mut self, at: u64, word: u64) {
        self.write(at, &word.to_le_bytes());
    }

    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) {
        let at = usize::try_from(at - BASE).unwrap();
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// What this Linux wrote down.
pub(crate) fn vmcoreinfo() -> String {
    let mut text = String::new();
    let root = VirtAddr::new(ROOT).wrapping_add(VOFFSET);
    writeln!(text, "OSRELEASE=7.2.13-small").unwrap();
    writeln!(text, "PAGESIZE=4096").unwrap();
    writeln!(text, "SYMBOL(swapper_pg_dir)={:x}", root.value()).unwrap();
    for (name, value) in [
        ("VMALLOC_START", 0xffff_8000_8000_0000_u64),
        ("VA_BITS", 48),
        ("MODULES_VADDR", 0xffff_8000_0000_0000),
        ("MODULES_END", 0xffff_8000_8000_0000),
        ("VMALLOC_END", 0xffff_fdff_bf80_0000),
        ("VMEMMAP_START", 0xffff_fdff_c000_0000),
        ("VMEMMAP_END", 0xffff_ffff_c000_0000),
        ("kimage_voffset", VOFFSET),
        ("TCR_EL1_T1SZ", 16),
    ] {
        let written = if value < 100 { value.to_string() } else { format!("{value:#x}") };
        writeln!(text, "NUMBER({name})={written}").unwrap();
    }
    writeln!(text, "KERNELOFFSET=0").unwrap();
    text
}

/// A file that is gone when the value is.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Self {
        let file = Self::name(name);
        fs::write(&file.0, bytes).unwrap();
        file
    }

    /// A name for one that is made later.
    pub(crate) fn name(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("blockmap-test-{}-{name}", std::process::id())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
