//! The model rejects what is almost what the shipped engine does, and says why.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use blockmap_machine::{Barrier, Event, VirtAddr};
use blockmap_model::explore::{Options, explore};
use blockmap_model::profile::SizeChange;
use blockmap_model::program::{Program, Step};
use blockmap_model::verdict::Verdict;
use blockmap_verify::recorder::LINEAR;
use blockmap_verify::scenario::{LIVE, SCENARIOS};

fn record(name: &str) -> Program {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
    scenario.record(LIVE, 2)
}

fn first(program: &Program) -> Verdict {
    explore(program, Options::QUICK).unwrap().verdicts.into_iter().next().unwrap()
}

/// The program without the `nth` step that `is_it`.
fn without(mut program: Program, nth: usize, is_it: impl Fn(&Step) -> bool) -> Program {
    let steps = &mut program.cpus[0].steps;
    let at = (0..steps.len()).filter(|at| is_it(&steps[*at])).nth(nth).unwrap();
    steps.remove(at);
    program
}

fn is_barrier(which: Barrier) -> impl Fn(&Step) -> bool {
    move |step| *step == Step::Effect(Event::Barrier(which))
}

#[test]
fn a_table_linked_before_it_is_published() {
    let program = record("split a GiB down to a page");
    let verdict = first(&without(program, 0, is_barrier(Barrier::DsbIshst)));
    assert_eq!(verdict.rule.key(), "publish-after-fill");
    assert_eq!(verdict.cpu, 0);
    assert_eq!(verdict.address, VirtAddr::new(LINEAR));
    assert!(verdict.effect.text.starts_with("store"), "{verdict}");
}

#[test]
fn a_size_change_under_a_cpu_that_needs_a_break_or_may_abort() {
    let sizes = [
        (SizeChange::NeedsBreak, "break-before-make"),
        (SizeChange::MayAbort, "size-change-by-cpu"),
    ];
    for (size_change, key) in sizes {
        let mut program = record("split a GiB down to a page");
        program.cpus[1].profile = program.cpus[1].profile.with_size_change(size_change);
        let verdict = first(&program);
        assert_eq!((verdict.rule.key(), verdict.cpu), (key, 1), "{verdict}");
        assert_eq!(verdict.address, VirtAddr::new(LINEAR));
    }
}

#[test]
fn an_invalidation_of_the_last_level_before_a_table_is_freed() {
    let mut program = record("unmap a GiB and free the tables below it");
    for step in &mut program.cpus[0].steps {
        if let Step::Effect(Event::Invalidate(invalidate)) = step {
            let name = invalidate.op.mnemonic().replace("vaae", "vaale");
            let line = format!("tlbi {name} {:#x}", invalidate.operand);
            *step = Step::Effect(line.parse().unwrap());
        }
    }
    let verdict = first(&program);
    assert_eq!(verdict.rule.key(), "all-levels-before-free", "{verdict}");
    assert!(verdict.effect.text.starts_with("free"), "{verdict}");
}

#[test]
fn a_permission_that_is_not_published_or_not_completed() {
    let program = || record("protect a page that is one");
    let verdict = first(&without(program(), 0, is_barrier(Barrier::DsbIshst)));
    assert_eq!(verdict.rule.key(), "invalidate-after-publish", "{verdict}");
    let verdict = first(&without(program(), 0, is_barrier(Barrier::DsbIsh)));
    assert_eq!(verdict.rule.key(), "complete-after-invalidate", "{verdict}");
    let verdict = first(&without(program(), 0, is_barrier(Barrier::Isb)));
    assert_eq!(verdict.rule.key(), "synchronise-after-invalidate", "{verdict}");
    let is_tlbi = |step: &Step| matches!(step, Step::Effect(Event::Invalidate(_)));
    let verdict = first(&without(program(), 0, is_tlbi));
    assert_eq!(verdict.rule.key(), "stale-until-invalidated", "{verdict}");
}
