//! What the map is made of, by what the CPUs are and what is asked for.

use blockmap_verify::console::{LINEAR, Stat};
use blockmap_verify::machine::{Booted, Config};

use crate::{ABORTS, BREAKS, QUIET, all_done};

const GIB: u64 = 1 << 30;
const PAGE: &str = "ro 0xffff000155555000 1";

/// Linux's figure for 12 GiB in pages: a table of level 1, 12 of level 2, 6144 of pages.
const TABLES_OF_PAGES: u64 = 1 + 12 + 6144;

/// QEMU's largest CPU, one of them not quiet and sizes never to change.
const MIXED_NEVER: &str = "size-change=never cpu.secondary.size-change=may-abort";

fn twelve_gib(cpu: &str, options: &str, script: &str) -> Booted {
    Booted::run(&Config::new("12G").cpu(cpu).cpus(4).options(options).monitor(script))
}

/// Sees that all of the linear map is in pages, but for the image's alias, which has runs as well.
#[track_caller]
fn check_pages(booted: &Booted, which: usize) {
    let dump = &booted.dumps()[which];
    let lines = dump.linear(0, 12 * GIB);
    assert!(lines.iter().all(|line| line.contains(" PTE ")), "{lines:#?}");
    let in_runs = |line: &&String| line.contains(" CON ");
    let runs: Vec<&String> = lines.iter().filter(in_runs).collect();
    let image = format!("{:#018x} ", LINEAR + (2 << 20));
    assert!(runs.first().is_some_and(|line| line.starts_with(&image)), "{lines:#?}");
    assert!(runs.len() <= 2, "{lines:#?}");
    let stat = &booted.stats()[which];
    assert_eq!(stat.tables(), TABLES_OF_PAGES);
    assert!(stat.count("leaves 4K") >= (12 * GIB - (8 << 20)) >> 12);
}

#[test]
fn a_second_cpu_that_is_not_quiet_has_the_map_repainted_where_sizes_never_change() {
    let script = format!("strategy; stat; ptdump linear; {PAGE}; stat");
    let booted = twelve_gib(QUIET, MIXED_NEVER, &script).succeeded();
    assert!(booted.answer("strategy").starts_with("Pages: "));
    check_pages(&booted, 0);
    all_done(&booted, &[PAGE]);
    booted.says("  times 1, given up 0");
}

#[test]
fn blocks_that_nobody_changes_singly_are_not_repainted() {
    let options = format!("{MIXED_NEVER} rodata=noalias");
    let booted = twelve_gib(QUIET, &options, "strategy; stat").succeeded();
    assert!(booted.answer("strategy").starts_with("Pages: "));
    assert_eq!(booted.stats()[0].tables(), 1);
}

#[test]
fn a_late_cpu_that_is_not_quiet_has_the_map_repainted() {
    let options = "size-change=never maxcpus=2 cpu.3.size-change=needs-break";
    let script = "strategy; stat; ptdump linear; load on 1; cpu on 3; stat; ptdump linear; strategy; load off 1";
    let booted = twelve_gib(QUIET, options, script).succeeded();
    let strategies: Vec<bool> =
        booted.answers("strategy").map(|answer| answer.starts_with("Pages: ")).collect();
    assert_eq!(strategies, [false, true]);
    assert_eq!(booted.stats()[0].tables(), 3);
    check_pages(&booted, 1);
    assert!(booted.answer("load off 1").contains(" 0 of them wrong"));
}

#[test]
fn cpus_that_all_need_a_break_keep_blocks_and_change_single_pages() {
    let script = format!("load on 1; load on 2; load on 3; stat; {PAGE}; stat; ptdump linear");
    let booted = twelve_gib(BREAKS, "", &script).succeeded();
    all_done(&booted, &[PAGE]);
    let tables: Vec<u64> = booted.stats().iter().map(Stat::tables).collect();
    assert_eq!(tables, [3, 5]);
    let page = "0xffff000155555000 4K PTE ro NX SHD AF UXN MEM/NORMAL".to_owned();
    assert_eq!(booted.dumps()[0].linear(0x1_5555_5000, 0x1_5555_6000), [page]);
}

#[test]
fn pages_can_be_asked_for_while_cpus_use_the_blocks() {
    let script = "load on 1; load on 2; stat; ptdump linear; repaint pages; stat; ptdump linear; \
                  load off 1; load off 2; repaint pages";
    let booted = twelve_gib(BREAKS, "", script).succeeded();
    all_done(&booted, &["repaint pages"]);
    check_pages(&booted, 1);
    for cpu in [1, 2] {
        assert!(booted.answer(&format!("load off {cpu}")).contains(" 0 of them wrong"));
    }
}

#[test]
fn pages_become_the_blocks_that_they_were_while_cpus_use_them() {
    let script = "load on 1; load on 2; ptdump linear; repaint pages; ptdump linear; repaint blocks; \
                  ptdump linear; load off 1; load off 2; ro 0xffff000155555000 1";
    for cpu in [BREAKS, QUIET] {
        let booted = twelve_gib(cpu, "", script).succeeded();
        all_done(&booted, &["repaint pages", "repaint blocks", PAGE]);
        let [before, pages, after] = booted.dumps().try_into().unwrap();
        assert_ne!(before, pages);
        assert_eq!(before, after, "{cpu}");
        for cpu in [1, 2] {
            assert!(booted.answer(&format!("load off {cpu}")).contains(" 0 of them wrong"));
        }
    }
}

#[test]
fn pages_stay_pages_where_no_size_ever_changes() {
    let booted = twelve_gib(ABORTS, "size-change=never", "repaint blocks").succeeded();
    let refusal = booted.answer("repaint blocks");
    assert!(refusal.starts_with("refused: ") && refusal.contains("Pages"), "{refusal}");
}

#[test]
fn a_repaint_without_memory_for_its_tables_leaves_the_blocks() {
    let script = "ptdump linear; repaint pages; ptdump linear; ro 0xffff000155555000 1";
    let booted = twelve_gib(BREAKS, "fail-tables=1000", script).succeeded();
    let refusal = booted.answer("repaint pages");
    assert!(
        refusal.starts_with("refused: ") && refusal.contains("6158 translation tables are needed"),
        "{refusal}"
    );
    let [before, after] = booted.dumps().try_into().unwrap();
    assert_eq!(before, after);
    all_done(&booted, &[PAGE]);
}

#[test]
fn a_machine_that_can_not_be_repainted_and_must_be_says_so_and_ends() {
    let booted = twelve_gib(QUIET, &format!("{MIXED_NEVER} fail-tables=1000"), "stat");
    booted.says("CPUs: size-change=never needs a map of pages: ");
    assert_eq!(booted.status, 100);
}
