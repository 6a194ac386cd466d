//! Device trees: those of real machines, those that make no sense, and those that mean harm.
#![cfg(test)]

mod hostile;
mod mutated;
mod real;
mod writer;

use blockmap::layout::{FirmwareMap, MemoryMap};
use blockmap::machine::{PhysAddr, PhysRange};
use blockmap::vmsa::Geometry;
use blockmap_kernel::devicetree::DeviceTree;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/", $name, ".dtb"))
    };
}

/// What QEMU 7.2's `virt` says of six machines, cut to size, and a board of another kind.
const FIXTURES: [&[u8]; 7] = [
    fixture!("virt-1g"),
    fixture!("virt-12g"),
    fixture!("virt-12g-mte"),
    fixture!("virt-1g-el2-18cpus"),
    fixture!("virt-1g-secure"),
    fixture!("virt-256g-numa"),
    fixture!("board"),
];

fn range(start: u64, bytes: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), bytes).unwrap()
}

/// Asks a blob for everything there is to ask, and prints every answer. The result says how many
/// answers were errors.
fn read_all(blob: &[u8]) -> usize {
    let tree = match DeviceTree::new(blob) {
        Ok(tree) => tree,
        Err(error) => return usize::from(!error.to_string().is_empty()),
    };
    let mut map = FirmwareMap::new();
    let errors = [
        tree.add_memory(&mut map).err(),
        tree.initrd().err(),
        tree.command_line().err(),
        tree.console().err(),
        tree.conduit().err(),
        tree.interrupt_controller().err(),
    ];
    let cpus = tree.cpus().filter_map(Result::err);
    let errors = errors.into_iter().flatten().chain(cpus);
    let count = errors.map(|error| error.to_string()).filter(|text| !text.is_empty()).count();
    // What was understood is checked by the layout next; that has to end as well.
    let checked = MemoryMap::new(&map, Geometry::KERNEL_4K_48);
    count + checked.map_or_else(|error| error.to_string().len().min(1), |_| 0)
}
