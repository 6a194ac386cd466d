//! Trees that make no sense, one by one: each is refused, and the error names what is wrong.

use std::time::{Duration, Instant};

use blockmap::layout::{FirmwareMap, Image, MemoryMap};
use blockmap::vmsa::Geometry;
use blockmap_kernel::devicetree::{DeviceTree, Gic, MOST_BYTES, TreeError, blob_bytes};

use crate::writer::Writer;
use crate::{FIXTURES, range, read_all};

const GIB: u64 = 1 << 30;

/// Writes part of a tree.
type Write<'w> = &'w dyn Fn(&mut Writer) -> &mut Writer;

fn uart(writer: &mut Writer) -> &mut Writer {
    writer.text("compatible", "arm,pl011")
}

fn psci(writer: &mut Writer) -> &mut Writer {
    writer.text("compatible", "arm,psci-1.0")
}

/// Why a blob is no tree.
fn error(blob: &[u8]) -> TreeError<'_> {
    DeviceTree::new(blob).unwrap_err()
}

/// What is said of a tree's memory.
fn memory(blob: &[u8]) -> String {
    let tree = DeviceTree::new(blob).unwrap();
    tree.add_memory(&mut FirmwareMap::new()).unwrap_err().to_string()
}

/// What the layout says of a tree's memory, which reads well by itself.
fn layout(blob: &[u8], image: Option<Image>) -> String {
    let mut map = FirmwareMap::new();
    DeviceTree::new(blob).unwrap().add_memory(&mut map).unwrap();
    if let Some(image) = image {
        map.set_image(image);
    }
    MemoryMap::new(&map, Geometry::KERNEL_4K_48).unwrap_err().to_string()
}

#[test]
fn a_blob_that_is_no_tree_is_refused() {
    let good = FIXTURES[0];
    assert_eq!(error(&[]), TreeError::NoHeader(0));
    assert_eq!(error(&[0; 64]), TreeError::Magic(0));
    let cut_off = TreeError::CutOff { says: good.len(), had: 100 };
    assert_eq!(error(&good[..100]), cut_off);
    let huge = blob_bytes([0xd0, 0x0d, 0xfe, 0xed, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(huge, Err(TreeError::TooLarge(u32::MAX)));
    let longer = [good, &[0xff; 99]].concat();
    assert!(DeviceTree::new(&longer).is_ok(), "bytes behind the end do not matter");
    // A header alone, all of whose offsets lead out of it.
    let mut header = good[..40].to_vec();
    header[4..8].copy_from_slice(&40_u32.to_be_bytes());
    assert!(matches!(error(&header), TreeError::Malformed(_)));
}

#[test]
fn a_tree_cut_off_anywhere_is_refused() {
    for blob in FIXTURES {
        for bytes in (0..blob.len() - 8).step_by(3) {
            let mut cut = blob[..bytes].to_vec();
            assert!(DeviceTree::new(&cut).is_err());
            if let Some(size) = cut.get_mut(4..8) {
                size.copy_from_slice(&u32::try_from(bytes).unwrap().to_be_bytes());
            }
            assert!(DeviceTree::new(&cut).is_err(), "{bytes} bytes that say so");
        }
    }
}

#[test]
fn cells_that_make_no_number_are_refused() {
    let with = |address: u32, size: u32| {
        let mut writer = Writer::default();
        writer.open("").cell("#address-cells", address).cell("#size-cells", size);
        memory(&writer.memory(GIB, GIB).finish())
    };
    assert_eq!(with(0, 0), "/: #address-cells is 0, where 1 or 2 is needed");
    assert_eq!(with(3, 1), "/: #address-cells is 3, where 1 or 2 is needed");
    assert_eq!(with(2, u32::MAX), "/: #size-cells is 4294967295, where 1 or 2 is needed");
    assert_eq!(with(2, 0), "/: #size-cells is 0, where 1 or 2 is needed");
    assert_eq!(with(2, 1), "/memory@40000000: reg has 16 bytes, which are not entries of 12");
    let odd = Writer::default().open("").property("#address-cells", &[0, 2]).memory(0, 1).finish();
    assert_eq!(memory(&odd), "/: #address-cells is not one cell");
}

#[test]
fn memory_that_is_not_there_is_refused() {
    let none = Writer::new().open("memory").text("device_type", "memory").close().finish();
    assert_eq!(memory(&none), "/memory: reg is missing");
    let wraps = Writer::new().memory(u64::MAX - 0xfff, 0x2000).finish();
    assert!(memory(&wraps).starts_with("/memory@fffffffffffff000: 0x2000 bytes from"));
    let banks: Vec<u64> = (0..129).flat_map(|bank| [bank * GIB, 0x1000]).collect();
    let many = Writer::new()
        .open("memory")
        .text("device_type", "memory")
        .numbers("reg", &banks)
        .close()
        .finish();
    assert!(memory(&many).starts_with("/memory: no room for 0x2000000000+0x1000"));
    assert_eq!(layout(&Writer::new().finish(), None), "no memory: not one page that may be mapped");
    let overlapping = Writer::new().memory(2 * GIB, GIB).memory(GIB, GIB + 1).finish();
    assert_eq!(
        layout(&overlapping, None),
        "memory banks 0x40000000+0x40000001 and 0x80000000+0x40000000 overlap"
    );
    let high = Writer::new().memory(GIB, GIB).memory(1 << 48, GIB).finish();
    assert!(layout(&high, None).contains("reaches above the 48 bits"));
    let load = range(4 * GIB, 2 << 20);
    let image =
        Image { load, text: range(4 * GIB, 0x1000), rodata: range(4 * GIB + 0x1000, 0x1000) };
    let text = layout(FIXTURES[0], Some(image));
    assert_eq!(text, "the kernel image 0x100000000+0x200000 is not in one piece of memory");
}

#[test]
fn reservations_that_make_no_sense_are_refused() {
    let child = |write: Write<'_>| {
        let mut writer = Writer::new();
        writer.memory(GIB, GIB).open("reserved-memory");
        writer.cell("#address-cells", 2).cell("#size-cells", 2).open("r@0");
        write(&mut writer);
        memory(&writer.finish())
    };
    assert_eq!(child(&|writer| writer), "/reserved-memory/r@0: reg is missing");
    assert_eq!(
        child(&|writer| writer.cell("reg", 1).text("no-map", "")),
        "/reserved-memory/r@0: reg has 4 bytes, which are not entries of 16"
    );
    let wraps = child(&|writer| writer.numbers("reg", &[u64::MAX, 2]));
    assert!(
        wraps.starts_with("/reserved-memory/r@0: 0x2 bytes from 0xffffffffffffffff"),
        "{wraps}"
    );
    let wraps = Writer::new().reserve(u64::MAX, 2).memory(GIB, GIB).finish();
    assert!(memory(&wraps).starts_with("device tree's memory reservation block: 0x2 bytes"));
}

#[test]
fn reservations_inside_each_other_are_kept_apart() {
    let mut writer = Writer::new();
    writer.memory(GIB, GIB).open("reserved-memory").cell("#address-cells", 2);
    writer.cell("#size-cells", 2).open("outer@50000000");
    writer.numbers("reg", &[0x5000_0000, 0x10_0000]);
    // A node below a reservation is none.
    writer.open("inner@50001000").numbers("reg", &[0x5000_1000, 0x1000]).close().close();
    writer.open("hole@50002000").property("no-map", &[]);
    writer.numbers("reg", &[0x5000_2000, 0x1000]).close().close();
    let blob = writer.finish();
    let mut map = FirmwareMap::new();
    DeviceTree::new(&blob).unwrap().add_memory(&mut map).unwrap();
    assert_eq!(map.reserved(), [range(0x5000_0000, 0x10_0000)]);
    assert_eq!(map.no_map(), [range(0x5000_2000, 0x1000)]);
    let checked = MemoryMap::new(&map, Geometry::KERNEL_4K_48).unwrap();
    assert!(!checked.maps(range(0x5000_2000, 1)));
}

#[test]
fn devices_and_chosen_values_that_make_no_sense_are_refused() {
    let tree = |write: Write<'_>| {
        let mut writer = Writer::new();
        write(&mut writer);
        let blob = writer.finish();
        let tree = DeviceTree::new(&blob).map_err(|error| error.to_string());
        let errors = |tree: DeviceTree<'_>| {
            let cpus = tree.cpus().find_map(Result::err);
            let errors = [
                tree.console().err(),
                tree.conduit().err(),
                tree.interrupt_controller().err(),
                tree.command_line().err(),
                tree.initrd().err(),
                cpus,
            ];
            errors.into_iter().flatten().map(|error| error.to_string()).collect::<Vec<_>>()
        };
        tree.map(errors).unwrap().join("; ")
    };
    assert_eq!(tree(&|writer| uart(writer.open("uart"))), "/uart: reg is missing");
    let far = tree(&|writer| {
        writer.open("soc").cell("#address-cells", 2).cell("#size-cells", 2).open("uart@1000");
        uart(writer.numbers("reg", &[0x1000, 0x1000])).close()
    });
    assert_eq!(far, "/soc/uart@1000: no ranges of the buses above it lead to address 0x1000");
    assert_eq!(tree(&|writer| psci(writer.open("psci"))), "/psci: method is missing");
    let called = tree(&|writer| psci(writer.open("psci").text("method", "svc")));
    assert_eq!(called, "/psci: method is not hvc or smc");
    let args = tree(&|writer| writer.open("chosen").property("bootargs", b"\xff\xfe\0"));
    assert_eq!(args, "/chosen: bootargs is not one text in UTF-8 with a zero at its end");
    let initrd = tree(&|writer| writer.open("chosen").cell("linux,initrd-start", 1));
    assert_eq!(initrd, "/chosen: linux,initrd-end is missing");
    let backward = tree(&|writer| {
        writer.open("chosen").cell("linux,initrd-start", 2).cell("linux,initrd-end", 1)
    });
    assert_eq!(backward, "/chosen: linux,initrd-end is not above linux,initrd-start");
    let cpu = tree(&|writer| {
        writer.open("cpus").cell("#address-cells", 2).cell("#size-cells", 0).open("cpu@0");
        writer.text("device_type", "cpu").numbers("reg", &[1 << 31]).close()
    });
    assert_eq!(cpu, "/cpus/cpu@0: reg is not a CPU's affinity");
    let method = tree(&|writer| {
        writer.open("cpus").cell("#address-cells", 1).cell("#size-cells", 0).open("cpu@0");
        writer.text("device_type", "cpu").cell("reg", 0).property("enable-method", b"psci")
    });
    let no_text = "enable-method is not one text in UTF-8 with a zero at its end";
    assert_eq!(method, format!("/cpus/cpu@0: {no_text}"));
    let gic = tree(&|writer| {
        writer.open("gic").text("compatible", "arm,gic-v3").numbers("reg", &[1 << 20, 1 << 16])
    });
    let no_ranges = "reg is not the ranges of the controller's registers";
    assert_eq!(gic, format!("/gic: {no_ranges}"));
    let wraps = tree(&|writer| {
        let gic = writer.open("gic").text("compatible", "arm,gic-400");
        gic.numbers("reg", &[0_u64.wrapping_sub(4096), 8192, 0x1_0000, 0x1000])
    });
    assert_eq!(wraps, format!("/gic: {no_ranges}"));
}

#[test]
fn a_controller_has_as_many_redistributor_regions_as_it_says() {
    let with = |regions: Option<u32>| {
        let mut writer = Writer::new();
        let gic = writer.open("gic").text("compatible", "arm,gic-v3");
        if let Some(regions) = regions {
            gic.cell("#redistributor-regions", regions);
        }
        // Distributor, two regions, and what version 2's CPU interface would be.
        let reg = [1, 2, 3, 4].map(|number: u64| [number << 20, 1 << 16]);
        gic.numbers("reg", reg.as_flattened()).close();
        let blob = writer.finish();
        let tree = DeviceTree::new(&blob).unwrap();
        match tree.interrupt_controller() {
            Ok(Some(Gic::V3 { redistributors, .. })) => {
                Ok(redistributors.into_iter().flatten().count())
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(with(None), Ok(1));
    assert_eq!(with(Some(2)), Ok(2));
    let too_few = "/gic: reg is not the ranges of the controller's registers";
    assert_eq!(with(Some(4)), Err(too_few.to_owned()));
    assert_eq!(with(Some(0)), Err("/gic: #redistributor-regions is not 1 or more".to_owned()));
}

/// Reads a large blob within a time that even a busy machine needs no part of.
fn check_large(name: &str, write: &dyn Fn(&mut Writer, usize) -> &mut Writer) {
    let mut writer = Writer::new();
    writer.memory(GIB, GIB).open("large");
    let mut turn = 0;
    while writer.bytes() < MOST_BYTES / 2 {
        write(&mut writer, turn);
        turn += 1;
    }
    let blob = writer.finish();
    assert!(blob.len() <= MOST_BYTES);
    let begun = Instant::now();
    assert_eq!(read_all(&blob), 0, "{name}");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(60), "{name} took {took:?}");
}

#[test]
fn a_tree_as_large_as_may_be_takes_no_long_time() {
    check_large("deep", &|writer, _| writer.open("n"));
    check_large("wide", &|writer, _| writer.open("n").close());
    check_large("comb", &|writer, turn| {
        let open = writer.open("n");
        if turn % 3 == 0 { open } else { open.close() }
    });
    check_large("many properties", &|writer, _| writer.property("p", &[]));
    check_large("many UARTs elsewhere", &|writer, _| {
        writer.open("u").text("compatible", "arm,pl01").text("status", "okay").close()
    });
    check_large("one long value", &|writer, _| writer.property("p", &vec![1; 1 << 16]));
}
