//! Memory that is present but invalid: every access faults, and nothing of it is forgotten.

use crate::{GIB, answers, around, twelve_gib};

const PAGE: &str = "0xffff000155555000";

#[test]
fn an_invalid_page_faults_and_comes_back_as_it_was() {
    let script = format!(
        "poke {PAGE} 7; split {PAGE} 1; ptdump linear; invalid {PAGE} 1; ptdump linear; \
         peek {PAGE}; poke {PAGE} 8; exec {PAGE}; stat; valid {PAGE} 1; peek {PAGE}; ptdump linear"
    );
    let booted = twelve_gib(&script);
    let fault = |kind| format!("fault: translation fault, level 3, {kind}, at {PAGE}");
    let peeks: Vec<_> = booted.answers(&format!("peek {PAGE}")).collect();
    assert!(peeks[0].starts_with(&fault("read")), "{}", peeks[0]);
    assert!(peeks[0].contains("invalid but present page 0x195555000"), "{}", peeks[0]);
    let outcome =
        format!("{PAGE} translation fault, level 3: invalid, but present at 0x195555000\n");
    assert!(peeks[0].ends_with(&outcome), "{}", peeks[0]);
    assert_eq!(peeks[1], format!("{PAGE}: 0x0000000000000007\n"));
    assert!(booted.answer(&format!("poke {PAGE} 8")).starts_with(&fault("write")));
    assert!(booted.answer(&format!("exec {PAGE}")).starts_with(&fault("execute")));
    assert_eq!(booted.stats()[0].map["present but invalid"], "4K");
    let [before, invalid, after] = booted.dumps().try_into().unwrap();
    assert_eq!(after, before);
    let page = format!("{PAGE} 4K PTE F RW NX SHD AF NG UXN MEM/NORMAL");
    assert_eq!(invalid.linear(0x1_5555_5000, 0x1_5555_6000), [page]);
    assert_eq!(invalid.bytes_that_say(&["F"]), 4096);
}

#[test]
fn invalid_leaves_print_as_linux_prints_them() {
    let booted =
        twelve_gib("split 0xffff000155550000 16; invalid 0xffff000155550000 16; ptdump linear");
    let line = "0xffff000155550000-0xffff000155560000          64K PTE F     RW NX SHD AF NG CON     UXN    MEM/NORMAL\n";
    let dump = booted.answer("ptdump linear");
    assert!(dump.contains(line), "{dump}");
}

/// Sees that the leaf of `range`, split off before, can be taken away and given back. It has
/// `size`, is of `level`, and is a block or a run as `shape` says.
fn check(range: &str, (size, level, shape): (&str, &str, &str)) {
    let start = range.split(' ').next().unwrap();
    let script = format!(
        "split {range}; stat; ptdump linear; invalid {range}; stat; ptdump linear; peek {start}; \
         valid {range}; stat; ptdump linear; peek {start}"
    );
    let booted = twelve_gib(&script);
    let [before, invalid, after] = booted.dumps().try_into().unwrap();
    assert_eq!(after, before);
    let lines = invalid.mapped().filter(|line| line.says("F"));
    let lines: Vec<String> = lines.map(ToString::to_string).collect();
    let line = format!("{start} {size} {level} F RW NX SHD AF NG {shape}UXN MEM/NORMAL");
    assert_eq!(lines, [line]);
    let [stat_before, stat_invalid, stat_after] = booted.stats().try_into().unwrap();
    assert_eq!(stat_invalid.map["present but invalid"], size);
    assert_eq!(stat_after.map, stat_before.map);
    assert_eq!(stat_after.frames["tables"], stat_before.frames["tables"]);
    let peeks: Vec<_> = booted.answers(&format!("peek {start}")).collect();
    assert!(peeks[0].starts_with("fault: translation fault, level "), "{}", peeks[0]);
    assert_eq!(peeks[1], format!("{start}: 0x0000000000000000\n"));
}

#[test]
fn leaves_of_every_size_are_taken_away_and_given_back() {
    check("0xffff000180000000 262144", ("1G", "PUD", "BLK "));
    check("0xffff000182000000 8192", ("32M", "PMD", "CON BLK "));
    check("0xffff000180200000 512", ("2M", "PMD", "BLK "));
    check("0xffff000180010000 16", ("64K", "PTE", "CON "));
    check("0xffff000180001000 1", ("4K", "PTE", ""));
}

#[test]
fn an_invalid_block_that_is_split_is_invalid_in_every_piece() {
    let block = "0xffff000180000000 262144";
    let inside = "0xffff000195555000 1";
    let ([before, after], [stat_before, stat], booted) =
        around(&format!("invalid {block}; split {inside}; ro {inside}; peek 0xffff000180000000"));
    assert!(booted.answer("peek 0xffff000180000000").starts_with("fault: translation fault"));
    assert_eq!(stat.tables() - stat_before.tables(), 2);
    assert_eq!(stat.map["present but invalid"], "1G");
    let pieces = [
        "0xffff000180000000 320M PMD F RW NX SHD AF NG CON BLK UXN MEM/NORMAL",
        "0xffff000194000000 20M PMD F RW NX SHD AF NG BLK UXN MEM/NORMAL",
        "0xffff000195400000 1344K PTE F RW NX SHD AF NG CON UXN MEM/NORMAL",
        "0xffff000195550000 20K PTE F RW NX SHD AF NG UXN MEM/NORMAL",
        "0xffff000195555000 4K PTE F ro NX SHD AF NG UXN MEM/NORMAL",
        "0xffff000195556000 40K PTE F RW NX SHD AF NG UXN MEM/NORMAL",
        "0xffff000195560000 640K PTE F RW NX SHD AF NG CON UXN MEM/NORMAL",
        "0xffff000195600000 10M PMD F RW NX SHD AF NG BLK UXN MEM/NORMAL",
        "0xffff000196000000 672M PMD F RW NX SHD AF NG CON BLK UXN MEM/NORMAL",
    ];
    assert_eq!(after.linear(6 * GIB, 7 * GIB), pieces);
    assert_eq!(after.linear(0, GIB), before.linear(0, GIB));
}

#[test]
fn part_of_a_split_invalid_block_is_given_back_alone() {
    let commands = "invalid 0xffff000180000000 512; valid 0xffff000180010000 16; \
                    peek 0xffff000180010000; peek 0xffff000180020000";
    let (_, [_, stat], booted) = around(commands);
    let there = "0xffff000180010000: 0x0000000000000000";
    answers(&booted, "peek 0xffff000180010000", there);
    assert!(booted.answer("peek 0xffff000180020000").starts_with("fault: translation fault"));
    assert_eq!(stat.map["present but invalid"], "1984K");
}
