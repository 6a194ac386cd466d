//! CPUs that start, stay off, leave and come back.

use crate::{ABORTS, BREAKS, QUIET, all_done, boot};

const PAGE: &str = "ro 0xffff000055555000 1";

#[test]
fn all_cpus_are_admitted_and_say_who_they_are() {
    let booted = boot((QUIET, 4), "", "cpus; strategy");
    booted.says("4 of 4 CPUs run; strategy: Live; TLB invalidation: Ranged");
    for cpu in 0..4 {
        let says = format!(
            "CPU {cpu}: affinity {cpu:#x}: runs: AmpereOne r0p0, MIDR 0xc00fac30, BBM 2: Quiet"
        );
        booted.says(&says);
    }
}

#[test]
fn a_cpu_leaves_and_comes_back() {
    let script = format!(
        "cpu off 2; cpus; {PAGE}; cpu off 2; cpu on 2; cpu on 2; cpus; strategy; \
                          split 0xffff000045555000 1; load on 2; load off 2"
    );
    let booted = boot((BREAKS, 4), "", &script);
    all_done(&booted, &[PAGE, "split 0xffff000045555000 1", "load on 2", "load off 2"]);
    let states: Vec<bool> = booted.answers("cpus").map(|all| all.contains("0x2: runs")).collect();
    assert_eq!(states, [false, true]);
    let offs: Vec<&str> = booted.answers("cpu off 2").map(str::trim_end).collect();
    assert_eq!(offs, ["done", "refused: CPU 2 does not run"]);
    let ons: Vec<&str> = booted.answers("cpu on 2").map(str::trim_end).collect();
    assert_eq!(ons, ["done", "refused: CPU 2 runs already"]);
    assert!(booted.answer("strategy").contains("4 CPUs admitted"));
}

#[test]
fn cpus_that_do_not_exist_are_refused() {
    let script = "cpu on 4; cpu off 4; cpu off 0; load on 0; load on 9; load off 9";
    let booted = boot((QUIET, 4), "", script);
    for command in script.split("; ") {
        assert!(booted.answer(command).starts_with("refused: "), "{command}");
    }
}

#[test]
fn a_late_cpu_that_is_not_quiet_turns_the_strategy_before_it_is_admitted() {
    let options = "maxcpus=2 cpu.2.size-change=may-abort";
    let script = format!(
        "strategy; {PAGE}; cpu on 2; strategy; split 0xffff000045555000 1; cpu off 2; strategy; stat"
    );
    let booted = boot((QUIET, 4), options, &script);
    all_done(&booted, &[PAGE, "cpu on 2", "split 0xffff000045555000 1", "cpu off 2"]);
    let found: Vec<&str> =
        booted.answers("strategy").map(|answer| answer.split(':').next().unwrap()).collect();
    assert_eq!(found, ["Live", "Quiesce", "Live"]);
    let why: Vec<&str> = booted.answers("strategy").collect();
    let line = "CPU 2, AmpereOne r0p0: may abort while a live leaf changes its size (the command line \
                says so)";
    let says: Vec<bool> = why.iter().map(|answer| answer.contains(line)).collect();
    assert_eq!(says, [false, true, false], "{why:?}");
    assert!(why.iter().all(|answer| answer.contains("size-change=auto; final, ")), "{why:?}");
    booted.says("  times 1, given up 0");
}

#[test]
fn a_cpu_that_is_not_quiet_stays_off_where_sizes_change_live_or_not_at_all() {
    let options = "size-change=live cpu.2.size-change=needs-break";
    let booted = boot((QUIET, 4), options, "strategy; cpu on 2; strategy; cpus");
    let why = "CPU 2: live size changes are NeedsBreak on it";
    assert!(booted.line_with("CPUs: CPU 2").contains(why));
    assert!(booted.answer("cpu on 2").contains(why));
    booted.says("3 of 4 CPUs run; strategy: Live");
    assert!(booted.answers("strategy").all(|answer| answer.starts_with("Live: ")));
}

#[test]
fn a_late_cpu_that_is_not_quiet_changes_nothing_where_all_are_parked_anyway() {
    let options = "size-change=quiesce maxcpus=2 cpu.2.size-change=needs-break";
    let script = format!("strategy; {PAGE}; cpu on 2; strategy; split 0xffff000045555000 1; stat");
    let booted = boot((QUIET, 4), options, &script);
    all_done(&booted, &[PAGE, "cpu on 2", "split 0xffff000045555000 1"]);
    assert!(booted.answers("strategy").all(|answer| answer.starts_with("Quiesce: ")));
    booted.says("  times 2, given up 0");
}

#[test]
fn one_cpu_without_range_invalidation_does_not_matter_while_it_is_off() {
    for (cpu, form) in [(ABORTS, "range"), (BREAKS, "address")] {
        let booted = boot((cpu, 2), "", "strategy");
        assert!(booted.answer("strategy").contains(&format!("invalidated by {form}")));
    }
}

#[test]
fn every_strategy_that_is_asked_for_is_taken() {
    for (cpu, choice, strategy) in [
        (QUIET, "auto", "Live"),
        (QUIET, "live", "Live"),
        (QUIET, "quiesce", "Quiesce"),
        (QUIET, "never", "Live"),
        (ABORTS, "auto", "Quiesce"),
        (ABORTS, "quiesce", "Quiesce"),
        (ABORTS, "never", "Pages"),
        (ABORTS, "live", "Pages"),
    ] {
        let booted = boot((cpu, 2), &format!("size-change={choice}"), "strategy");
        let answer = booted.answer("strategy");
        assert!(answer.starts_with(&format!("{strategy}: ")), "{cpu} {choice}: {answer}");
    }
}
