//! The kernel's map without global leaves.

use blockmap_verify::machine::{Booted, Config};

use crate::{ABORTS, BREAKS, QUIET, all_done, boot};

/// The lines of a dump with the letters of what is global, or is not, taken out.
fn without_ng(booted: &Booted, which: usize) -> Vec<String> {
    let answer = booted.answers("ptdump all").nth(which).unwrap();
    answer.lines().map(|line| line.replace(" NG ", "    ")).collect()
}

/// How many lines of a dump are of valid leaves, and how many of these say `NG`.
fn counted(booted: &Booted, which: usize) -> (usize, usize) {
    let answer = booted.answers("ptdump all").nth(which).unwrap();
    // Of an invalid leaf the same bit says that it is present.
    let is_valid = |line: &&str| line.contains(" AF ") && !line.contains(" F ");
    let valid: Vec<&str> = answer.lines().filter(is_valid).collect();
    (valid.len(), valid.iter().filter(|line| line.contains(" NG ")).count())
}

#[test]
fn the_map_before_and_after_differs_in_what_is_global_alone() {
    let script = "load on 1; load on 2; load on 3; ro 0xffff000055555000 1; \
                  invalid 0xffff000045555000 1; vmap 3; ptdump all; kpti on; ptdump all; stat; \
                  strategy; churn 2 1000; load off 1; load off 2; load off 3; kpti on";
    for cpu in [BREAKS, ABORTS, QUIET] {
        let booted = boot((cpu, 4), "", script);
        assert!(counted(&booted, 0).0 > 20);
        assert_eq!(counted(&booted, 0).1, 0, "all are global");
        let (valid, private) = counted(&booted, 1);
        assert_eq!(valid, private, "none is");
        assert_eq!(without_ng(&booted, 0), without_ng(&booted, 1), "{cpu}");
        all_done(&booted, &["load off 1", "load off 2", "load off 3"]);
        for number in 1..4 {
            assert!(booted.answer(&format!("load off {number}")).contains(" 0 of them wrong"));
        }
        assert!(booted.answer("churn 2 1000").starts_with("done\n"), "{}", booted.console);
        assert!(booted.answer("strategy").contains("; no leaf is global\n"));
        booted.says("; global: 0B");
        let answers: Vec<&str> = booted.answers("kpti on").map(str::trim_end).collect();
        assert_eq!(answers, ["done", "refused: no leaf is global already"]);
    }
}

#[test]
fn what_is_mapped_or_valid_or_comes_later_has_no_global_leaves_either() {
    let script = "vmap 3; ro 0xffff000055555000 1; invalid 0xffff000045555000 1; \
                  valid 0xffff000045555000 1; poke 0xffff000045555000 7; cpu on 3; load on 3; \
                  split 0xffff000048000000 512; ptdump all; load off 3";
    for (cpus, options) in [(4, "kpti=on maxcpus=3"), (4, "kpti=1 maxcpus=3 size-change=quiesce")] {
        let booted = boot((QUIET, cpus), options, script);
        booted.says("CPUs: no leaf of the kernel's map is global from here on");
        let commands =
            ["ro 0xffff000055555000 1", "invalid 0xffff000045555000 1", "cpu on 3", "load off 3"];
        all_done(&booted, &commands);
        let (valid, private) = counted(&booted, 0);
        assert!(valid > 20);
        assert_eq!(valid, private, "{}", booted.console);
    }
}

#[test]
fn one_cpu_does_it_alone_and_pages_are_no_different() {
    let alone = boot((BREAKS, 1), "kpti=on", "ptdump all; ro 0xffff000055555000 1; ptdump all");
    assert_eq!(counted(&alone, 0).0, counted(&alone, 0).1);
    assert_eq!(counted(&alone, 1).0, counted(&alone, 1).1);
    let options = "kpti=on size-change=never cpu.secondary.size-change=may-abort";
    let pages = boot((QUIET, 2), options, "ptdump all; ro 0xffff000055555000 1; stat");
    assert_eq!(counted(&pages, 0).0, counted(&pages, 0).1);
    all_done(&pages, &["ro 0xffff000055555000 1"]);
    pages.says("  times 2, given up 0");
}

#[test]
fn a_cpu_that_does_not_come_and_tables_that_are_not_there_leave_the_map_as_it_was() {
    let script = "ptdump all; kpti on; ptdump all; vmap 1; ptdump all";
    let late = boot((BREAKS, 4), "park-fault=2:never", script);
    assert!(late.answer("kpti on").starts_with("refused: CPU 2 did not come to be parked"));
    let short = boot((BREAKS, 4), "fail-tables=5", script);
    assert!(short.answer("kpti on").contains("translation tables are needed"), "{}", short.console);
    for booted in [&late, &short] {
        let dumps: Vec<&str> = booted.answers("ptdump all").collect();
        assert_eq!(dumps[0], dumps[1]);
        assert_eq!(counted(booted, 2).1, 0, "nor is what comes later");
    }
    let config = Config::new("2G").cpu(BREAKS).cpus(4).options("kpti=on fail-tables=5");
    let booted = Booted::run(&config.monitor("strategy")).succeeded();
    booted.says("CPUs: kpti=on: leaves stay global: ");
}
