//! What command lines ask for, and what is said of those that make no sense.

extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn options(line: &str) -> Options<'_> {
    let line = CommandLine::new(line);
    assert_eq!(line.complaints().next(), None);
    line.options()
}

fn complaints(line: &str) -> Vec<String> {
    CommandLine::new(line).complaints().map(|complaint| complaint.to_string()).collect()
}

#[test]
fn an_empty_line_asks_for_the_defaults() {
    for line in ["", "   ", "\t\n", "--", " -- ", "\"\""] {
        assert_eq!(CommandLine::new(line).options(), Options::default(), "{line:?}");
    }
}

#[test]
fn every_option_sets_what_it_is_about() {
    let all = options(
        "rodata=off debug_pagealloc=on fail-tables=0x10 trace=1000 referee=7 semihosting quiet \
         heal=off maxcpus=3 park-fault=2:late size-change=never change-at-boot=0x7000 \
         guard-pool=early hotplug=0x8000000 kpti=on",
    );
    let expected = Options {
        rodata: Rodata::Off,
        debug_pagealloc: DebugPagealloc::On,
        guard_pool: GuardPool::Early,
        hotplug: Some(128 << 20),
        kpti: Kpti::On,
        fail_tables: Some(16),
        trace: Some(1000),
        referee: Some(7),
        size_choice: SizeChoice::Never,
        disguises: Disguises::default(),
        overrides: SizeChangeOverrides::default(),
        max_cpus: Some(3),
        park_fault: Some((2, ParkFault::Late)),
        change_at_boot: Some(VirtAddr::new(0x7000)),
        heal: AutoHeal::Off,
        exit: Exit::Semihosting,
        boot_messages: BootMessages::Hidden,
        monitor: None,
    };
    assert_eq!(all, expected);
    assert_eq!(options("rodata=off rodata=on").rodata, Rodata::On);
    assert_eq!(options("referee").referee, Some(witness::USUAL_RECORDS));
    assert_eq!(options("debug-pagealloc=on fail_tables=3").fail_tables, Some(3));
}

#[test]
fn what_follows_two_dashes_is_the_monitors() {
    let monitor = |line| options(line).monitor;
    assert_eq!(monitor("quiet -- stat; walk 0x0; poweroff 3 "), Some("stat; walk 0x0; poweroff 3"));
    assert_eq!(monitor("-- rodata=off"), Some("rodata=off"));
    assert_eq!(options("-- rodata=off").rodata, Rodata::On);
    assert_eq!(monitor("-- a -- b"), Some("a -- b"));
    assert_eq!(monitor("rodata=on"), None);
}

#[test]
fn quotes_keep_words_together_and_go_away() {
    assert_eq!(options("rodata=\"off\"").rodata, Rodata::Off);
    assert_eq!(options("\"rodata=off\"").rodata, Rodata::Off);
    assert_eq!(options("\"rodata=off").rodata, Rodata::Off, "an open quote ends with the line");
    assert_eq!(
        complaints("init=\"/bin/sh -- x\" \"a b=c d\" quiet"),
        [
            "init=\"/bin/sh -- x\" is not an option of this kernel; ignored",
            "\"a b=c d\" is not an option of this kernel; ignored"
        ]
    );
}

#[test]
fn a_bad_value_is_named_with_the_values_there_are() {
    assert_eq!(
        complaints("rodata=full rodata debug_pagealloc=1 fail-tables=x fail-tables=+1 quiet=1"),
        [
            "rodata=full is ignored: rodata takes on, noalias or off",
            "rodata is ignored: rodata takes on, noalias or off",
            "debug_pagealloc=1 is ignored: debug_pagealloc takes on or off",
            "fail-tables=x is ignored: fail-tables takes a number of tables",
            "fail-tables=+1 is ignored: fail-tables takes a number of tables",
            "quiet=1 is ignored: quiet takes no value",
        ]
    );
    assert_eq!(CommandLine::new("rodata=off rodata=full").options().rodata, Rodata::Off);
}

#[test]
fn a_trace_has_room_for_one_event_at_least_and_128_mebibytes_at_most() {
    assert_eq!(options("trace=1").trace, Some(1));
    assert_eq!(options("trace=0x400000").trace, Some(4_194_304));
    for line in ["trace=0", "trace=4194305", "trace=0x100000001", "trace=", "trace", "trace=on"] {
        let expected =
            format!("{line} is ignored: trace takes a number of events from 1 to 4194304");
        assert_eq!(complaints(line), [expected]);
        assert_eq!(CommandLine::new(line).options().trace, None);
    }
}

proptest! {
    #[test]
    fn any_line_is_read(line in "(rodata=|quiet|--|[\"= \\t;]|\\PC){0,40}") {
        let line = CommandLine::new(&line);
        let words = line.complaints().count();
        prop_assert!(words <= line.text().len());
        prop_assert!(line.options().monitor.is_none_or(|script| line.text().contains(script)));
    }
}
