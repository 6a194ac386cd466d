//! Memory maps that make no sense, and those that only look so.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use blockmap_layout::{
    AddError, FirmwareMap, Image, ImagePart, LinearPlan, List, MOST_BANKS, MOST_RESERVATIONS,
    MemoryMap, MemoryMapError, Paint, Rodata,
};
use blockmap_vmsa::cpu::Mte;
use blockmap_vmsa::machine::{PhysAddr, PhysRange};
use blockmap_vmsa::{Format, Geometry, Granule, Half, Leaves, Regime};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const PAGE: u64 = 4096;

fn at(address: u64) -> PhysAddr {
    PhysAddr::new(address)
}

fn range(start: u64, bytes: u64) -> PhysRange {
    PhysRange::new(at(start), bytes).unwrap()
}

fn banks(banks: &[(u64, u64)]) -> FirmwareMap {
    let mut firmware = FirmwareMap::new();
    for (start, bytes) in banks {
        firmware.add_bank(at(*start), *bytes).unwrap();
    }
    firmware
}

fn check(firmware: &FirmwareMap) -> Result<MemoryMap, MemoryMapError> {
    MemoryMap::new(firmware, Geometry::KERNEL_4K_48)
}

fn image(load: PhysRange) -> Image {
    Image {
        load,
        text: range(load.start().value(), PAGE),
        rodata: range(load.start().value() + PAGE, PAGE),
    }
}

fn with_image(image: Image) -> Result<MemoryMap, MemoryMapError> {
    let mut firmware = banks(&[(GIB, GIB)]);
    firmware.set_image(image);
    check(&firmware)
}

#[test]
fn ranges_that_are_none_are_not_added() {
    let mut firmware = FirmwareMap::new();
    let empty = AddError::EmptyBank { start: at(5) };
    assert_eq!(firmware.add_bank(at(5), 0), Err(empty));
    let wraps = AddError::Wraps { start: at(2), bytes: u64::MAX };
    assert_eq!(firmware.add_bank(at(2), u64::MAX), Err(wraps));
    assert_eq!(firmware.add_reserved(at(2), u64::MAX), Err(wraps));
    assert_eq!(firmware.add_no_map(at(2), u64::MAX), Err(wraps));
    assert_eq!(firmware.add_reserved(at(2), 0), Ok(()));
    assert_eq!(firmware.add_no_map(at(2), 0), Ok(()));
    assert_eq!(firmware, FirmwareMap::new());
}

#[test]
fn one_range_too_many_is_named() {
    let mut firmware = FirmwareMap::new();
    for index in 0..u64::try_from(MOST_BANKS).unwrap() {
        firmware.add_bank(at(index * 2 * PAGE), PAGE).unwrap();
    }
    for index in 0..u64::try_from(MOST_RESERVATIONS).unwrap() {
        firmware.add_reserved(at(index * 2), 1).unwrap();
        firmware.add_no_map(at(index * 2), 1).unwrap();
    }
    let full = firmware.clone();
    let too_many = |list| AddError::TooMany { list, range: range(7, 9) };
    assert_eq!(firmware.add_bank(at(7), 9), Err(too_many(List::Banks)));
    assert_eq!(firmware.add_reserved(at(7), 9), Err(too_many(List::Reserved)));
    assert_eq!(firmware.add_no_map(at(7), 9), Err(too_many(List::NoMap)));
    assert_eq!(firmware, full);
    firmware.set_initrd(range(0x10_0000, 1));
    firmware.set_device_tree(range(0x20_0000, 1));
    let memory = check(&firmware).unwrap();
    assert_eq!(memory.banks().len(), MOST_BANKS);
    assert_eq!(memory.taken().len(), 3);
}

#[test]
fn no_memory_is_an_error() {
    assert_eq!(check(&FirmwareMap::new()), Err(MemoryMapError::NoMemory));
    let no_page = banks(&[(PAGE - 1, PAGE), (GIB, PAGE - 1)]);
    assert_eq!(check(&no_page), Err(MemoryMapError::NoMemory));
    let mut all_forbidden = banks(&[(GIB, 2 * PAGE), (2 * GIB, PAGE)]);
    all_forbidden.add_no_map(at(GIB + PAGE - 1), 2).unwrap();
    all_forbidden.add_no_map(at(2 * GIB), 1).unwrap();
    assert_eq!(check(&all_forbidden), Err(MemoryMapError::NoMemory));
}

#[test]
fn overlapping_banks_are_named_as_given() {
    let firmware = banks(&[(4 * GIB, GIB), (GIB, GIB + 1), (2 * GIB, GIB)]);
    let error = MemoryMapError::BanksOverlap(range(GIB, GIB + 1), range(2 * GIB, GIB));
    assert_eq!(check(&firmware), Err(error));
    let nested = banks(&[(0, 8 * GIB), (GIB, PAGE), (4 * GIB, PAGE)]);
    let error = MemoryMapError::BanksOverlap(range(0, 8 * GIB), range(GIB, PAGE));
    assert_eq!(check(&nested), Err(error));
    let twice = banks(&[(GIB, GIB), (GIB, GIB)]);
    assert!(matches!(check(&twice), Err(MemoryMapError::BanksOverlap(..))));
}

#[test]
fn banks_out_of_reach_are_refused() {
    let error =
        MemoryMapError::BankTooHigh { bank: range((1 << 48) - GIB, GIB + 1), output_bits: 48 };
    assert_eq!(check(&banks(&[((1 << 48) - GIB, GIB + 1)])), Err(error));
    assert!(check(&banks(&[((1 << 48) - GIB, GIB)])).is_ok());
    let top = check(&banks(&[(GIB, GIB), (u64::MAX, 1)]));
    assert!(matches!(top, Err(MemoryMapError::BankTooHigh { .. })));
    let wide = check(&banks(&[(GIB, GIB), ((1 << 47) + GIB, PAGE)]));
    let error = MemoryMapError::TooWide { memory: range(GIB, (1 << 47) + PAGE), most: 1 << 47 };
    assert_eq!(wide, Err(error));
    assert!(check(&banks(&[(GIB, GIB), ((1 << 47) + GIB - PAGE, PAGE)])).is_ok());
}

#[test]
fn an_image_that_is_not_where_it_can_be_is_refused() {
    let load = range(GIB + 2 * MIB, MIB);
    assert!(with_image(image(load)).is_ok());
    let odd = range(GIB + PAGE, MIB);
    assert_eq!(with_image(image(odd)), Err(MemoryMapError::ImageMisaligned(odd)));
    for outside in [
        range(0, MIB),
        range(2 * GIB - 2 * MIB, 2 * MIB + 1),
        range(u64::MAX - 2 * MIB + 1, 2 * MIB),
    ] {
        let error = MemoryMapError::ImageOutsideMemory(outside);
        assert_eq!(with_image(image(outside)), Err(error));
    }
    let parts = [
        (range(GIB, PAGE), ImagePart::Text),
        (range(GIB + 3 * MIB, PAGE), ImagePart::Text),
        (range(GIB + 2 * MIB, PAGE - 1), ImagePart::Rodata),
        (range(GIB + 2 * MIB + 1, PAGE), ImagePart::Rodata),
    ];
    for (range, part) in parts {
        let mut broken = image(load);
        match part {
            ImagePart::Text => broken.text = range,
            ImagePart::Rodata => broken.rodata = range,
        }
        let error = MemoryMapError::ImagePart { part, range };
        assert_eq!(with_image(broken), Err(error));
    }
    let mut overlapping = image(load);
    overlapping.rodata = overlapping.text;
    let error = with_image(overlapping);
    assert!(matches!(error, Err(MemoryMapError::ImagePartsOverlap { .. })));
}

#[test]
fn an_image_over_a_hole_or_two_banks_that_do_not_touch_is_refused() {
    let load = range(GIB + 2 * MIB, 2 * MIB);
    let mut firmware = banks(&[(GIB, 3 * MIB), (GIB + 3 * MIB + PAGE, GIB)]);
    firmware.set_image(image(load));
    assert_eq!(check(&firmware), Err(MemoryMapError::ImageOutsideMemory(load)));

    let mut firmware = banks(&[(GIB, 3 * MIB + 5), (GIB + 3 * MIB + 5, GIB)]);
    firmware.set_image(image(load));
    firmware.add_no_map(at(GIB), MIB).unwrap();
    assert!(check(&firmware).is_ok());
    firmware.add_no_map(at(GIB + 4 * MIB), 1).unwrap();
    assert!(check(&firmware).is_ok());
    firmware.add_no_map(at(GIB + 4 * MIB - 1), 1).unwrap();
    let error = MemoryMapError::NoMapOverImage { no_map: range(GIB + 4 * MIB - 1, 1), image: load };
    assert_eq!(check(&firmware), Err(error));
}

#[test]
fn banks_and_reservations_come_in_any_order() {
    let mut firmware = banks(&[(8 * GIB, GIB), (GIB, GIB), (4 * GIB, GIB), (2 * GIB, GIB)]);
    for start in [9 * GIB - PAGE, GIB, 4 * GIB] {
        firmware.add_no_map(at(start), 1).unwrap();
        firmware.add_reserved(at(start + PAGE), 1).unwrap();
    }
    let memory = check(&firmware).unwrap();
    let pages = |starts: [u64; 3]| starts.map(|start| range(start, PAGE));
    assert_eq!(memory.banks(), [range(GIB, 2 * GIB), range(4 * GIB, GIB), range(8 * GIB, GIB)]);
    assert_eq!(memory.holes(), pages([GIB, 4 * GIB, 9 * GIB - PAGE]));
    assert_eq!(memory.taken(), pages([GIB + PAGE, 4 * GIB + PAGE, 9 * GIB]));
    assert_eq!(memory.linear().memstart(), at(GIB));
}

#[test]
fn ranges_are_rounded_towards_the_safe_side() {
    let mut firmware = banks(&[(GIB + 1, GIB - 2), (4 * GIB, 9 * PAGE)]);
    firmware.add_no_map(at(4 * GIB + 2 * PAGE + 5), PAGE).unwrap();
    firmware.add_reserved(at(4 * GIB + 5 * PAGE - 1), 2).unwrap();
    firmware.add_reserved(at(0), u64::MAX / 2 + 1).unwrap();
    let memory = check(&firmware).unwrap();
    let first = range(GIB + PAGE, GIB - 2 * PAGE);
    assert_eq!(memory.banks(), [first, range(4 * GIB, 9 * PAGE)]);
    assert_eq!(memory.holes(), [range(4 * GIB + 2 * PAGE, 2 * PAGE)]);
    let mapped = [first, range(4 * GIB, 2 * PAGE), range(4 * GIB + 4 * PAGE, 5 * PAGE)];
    assert_eq!(memory.mapped().collect::<Vec<_>>(), mapped);
    assert!(memory.maps(range(4 * GIB + 4 * PAGE, 5 * PAGE)));
    assert!(!memory.maps(range(4 * GIB + PAGE, 4 * PAGE)));
    assert_eq!(memory.free().count(), 0);
}

#[test]
fn what_is_free_is_mapped_and_not_taken() {
    let mut firmware = banks(&[(GIB, 64 * MIB)]);
    firmware.set_image(image(range(GIB + 2 * MIB, 2 * MIB)));
    firmware.set_initrd(range(GIB + 10 * MIB, 5));
    firmware.set_device_tree(range(GIB + 64 * MIB - 1, MIB));
    firmware.add_reserved(at(GIB), MIB).unwrap();
    firmware.add_no_map(at(GIB + 20 * MIB), MIB).unwrap();
    let memory = check(&firmware).unwrap();
    let free = [
        range(GIB + MIB, MIB),
        range(GIB + 4 * MIB, 6 * MIB),
        range(GIB + 10 * MIB + PAGE, 10 * MIB - PAGE),
        range(GIB + 21 * MIB, 43 * MIB - PAGE),
    ];
    assert_eq!(memory.free().collect::<Vec<_>>(), free);
}

#[test]
fn a_page_of_the_image_is_all_the_images() {
    let mut firmware = banks(&[(GIB, 64 * MIB)]);
    let load = range(GIB + 2 * MIB, MIB + 5);
    firmware.set_image(image(load));
    let mut beside = firmware.clone();
    beside.add_no_map(at(GIB + 3 * MIB + PAGE), 1).unwrap();
    assert!(check(&beside).is_ok());
    firmware.add_no_map(at(GIB + 3 * MIB + PAGE - 1), 1).unwrap();
    let error = check(&firmware);
    assert!(matches!(error, Err(MemoryMapError::NoMapOverImage { .. })));
}

#[test]
fn errors_name_what_is_wrong_and_where() {
    let too_many = AddError::TooMany { list: List::NoMap, range: range(GIB, PAGE) };
    assert_eq!(
        too_many.to_string(),
        "no room for 0x40000000+0x1000 among the 256 no-map ranges; join ranges that touch"
    );
    assert_eq!(
        check(&banks(&[(0, 2 * GIB), (GIB, GIB)])).unwrap_err().to_string(),
        "memory banks 0x0+0x80000000 and 0x40000000+0x40000000 overlap"
    );
    let mut broken = image(range(GIB, MIB));
    broken.rodata = range(GIB + 1, PAGE);
    assert_eq!(
        with_image(broken).unwrap_err().to_string(),
        "the kernel image's rodata 0x40000001+0x1000 is not a range of pages inside it"
    );
}

#[test]
fn a_run_as_large_as_the_half_does_not_end_the_plan() {
    let half = (Regime::El1And0, Half::Upper);
    for (granule, input_bits) in [(Granule::Kib4, 25), (Granule::Kib16, 30)] {
        let geometry = Geometry::new(half, (granule, Format::Base), input_bits, 48).unwrap();
        let page = geometry.page_bytes();
        // From a page on, over the first place of a block, to the end of the linear map.
        let bytes = (1 << (input_bits - 1)) - page;
        let firmware = banks(&[(page, bytes)]);
        let memory = MemoryMap::new(&firmware, geometry).unwrap();
        let paint = Paint::of_kernel(Rodata::On, Mte::Missing);
        let plan = LinearPlan::new(&memory, paint, Leaves::Largest);
        assert_eq!(plan.pieces().map(|piece| piece.bytes()).sum::<u64>(), bytes, "{geometry:?}");
    }
}
