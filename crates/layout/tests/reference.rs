//! The plan against a plain one that looks at every page, for random memory in every geometry.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::needless_range_loop, reason = "several arrays go by the same index")]

use std::collections::BTreeSet;

use blockmap_layout::{FirmwareMap, Image, LinearPlan, MemoryMap, Paint, Piece, Rodata};
use blockmap_vmsa::machine::{PhysAddr, PhysRange};
use blockmap_vmsa::{
    Attributes, Format, Geometry, Granule, Half, Leaves, Level, MemoryIndex, Regime,
};
use proptest::prelude::*;
use proptest::sample::select;

const GIB: u64 = 1 << 30;
const IMAGE_ALIGNMENT: u64 = 2 << 20;

const PAINT: Paint = Paint {
    rodata: Rodata::On,
    writable: MemoryIndex::new(1).unwrap(),
    read_only: MemoryIndex::new(0).unwrap(),
};

/// Memory as the plain plan sees it: what each page from `first` on grants, if it is mapped.
struct Pages {
    first: u64,
    page: u64,
    attributes: Vec<Option<Attributes>>,
}

/// A leaf size as a number of bytes, its level, and how many leaves it is made of.
type Size = (u64, Level, u64);

/// Each geometry's leaf sizes from the largest, written down from the manual's tables.
fn sizes(geometry: Geometry) -> Vec<Size> {
    use Level::{L0, L1, L2, L3};
    let is_wide = geometry.format() != Format::Base;
    let mut sizes: Vec<Size> = match geometry.granule() {
        Granule::Kib4 => vec![
            (GIB, L1, 1),
            (32 << 20, L2, 16),
            (2 << 20, L2, 1),
            (64 << 10, L3, 16),
            (4 << 10, L3, 1),
        ],
        Granule::Kib16 => {
            vec![(GIB, L2, 32), (32 << 20, L2, 1), (2 << 20, L3, 128), (16 << 10, L3, 1)]
        }
        Granule::Kib64 => {
            vec![(16 * GIB, L2, 32), (512 << 20, L2, 1), (2 << 20, L3, 32), (64 << 10, L3, 1)]
        }
    };
    match geometry.granule() {
        Granule::Kib4 if is_wide => sizes.insert(0, (512 * GIB, L0, 1)),
        Granule::Kib16 if is_wide => sizes.insert(0, (64 * GIB, L1, 1)),
        Granule::Kib64 if is_wide => sizes.insert(0, (4096 * GIB, L1, 1)),
        Granule::Kib4 | Granule::Kib16 | Granule::Kib64 => {}
    }
    sizes.retain(|(_, level, _)| *level >= geometry.root_level());
    sizes
}

impl Pages {
    fn new(firmware: &FirmwareMap, page: u64) -> Self {
        let banks = firmware.banks();
        let lowest = banks.iter().map(|bank| bank.start()).min().unwrap();
        let highest = banks.iter().map(|bank| bank.last()).max().unwrap();
        let first = lowest.value() / page;
        let count = highest.value() / page - first + 1;
        let is_byte_in_a_bank = |byte| banks.iter().any(|bank| bank.contains(PhysAddr::new(byte)));
        let attributes = (first..first + count).map(|number| {
            let range = PhysRange::new(PhysAddr::new(number * page), page).unwrap();
            // All edges of banks are listed, so looking at edges is looking at every byte.
            let edges = banks.iter().flat_map(|bank| [bank.start().value(), bank.end().value()]);
            let is_whole = edges
                .filter(|edge| range.contains(PhysAddr::new(*edge)))
                .chain([range.start().value(), range.last().value()])
                .all(is_byte_in_a_bank);
            let is_forbidden = firmware.no_map().iter().any(|no_map| no_map.overlaps(range));
            let is_read_only = firmware
                .image()
                .is_some_and(|image| image.text.overlaps(range) || image.rodata.overlaps(range));
            let access = if is_read_only {
                PAINT.attributes(blockmap_layout::Purpose::ImageReadOnly)
            } else {
                PAINT.attributes(blockmap_layout::Purpose::Ram)
            };
            (is_whole && !is_forbidden).then_some(access)
        });
        Self { first, page, attributes: attributes.collect() }
    }

    /// For each page the end of the pages that follow on and grant the same, and their start.
    fn equal_neighbours(&self) -> Vec<(usize, usize)> {
        let mut starts = vec![0; self.attributes.len()];
        for index in 1..starts.len() {
            let is_same = self.attributes[index] == self.attributes[index - 1];
            starts[index] = if is_same { starts[index - 1] } else { index };
        }
        let mut neighbours = vec![(0, 0); starts.len()];
        let mut end = starts.len();
        for index in (0..starts.len()).rev() {
            neighbours[index] = (starts[index], end);
            if starts[index] == index {
                end = index;
            }
        }
        neighbours
    }
}

/// What the plain plan says: the size at each mapped page, and all tables below the root.
fn plain(
    pages: &Pages,
    map: &MemoryMap,
    leaves: Leaves,
) -> (Vec<Option<Size>>, BTreeSet<(Level, u64)>) {
    let geometry = map.geometry();
    let sizes = match leaves {
        Leaves::Largest => sizes(geometry),
        Leaves::Pages => vec![(pages.page, Level::L3, 1)],
    };
    let mut chosen = Vec::new();
    let mut tables = BTreeSet::new();
    for (index, (start, end)) in pages.equal_neighbours().into_iter().enumerate() {
        if pages.attributes[index].is_none() {
            chosen.push(None);
            continue;
        }
        let address = |index: usize| (pages.first + u64::try_from(index).unwrap()) * pages.page;
        let output = address(index);
        let input = map.linear().input(PhysAddr::new(output)).unwrap().value();
        let fits = |(bytes, _, _): &&Size| {
            let first = output - output % bytes;
            let is_equal = address(start) <= first && first + bytes <= address(end);
            is_equal && input % bytes == output % bytes
        };
        let size = *sizes.iter().find(fits).unwrap();
        let mut level = geometry.root_level();
        while level < size.1 {
            let table = input >> geometry.span_bits(level);
            level = level.next().unwrap();
            tables.insert((level, table));
        }
        chosen.push(Some(size));
    }
    (chosen, tables)
}

/// Compares the plan with the plain one.
fn check(firmware: &FirmwareMap, map: &MemoryMap, leaves: Leaves) {
    let page = map.geometry().page_bytes();
    let pages = Pages::new(firmware, page);
    let (sizes, tables) = plain(&pages, map, leaves);
    let plan = LinearPlan::new(map, PAINT, leaves);

    let mut seen = vec![None; sizes.len()];
    for piece in plan.pieces() {
        let Piece { input, output, size, count, attributes } = piece;
        assert!(count > 0 && input.is_aligned(size.bytes()) && output.is_aligned(size.bytes()));
        assert_eq!(map.linear().output(input), Some(output));
        let first = usize::try_from(output.value() / page - pages.first).unwrap();
        let length = usize::try_from(piece.bytes() / page).unwrap();
        let leaf = (size.bytes(), size.level, u64::from(size.entries()));
        for index in first..first + length {
            assert_eq!(pages.attributes[index], Some(attributes));
            assert_eq!(seen[index].replace(leaf), None, "mapped twice");
        }
    }
    assert_eq!(seen, sizes);
    let mut pieces = plan.pieces().peekable();
    while let (Some(piece), Some(next)) = (pieces.next(), pieces.peek()) {
        let touches = piece.last().checked_add(1) == Some(next.input);
        let is_equal = piece.size == next.size && piece.attributes == next.attributes;
        assert!(!touches || !is_equal, "two pieces that could be one");
    }

    let entries = |(bytes, _, leaves): &Size| bytes / leaves;
    let leaf_counts = plan.leaf_counts();
    for level in Level::ALL {
        let at_level = |(_, table_level): &(usize, Level)| *table_level == level;
        let wanted = tables.iter().filter(|table| at_level(&(0, table.0))).count();
        assert_eq!(plan.table_counts().at(level), u64::try_from(wanted).unwrap());
        for is_run in [false, true] {
            let bytes: u64 = page
                * u64::try_from(
                    sizes
                        .iter()
                        .flatten()
                        .filter(|size| size.1 == level && (size.2 > 1) == is_run)
                        .count(),
                )
                .unwrap();
            let count = if is_run { leaf_counts.in_runs(level) } else { leaf_counts.single(level) };
            let leaf = sizes.iter().flatten().find(|size| size.1 == level).map_or(1, entries);
            assert_eq!(count * leaf, bytes);
        }
    }
    let total = u64::try_from(tables.len()).unwrap();
    assert_eq!(plan.table_counts().total(), total);
    assert_eq!(plan.table_counts().bytes(), total * page);
}

fn geometries() -> Vec<Geometry> {
    let halves = [
        (Regime::El1And0, Half::Upper),
        (Regime::El1And0, Half::Lower),
        (Regime::El2, Half::Lower),
        (Regime::El2And0, Half::Upper),
        (Regime::El3, Half::Lower),
    ];
    let formats = [
        (Granule::Kib4, Format::Base, 48),
        (Granule::Kib4, Format::Lpa2, 52),
        (Granule::Kib16, Format::Base, 48),
        (Granule::Kib16, Format::Lpa2, 52),
        (Granule::Kib64, Format::Base, 48),
        (Granule::Kib64, Format::Lpa, 52),
    ];
    let mut geometries = Vec::new();
    for half in halves {
        for (granule, format, output_bits) in formats {
            for input_bits in 36..=52 {
                geometries.extend(Geometry::new(half, (granule, format), input_bits, output_bits));
            }
        }
    }
    geometries
}

/// Numbers of pages for a bank or a gap: few, many, or as many as a large leaf has.
fn page_count(most: u64) -> impl Strategy<Value = u64> {
    let leaves = select(vec![16, 32, 128, 512, 2048, 8192]);
    prop_oneof![0..20_u64, 0..most, leaves.prop_map(move |pages| most.min(pages))]
}

/// Banks with gaps and forbidden ranges, at byte precision.
fn firmware_map(geometry: Geometry) -> impl Strategy<Value = FirmwareMap> {
    let page = geometry.page_bytes();
    let base = prop_oneof![Just(0), 0..16 * GIB, (0..64_u64).prop_map(|steps| steps * (512 << 20))];
    let bank = (page_count(3000), 0..page, page_count(9000), 0..page);
    let banks = prop::collection::vec(bank, 1..4);
    let no_map = (0..20_000_u64, 0..page, prop_oneof![1..4 * page, Just(page)]);
    let no_maps = prop::collection::vec(no_map, 0..4);
    (base, banks, no_maps, any::<bool>()).prop_map(move |(base, banks, no_maps, is_reversed)| {
        let mut firmware = FirmwareMap::new();
        let (mut next, mut ranges) = (base, Vec::new());
        for (gap, start, pages, bytes) in banks {
            // One bank in a while touches the one before.
            next += if gap < 5 { 0 } else { gap * page + start };
            let bytes = pages * page + bytes + 1;
            ranges.push((PhysAddr::new(next), bytes));
            next += bytes;
        }
        if is_reversed {
            ranges.reverse();
        }
        for (start, bytes) in ranges {
            firmware.add_bank(start, bytes).unwrap();
        }
        for (pages, start, bytes) in no_maps {
            let start = base + pages * page + start;
            firmware.add_no_map(PhysAddr::new(start), bytes).unwrap();
        }
        firmware
    })
}

/// An image with up to `pages` pages of each kind, `steps` times 2 MiB above the first bank.
fn image(firmware: &FirmwareMap, page: u64, steps: u64, pages: [u64; 5]) -> Option<Image> {
    let bank = firmware.banks().first()?;
    let start = bank.start().align_up(IMAGE_ALIGNMENT)?;
    let start = start.checked_add(steps * IMAGE_ALIGNMENT)?;
    let [before, first, between, second, after] = pages;
    let range = |skip, pages| PhysRange::new(start.checked_add(skip * page)?, pages * page);
    let lower = range(before, first + 1)?;
    let higher = range(before + first + 1 + between, second + 1)?;
    let (text, rodata) = if steps.is_multiple_of(2) { (lower, higher) } else { (higher, lower) };
    let bytes = (before + first + between + second + after + 2) * page - after % 2;
    let load = PhysRange::new(start, bytes)?;
    Some(Image { load, text, rodata })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_plan_is_what_a_look_at_every_page_says(
        (geometry, mut firmware) in select(geometries())
            .prop_flat_map(|geometry| (Just(geometry), firmware_map(geometry))),
        (steps, pages) in (0..3_u64, prop::array::uniform5(0..40_u64)),
    ) {
        if let Some(image) = image(&firmware, geometry.page_bytes(), steps, pages) {
            let mut with_image = firmware.clone();
            with_image.set_image(image);
            if MemoryMap::new(&with_image, geometry).is_ok() {
                firmware = with_image;
            }
        }
        match MemoryMap::new(&firmware, geometry) {
            Ok(map) => {
                check(&firmware, &map, Leaves::Largest);
                check(&firmware, &map, Leaves::Pages);
            }
            Err(error) => {
                let pages = Pages::new(&firmware, geometry.page_bytes());
                prop_assert!(pages.attributes.iter().all(Option::is_none), "{error}");
            }
        }
    }
}

/// A plan of one bank in a kernel's half; its largest leaf.
fn largest_of(granule: Granule, input_bits: u32, (start, bytes): (u64, u64)) -> u64 {
    let half = (Regime::El1And0, Half::Upper);
    let geometry = Geometry::new(half, (granule, Format::Base), input_bits, 48).unwrap();
    let mut firmware = FirmwareMap::new();
    firmware.add_bank(PhysAddr::new(start), bytes).unwrap();
    let map = MemoryMap::new(&firmware, geometry).unwrap();
    check(&firmware, &map, Leaves::Largest);
    let plan = LinearPlan::new(&map, PAINT, Leaves::Largest);
    plan.pieces().map(|piece| piece.size.bytes()).max().unwrap()
}

#[test]
fn the_largest_leaves_are_found_where_they_fit() {
    let start = 1536 << 20;
    assert_eq!(largest_of(Granule::Kib4, 48, (start, 2 * GIB)), GIB);
    assert_eq!(largest_of(Granule::Kib64, 48, (start, 32 * GIB)), 16 * GIB);
}

#[test]
fn a_leaf_that_fits_at_one_of_its_addresses_only_is_not_used() {
    // All of half the input addresses is needed, so memory cannot appear aligned to 16 GiB.
    let (start, bytes) = (17 * GIB + (512 << 20), 31 * GIB + (512 << 20));
    assert_eq!(largest_of(Granule::Kib64, 36, (start, bytes)), 512 << 20);
}
