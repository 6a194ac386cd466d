//! Splitting the live map: only as deep as a range's ends ask, and only there.

use blockmap_verify::console::{LINEAR, Stat};
use blockmap_verify::machine::{Booted, Config};

use crate::{GIB, MIB, answers, around, twelve_gib};

/// A page inside a block of 1 GiB, on no boundary but its own.
const PAGE: &str = "0xffff000155555000";

/// Runs `command`, sees that it adds `tables` tables, and that from GiB `first` on `gib` GiB are
/// `expected` afterwards, and everything else as it was.
fn check(command: &str, tables: u64, (first, gib): (u64, u64), expected: &[&str]) {
    let ([before, after], [stat_before, stat_after], booted) = around(command);
    answers(&booted, command, "done");
    let (start, end) = (first * GIB, (first + gib) * GIB);
    assert_eq!(stat_after.tables() - stat_before.tables(), tables);
    // Narrowed frames belong to whoever narrowed them; what else is no longer free is a table, or kept
    // to be one.
    let available = |stat: &Stat| stat.frames["free"] + stat.frames["used"] + stat.tables_ready;
    assert_eq!(available(&stat_before) - available(&stat_after), tables);
    assert_eq!(after.linear(start, end), expected);
    assert_eq!(after.linear(0, GIB), before.linear(0, GIB));
    let below =
        format!("{:#018x} {}G PUD RW NX SHD AF BLK UXN MEM/NORMAL", LINEAR + GIB, first - 1);
    let above =
        format!("{:#018x} {}G PUD RW NX SHD AF BLK UXN MEM/NORMAL", LINEAR + end, 12 - first - gib);
    assert_eq!(after.linear(GIB, start), [below]);
    assert_eq!(after.linear(end, 12 * GIB), [above]);
    assert_eq!(after.check, "Checked W+X mappings: passed, no W+X pages found");
}

#[test]
fn one_page_takes_two_tables_and_leaves_the_largest_leaves_around_it() {
    check(
        &format!("ro {PAGE} 1"),
        2,
        (5, 1),
        &[
            "0xffff000140000000 320M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
            "0xffff000154000000 20M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff000155400000 1344K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff000155550000 20K PTE RW NX SHD AF UXN MEM/NORMAL",
            "0xffff000155555000 4K PTE ro NX SHD AF UXN MEM/NORMAL",
            "0xffff000155556000 40K PTE RW NX SHD AF UXN MEM/NORMAL",
            "0xffff000155560000 640K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff000155600000 10M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff000156000000 672M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
        ],
    );
}

#[test]
fn a_split_alone_changes_no_permission() {
    check(
        &format!("split {PAGE} 1"),
        2,
        (5, 1),
        &[
            "0xffff000140000000 320M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
            "0xffff000154000000 20M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff000155400000 1344K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff000155550000 64K PTE RW NX SHD AF UXN MEM/NORMAL",
            "0xffff000155560000 640K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff000155600000 10M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff000156000000 672M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
        ],
    );
}

#[test]
fn the_first_page_of_a_gib_is_split_off_its_lower_end() {
    check(
        "ro 0xffff000140000000 1",
        2,
        (5, 1),
        &[
            "0xffff000140000000 4K PTE ro NX SHD AF UXN MEM/NORMAL",
            "0xffff000140001000 60K PTE RW NX SHD AF UXN MEM/NORMAL",
            "0xffff000140010000 1984K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff000140200000 30M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff000142000000 992M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
        ],
    );
}

#[test]
fn the_last_page_of_a_gib_is_split_off_its_upper_end() {
    check(
        "ro 0xffff00017ffff000 1",
        2,
        (5, 1),
        &[
            "0xffff000140000000 992M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
            "0xffff00017e000000 30M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff00017fe00000 1984K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff00017fff0000 60K PTE RW NX SHD AF UXN MEM/NORMAL",
            "0xffff00017ffff000 4K PTE ro NX SHD AF UXN MEM/NORMAL",
        ],
    );
}

#[test]
fn two_pages_at_the_edge_of_a_run_break_both_runs_and_no_other() {
    check(
        "ro 0xffff00015555f000 2",
        2,
        (5, 1),
        &[
            "0xffff000140000000 320M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
            "0xffff000154000000 20M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff000155400000 1344K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff000155550000 60K PTE RW NX SHD AF UXN MEM/NORMAL",
            "0xffff00015555f000 8K PTE ro NX SHD AF UXN MEM/NORMAL",
            "0xffff000155561000 60K PTE RW NX SHD AF UXN MEM/NORMAL",
            "0xffff000155570000 576K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff000155600000 10M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff000156000000 672M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
        ],
    );
}

#[test]
fn a_ragged_range_over_two_gib_is_split_at_its_two_ends() {
    // From 4 KiB below 64 MiB before the boundary to 4 KiB above 2 MiB behind it.
    let pages = (66 * MIB + 8192) >> 12;
    check(
        &format!("ro 0xffff00017bfff000 {pages}"),
        4,
        (5, 2),
        &[
            "0xffff000140000000 928M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
            "0xffff00017a000000 30M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff00017be00000 1984K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff00017bff0000 60K PTE RW NX SHD AF UXN MEM/NORMAL",
            "0xffff00017bfff000 4K PTE ro NX SHD AF UXN MEM/NORMAL",
            "0xffff00017c000000 64M PMD ro NX SHD AF CON BLK UXN MEM/NORMAL",
            "0xffff000180000000 2M PMD ro NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff000180200000 4K PTE ro NX SHD AF UXN MEM/NORMAL",
            "0xffff000180201000 60K PTE RW NX SHD AF UXN MEM/NORMAL",
            "0xffff000180210000 1984K PTE RW NX SHD AF CON UXN MEM/NORMAL",
            "0xffff000180400000 28M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
            "0xffff000182000000 992M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
        ],
    );
}

#[test]
fn a_range_of_runs_is_not_split_below_runs() {
    check(
        "ro 0xffff000142000000 16384",
        1,
        (5, 1),
        &[
            "0xffff000140000000 32M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
            "0xffff000142000000 64M PMD ro NX SHD AF CON BLK UXN MEM/NORMAL",
            "0xffff000146000000 928M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
        ],
    );
}

#[test]
fn whole_blocks_change_without_a_split() {
    check(
        "ro 0xffff000140000000 262144",
        0,
        (5, 1),
        &["0xffff000140000000 1G PUD ro NX SHD AF BLK UXN MEM/NORMAL"],
    );
    check(
        "ro 0xffff000140000000 524288",
        0,
        (5, 2),
        &["0xffff000140000000 2G PUD ro NX SHD AF BLK UXN MEM/NORMAL"],
    );
}

#[test]
fn what_was_split_stays_so_and_is_changed_without_another_split() {
    let (ro, rw) = (format!("ro {PAGE} 1"), format!("rw {PAGE} 1"));
    let booted = twelve_gib(&format!("stat; {ro}; stat; {rw}; stat; {ro}; stat; ptdump linear"));
    assert!(booted.answers(&ro).chain(booted.answers(&rw)).all(|answer| answer == "done\n"));
    let tables: Vec<u64> = booted.stats().iter().map(Stat::tables).collect();
    assert_eq!(tables, [3, 5, 5, 5]);
    assert_eq!(booted.dumps()[0].bytes_that_say(&["ro", "4K", "PTE"]), 4096);
}

#[test]
fn a_store_to_a_read_only_page_faults_and_its_neighbours_take_it() {
    let neighbours = ["0xffff000155554ff8", "0xffff000155556000"];
    let booted = twelve_gib(&format!(
        "ro {PAGE} 1; poke {PAGE} 1; peek {PAGE}; poke {} 2; poke {} 3; peek {}; peek {}",
        neighbours[0], neighbours[1], neighbours[0], neighbours[1]
    ));
    let report: Vec<&str> = booted.answer(&format!("poke {PAGE} 1")).lines().collect();
    let [fault, walk @ .., outcome] = &*report else { panic!("{report:?}") };
    assert_eq!(*fault, format!("fault: permission fault, level 3, write, at {PAGE}"));
    let levels: Vec<_> = walk.iter().map(|step| step.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(levels, ["0", "1", "2", "3"]);
    assert!(walk[3].contains("page 0x195555000 attr=0:MEM/NORMAL ro"), "{}", walk[3]);
    assert_eq!(*outcome, format!("{PAGE} -> 0x195555000, 4K page, r--, EL0 ---"));
    answers(&booted, &format!("peek {PAGE}"), &format!("{PAGE}: 0x0000000000000000"));
    answers(&booted, &format!("peek {}", neighbours[0]), "0xffff000155554ff8: 0x0000000000000002");
    answers(&booted, &format!("peek {}", neighbours[1]), "0xffff000155556000: 0x0000000000000003");
}

/// Two tables are filled, and the second split fills another; what does is done by the CPU that asks.
/// The last compares and changes pages of two tables.
#[test]
fn what_is_in_vector_registers_is_kept() {
    let (deep, shallow) = ("vectors 0xffff000155555000 1", "vectors 0xffff000196200000 1");
    let (page, many) = ("split 0xffff0001a0001000 1", "vectors 0xffff0001a0001000 600");
    let booted = twelve_gib(&format!("{deep}; {shallow}; {page}; {many}; poweroff"));
    for command in [deep, shallow, many] {
        let kept = "vector registers that are not as they were: 0\ndone";
        answers(&booted, command, kept);
    }
}

/// What was filled is taken for what it was a piece of: an entry that is off would stay.
#[test]
fn what_was_split_anywhere_is_one_leaf_again() {
    let pages = [0x1000_u64, 0x1f_f000, 0x155_5000, 0x2000_1000, 0x3fff_f000];
    let splits = pages.map(|page| format!("split {:#x} 1; ", LINEAR + 5 * GIB + page)).concat();
    let (dumps, stats, _) = around(&format!("{splits}heal all"));
    assert_eq!(dumps[0].linear(0, 12 * GIB), dumps[1].linear(0, 12 * GIB));
    assert_eq!(stats[0].tables(), stats[1].tables());
}

/// Its tables are filled from general registers: vector instructions are undefined there.
#[test]
fn a_cpu_without_vector_registers_splits_too() {
    for cpu in ["max,vfp=off,neon=off", "cortex-a72,vfp=off,neon=off"] {
        let vectors = "vectors 0xffff000155555000 1";
        let script = format!(
            "ptdump linear; split 0xffff000155555000 1; {vectors}; heal all; ptdump linear"
        );
        let booted = Booted::run(&Config::new("12G").cpu(cpu).monitor(&script)).succeeded();
        answers(&booted, vectors, "refused: this CPU permits no vector registers");
        let [before, after]: [_; 2] = booted.dumps().try_into().unwrap();
        assert_eq!(before.linear(0, 12 * GIB), after.linear(0, 12 * GIB), "{cpu}");
    }
}
