//! What trees of real machines say.

use blockmap::layout::FirmwareMap;
use blockmap::machine::{PhysAddr, PhysRange};
use blockmap_kernel::cmdline::{CommandLine, Exit};
use blockmap_kernel::devicetree::{
    Conduit, DeviceTree, Gic, HEADER_BYTES, StartMethod, blob_bytes,
};

use crate::{FIXTURES, range, read_all};

const GIB: u64 = 1 << 30;

fn tree(index: usize) -> DeviceTree<'static> {
    DeviceTree::new(FIXTURES[index]).unwrap()
}

fn memory(tree: DeviceTree<'_>) -> FirmwareMap {
    let mut map = FirmwareMap::new();
    tree.add_memory(&mut map).unwrap();
    map
}

#[test]
fn every_question_has_an_answer() {
    for (index, blob) in FIXTURES.iter().enumerate() {
        assert_eq!(read_all(blob), 0, "fixture {index}");
        let header: [u8; HEADER_BYTES] = *blob.first_chunk().unwrap();
        assert_eq!(blob_bytes(header), Ok(blob.len()));
    }
}

#[test]
fn banks_of_all_memory_nodes_are_found() {
    let banks = |index| memory(tree(index)).banks().to_vec();
    assert_eq!(banks(0), [range(GIB, GIB)]);
    assert_eq!(banks(1), [range(GIB, 12 * GIB)]);
    assert_eq!(banks(2), [range(GIB, 12 * GIB)]);
    assert_eq!(banks(3), [range(GIB, GIB)]);
    // The secure memory is listed as well, but is not enabled.
    assert_eq!(banks(4), [range(GIB, GIB)]);
    // QEMU lists the higher NUMA node first.
    assert_eq!(banks(5), [range(129 * GIB, 128 * GIB), range(GIB, 128 * GIB)]);
}

#[test]
fn the_virt_machine_is_known() {
    for (index, cpus) in [(0, 1), (1, 4), (2, 1), (3, 18), (4, 1), (5, 2)] {
        let tree = tree(index);
        assert_eq!(tree.console(), Ok(Some(PhysAddr::new(0x0900_0000))), "fixture {index}");
        let affinities: Vec<u64> = tree.cpus().map(|cpu| cpu.unwrap().mpidr.value()).collect();
        // Sixteen CPUs to a cluster.
        let expected: Vec<u64> = (0..cpus).map(|cpu| cpu / 16 * 0x100 + cpu % 16).collect();
        assert_eq!(affinities, expected, "fixture {index}");
    }
    let conduits = [0, 1, 2, 3, 4, 5].map(|index| tree(index).conduit().unwrap());
    let hvc = Some(Conduit::Hvc);
    assert_eq!(conduits, [hvc, hvc, hvc, Some(Conduit::Smc), None, hvc]);
}

#[test]
fn the_interrupt_controller_is_found() {
    let registers = |start| range(start, 0x1_0000);
    let v2 = Gic::V2 { distributor: registers(0x0800_0000), cpu_interface: registers(0x0801_0000) };
    let v3 = Gic::V3 {
        distributor: registers(0x0800_0000),
        redistributors: [Some(range(0x080a_0000, 0xf6_0000)), None, None, None],
    };
    let found = [0, 3, 4].map(|index| tree(index).interrupt_controller().unwrap());
    assert_eq!(found, [Some(v2), Some(v3), Some(v2)]);
    assert_eq!(tree(6).interrupt_controller(), Ok(None));
}

#[test]
fn every_cpu_says_how_it_is_started() {
    let methods = |index| tree(index).cpus().map(|cpu| cpu.unwrap().start).collect::<Vec<_>>();
    assert_eq!(methods(1), [StartMethod::Psci; 4]);
    // QEMU's secure world is left to firmware that isn't there.
    assert_eq!(methods(4), [StartMethod::Unsaid]);
}

#[test]
fn the_boot_loaders_part_is_read() {
    let tree = tree(0);
    let line = tree.command_line().unwrap();
    assert_eq!(line, "semihosting rodata=noalias -- stat; poweroff");
    assert_eq!(CommandLine::new(line).options().exit, Exit::Semihosting);
    assert_eq!(tree.initrd(), Ok(Some(range(0x4800_0000, 0x3000))));
    assert_eq!(memory(tree).initrd(), Some(range(0x4800_0000, 0x3000)));
    assert_eq!(self::tree(1).command_line(), Ok(""));
    assert_eq!(self::tree(1).initrd(), Ok(None));
}

#[test]
fn a_board_of_another_kind_is_understood() {
    let tree = tree(6);
    let map = memory(tree);
    let expected: [PhysRange; 3] =
        [range(4 * GIB, GIB), range(8 * GIB, 2 * GIB), range(2 * GIB, GIB / 2)];
    assert_eq!(map.banks(), expected, "disabled and empty nodes are left out");
    let reserved = [
        range(0x8000_0000, 0x1000),
        range(0x9fff_0000, 0x1_0000),
        range(0x9100_0000, 0x1000),
        range(0x9180_0000, 0x800),
    ];
    assert_eq!(map.reserved(), reserved);
    assert_eq!(map.no_map(), [range(0x9000_0000, 0x20_0000)]);
    assert_eq!(map.initrd(), Some(range(0x8800_0000, 0x1234)));
    assert_eq!(tree.console(), Ok(Some(PhysAddr::new(0xfe20_1000))), "through the bus's ranges");
    assert_eq!(tree.conduit(), Ok(Some(Conduit::Smc)));
    let cpus: Vec<u64> = tree.cpus().map(|cpu| cpu.unwrap().mpidr.value()).collect();
    assert_eq!(cpus, [0, 0x100, 0x1_0000_0000]);
    assert_eq!(tree.command_line(), Ok("rodata=on debug_pagealloc=off \"a b\" -- stat"));
}
