//! CPUs that do not start, or do not do what they are asked.

use blockmap_verify::machine::{Booted, Config};

use crate::{BREAKS, all_done, boot, number_in};

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
