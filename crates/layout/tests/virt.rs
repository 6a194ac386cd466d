//! The linear maps of machines whose figures are known: QEMU's `virt`, and the reported server.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use blockmap_layout::{FirmwareMap, Image, LinearPlan, MemoryMap, Paint, Piece, Purpose, Rodata};
use blockmap_vmsa::cpu::Mte;
use blockmap_vmsa::machine::{PhysAddr, PhysRange, VirtAddr};
use blockmap_vmsa::{Access, Geometry, Leaves, Level, Mair};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn range(start: u64, bytes: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), bytes).unwrap()
}

fn paint(rodata: Rodata) -> Paint {
    Paint::of_kernel(rodata, Mte::TaggedMemory)
}

/// A kernel image of 2 MiB, half of it read-only, 2 MiB into memory.
fn small_image() -> Image {
    Image {
        load: range(GIB + 2 * MIB, 2 * MIB),
        text: range(GIB + 2 * MIB + 64 * KIB, 704 * KIB),
        rodata: range(GIB + 2 * MIB + 768 * KIB, 256 * KIB),
    }
}

/// One bank of `bytes` from 1 GiB on.
fn virt(bytes: u64, image: Image) -> MemoryMap {
    let mut firmware = FirmwareMap::new();
    firmware.add_bank(PhysAddr::new(GIB), bytes).unwrap();
    firmware.set_image(image);
    firmware.set_device_tree(range(GIB + 128 * MIB, MIB));
    MemoryMap::new(&firmware, Geometry::KERNEL_4K_48).unwrap()
}

fn tables(plan: &LinearPlan<'_>) -> [u64; 3] {
    [Level::L1, Level::L2, Level::L3].map(|level| plan.table_counts().at(level))
}

#[test]
fn twelve_gib_in_blocks_take_three_tables() {
    let memory = virt(12 * GIB, small_image());
    let plan = LinearPlan::new(&memory, paint(Rodata::On), Leaves::Largest);
    assert_eq!(tables(&plan), [1, 1, 1]);
    assert_eq!(plan.table_counts().total(), 3);
    let leaves = plan.leaf_counts();
    assert_eq!(leaves.single(Level::L1), 11);
    assert_eq!((leaves.single(Level::L2), leaves.in_runs(Level::L2)), (15, 496));
    assert_eq!((leaves.single(Level::L3), leaves.in_runs(Level::L3)), (0, 512));
}

#[test]
fn twelve_gib_in_pages_take_what_linux_takes() {
    let memory = virt(12 * GIB, small_image());
    let plan = LinearPlan::new(&memory, paint(Rodata::On), Leaves::Pages);
    assert_eq!(tables(&plan), [1, 12, 6144]);
    assert_eq!(plan.table_counts().total(), 6157);
    assert_eq!(plan.table_counts().bytes(), 24_628 * KIB);
    let leaves = plan.leaf_counts();
    assert_eq!((leaves.single(Level::L3), leaves.total()), (3_145_728, 3_145_728));
}

#[test]
fn two_hundred_fifty_six_gib_in_blocks_save_about_500_mb() {
    let memory = virt(256 * GIB, small_image());
    let blocks = LinearPlan::new(&memory, paint(Rodata::On), Leaves::Largest);
    let pages = LinearPlan::new(&memory, paint(Rodata::On), Leaves::Pages);
    assert!(blocks.table_counts().total() <= 6);
    assert_eq!(blocks.leaf_counts().single(Level::L1), 255);
    let saved = pages.table_counts().bytes() - blocks.table_counts().bytes();
    // The reported machine had 516,148 kB more; part of its memory was never in the map.
    assert!((500_000..530_000).contains(&(saved / KIB)), "{saved}");
}

#[test]
fn four_tib_are_blocks_of_one_gib() {
    let memory = virt(4096 * GIB, small_image());
    let plan = LinearPlan::new(&memory, paint(Rodata::On), Leaves::Largest);
    assert_eq!(plan.leaf_counts().single(Level::L1), 4095);
    assert_eq!(tables(&plan), [8, 1, 1]);
}

#[test]
fn the_first_mebibytes_look_as_in_the_dump_of_linux() {
    // Linux 7.3's text and rodata lie from 2 MiB to 7552 KiB of memory.
    let image = Image {
        load: range(GIB + 2 * MIB, 7344 * KIB),
        text: range(GIB + 2 * MIB, 3456 * KIB),
        rodata: range(GIB + 5504 * KIB, 2048 * KIB),
    };
    let memory = virt(12 * GIB, image);
    let plan = LinearPlan::new(&memory, paint(Rodata::On), Leaves::Largest);
    let expected = [
        (0, 2 * MIB, 1, Access::ReadWrite),
        (2 * MIB, 2 * MIB, 2, Access::ReadOnly),
        (6 * MIB, 64 * KIB, 22, Access::ReadOnly),
        (7552 * KIB, 64 * KIB, 10, Access::ReadWrite),
        (8 * MIB, 2 * MIB, 12, Access::ReadWrite),
        (32 * MIB, 32 * MIB, 31, Access::ReadWrite),
        (GIB, GIB, 11, Access::ReadWrite),
    ];
    let base = VirtAddr::new(0xffff_0000_0000_0000);
    let seen: Vec<_> = plan
        .pieces()
        .map(|piece| {
            let offset = piece.input.offset_from(base).unwrap();
            let tagged = piece.attributes.memory == Mair::NORMAL_TAGGED;
            assert_eq!(tagged, piece.attributes.access == Access::ReadWrite);
            (offset, piece.size.bytes(), piece.count, piece.attributes.access)
        })
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn the_image_is_read_only_under_rodata_on_alone() {
    let memory = virt(GIB, small_image());
    let intents = |rodata| {
        let plan = LinearPlan::new(&memory, paint(rodata), Leaves::Largest);
        plan.intents().collect::<Vec<_>>()
    };
    let purposes: Vec<_> = intents(Rodata::On)
        .iter()
        .map(|intent| (intent.range.bytes() / KIB, intent.purpose))
        .collect();
    let expected = [
        (2048, Purpose::Ram),
        (64, Purpose::ImageData),
        (960, Purpose::ImageReadOnly),
        (1024, Purpose::ImageData),
        (1020 * KIB, Purpose::Ram),
    ];
    assert_eq!(purposes, expected);
    for rodata in [Rodata::On, Rodata::NoAlias, Rodata::Off] {
        for intent in intents(rodata) {
            let is_read_only = rodata == Rodata::On && intent.purpose == Purpose::ImageReadOnly;
            let access = if is_read_only { Access::ReadOnly } else { Access::ReadWrite };
            assert_eq!(intent.attributes.access, access);
        }
    }
    for rodata in [Rodata::NoAlias, Rodata::Off] {
        let plan = LinearPlan::new(&memory, paint(rodata), Leaves::Largest);
        assert_eq!(plan.stretches().count(), 1);
        assert_eq!(plan.table_counts().total(), 1);
    }
}

#[test]
fn data_between_text_and_rodata_is_data() {
    let image = Image {
        load: range(GIB + 2 * MIB, 512 * KIB),
        text: range(GIB + 2 * MIB + 256 * KIB, 64 * KIB),
        rodata: range(GIB + 2 * MIB, 64 * KIB),
    };
    let memory = virt(4 * MIB, image);
    let plan = LinearPlan::new(&memory, paint(Rodata::On), Leaves::Largest);
    let purposes: Vec<_> =
        plan.intents().map(|intent| (intent.range.bytes() / KIB, intent.purpose)).collect();
    let expected = [
        (2048, Purpose::Ram),
        (64, Purpose::ImageReadOnly),
        (192, Purpose::ImageData),
        (64, Purpose::ImageReadOnly),
        (192, Purpose::ImageData),
        (1536, Purpose::Ram),
    ];
    assert_eq!(purposes, expected);
}

#[test]
fn memory_is_tagged_only_where_the_cpu_has_tagged_memory() {
    let tagged = Paint::of_kernel(Rodata::On, Mte::TaggedMemory);
    let plain = Paint::of_kernel(Rodata::On, Mte::Missing);
    assert_eq!(tagged.attributes(Purpose::Ram).memory, Mair::NORMAL_TAGGED);
    assert_eq!(tagged.attributes(Purpose::ImageData).memory, Mair::NORMAL_TAGGED);
    assert_eq!(tagged.attributes(Purpose::ImageReadOnly).memory, Mair::NORMAL);
    assert_eq!(plain.attributes(Purpose::Ram).memory, Mair::NORMAL);
}

#[test]
fn memory_that_is_to_be_in_pages_takes_the_tables_of_its_block_and_no_more() {
    let memory = virt(4 * GIB, small_image());
    let plan = LinearPlan::new(&memory, paint(Rodata::NoAlias), Leaves::Largest);
    let tables = plan.table_counts().total();
    for (start, bytes, more) in [
        (3 * GIB, 2 * MIB, 2),
        (5 * GIB - 2 * MIB, 2 * MIB, 2),
        (2 * GIB, GIB, 513),
        (GIB, 4096, 2),
    ] {
        let pool = range(start, bytes);
        let with = plan.with_pages(Some(pool));
        assert_eq!(with.table_counts().total(), tables + more, "{pool}");
        let is_page = |piece: &Piece| piece.size.bytes() == 4096;
        let pages: u64 = with.pieces().filter(is_page).map(|piece| piece.count).sum();
        assert!(pages >= bytes / 4096, "{pool}");
        let all: u64 = with.pieces().map(|piece| piece.bytes()).sum();
        assert_eq!(all, 4 * GIB);
        let inside = with.stretches().find(|stretch| stretch.range == pool).unwrap();
        assert_eq!(inside.leaves, Leaves::Pages);
        assert!(with.stretches().all(|one| one.range == pool || one.leaves == Leaves::Largest));
    }
}
