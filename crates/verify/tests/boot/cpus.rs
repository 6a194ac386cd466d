//! CPUs: which of them get blocks, which pages, and what pages still allow.

use blockmap_dump::Size;
use blockmap_verify::console::{LINEAR, Stat};
use blockmap_verify::machine::{Booted, Config};

use crate::{GIB, MIB, RAM, answers};

/// Linux's figure for 12 GiB in pages: a table of level 1, 12 of level 2, 6144 of pages.
const TABLES_OF_PAGES: u64 = 1 + 12 + 6144;

fn boot(cpu: &str, options: &str, script: &str) -> Booted {
    let config = Config::new("12G").cpu(cpu).options(options).monitor(script);
    Booted::run(&config).succeeded()
}

/// Sees that `cpu`, whose size changes are `change`, has everything in pages if sizes may never
/// change.
fn check_pages(cpu: &str, change: &str) {
    let script = "stat; ptdump linear; ro 0xffff000155555000 1; stat; ptdump linear";
    let booted = boot(cpu, "size-change=never", script);
    booted.says(&format!("live size changes: {change} "));
    booted.says("strategy: Pages");
    let [before, after] = booted.stats().try_into().unwrap();
    assert_eq!(before.tables(), TABLES_OF_PAGES);
    assert_eq!(before.count("leaves 4K"), 12 << (30 - 12));
    assert_eq!(after.map, before.map);
    let [before, after] = booted.dumps().try_into().unwrap();
    let read_only = before.bytes_that_say(&["ro"]);
    let (image, end) = (LINEAR + 2 * MIB, LINEAR + 2 * MIB + read_only);
    let rest = Size::of(12 * GIB - 2 * MIB - read_only);
    let expected = [
        format!("{LINEAR:#018x} 2M PTE {RAM} UXN MEM/NORMAL"),
        format!("{image:#018x} {} PTE ro NX SHD AF UXN MEM/NORMAL", Size::of(read_only)),
        format!("{end:#018x} {rest} PTE {RAM} UXN MEM/NORMAL"),
    ];
    assert_eq!(before.linear(0, 12 * GIB), expected);
    let page = "0xffff000155555000 4K PTE ro NX SHD AF UXN MEM/NORMAL".to_owned();
    assert_eq!(after.linear(0x1_5555_5000, 0x1_5555_6000), [page]);
    assert_eq!(after.bytes_that_say(&["ro"]), read_only + 4096);
}

/// Sees that `cpu` has blocks, which are split live.
fn check_blocks(cpu: &str) {
    let booted = boot(cpu, "", "stat; split 0xffff000155555000 1; stat");
    booted.says("live size changes: Quiet (attested by its maker)");
    let tables: Vec<u64> = booted.stats().iter().map(Stat::tables).collect();
    assert_eq!(tables, [3, 5]);
}

#[test]
fn cpus_that_need_a_break_get_pages_if_sizes_never_change() {
    for cpu in ["cortex-a53", "cortex-a57", "cortex-a72"] {
        check_pages(cpu, "NeedsBreak");
    }
}

#[test]
fn a_cpu_that_may_abort_gets_pages_if_sizes_never_change() {
    check_pages("max", "MayAbort");
}

#[test]
fn the_same_design_gets_blocks_from_the_revision_on_that_never_aborts() {
    check_pages("max,midr=0x410fd822", "MayAbort");
    check_blocks("max,midr=0x410fd823");
    check_blocks("max,midr=0x411fd820");
}

#[test]
fn blocks_that_nobody_asked_to_split_are_kept_whole_where_sizes_cannot_change() {
    let script = "stat; ro 0xffff000155555000 1; split 0xffff000155555000 1; \
                  ro 0xffff000140000000 262144; stat; ptdump linear";
    let booted = boot("max", "rodata=noalias size-change=never", script);
    let refusal = "refused: the leaf at 0xffff000155555000 would have to change its size";
    for command in ["ro 0xffff000155555000 1", "split 0xffff000155555000 1"] {
        assert!(booted.answer(command).starts_with(refusal), "{}", booted.answer(command));
    }
    answers(&booted, "ro 0xffff000140000000 262144", "done");
    let [before, after] = booted.stats().try_into().unwrap();
    assert_eq!((before.tables(), after.tables()), (1, 1));
    let expected = [
        "0xffff000000000000 5G PUD RW NX SHD AF BLK UXN MEM/NORMAL",
        "0xffff000140000000 1G PUD ro NX SHD AF BLK UXN MEM/NORMAL",
        "0xffff000180000000 6G PUD RW NX SHD AF BLK UXN MEM/NORMAL",
    ];
    assert_eq!(booted.dumps()[0].linear(0, 12 * GIB), expected);
}

#[test]
fn cpus_that_nobody_starts_change_nothing() {
    let script = "stat; ptdump linear; ro 0xffff000155555000 1; ptdump linear";
    let [one, four] = [1, 4].map(|cpus| {
        let config = Config::new("12G").cpus(cpus).options("maxcpus=1").monitor(script);
        Booted::run(&config).succeeded()
    });
    assert_eq!(four.dumps(), one.dumps());
}

#[test]
fn every_kind_of_el2_is_left_for_the_same_map() {
    for cpu in ["cortex-a57", "max"] {
        let config = Config::new("1G").cpu(cpu).board("virt,virtualization=on,secure=on");
        let booted = Booted::run(&config.monitor("stat")).succeeded();
        booted.says("entered at EL2");
        assert_eq!(booted.stats()[0].tables(), 3);
    }
}
