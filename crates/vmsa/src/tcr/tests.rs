//! The register's laws, and values worked out by hand.

use proptest::prelude::*;

use super::*;
use crate::{Format, Granule};

const EL1: (Regime, Half) = (Regime::El1And0, Half::Lower);

fn lower(granule: Granule, format: Format, input: u32, output: u32) -> Geometry {
    Geometry::new(EL1, (granule, format), input, output).unwrap()
}

fn upper(granule: Granule, format: Format, input: u32, output: u32) -> Geometry {
    let half = (Regime::El1And0, Half::Upper);
    Geometry::new(half, (granule, format), input, output).unwrap()
}

#[test]
fn the_kernels_register_is_as_worked_out_by_hand() {
    let identity = lower(Granule::Kib4, Format::Base, 48, 48);
    let tcr = Tcr::for_kernel(identity, Geometry::KERNEL_4K_48).unwrap();
    // T0SZ, T1SZ 16; IRGN, ORGN 1; SH 3; TG0 0, TG1 2; IPS 5; AS.
    assert_eq!(tcr.encode(), Ok(0x0000_0015_b510_3510));
    assert_eq!(Tcr::decode(Regime::El1And0, 0x0000_0015_b510_3510), Ok(tcr));
}

#[test]
fn single_fields_are_where_the_manual_puts_them() {
    let good = 0x0000_0015_b510_3510;
    let decode = |register| Tcr::decode(Regime::El1And0, register).unwrap();
    let upper = |tcr: Tcr| tcr.upper.unwrap();
    let lower = |tcr: Tcr| tcr.lower.unwrap();
    assert_eq!(lower(decode(good | 1 << 37)).top_byte, TopByte::Ignored);
    assert_eq!(upper(decode(good | 1 << 37)).top_byte, TopByte::Checked);
    assert_eq!(upper(decode(good | 1 << 38)).top_byte, TopByte::Ignored);
    assert_eq!(decode(good | 1 << 39).hardware, HardwareUpdates::AccessFlag);
    assert_eq!(decode(good | 1 << 40).hardware, HardwareUpdates::DirtyAlone);
    let asids = |register| decode(register).asids.unwrap();
    let of_upper = AsidControl { size: AsidSize::Sixteen, from: Half::Upper };
    assert_eq!(asids(good | 1 << 22), of_upper);
    assert_eq!(asids(good ^ 1 << 36).size, AsidSize::Eight);
    // A 52-bit size doesn't widen descriptors that have 48 bits for an address.
    let wide = decode(good ^ 0b11 << 32);
    assert_eq!((wide.output_bits, upper(wide).geometry), (52, Geometry::KERNEL_4K_48));
    let walks = upper(decode(good ^ 0b11 << 24));
    assert_eq!((walks.inner, walks.outer), (WalkCaching::WriteThrough, WalkCaching::WriteBack));
}

#[test]
fn the_two_halves_spell_a_granule_differently() {
    let fields = Granule::ALL.map(|granule| {
        let trees = (lower(granule, Format::Base, 40, 48), upper(granule, Format::Base, 40, 48));
        let register = Tcr::for_kernel(trees.0, trees.1).unwrap().encode().unwrap();
        (register >> 14 & 0b11, register >> 30 & 0b11)
    });
    assert_eq!(fields, [(0b00, 0b10), (0b10, 0b01), (0b01, 0b11)]);
}

#[test]
fn every_geometry_survives_alone() {
    for geometry in Geometry::every() {
        let walks = Some(Walks::cached(geometry));
        let has_asids = geometry.regime().has_unprivileged();
        let tcr = Tcr {
            regime: geometry.regime(),
            lower: walks.filter(|_| geometry.half() == Half::Lower),
            upper: walks.filter(|_| geometry.half() == Half::Upper),
            output_bits: geometry.output_bits(),
            asids: has_asids.then_some(AsidControl { size: AsidSize::Eight, from: Half::Upper }),
            hardware: HardwareUpdates::AccessFlagAndDirty,
            others: 0,
        };
        // With 64 KiB pages the format is told from the output size.
        let is_told = geometry.format() != Format::Lpa || geometry.output_bits() == 52;
        let expected = is_told.then_some(tcr);
        let found = tcr.encode().and_then(|word| Tcr::decode(tcr.regime, word));
        assert_eq!(found.ok(), expected, "{geometry:?}");
    }
}

#[test]
fn one_half_registers_have_their_own_places() {
    let geometry =
        Geometry::new((Regime::El2, Half::Lower), (Granule::Kib16, Format::Lpa2), 50, 52).unwrap();
    // DS, RES1 31 and 23, HD, HA, TBI, PS 6, TG0 2, SH 3, ORGN 1, IRGN 1, T0SZ 14.
    let register = 0x0000_0001_80f6_b50e;
    let tcr = Tcr::decode(Regime::El2, register).unwrap();
    assert_eq!(tcr.others, 0x8080_0000);
    assert_eq!(tcr.hardware, HardwareUpdates::AccessFlagAndDirty);
    let ignored = Walks { top_byte: TopByte::Ignored, ..Walks::cached(geometry) };
    assert_eq!((tcr.lower, tcr.upper, tcr.asids), (Some(ignored), None, None));
    assert_eq!(tcr.encode(), Ok(register));
}

#[test]
fn reserved_fields_are_named() {
    let good = 0x0000_0015_b510_3510;
    let decode = |register| Tcr::decode(Regime::El1And0, register).map(|_| ());
    assert_eq!(decode(good), Ok(()));
    assert_eq!(decode(good | 0b11 << 14), Err(TcrError::Granule(Half::Lower)));
    assert_eq!(decode(good & !(0b11 << 30)), Err(TcrError::Granule(Half::Upper)));
    assert_eq!(decode(good ^ 0b10 << 12), Err(TcrError::Shareability(Half::Lower)));
    assert_eq!(decode(good | 0b111 << 32), Err(TcrError::OutputBits));
    let size = TcrError::Geometry(Half::Upper, GeometryError::InputBits(52));
    assert_eq!(decode(good & !(0x3f << 16) | 12 << 16), Err(size));
    // With DS set, that is a size.
    assert_eq!(decode(good & !(0x3f << 16) | 12 << 16 | 1 << 59), Ok(()));
    // What is off is not looked at.
    assert_eq!(decode(good | 0b11 << 14 | 1 << 7), Ok(()));
}

#[test]
fn trees_that_cannot_share_a_register_are_refused() {
    let kernel = Geometry::KERNEL_4K_48;
    let identity = lower(Granule::Kib4, Format::Base, 48, 48);
    let wide = lower(Granule::Kib4, Format::Lpa2, 48, 48);
    assert_eq!(Tcr::for_kernel(wide, kernel), Err(TcrError::Disagree));
    let short = lower(Granule::Kib4, Format::Base, 48, 40);
    assert_eq!(Tcr::for_kernel(short, kernel), Err(TcrError::Disagree));
    assert_eq!(Tcr::for_kernel(kernel, identity), Err(TcrError::OtherPlace));
    let large = lower(Granule::Kib64, Format::Base, 42, 48);
    let tcr = Tcr::for_kernel(large, kernel).unwrap();
    assert_eq!(Tcr { asids: None, ..tcr }.encode(), Err(TcrError::Asids));
    assert_eq!(Tcr { others: 1, ..tcr }.encode(), Err(TcrError::Others));
    assert_eq!(Tcr { output_bits: 47, ..tcr }.encode(), Err(TcrError::OutputBits));
    let of_el3 = Tcr { regime: Regime::El3, asids: None, lower: None, upper: None, ..tcr };
    assert_eq!(of_el3.encode(), Err(TcrError::NoTree));
}

proptest! {
    #[test]
    fn every_register_that_is_understood_survives(register in any::<u64>(), sizes in any::<u64>()) {
        // Few random sizes exist; those from 12 to 27 mostly do.
        let sizes = (12 + (sizes & 15)) | (12 + (sizes >> 4 & 15)) << 16;
        for register in [register, register & !0x003f_003f | sizes] {
            for regime in Regime::ALL {
                if let Ok(tcr) = Tcr::decode(regime, register) {
                    prop_assert_eq!(tcr.encode(), Ok(register), "{:?}", tcr);
                }
            }
        }
    }
}
