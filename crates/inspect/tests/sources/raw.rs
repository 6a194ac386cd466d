//! Images of RAM.

use blockmap_inspect::dump::Style;
use blockmap_inspect::vmsa::{Granule, machine::PhysAddr};
use blockmap_inspect::{FindError, Inspected, OpenError, Overrides, SourceSpec, open};

use crate::image::{BASE, Image, ROOT, Temporary};

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
