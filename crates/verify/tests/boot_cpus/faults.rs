//! CPUs that do not start, or do not do what they are asked.

use std::time::Duration;

use blockmap_verify::machine::{Booted, Config};

use crate::{ABORTS, BREAKS, QUIET, all_done, boot, number_in};

const PAGE: &str = "ro 0xffff000055555000 1";
const OTHER: &str = "ro 0xffff000045555000 1";

/// Boots with CPU 2 misbehaving in this way, and has one page changed, then another.
fn misbehaving(how: &str, between: &str) -> Booted {
    let script = format!(
        "ptdump linear; {PAGE}; ptdump linear; {between}{OTHER}; stat; poke 0xffff000055555000 7"
    );
    let booted = boot((BREAKS, 4), &format!("park-fault=2:{how}"), &script);
    let refused = "refused: CPU 2 did not come to be parked";
    assert!(booted.answer(PAGE).contains(refused), "{}", booted.answer(PAGE));
    let [before, after] = booted.dumps().try_into().unwrap();
    assert_eq!(before, after, "nothing was changed");
    assert!(booted.answer("poke 0xffff000055555000 7").contains(" = "), "nor was the page");
    booted
}

#[test]
fn a_cpu_that_never_parks_is_named_and_can_be_taken_away() {
    let booted = misbehaving("never", "cpu off 2; ");
    all_done(&booted, &["cpu off 2", OTHER]);
    booted.says("  times 1, given up 1");
}

#[test]
fn a_cpu_that_answers_late_does_not_enter_and_is_there_the_next_time() {
    let booted = misbehaving("late", "");
    all_done(&booted, &[OTHER]);
    booted.says("  times 1, given up 1");
}

#[test]
fn a_cpu_that_dies_on_its_way_in_is_named_each_time() {
    let booted = misbehaving("dead", "cpu off 2; ");
    assert!(booted.answer("cpu off 2").contains("CPU 2 did not leave in time"));
    assert!(booted.answer(OTHER).contains("refused: CPU 2 did not come to be parked"));
    booted.says("  times 0, given up 2");
}

#[test]
fn cpus_that_were_left_out_are_counted_and_do_not_matter() {
    let booted = boot((BREAKS, 4), "maxcpus=1", &format!("{PAGE}; strategy; stat; cpu on 3; cpus"));
    all_done(&booted, &[PAGE, "cpu on 3"]);
    booted.says("1 of 4 CPUs run; strategy: Quiesce");
    assert_eq!(number_in(&booted, "stat", "times"), 1);
    assert!(booted.answer("cpus").contains("CPU 1: affinity 0x1: off"));
    assert!(booted.answer("cpus").contains("CPU 3: affinity 0x3: runs"));
}

#[test]
fn as_many_cpus_run_as_an_old_controller_serves() {
    let config = Config::new("2G").cpu(BREAKS).cpus(8).board("virt,gic-version=2");
    let booted = Booted::run(&config.monitor(PAGE)).succeeded();
    booted.says("8 of 8 CPUs run");
    all_done(&booted, &[PAGE]);
}

#[test]
fn cpus_have_redistributors_in_every_region() {
    // QEMU's first region has room for 123, and the rest are in a second.
    let config = Config::new("2G").cpu(BREAKS).cpus(130).board("virt,gic-version=3");
    let config = config.options("maxcpus=2").limit(Duration::from_secs(240));
    let booted = Booted::run(&config.monitor("cpu on 125; cpu on 129; cpus; strategy")).succeeded();
    all_done(&booted, &["cpu on 125", "cpu on 129"]);
    assert!(booted.answer("strategy").contains("4 CPUs admitted"), "{}", booted.console);
}

#[test]
fn a_cpu_that_never_starts_is_named_and_does_not_matter() {
    let script = format!("strategy; {PAGE}; cpu on 2; {OTHER}; stat");
    let booted = boot((BREAKS, 4), "park-fault=2:unstarted", &script);
    booted.says("CPUs: CPU 2 was started and did not report in time");
    booted.says("3 of 4 CPUs run; strategy: Quiesce");
    all_done(&booted, &[PAGE, OTHER]);
    assert!(booted.answer("cpu on 2").contains("refused: CPU 2 was started and did not report"));
    booted.says("  times 2, given up 0");
}

#[test]
fn a_system_error_while_a_cpu_is_parked_is_reported_when_all_run_again() {
    // CPU 2 may be slow to run on: it must have, to be parked again.
    let script = format!("{PAGE}; {OTHER}");
    let config = Config::new("2G").board("virt,virtualization=on").cpu(BREAKS).cpus(4);
    let booted = Booted::run(&config.options("park-fault=2:serror").monitor(&script));
    assert_ne!(booted.status, 0, "{}", booted.console);
    // Not while it is parked: that would be an exception in the identity map, and told as one.
    assert!(!booted.console.contains("exception while it was parked"), "{}", booted.console);
    booted.says("!!! on CPU 2:");
    booted.says("!!! system error in the kernel that nobody handles");
}

#[test]
fn an_interrupt_while_a_cpu_is_parked_waits_until_it_has_returned() {
    for (cpu, board) in [(BREAKS, "virt,gic-version=2"), (QUIET, "virt,gic-version=3")] {
        let config = Config::new("2G").cpu(cpu).cpus(4).board(board);
        let config = config.options("size-change=quiesce park-fault=2:interrupt");
        let script = format!("{PAGE}; {OTHER}; load on 2; load off 2; stat; cpus");
        let booted = Booted::run(&config.monitor(&script)).succeeded();
        all_done(&booted, &[PAGE, OTHER, "load on 2"]);
        booted.says("CPU 2: an interrupt waited until it had returned");
        booted.says("  times 2, given up 0");
        assert!(!booted.answer("cpus").contains("nobody asked for"), "{}", booted.console);
    }
}

#[test]
fn an_exception_in_the_room_is_told_when_the_gate_opens() {
    let config = Config::new("2G").cpu(BREAKS).cpus(4).options("park-fault=2:abort");
    let booted = Booted::run(&config.monitor(&format!("{PAGE}; {OTHER}")));
    assert_ne!(booted.status, 0, "{}", booted.console);
    let line = booted.line_with("!!! CPU 2: exception while it was parked");
    assert!(line.contains("data abort"), "{line}");
}

#[test]
fn a_cpu_that_dies_on_its_way_out_is_named_from_then_on() {
    let script = format!("{PAGE}; {OTHER}; cpu off 2; stat");
    let booted = boot((BREAKS, 4), "park-fault=2:lost", &script);
    all_done(&booted, &[PAGE]);
    let refused = "refused: CPU 2 did not come to be parked";
    assert!(booted.answer(OTHER).contains(refused), "{}", booted.answer(OTHER));
    assert!(booted.answer("cpu off 2").contains("CPU 2 did not leave in time"));
    booted.says("  times 1, given up 1");
}

#[test]
fn a_page_changes_at_every_step_of_the_boot() {
    let at = "change-at-boot=0xffff000055400000";
    let mixed = "size-change=never cpu.2.size-change=may-abort";
    for (cpu, options) in [
        (QUIET, ""),
        (QUIET, "cpu.2.size-change=may-abort"),
        (QUIET, mixed),
        (QUIET, "size-change=quiesce"),
        (ABORTS, ""),
        (ABORTS, "size-change=never"),
        (BREAKS, ""),
    ] {
        let booted = boot((cpu, 4), &format!("{at} {options}"), "strategy; stat");
        let changes = booted.lines().filter(|line| line.ends_with(" changes")).count();
        // Alone, after each of three, when all are there, and when the map is what it stays.
        assert_eq!(changes, 6, "{cpu} {options}: {}", booted.console);
        assert!(!booted.console.contains("does not change"), "{}", booted.console);
    }
}
