//! Running out of table memory, at every point: a clear error, and nothing has changed.

use blockmap_verify::console::{Dump, Stat};
use blockmap_verify::machine::{Booted, Config};

/// Boots with `left` tables to hand out, runs `command`, and gives its answer with the dumps and
/// statistics around it.
fn with(left: u32, command: &str) -> (String, [Dump; 2], [Stat; 2]) {
    let script = format!("stat; ptdump linear; {command}; stat; ptdump linear");
    let config = Config::new("12G").options(&format!("fail-tables={left}")).monitor(&script);
    let booted = Booted::run(&config).succeeded();
    let answer = booted.answer(command).trim_end().to_owned();
    (answer, booted.dumps().try_into().unwrap(), booted.stats().try_into().unwrap())
}

/// Sees that `command` takes `needed` tables, and does nothing at all with any fewer.
fn check(command: &str, needed: u32) {
    for left in 0..needed {
        let (answer, [before, after], [stat_before, stat_after]) = with(left, command);
        let refusal =
            format!("refused: {needed} translation tables are needed and {left} can be had");
        assert!(answer.starts_with(&refusal), "{answer}");
        assert_eq!(after, before);
        assert_eq!(stat_after.map, stat_before.map);
        // What there was is kept ready for the next try: no frame is lost, and none is used.
        let both = |stat: &Stat| stat.frames["free"] + stat.frames["tables"];
        assert_eq!(both(&stat_after), both(&stat_before));
        assert_eq!(stat_after.frames["tables"] - stat_before.frames["tables"], u64::from(left));
        assert_eq!(stat_after.tables_ready, u64::from(left));
    }
    let (answer, [before, after], [stat_before, stat_after]) = with(needed, command);
    assert_eq!(answer, "done");
    assert_ne!(after, before);
    assert_eq!(stat_after.tables() - stat_before.tables(), u64::from(needed));
}

#[test]
fn a_page_of_a_block_takes_two_tables_or_nothing() {
    check("ro 0xffff000155555000 1", 2);
    check("invalid 0xffff000155555000 1", 2);
    check("split 0xffff000155555000 1", 2);
}

#[test]
fn a_ragged_range_over_two_blocks_takes_four_tables_or_nothing() {
    check("ro 0xffff00017bfff000 16898", 4);
}

#[test]
fn a_table_that_was_not_enough_serves_the_next_that_needs_one() {
    let script = "ro 0xffff000155555000 1; ro 0xffff000180200000 512; stat";
    let config = Config::new("12G").options("fail-tables=1").monitor(script);
    let booted = Booted::run(&config).succeeded();
    assert!(booted.answer("ro 0xffff000155555000 1").starts_with("refused: 2 "));
    assert_eq!(booted.answer("ro 0xffff000180200000 512"), "done\n");
    assert_eq!(booted.stats()[0].tables(), 4);
}
