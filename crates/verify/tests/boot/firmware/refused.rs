//! Descriptions of machines that make no sense: the kernel says why, and ends the machine.

use std::time::Duration;

use blockmap_verify::machine::{Booted, ByHand, Config};

use super::{IMAGE, RAM, Write, config, no_map, tree};
use crate::{GIB, MIB};

/// The status of a machine that the kernel can't start on.
const UNSTARTABLE: u8 = 100;

/// Sees that the kernel says why it can't start, and ends the machine.
fn refuses(write: Write<'_>, why: &str) {
    let booted = Booted::run(&config(tree("poweroff", write)));
    assert_eq!(booted.status, UNSTARTABLE, "{}", booted.console);
    let last = booted.lines().last().unwrap();
    assert!(last.starts_with(&format!("blockmap can't start: {why}")), "{last}");
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
