//! Every reservation of table memory, of every operation of every scenario, fails: nothing is
//! changed then, and a later attempt does what the first would have done.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use blockmap::Space;
use blockmap_model::judge::judge;
use blockmap_model::program::Program;
use blockmap_verify::recorder::linear;
use blockmap_verify::scenario::{LIVE, Recording, SCENARIOS, Scenario, Supply, record};
use blockmap_verify::tree::Tree;

/// The program of the operation after attempts with fewer tables, down to none, have failed.
///
/// Returns it with how many attempts there were.
fn after_failures(scenario: &Scenario) -> (Program, u32) {
    let mut attempts = 0;
    let prepare = |space: &Space<'_, Recording<'_>>| {
        if scenario.gib > 0 {
            space.map(linear(scenario.gib)).unwrap();
        }
        (scenario.prepare)(space);
    };
    let program = record((LIVE, 64), prepare, |space| {
        let before = Tree::read(space);
        let recorded = space.platform().recorded();
        for tables in 0..64 {
            space.platform().limit_tables(tables, Supply::None);
            if catch_unwind(AssertUnwindSafe(|| (scenario.operate)(space))).is_ok() {
                assert_eq!(tables, attempts);
                return;
            }
            attempts += 1;
            assert_eq!(space.platform().recorded(), recorded, "{}: an effect", scenario.name);
            assert_eq!(Tree::read(space), before, "{}", scenario.name);
        }
        panic!("{} is never done", scenario.name);
    });
    (program, attempts)
}

#[test]
fn an_operation_that_is_short_of_tables_has_no_effects_and_succeeds_later() {
    let mut failed = 0;
    for scenario in SCENARIOS {
        let mut expected = scenario.record(LIVE, 1);
        let (program, attempts) = after_failures(scenario);
        failed += attempts;
        // The scenario's own program says what it is meant to do.
        expected.cpus[0].steps.retain(|step| step.range().is_none());
        expected.cpus[0].steps.pop();
        assert_eq!(program, expected, "{}", scenario.name);
        assert_eq!(judge(&scenario.record(LIVE, 2)).verdicts, [], "{}", scenario.name);
    }
    println!("{failed} reservations failed");
    assert!(failed > 10, "hardly any operation needs a table");
}

#[test]
fn a_shortage_that_is_made_up_for_in_time_is_not_noticed() {
    // However many others are faster.
    for others in [0, 1, 7] {
        for scenario in SCENARIOS {
            let mut program = scenario.record(LIVE, 2);
            let prepare = |space: &Space<'_, Recording<'_>>| {
                if scenario.gib > 0 {
                    space.map(linear(scenario.gib)).unwrap();
                }
                (scenario.prepare)(space);
                space.platform().limit_tables(0, Supply::AfterOthers(others));
            };
            let steps = record((LIVE, 64), prepare, scenario.operate).cpus.remove(0).steps;
            program.cpus[0].steps.retain(|step| step.range().is_none());
            program.cpus[0].steps.pop();
            assert_eq!(steps, program.cpus[0].steps, "{}", scenario.name);
        }
    }
}
