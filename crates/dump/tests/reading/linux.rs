//! Dumps of a real Linux kernel, rebuilt as tables from their lines, come out byte for byte.
//!
//! The files are what Linux 7.3 printed on QEMU's `virt` with 12 GiB: with blocks, with pages from
//! the start, and repainted to pages.

use blockmap_dump::{
    Marker, Size, Style,
    vmsa::{
        Geometry, Level, bits,
        machine::{PhysAddr, VirtAddr, VirtRange},
    },
};

use crate::arena::{Arena, MAIR};

const KERNEL: Geometry = Geometry::KERNEL_4K_48;

/// An entry's bits, but for its address, from the words of a line: `None` for a gap.
fn meaning(words: &[&str], level: Level) -> Option<u64> {
    if words.is_empty() {
        return None;
    }
    let mut word = bits::VALID | bits::PXN;
    for name in words {
        match *name {
            "F" => word &= !bits::VALID,
            "ro" => word |= bits::READ_ONLY,
            "RW" | "NX" | "MEM/NORMAL" => {}
            "x" => word &= !bits::PXN,
            "SHD" => word |= 0b11 << 8,
            "AF" => word |= bits::ACCESSED,
            "NG" => word |= bits::NOT_GLOBAL,
            "CON" => word |= bits::CONTIGUOUS,
            "BLK" => assert_ne!(level, Level::L3),
            "UXN" => word |= bits::UXN,
            "MEM/NORMAL-TAGGED" => word |= 1 << 2,
            "MEM/NORMAL-NC" => word |= 2 << 2,
            "DEVICE/nGnRE" => word |= 4 << 2,
            other => panic!("unknown word {other}"),
        }
    }
    Some(word)
}

/// Puts the entries that a line tells of into the arena: leaves that lead to their own address's
/// low bits, or a table with room for the gap.
fn rebuild(arena: &mut Arena, line: &str) -> VirtAddr {
    let words: Vec<_> = line.split_whitespace().collect();
    let (from, to) = words[0].split_once('-').unwrap();
    let address = |text: &str| u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap();
    let (from, to) = (address(from), address(to));
    let level = match words[2] {
        "PGD" => Level::L0,
        "PUD" => Level::L1,
        "PMD" => Level::L2,
        "PTE" => Level::L3,
        other => panic!("unknown level {other}"),
    };
    let meaning = meaning(&words[3..], level);
    let step = KERNEL.span_bytes(level);
    let (mut at, mut table) = (from, arena.root());
    while at != to {
        let input = VirtAddr::new(at);
        let index = KERNEL.index(level, input);
        if at == from || index == 0 {
            table = arena.table_at(level, input);
        }
        if let Some(meaning) = meaning {
            let output = PhysAddr::new(at & 0x0fff_ffff_ffff);
            arena.set(table, index, KERNEL.leaf_word(level, output, meaning));
        }
        at = at.wrapping_add(step);
    }
    VirtAddr::new(from)
}

/// The tables that a dump tells of, and its markers.
fn rebuilt(dump: &str) -> (Arena, Vec<Marker<'_>>) {
    let mut arena = Arena::new(KERNEL);
    let mut markers = Vec::new();
    let mut pending = Vec::new();
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix("---[ ") {
            pending.push(name.strip_suffix(" ]---").unwrap());
        } else {
            let start = rebuild(&mut arena, line);
            markers.extend(pending.drain(..).map(|name| Marker { start, name }));
        }
    }
    (arena, markers)
}

fn comes_out_as_it_was(dump: &str) {
    let (arena, markers) = rebuilt(dump);
    let mut text = String::new();
    let style = Style { mair: MAIR, markers: &markers };
    arena.tree().ptdump(style, &mut text).unwrap();
    for (ours, theirs) in text.lines().zip(dump.lines()) {
        assert_eq!(ours, theirs);
    }
    assert!(text == dump, "one dump is longer than the other");
}

#[test]
fn a_map_in_blocks_prints_as_linux_prints_it() {
    comes_out_as_it_was(include_str!("linux/ptdump-mode1.txt"));
}

#[test]
fn a_map_in_pages_prints_as_linux_prints_it() {
    comes_out_as_it_was(include_str!("linux/ptdump-mode2.txt"));
}

#[test]
fn a_repainted_map_prints_as_linux_prints_it() {
    comes_out_as_it_was(include_str!("linux/ptdump-mode3.txt"));
}

#[test]
fn the_linear_map_of_linux_is_counted_as_its_lines_say() {
    let (arena, _) = rebuilt(include_str!("linux/ptdump-mode1.txt"));
    let linear = VirtRange::new(VirtAddr::new(0xffff_0000_0000_0000), 1 << 47).unwrap();
    let stat = arena.tree().within(linear).stat();
    let sizes: Vec<_> =
        stat.sizes().map(|stat| (Size::of(stat.size.bytes()).to_string(), stat.count)).collect();
    let named = sizes.iter().map(|(name, count)| (name.as_str(), *count));
    let expected = [
        ("16G", 0),
        ("1G", 11),
        ("32M", 31),
        ("2M", 1 + 2 + 11),
        ("64K", (1408 + 448 + 768) / 64),
        ("4K", 16 / 4),
    ];
    assert!(named.eq(expected), "{sizes:?}");
    assert_eq!(stat.tlb_entries(), 11 + 31 + 14 + 41 + 4);
    assert_eq!(stat.invalid_bytes(), (1408 + 48) << 10);
    assert_eq!(stat.mapped_bytes() + stat.invalid_bytes(), 12 << 30);
    let tables = Level::ALL.map(|level| stat.level(level).tables);
    assert_eq!(tables, [0, 1, 1, 1, 2]);
    assert_eq!(stat.table_bytes(), 5 * 4096);
    assert_eq!((stat.misprogrammed, stat.skipped, stat.reserved), (0, 0, 0));
}

#[test]
fn linux_passes_its_own_check_of_writable_and_executable_pages() {
    let (arena, _) = rebuilt(include_str!("linux/ptdump-mode1.txt"));
    assert!(arena.tree().wx().passed());
}
