//! Table memory that runs out at every point: it is heard of before anything has changed.

use blockmap_verify::console::Stat;
use blockmap_verify::machine::Booted;

use crate::{STRATEGIES, is_as_before, machine};

/// The command, and what gives back what it made.
const COMMANDS: [(&str, &str); 3] = [
    ("modload greeter", "modrun greeter 1; modunload greeter"),
    ("jit 100", "jitrun 1; jitfree 1"),
    ("slot 0x91000400", "slotrun 0 1; slotfree 0"),
];

/// Whether the command was done with so many tables to be had. If not, nothing has changed.
fn with(tables: u32, (strategy, command, back): (&str, &str, &str)) -> bool {
    let look = "stat; ptdump all";
    let script = format!("{look}; {command}; {look}; {back}; heal; {look}");
    let options = format!("fail-tables={tables} {strategy}");
    let booted = Booted::run(&machine(&options).monitor(&script)).succeeded();
    let [before, with, after] = booted.dumps().try_into().unwrap();
    let [stat_before, stat_with, stat_after]: [Stat; 3] = booted.stats().try_into().unwrap();
    is_as_before(&[before.clone(), after], &[stat_before.clone(), stat_after]);
    let answer = booted.answer(command);
    if !answer.starts_with("refused: ") {
        return true;
    }
    let short = format!("translation tables are needed and {tables} can be had");
    assert!(
        answer.contains(&short) || answer.contains("translation tables are needed"),
        "{answer}"
    );
    is_as_before(&[before, with], &[stat_before, stat_with]);
    false
}

#[test]
fn short_of_tables_nothing_is_loaded_and_nothing_is_lost() {
    for strategy in STRATEGIES {
        for (command, back) in COMMANDS {
            let needed = (0..20).find(|tables| with(*tables, (strategy, command, back)));
            // Two for the area; one more in the linear map where its block was larger.
            let needed = needed.unwrap_or_else(|| panic!("{command} takes more than 20 tables"));
            assert!((2..20).contains(&needed), "{strategy}: {command}: {needed}");
        }
    }
}
