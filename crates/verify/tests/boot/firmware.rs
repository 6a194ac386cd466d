//! Machines described by hand: memory, image and device tree in odd places.

mod refused;

use std::fs;
use std::path::Path;

use blockmap_verify::console::LINEAR;
use blockmap_verify::machine::{Booted, ByHand, Config};

use crate::writer::Writer;
use crate::{GIB, MIB};

/// Where QEMU's `virt` has its console and its memory.
const UART: u64 = 0x900_0000;
const RAM: u64 = GIB;

/// Where the image and the tree are put.
const IMAGE: u64 = RAM + 2 * MIB;
const TREE: u64 = RAM + 64 * MIB;

/// Writes part of a tree.
type Write<'w> = &'w dyn Fn(&mut Writer) -> &mut Writer;

/// A tree with a console, a command line and what `write` adds: all that this kernel asks for but
/// memory.
fn tree(script: &str, write: Write<'_>) -> Vec<u8> {
    let mut tree = Writer::new();
    let line = format!("semihosting -- {script}");
    tree.open("chosen").text("bootargs", &line).text("stdout-path", "/uart").close();
    tree.open("uart").text("compatible", "arm,pl011").numbers("reg", &[UART, 0x1000]).close();
    write(&mut tree).finish()
}

fn config(blob: Vec<u8>) -> Config {
    Config::new("4G").by_hand(ByHand { image: IMAGE, tree: TREE, blob })
}

/// Boots on a machine with this memory, and sees it end well.
fn boots(write: Write<'_>) -> Booted {
    Booted::run(&config(tree("stat; ptdump linear; poweroff", write))).succeeded()
}

/// What is mapped of the linear map, without what all its lines have.
fn linear(booted: &Booted) -> Vec<String> {
    let lines = booted.dumps()[0].linear(0, GIB << 17);
    lines.iter().map(|line| line.replace(" NX SHD AF", "").replace(" UXN MEM/NORMAL", "")).collect()
}

/// The address and size cells of the nodes below.
fn open_reservations(tree: &mut Writer) -> &mut Writer {
    let tree = tree.open("reserved-memory").cell("#address-cells", 2).cell("#size-cells", 2);
    tree.property("ranges", &[])
}

fn no_map(tree: &mut Writer, start: u64, bytes: u64) -> &mut Writer {
    let tree = open_reservations(tree).open("hole").numbers("reg", &[start, bytes]);
    tree.property("no-map", &[]).close().close()
}

#[test]
fn the_least_that_a_tree_must_say_is_enough() {
    let booted = boots(&|tree| tree.memory(RAM, GIB));
    booted.says("loaded at 0x40200000");
    booted.says("device tree at 0x44000000");
    assert_eq!(booted.stats()[0].tables(), 3);
}

#[test]
fn banks_are_mapped_and_what_lies_between_them_is_not() {
    let booted = boots(&|tree| {
        let tree = tree.memory(RAM, 256 * MIB).memory(RAM + GIB, GIB);
        tree.memory(RAM + 3 * GIB - MIB, 64 << 10)
    });
    let lines = linear(&booted);
    let [.., end_of_first, second, third] = &*lines else { panic!("{lines:?}") };
    assert_eq!(*end_of_first, format!("{:#018x} 224M PMD RW CON BLK", LINEAR + 32 * MIB));
    assert_eq!(*second, format!("{:#018x} 1G PUD RW BLK", LINEAR + GIB));
    assert_eq!(*third, format!("{:#018x} 64K PTE RW CON", LINEAR + 3 * GIB - MIB));
}

#[test]
fn memory_that_must_not_be_mapped_is_a_hole_and_costs_the_leaves_around_it() {
    let booted = boots(&|tree| no_map(tree.memory(RAM, 2 * GIB), 0x6000_1000, 0x1000));
    let lines = linear(&booted);
    let around = [
        "0xffff000020000000 4K PTE RW",
        "0xffff000020002000 56K PTE RW",
        "0xffff000020010000 1984K PTE RW CON",
        "0xffff000020200000 30M PMD RW BLK",
    ];
    let at = lines.iter().position(|line| *line == around[0]).unwrap();
    assert_eq!(lines[at..][..4], around);
    assert_eq!(booted.stats()[0].tables(), 4);
}

#[test]
fn memory_that_begins_off_every_boundary_is_mapped_in_what_fits() {
    let booted =
        boots(&|tree| tree.memory(RAM + 2 * MIB, 128 * MIB).memory(RAM + GIB + 4096, 2 * MIB));
    let lines = linear(&booted);
    // Linear addresses keep their distance from a whole GiB.
    assert!(lines[0].starts_with(&format!("{:#018x} ", LINEAR + 2 * MIB)), "{lines:?}");
    let [.., first, runs, last] = &*lines else { panic!("{lines:?}") };
    assert_eq!(*first, format!("{:#018x} 60K PTE RW", LINEAR + GIB + 4096));
    assert_eq!(*runs, format!("{:#018x} 1984K PTE RW CON", LINEAR + GIB + (64 << 10)));
    assert_eq!(*last, format!("{:#018x} 4K PTE RW", LINEAR + GIB + 2 * MIB));
}

#[test]
fn the_device_tree_may_lie_anywhere_in_memory() {
    let write: Write<'_> = &|tree| tree.memory(RAM, 2 * GIB);
    let blob = tree("stat; poweroff", write);
    let bytes = u64::try_from(blob.len()).unwrap().next_multiple_of(8);
    // Behind the image; across the edge of a 2 MiB block, of a GiB; up to the last byte.
    for at in [IMAGE + 3 * MIB, RAM + 64 * MIB - 8, RAM + GIB - 8, RAM + 2 * GIB - bytes] {
        let by_hand = ByHand { image: IMAGE, tree: at, blob: blob.clone() };
        let booted = Booted::run(&Config::new("2G").by_hand(by_hand)).succeeded();
        booted.says(&format!("device tree at {at:#x}"));
        assert_eq!(booted.stats()[0].tables(), 3);
    }
}

#[test]
fn the_image_may_lie_at_the_end_of_memory() {
    let image = RAM + GIB - 2 * MIB;
    let blob = tree("stat; ptdump linear; poweroff", &|tree| tree.memory(RAM, GIB));
    let booted = Booted::run(&Config::new("4G").by_hand(ByHand { image, tree: TREE, blob }));
    booted.says(&format!("loaded at {image:#x}"));
    let lines = linear(&booted.succeeded());
    let read_only: Vec<_> = lines.iter().filter(|line| line.contains(" ro")).collect();
    assert_eq!(read_only.len(), 1);
    assert!(read_only[0].starts_with("0xffff00003fe00000 "), "{}", read_only[0]);
}

#[test]
fn reserved_memory_is_mapped_and_never_free() {
    let plain = boots(&|tree| tree.memory(RAM, GIB));
    let reserved = boots(&|tree| {
        // One of each kind; the two share a page.
        let tree = open_reservations(tree.reserve(0x6000_0000, 0x1800).memory(RAM, GIB));
        tree.open("kept").numbers("reg", &[0x6000_1800, 0x1000]).close().close()
    });
    assert_eq!(reserved.dumps(), plain.dumps());
    let count = |booted: &Booted| booted.stats()[0].frames["reserved"];
    assert_eq!(count(&reserved), count(&plain) + 3);
}

#[test]
fn memory_at_both_ends_of_what_the_linear_map_spans_is_mapped() {
    // The highest GiB of the linear map, which QEMU has no memory for: nobody touches it.
    let booted = boots(&|tree| tree.memory(RAM, GIB).memory(GIB << 17, GIB));
    let lines = linear(&booted);
    assert_eq!(
        *lines.last().unwrap(),
        format!("{:#018x} 1G PUD RW BLK", LINEAR + (GIB << 17) - GIB)
    );
}

#[test]
fn an_initial_ram_disk_is_mapped_like_any_memory_and_never_free() {
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join("initrd");
    fs::write(&disk, vec![0x5a; 768 * 4096 + 1]).unwrap();
    let plain = Config::new("1G").monitor("stat; ptdump");
    let with = plain.clone().argument("-initrd").argument(disk.to_str().unwrap());
    let [plain, with] = [plain, with].map(|config| Booted::run(&config).succeeded());
    assert_eq!(with.dumps(), plain.dumps());
    let reserved = |booted: &Booted| booted.stats()[0].frames["reserved"];
    assert_eq!(reserved(&with), reserved(&plain) + 769);
}
