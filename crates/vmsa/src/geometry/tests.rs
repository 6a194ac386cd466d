//! Roots, spans and indices, and the combinations that do not exist.

use super::*;

const fn geometry(granule: Granule, format: Format, input: u32, output: u32) -> Geometry {
    match Geometry::new((Regime::El1And0, Half::Upper), (granule, format), input, output) {
        Ok(geometry) => geometry,
        Err(_) => panic!("no such geometry"),
    }
}

#[test]
fn roots_are_where_the_manual_puts_them() {
    use Format::{Base, Lpa2};
    use Granule::{Kib4, Kib16, Kib64};
    let root = |granule, format, input| {
        let geometry = geometry(granule, format, input, 48);
        (geometry.root_level(), geometry.entries(geometry.root_level()))
    };
    assert_eq!(root(Kib4, Base, 48), (Level::L0, 512));
    assert_eq!(root(Kib4, Base, 40), (Level::L0, 2));
    assert_eq!(root(Kib4, Base, 39), (Level::L1, 512));
    assert_eq!(root(Kib4, Base, 30), (Level::L2, 512));
    assert_eq!(root(Kib4, Lpa2, 52), (Level::Minus1, 16));
    assert_eq!(root(Kib16, Base, 48), (Level::L0, 2));
    assert_eq!(root(Kib16, Base, 47), (Level::L1, 2048));
    assert_eq!(root(Kib16, Base, 36), (Level::L2, 2048));
    assert_eq!(root(Kib16, Lpa2, 52), (Level::L0, 32));
    assert_eq!(root(Kib64, Base, 48), (Level::L1, 64));
    assert_eq!(root(Kib64, Base, 52), (Level::L1, 1024));
    assert_eq!(root(Kib64, Base, 42), (Level::L2, 8192));
    assert_eq!(root(Kib64, Base, 25), (Level::L3, 512));
}

#[test]
fn spans_and_indices_of_the_kernel_map() {
    let kernel = Geometry::KERNEL_4K_48;
    assert_eq!(Level::ALL.map(|level| kernel.span_bits(level)), [48, 39, 30, 21, 12]);
    let address = VirtAddr::new(0xffff_0001_5555_5000);
    let index = |level| kernel.index(level, address);
    assert_eq!(index(Level::L0), 0);
    assert_eq!(index(Level::L1), 5);
    assert_eq!(index(Level::L2), 0xaa);
    assert_eq!(index(Level::L3), 0x155);
    assert_eq!(kernel.inputs().0, VirtAddr::new(0xffff_0000_0000_0000));
}

#[test]
fn combinations_that_do_not_exist_are_refused() {
    let new = Geometry::new;
    let el1 = (Regime::El1And0, Half::Lower);
    assert_eq!(
        new((Regime::El2, Half::Upper), (Granule::Kib4, Format::Base), 48, 48),
        Err(GeometryError::NoUpperHalf)
    );
    assert_eq!(
        new(el1, (Granule::Kib4, Format::Lpa), 48, 48),
        Err(GeometryError::FormatOfOtherGranule)
    );
    assert_eq!(new(el1, (Granule::Kib16, Format::Base), 49, 48), Err(GeometryError::InputBits(49)));
    assert_eq!(
        new(el1, (Granule::Kib64, Format::Base), 52, 52),
        Err(GeometryError::OutputBits(52))
    );
}
