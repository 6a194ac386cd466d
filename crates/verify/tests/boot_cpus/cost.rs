//! What changes cost, counted in instructions on an emulator that counts them, and the same each time.

use blockmap_verify::machine::{Booted, Config};

use crate::{BREAKS, QUIET, all_done, number_in};

const PAGE: &str = "ro 0xffff000155555000 1";
const REPAINT: &str = "repaint pages";
const KPTI: &str = "kpti on";

/// Boots a CPU on 12 GiB, where each instruction takes a nanosecond and a cycle, and counts. It is
/// alone: QEMU's clock goes on with the instructions of every CPU.
fn counted(cpu: &str, options: &str, script: &str) -> Booted {
    let script = format!("count on; {script}");
    let config = Config::new("12G").cpu(cpu).options(options).monitor(&script);
    let config = config.argument("-icount").argument("shift=0,sleep=off");
    let booted = Booted::run(&config.argument("-rtc").argument("clock=vm")).succeeded();
    all_done(&booted, &["count on"]);
    booted
}

/// The cycles of the CPU that makes the change, while all others are parked.
fn parked(booted: &Booted, command: &str) -> u64 {
    all_done(booted, &[command]);
    number_in(booted, command, "cycles with all others parked: ")
}

#[test]
fn cpus_are_parked_for_one_page_of_a_gib_shortly() {
    // From where all were seen to be parked to where they were released: masking, a look whether
    // there is a trace, the store, three barriers and a TLBI. A CPU that needs a break stores twice,
    // and has two barriers more.
    for (cpu, options, most) in [(QUIET, "size-change=quiesce", 60), (BREAKS, "", 80)] {
        let booted = counted(cpu, options, PAGE);
        let cycles = parked(&booted, PAGE);
        assert!((20..=most).contains(&cycles), "{cpu}: {}", booted.answer(PAGE));
    }
}

#[test]
fn cpus_are_parked_for_all_of_twelve_gib_shortly_and_as_long_each_time() {
    let [first, second] = [(), ()].map(|()| counted(BREAKS, "", REPAINT));
    let cycles = parked(&first, REPAINT);
    assert!((100..=2_000).contains(&cycles), "{cycles}");
    assert_eq!(first.answer(REPAINT), second.answer(REPAINT));
}

#[test]
fn cpus_are_parked_shortly_while_no_leaf_stays_global() {
    // It does not depend on how many entries the root has, but on how many change.
    let booted = counted(QUIET, "size-change=quiesce", KPTI);
    let cycles = parked(&booted, KPTI);
    assert!((40..=120).contains(&cycles), "{cycles}");
}

#[test]
fn effects_are_counted_while_they_are_recorded() {
    let script = format!("trace off; {PAGE}; trace on; ro 0xffff000195555000 1; split 0 1");
    let booted = counted(QUIET, "trace=65536", &script);
    assert!(number_in(&booted, PAGE, "cycles: ") > 100);
    let effects = booted.answer("ro 0xffff000195555000 1");
    // Two tables of 512 entries and the run that is cut in each, a link in each of two, and the page.
    assert!(effects.starts_with("effects: 1059 entries stored, 1 TLBI, "), "{effects}");
    assert!(effects.contains(" 2 tables\n"), "{effects}");
    assert!(booted.answer("split 0 1").contains("refused: "), "{}", booted.answer("split 0 1"));
}
