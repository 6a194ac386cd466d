//! Machines described by hand: memory in odd places, and descriptions that make no sense, with
//! which the kernel ends the machine and says why.

use std::fs;
use std::path::Path;
use std::time::Duration;

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

/// The status of a machine that the kernel can't start on.
const UNSTARTABLE: u8 = 100;

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

/// Sees that the kernel says why it can't start, and ends the machine.
fn refuses(write: Write<'_>, why: &str) {
    let booted = Booted::run(&config(tree("poweroff", write)));
    assert_eq!(booted.status, UNSTARTABLE, "{}", booted.console);
    let last = booted.lines().last().unwrap();
    assert!(last.starts_with(&format!("blockmap can't start: {why}")), "{last}");
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
fn memory_that_cannot_be_is_named() {
    refuses(&|tree| tree, "memory map: no memory: not one page that may be mapped");
    refuses(
        &|tree| tree.memory(RAM, GIB).memory(RAM + 512 * MIB, GIB),
        "memory map: memory banks 0x40000000+0x40000000 and 0x60000000+0x40000000 overlap",
    );
    refuses(
        &|tree| tree.memory(RAM, GIB).memory(1 << 48, GIB),
        "memory map: memory bank 0x1000000000000+0x40000000 reaches above the 48 bits of an output \
         address",
    );
    refuses(
        &|tree| tree.memory(RAM, GIB).memory(RAM + (GIB << 17), GIB),
        "memory map: memory spans 0x40000000+0x800040000000, more than the linear map's \
         0x800000000000 bytes",
    );
    refuses(
        &|tree| tree.memory(RAM, GIB).memory(u64::MAX - 4095, 8192),
        "device tree: /memory@fffffffffffff000: 0x2000 bytes from 0xfffffffffffff000 on reach past \
         the end of the address space",
    );
}

#[test]
fn more_banks_than_there_is_room_for_are_named() {
    refuses(
        &|tree| {
            // Far enough apart not to be one bank.
            (0..129).fold(tree, |tree, number| tree.memory(RAM + number * 4 * MIB, 2 * MIB))
        },
        "device tree: /memory@60000000: no room for 0x60000000+0x200000 among the 128 memory banks",
    );
}

#[test]
fn banks_above_what_a_smaller_cpu_outputs_are_named() {
    // 40 bits, which QEMU's own tree never passes.
    let blob = tree("poweroff", &|tree| tree.memory(RAM, GIB).memory(1 << 40, GIB));
    let booted = Booted::run(&config(blob).cpu("cortex-a53"));
    assert_eq!(booted.status, UNSTARTABLE, "{}", booted.console);
    booted.says(
        "memory bank 0x10000000000+0x40000000 reaches above the 40 bits of an output address",
    );
}

#[test]
fn a_memory_node_that_makes_no_sense_is_named() {
    refuses(
        &|tree| tree.open("memory@40000000").text("device_type", "memory").cell("reg", 1).close(),
        "device tree: /memory@40000000: reg has 4 bytes, which are not entries of 16",
    );
    refuses(
        &|tree| tree.open("memory").text("device_type", "memory").close(),
        "device tree: /memory: reg is missing",
    );
}

#[test]
fn an_image_that_is_in_no_memory_is_named() {
    refuses(&|tree| tree.memory(RAM + GIB, GIB), "memory map: the kernel image 0x40200000+0x");
    refuses(
        &|tree| tree.memory(IMAGE + MIB / 8, GIB),
        "memory map: the kernel image 0x40200000+0x",
    );
    refuses(
        &|tree| no_map(tree.memory(RAM, GIB), IMAGE, 1),
        "memory map: no-map range 0x40200000+0x1 touches a page of the kernel image 0x40200000+0x",
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

#[test]
fn a_device_tree_in_no_memory_is_named() {
    refuses(&|tree| tree.memory(RAM, 32 * MIB), "the device tree at 0x44000000+0x");
}

#[test]
fn memory_with_no_room_for_the_kernels_tables_is_named() {
    let blob = tree("poweroff", &|tree| tree.memory(IMAGE, 2 * MIB));
    let by_hand = ByHand { image: IMAGE, tree: IMAGE + 2 * MIB - 4096, blob };
    let booted = Booted::run(&Config::new("4G").by_hand(by_hand));
    assert_eq!(booted.status, UNSTARTABLE, "{}", booted.console);
    booted.says("blockmap can't start: no free memory in one piece for 0x200000 bytes");
}

#[test]
fn a_tree_that_cannot_be_read_stops_the_kernel_before_it_knows_a_console() {
    // Nothing else says where to print, or how to end the machine.
    let whole = tree("poweroff", &|tree| tree.memory(RAM, GIB));
    let half = whole[..whole.len() / 2].to_vec();
    for blob in [half, vec![0xff; 4096]] {
        let outcome = Booted::attempt(&config(blob).limit(Duration::from_secs(2)));
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("it printed nothing"), "{error}");
    }
}
