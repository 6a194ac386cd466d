//! CPUs that read and write all over memory while another changes it.

use std::ops::Range;

use crate::{ABORTS, BREAKS, QUIET, all_done, boot};
use blockmap_verify::machine::{Booted, Config};

/// How many changes, and how many accesses of the others before each of them. Both can be more:
/// `BLOCKMAP_CHANGES=100 BLOCKMAP_ACCESSES=1000000`.
fn stress() -> (u64, u64) {
    let asked = |name: &str, usual| {
        std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
    };
    (asked("BLOCKMAP_CHANGES", 12), asked("BLOCKMAP_ACCESSES", 20_000))
}

/// The commands that load so many CPUs, or relieve them.
fn loads(what: &str, cpus: Range<u32>) -> String {
    let commands: Vec<String> = cpus.map(|cpu| format!("load {what} {cpu}; ")).collect();
    commands.concat()
}

/// Sees that no access of three or more loaded CPUs goes wrong while a page in one block after the
/// other is split off, made read-only and writable again.
fn check((cpu, cpus): (&str, u32), options: &str, strategy: &str) -> Booted {
    let (changes, accesses) = stress();
    let loaded = cpus.min(4);
    let each = |what: &str| loads(what, 1..loaded);
    let churn = format!("churn {changes} {accesses}");
    let script = format!("strategy; {}{churn}; {}stat", each("on"), each("off"));
    let config = Config::new("2G").cpu(cpu).cpus(cpus).options(options).monitor(&script);
    let booted = Booted::run(&config.limit(std::time::Duration::from_secs(600))).succeeded();
    assert!(booted.answer("strategy").starts_with(&format!("{strategy}: ")), "{}", booted.console);
    assert!(booted.answer(&churn).starts_with("done"), "{}", booted.answer(&churn));
    for cpu in 1..loaded {
        let answer = booted.answer(&format!("load off {cpu}"));
        assert!(answer.contains(" accesses, 0 of them wrong\ndone"), "{answer}");
    }
    booted
}

#[test]
fn nothing_goes_wrong_under_load_while_sizes_change_live() {
    check((QUIET, 4), "", "Live");
}

#[test]
fn nothing_goes_wrong_under_load_while_cpus_are_parked() {
    for kind in [(BREAKS, 4), (ABORTS, 4)] {
        let booted = check(kind, "", "Quiesce");
        booted.says("given up 0");
        booted.says("all parked to release: last ");
    }
}

#[test]
fn quiet_cpus_are_parked_where_that_is_asked_for() {
    check((QUIET, 4), "size-change=quiesce", "Quiesce").says("given up 0");
}

#[test]
fn sixteen_cpus_are_parked_for_one_page() {
    let mut script = loads("on", 1..16);
    script += "ro 0xffff000055555000 1; rw 0xffff000055555000 1; strategy; stat; cpus";
    let config = Config::new("2G").cpu(BREAKS).cpus(16).board("virt,gic-version=3");
    let booted = Booted::run(&config.monitor(&script)).succeeded();
    all_done(&booted, &["ro 0xffff000055555000 1", "rw 0xffff000055555000 1"]);
    assert!(booted.answer("strategy").starts_with("Quiesce: "));
    assert!(booted.answer("strategy").contains("16 CPUs admitted"));
    booted.says("  times 1, given up 0");
    assert!(!booted.answer("cpus").contains(", 1 of them wrong"));
}

#[test]
fn interrupts_reach_cpus_through_both_controllers_and_from_both_levels() {
    for board in
        ["virt,gic-version=2", "virt,gic-version=3", "virt,gic-version=3,virtualization=on"]
    {
        let config = Config::new("1G").cpu(BREAKS).cpus(4).board(board);
        let script = "load on 1; load on 2; load on 3; split 0xffff000015555000 1; stat";
        let booted = Booted::run(&config.monitor(script)).succeeded();
        booted.says("  times 1, given up 0");
    }
}

#[test]
fn a_machine_with_one_cpu_breaks_what_it_changes() {
    let booted = boot((BREAKS, 1), "", "ro 0xffff000055555000 1; peek 0xffff000055555000; stat");
    all_done(&booted, &["ro 0xffff000055555000 1"]);
    booted.says("  times 1, given up 0");
}

#[test]
fn writers_in_slots_of_their_own_never_wait_for_each_other() {
    for (cpu, cpus) in [(QUIET, 2), (QUIET, 4), (BREAKS, 2), (BREAKS, 4)] {
        let config = Config::new("6G").cpu(cpu).cpus(cpus).monitor("writers 40");
        let booted = Booted::run(&config).succeeded();
        let answer = booted.answer("writers 40");
        let free = " 40 changes, 0 of them wrong; a lock was held 0 times";
        assert_eq!(u32::try_from(answer.matches(free).count()), Ok(cpus), "{answer}");
    }
}

/// Tables come out of one reserve: whoever is overtaken there asks again.
#[test]
fn writers_in_one_slot_all_get_what_they_want() {
    for (cpu, cpus) in [(QUIET, 4), (BREAKS, 4), (QUIET, 16)] {
        let config = Config::new("4G").cpu(cpu).cpus(cpus).board("virt,gic-version=3");
        let booted = Booted::run(&config.monitor("writers 40 same; stat")).succeeded();
        let answer = booted.answer("writers 40 same");
        let right = " 40 changes, 0 of them wrong; ";
        assert_eq!(u32::try_from(answer.matches(right).count()), Ok(cpus), "{answer}");
        booted.says("  frames used                      0  0B");
    }
}
