//! Any ranges whatsoever: nothing panics, and what is accepted is sound.

use blockmap_layout::{FirmwareMap, Image, LinearPlan, MemoryMap, Paint, Rodata};
use blockmap_vmsa::machine::{PhysAddr, PhysRange};
use blockmap_vmsa::{Format, Geometry, Granule, Half, Leaves, MemoryIndex, Regime};
use proptest::prelude::*;
use proptest::sample::select;

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const NORMAL: MemoryIndex = MemoryIndex::new(0).unwrap();

fn at(address: u64) -> PhysAddr {
    PhysAddr::new(address)
}

fn geometries() -> Vec<Geometry> {
    let half = (Regime::El1And0, Half::Upper);
    let granules = [
        (Granule::Kib4, Format::Base, 48),
        (Granule::Kib4, Format::Lpa2, 52),
        (Granule::Kib16, Format::Lpa2, 52),
        (Granule::Kib64, Format::Lpa, 52),
    ];
    let sizes = granules.into_iter().flat_map(|(granule, format, output)| {
        let new = move |input| Geometry::new(half, (granule, format), input, output).ok();
        [25, 36, 42, 48, 52].into_iter().filter_map(new)
    });
    sizes.collect()
}

/// Addresses and sizes where sums overflow, and where they make sense.
fn number() -> impl Strategy<Value = u64> {
    let edge = select(vec![0, PAGE, 2 * MIB, GIB, 1 << 47, 1 << 48, 1 << 52, 1 << 63, u64::MAX]);
    let near = (edge, -2_i64..=2).prop_map(|(edge, step)| edge.wrapping_add_signed(step));
    prop_oneof![any::<u64>(), near, 0..64 * GIB, (0..256_u64).prop_map(|n| n * 2 * MIB)]
}

/// A bank, or none, that may well lie beside the others.
fn bank() -> impl Strategy<Value = (u64, u64)> {
    let likely = (0..16_u64, 0..64 * MIB, 1..=3_u64);
    prop_oneof![
        1 => (number(), number()),
        9 => likely.prop_map(|(step, bytes, edge)| (step * 64 * MIB, (bytes * edge).min(64 * MIB))),
    ]
}

fn any_range() -> impl Strategy<Value = Option<PhysRange>> {
    (number(), number()).prop_map(|(start, bytes)| PhysRange::new(at(start), bytes))
}

/// An image that may well be where it can be.
fn likely_image() -> impl Strategy<Value = Option<Image>> {
    let pages = || (1..40_u64).prop_map(|pages| pages * 16 * PAGE);
    (0..512_u64, pages(), pages(), pages(), pages()).prop_map(|(start, skip, text, gap, rodata)| {
        let start = start * 2 * MIB;
        let range = |from, bytes| PhysRange::new(at(start + from), bytes);
        Some(Image {
            load: range(0, skip + text + gap + rodata + 1)?,
            text: range(skip, text)?,
            rodata: range(skip + text + gap, rodata)?,
        })
    })
}

fn any_image() -> impl Strategy<Value = Option<Image>> {
    prop::array::uniform3(any_range())
        .prop_map(|[load, text, rodata]| Some(Image { load: load?, text: text?, rodata: rodata? }))
}

/// Whatever a map of any ranges is found to be, nothing panics, and what is accepted is sound.
fn survives(firmware: &FirmwareMap, geometry: Geometry) {
    let Ok(memory) = MemoryMap::new(firmware, geometry) else {
        return;
    };
    let page = geometry.page_bytes();
    let lists = [memory.banks(), memory.holes(), memory.taken()];
    for pair in lists.iter().flat_map(|list| list.windows(2)) {
        assert!(pair[0].end() < pair[1].start());
    }
    for rodata in [Rodata::On, Rodata::Off] {
        let paint = Paint { rodata, writable: NORMAL, read_only: NORMAL };
        let plan = LinearPlan::new(&memory, paint, Leaves::Largest);
        let mut end = PhysAddr::new(0);
        let mut bytes = 0;
        for intent in plan.intents() {
            assert!(intent.range.start() >= end);
            assert!(intent.range.start().is_aligned(page) && intent.range.end().is_aligned(page));
            assert!(memory.maps(intent.range));
            end = intent.range.end();
            bytes += intent.range.bytes();
        }
        assert_eq!(memory.mapped().map(PhysRange::bytes).sum::<u64>(), bytes);
        assert_eq!(plan.pieces().map(|piece| piece.bytes()).sum::<u64>(), bytes);
        assert!(plan.pieces().count() <= 11 * plan.stretches().count());
        assert!(plan.leaf_counts().total() >= 1 && plan.table_counts().total() < bytes / PAGE + 5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_map_makes_it_panic(
        banks in prop::collection::vec(bank(), 0..6),
        others in prop::collection::vec((any::<bool>(), number(), number()), 0..6),
        image in prop_oneof![1 => any_image(), 9 => likely_image()],
        files in prop::array::uniform2(any_range()),
        geometry in select(geometries()),
    ) {
        let mut firmware = FirmwareMap::new();
        for (start, bytes) in banks {
            // What is refused is left out, as firmware's reader would.
            let _refused = firmware.add_bank(at(start), bytes);
        }
        for (is_mapped, start, bytes) in others {
            let _refused = if is_mapped {
                firmware.add_reserved(at(start), bytes)
            } else {
                firmware.add_no_map(at(start), bytes)
            };
        }
        if let [Some(initrd), Some(device_tree)] = files {
            firmware.set_initrd(initrd);
            firmware.set_device_tree(device_tree);
        }
        survives(&firmware, geometry);
        if let Some(image) = image {
            firmware.set_image(image);
            survives(&firmware, geometry);
        }
    }
}
