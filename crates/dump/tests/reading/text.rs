//! The texts: markers, columns and walks.

use blockmap_dump::{
    Limits, Marker, Outputs, Style, level_name,
    vmsa::{
        Geometry, Level, Mair, bits,
        machine::{PhysAddr, VirtAddr, VirtRange},
    },
};

use crate::arena::{Arena, MAIR, geometries};

const KERNEL: Geometry = Geometry::KERNEL_4K_48;
const BASE: u64 = 0xffff_0000_0000_0000;
const DATA: u64 = bits::VALID | bits::ACCESSED | bits::PXN | bits::UXN | 0b11 << 8;

fn at(offset: u64) -> VirtAddr {
    VirtAddr::new(BASE + offset)
}

/// A GiB block, and a table with a run, a read-only page and one that is present but invalid.
fn small() -> Arena {
    let mut arena = Arena::new(KERNEL);
    let leaf = |level, output, meaning| KERNEL.leaf_word(level, PhysAddr::new(output), meaning);
    let tagged = DATA | 1 << 2;
    arena.put(Level::L1, at(0), leaf(Level::L1, 1 << 30, tagged));
    for page in 0..16 {
        let output = (2 << 30) + (page << 12);
        let word = leaf(Level::L3, output, tagged) | bits::CONTIGUOUS;
        arena.put(Level::L3, at((1 << 30) + (page << 12)), word);
    }
    let pages = [
        DATA | bits::READ_ONLY,
        DATA & !bits::VALID | bits::PRESENT,
        DATA | bits::UNPRIVILEGED | bits::GUARDED | 5 << 2,
        DATA & !bits::PXN & !bits::ACCESSED & !(0b11 << 8) | 3 << 2,
    ];
    for (page, meaning) in (16_u64..).zip(pages) {
        let word = leaf(Level::L3, (2 << 30) + (page << 12), meaning);
        arena.put(Level::L3, at((1 << 30) + (page << 12)), word);
    }
    arena.put(Level::L0, at(512 << 30), 0x1234_5001);
    arena
}

fn dump(arena: &Arena, within: VirtRange, markers: &[Marker<'_>]) -> Vec<String> {
    let mut text = String::new();
    let style = Style { mair: Mair::new(MAIR.value() | 0x5f << 40), markers };
    let tree = arena.tree().within(within);
    tree.ptdump(style, &mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn lines_have_the_columns_of_linux() {
    let whole = VirtRange::new(at(0), 1 << 48).unwrap();
    let lines = dump(&small(), whole, &[]);
    let expected = "\
0xffff000000000000-0xffff000040000000           1G PUD       RW NX SHD AF        BLK UXN    MEM/NORMAL-TAGGED
0xffff000040000000-0xffff000040010000          64K PTE       RW NX SHD AF    CON     UXN    MEM/NORMAL-TAGGED
0xffff000040010000-0xffff000040011000           4K PTE       ro NX SHD AF            UXN    MEM/NORMAL
0xffff000040011000-0xffff000040012000           4K PTE F     RW NX SHD AF NG         UXN    MEM/NORMAL
0xffff000040012000-0xffff000040013000           4K PTE   USR RW NX SHD AF            UXN GP MAIR/0x5f
0xffff000040013000-0xffff000040014000           4K PTE       RW x                    UXN    DEVICE/nGnRnE
0xffff000040014000-0xffff000040200000        1968K PTE
0xffff000040200000-0xffff000080000000        1022M PMD
0xffff000080000000-0xffff008000000000         510G PUD
0xffff008000000000-0xffff010000000000         512G PGD RESERVED 0x0000000012345001
0xffff010000000000-0x0000000000000000         255T PGD";
    assert_eq!(lines, expected.lines().collect::<Vec<_>>());
}

#[test]
fn a_marker_ends_a_line_and_waits_for_the_end_of_an_entry() {
    let markers = [
        (0, "below the part"),
        (1 << 30, "at an entry"),
        ((1 << 30) + 0x8000, "inside a run"),
        ((1 << 30) + 0x8800, "inside a page"),
        ((1 << 30) + 0x14000, "at a change"),
        ((1 << 30) + 0x14000, "and another"),
        (2 << 30, "above the part"),
    ];
    let markers = markers.map(|(offset, name)| Marker { start: at(offset), name });
    let part = VirtRange::new(at(1 << 30), 0x20_0000).unwrap();
    let lines = dump(&small(), part, &markers);
    let starts: Vec<_> = lines.iter().map(|line| line.get(..18).unwrap_or(line)).collect();
    let expected = [
        "---[ at an entry ]---",
        "0xffff000040000000",
        "---[ inside a run ]---",
        "0xffff000040008000",
        "---[ inside a page ]---",
        "0xffff000040009000",
        "0xffff000040010000",
        "0xffff000040011000",
        "0xffff000040012000",
        "0xffff000040013000",
        "---[ at a change ]---",
        "---[ and another ]---",
        "0xffff000040014000",
    ];
    assert!(starts.iter().zip(expected).all(|(line, start)| start.starts_with(line)), "{lines:#?}");
    assert_eq!(lines.len(), expected.len());
}

#[test]
fn levels_are_named_from_the_root_as_linux_does() {
    let names = |number: usize| {
        let geometry = geometries()[number];
        let root = geometry.root_level().levels_below();
        let walked = Level::ALL.into_iter().filter(|level| level.levels_below() <= root);
        walked.map(|level| level_name(geometry, level)).collect::<Vec<_>>()
    };
    assert_eq!(names(0), ["PGD", "PUD", "PMD", "PTE"]);
    assert_eq!(names(1), ["PGD", "PMD", "PTE"]);
    assert_eq!(names(2), ["PGD", "PTE"]);
    assert_eq!(names(3), ["PGD", "P4D", "PUD", "PMD", "PTE"]);
    assert_eq!(names(9), ["PGD"]);
}

#[test]
fn columns_that_a_geometry_has_no_bit_for_stay_blank() {
    let line = |geometry: Geometry, meaning, output| {
        let mut arena = Arena::new(geometry);
        let (first, _) = geometry.inputs();
        let output = PhysAddr::new(output);
        arena.put(Level::L3, first, geometry.leaf_word(Level::L3, output, meaning));
        let page = VirtRange::new(first, geometry.page_bytes()).unwrap();
        let line = dump(&arena, page, &[]).remove(0);
        line.split_once(" PTE").unwrap().1.to_owned()
    };
    let data = DATA & !(0b11 << 8);
    let lpa2 = line(geometries()[3], data, 0b11 << 50);
    assert_eq!(lpa2, "       RW NX     AF            UXN    MEM/NORMAL");
    let el2 = geometries()[5];
    let data = bits::VALID | bits::ACCESSED | bits::UNPRIVILEGED;
    assert_eq!(line(el2, data | bits::UXN, 0), "       RW NX     AF                   MEM/NORMAL");
    assert_eq!(line(el2, data | bits::PXN, 0), "       RW x      AF                   MEM/NORMAL");
}

#[test]
fn reserved_entries_are_on_one_line_when_they_are_equal() {
    let mut arena = Arena::new(KERNEL);
    for (number, word) in [(0, 0x5001), (1, 0x5001), (2, 0x6001)] {
        arena.put(Level::L0, at(number << 39), word);
    }
    let lines = dump(&arena, VirtRange::new(at(0), 3 << 39).unwrap(), &[]);
    assert_eq!(lines.len(), 2);
    assert_eq!(arena.tree().stat().reserved, 3);
    assert!(lines[0].ends_with("  1T PGD RESERVED 0x0000000000005001"), "{lines:?}");
}

#[test]
fn a_walk_prints_every_field_of_every_entry() {
    let mut arena = small();
    let table = arena.table_at(Level::L2, at(1 << 30));
    let above = arena.table_at(Level::L1, at(0));
    let limits = Limits::PXN | Limits::UXN;
    arena.set(above, 1, KERNEL.table_word(table) | limits.bits() | 1 << 2);
    let text = |offset| arena.tree().walk(at(offset)).described(MAIR).to_string();
    assert_eq!(
        text((1 << 30) + 0x1abc),
        "\
level  0  0x1000000[0]  0x0000000001001003  table 0x1001000
level  1  0x1001000[1]  0x1800000001002007  table 0x1002000 PXNTable UXNTable ignored=0x4
level  2  0x1002000[0]  0x0000000001003003  table 0x1003000
level  3  0x1003000[1]  0x0070000080001707  page 0x80001000 attr=1:MEM/NORMAL-TAGGED RW SH=inner AF contiguous PXN UXN
0xffff000040001abc -> 0x80001abc, 64K contiguous run, rw-, EL0 ---"
    );
    let last = |text: String| text.lines().last().unwrap().to_owned();
    assert_eq!(last(text(0x1234)), "0xffff000000001234 -> 0x40001234, 1G block, rw-, EL0 ---");
    assert_eq!(
        last(text((1 << 30) + 0x11008)),
        "0xffff000040011008 translation fault, level 3: invalid, but present at 0x80011008"
    );
    assert_eq!(
        last(text((1 << 30) + 0x13000)),
        "0xffff000040013000 -> 0x80013000, 4K page, rw-, EL0 ---, access flag fault"
    );
    assert_eq!(last(text(2 << 30)), "0xffff000080000000 translation fault, level 1");
    assert_eq!(
        last(text(512 << 30)),
        "0xffff008000000000 translation fault, level 0: reserved encoding"
    );
    let lower = arena.tree().walk(VirtAddr::new(0x1000));
    assert_eq!(lower.to_string(), "0x1000 is not in the upper half");
}

#[test]
fn lines_with_outputs_end_where_outputs_do_not_follow() {
    let mut arena = Arena::new(KERNEL);
    for (page, frame) in [(0, 8), (1, 9), (2, 3), (4, 5)] {
        let word = KERNEL.leaf_word(Level::L3, PhysAddr::new(frame << 12), DATA);
        arena.put(Level::L3, at(page << 12), word);
    }
    let markers = [Marker { start: at(0x1000), name: "between" }];
    let style = Style { mair: MAIR, markers: &markers };
    let tree = arena.tree().within(VirtRange::new(at(0), 0x5000).unwrap());
    let mut text = String::new();
    tree.ptdump_with(style, Outputs::Shown, &mut text).unwrap();
    let places: Vec<_> = text.lines().filter_map(|line| line.get(..56)).collect();
    let expected = [
        "0xffff000000000000-0xffff000000001000 0x0000000000008000",
        "0xffff000000001000-0xffff000000002000 0x0000000000009000",
        "0xffff000000002000-0xffff000000003000 0x0000000000003000",
        "0xffff000000003000-0xffff000000004000                   ",
        "0xffff000000004000-0xffff000000005000 0x0000000000005000",
    ];
    assert_eq!(places, expected, "{text}");
}
