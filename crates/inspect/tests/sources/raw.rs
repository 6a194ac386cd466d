//! Images of RAM.

use blockmap_inspect::dump::Style;
use blockmap_inspect::vmsa::{Granule, machine::PhysAddr};
use blockmap_inspect::{FindError, Inspected, OpenError, Overrides, SourceSpec, open};

use crate::image::{BASE, Image, ROOT, Temporary, vmcoreinfo};

/// The text of every tree.
pub(crate) fn dump(inspected: &Inspected) -> String {
    let reader = inspected.reader();
    let markers = inspected.markers();
    let style = Style { mair: inspected.dump_mair(), markers: &markers };
    let mut text = String::new();
    for found in &inspected.trees {
        found.tree(&reader).ptdump(style, &mut text).unwrap();
    }
    text
}

/// The lines of the small Linux's linear map.
pub(crate) const LINEAR: &str = "\
---[ Linear Mapping start ]---
0xffff000000000000-0xffff000000200000           2M PMD       RW NX SHD AF        BLK UXN    MEM/NORMAL-TAGGED
0xffff000000200000-0xffff000000210000          64K PTE       ro NX SHD AF            UXN    MEM/NORMAL-TAGGED
0xffff000000210000-0xffff000000400000        1984K PTE       RW NX SHD AF            UXN    MEM/NORMAL-TAGGED
0xffff000000400000-0xffff000040000000        1020M PMD
0xffff000040000000-0xffff008000000000         511G PUD
0xffff008000000000-0xffff800000000000      130560G PGD
---[ Linear Mapping end ]---
";

fn at_base(file: &Temporary) -> SourceSpec {
    format!("{}@{BASE:#x}", file.path().display()).parse().unwrap()
}

#[test]
fn an_image_of_ram_is_read_by_what_linux_wrote_down() {
    let file = Temporary::new("raw", &Image::linux().bytes);
    let inspected = open(&at_base(&file), &Overrides::default()).unwrap();
    assert!(dump(&inspected).starts_with(LINEAR), "{}", dump(&inspected));
    assert_eq!(inspected.linux.unwrap().release(), "7.2.13-small");
}

#[test]
fn what_looks_like_a_kernels_image_is_searched_last() {
    // As the header says, all memory from the text's page on is an image.
    let header = |image: &mut Image, at: u64| {
        image.store(at + 16, 3 << 20);
        image.write(at + 56, b"ARM\x64");
    };
    let mut image = Image::linux();
    header(&mut image, BASE);
    let inside = Temporary::new("inside", &image.bytes);
    let inspected = open(&at_base(&inside), &Overrides::default()).unwrap();
    assert_eq!(inspected.linux.unwrap().release(), "7.2.13-small");
    let old = "OSRELEASE=6.1.0-old\nSYMBOL(swapper_pg_dir)=0\n";
    image.write(BASE + 0x5000, &[0; 0x1000]);
    image.write(BASE + 0x5000, old.as_bytes());
    image.write(BASE + 0x3f_0000, vmcoreinfo().as_bytes());
    let behind = Temporary::new("behind", &image.bytes);
    let inspected = open(&at_base(&behind), &Overrides::default()).unwrap();
    assert_eq!(inspected.linux.unwrap().release(), "7.2.13-small", "of the page behind it");
}

#[test]
fn an_image_in_two_parts_is_one_memory() {
    let bytes = Image::linux().bytes;
    let (low, high) = bytes.split_at(0x20_1000);
    let (low, high) = (Temporary::new("low", low), Temporary::new("high", high));
    let (low, high) = (low.path().display(), high.path().display());
    let spec = format!("{high}@{:#x},{low}@{BASE:#x}", BASE + 0x20_1000);
    let inspected = open(&spec.parse().unwrap(), &Overrides::default()).unwrap();
    assert!(dump(&inspected).starts_with(LINEAR));
}

#[test]
fn a_root_and_sizes_are_enough() {
    let mut image = Image::linux();
    image.write(BASE + 0x5000, b"nothing");
    let file = Temporary::new("no-linux", &image.bytes);
    let nothing = open(&at_base(&file), &Overrides::default()).unwrap_err();
    assert!(matches!(nothing, OpenError::Find(FindError::Nothing)), "{nothing}");
    let root = Overrides { root: Some(PhysAddr::new(ROOT)), ..Overrides::default() };
    let no_sizes = open(&at_base(&file), &root).unwrap_err();
    assert!(matches!(no_sizes, OpenError::Find(FindError::NoGeometry)), "{no_sizes}");
    let sizes = Overrides { granule: Some(Granule::Kib4), input_bits: Some(48), ..root };
    let tcr = Overrides { tcr: Some(0x5_b510_3510), ..root };
    for overrides in [sizes, tcr] {
        let inspected = open(&at_base(&file), &overrides).unwrap();
        assert!(dump(&inspected).contains("1984K PTE       RW NX"));
    }
}

#[test]
fn a_root_outside_the_image_is_refused() {
    let file = Temporary::new("no-root", &Image::linux().bytes);
    let overrides = Overrides { root: Some(PhysAddr::new(0x1000)), ..Overrides::default() };
    let error = open(&at_base(&file), &overrides).unwrap_err();
    assert!(matches!(error, OpenError::Root { .. }), "{error}");
}
