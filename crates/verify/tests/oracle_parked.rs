//! The model accepts what the shipped engine does while other CPUs are parked, on CPUs of every
//! kind; and rejects the same without the parking, or without what a parked CPU must do.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use blockmap::Terms;
use blockmap_machine::{Barrier, Event};
use blockmap_model::explore::{Options, explore};
use blockmap_model::judge::judge;
use blockmap_model::profile::{Profile, SizeChange};
use blockmap_model::program::{Context, Program, Step};
use blockmap_verify::parked::scenarios;
use blockmap_verify::scenario::QUIESCE;
use blockmap_vmsa::TlbiForm;

const KINDS: [SizeChange; 3] = [SizeChange::NeedsBreak, SizeChange::MayAbort, SizeChange::Quiet];

fn profiles(sizes: &[SizeChange]) -> Vec<Profile> {
    sizes.iter().map(|size| Profile::QUIET.with_size_change(*size)).collect()
}

/// What the explorer says of a program first, having made sure that the judge agrees.
fn verdict(name: &str, program: &Program) -> Option<(&'static str, usize)> {
    let explored = explore(program, Options::QUICK).unwrap().verdicts;
    let judged = judge(program).verdicts;
    assert_eq!(explored.is_empty(), judged.is_empty(), "{name}: {explored:?} {judged:?}");
    explored.first().map(|verdict| (verdict.rule.key(), verdict.cpu))
}

#[test]
fn every_operation_under_quiesce_is_legal_on_every_kind_of_cpu() {
    for committer in KINDS {
        for other in KINDS {
            for tlbi in [TlbiForm::Ranged, TlbiForm::ByAddress] {
                for scenario in scenarios() {
                    let terms = Terms { tlbi, ..QUIESCE };
                    let cpus = profiles(&[committer, other, other]);
                    let judged = judge(&scenario.record_on(terms, &cpus)).verdicts;
                    assert_eq!(judged, [], "{}, {committer:?} {other:?}", scenario.name);
                }
            }
        }
    }
}

#[test]
fn every_operation_under_quiesce_is_legal_in_every_order() {
    use SizeChange::{MayAbort, NeedsBreak, Quiet};
    let kinds = [
        (NeedsBreak, NeedsBreak, TlbiForm::Ranged),
        (MayAbort, MayAbort, TlbiForm::ByAddress),
        (Quiet, NeedsBreak, TlbiForm::Ranged),
    ];
    for (committer, other, tlbi) in kinds {
        for scenario in scenarios() {
            let terms = Terms { tlbi, ..QUIESCE };
            let program = scenario.record_on(terms, &profiles(&[committer, other]));
            let found = verdict(scenario.name, &program);
            assert_eq!(found, None, "{}, {committer:?} {other:?}", scenario.name);
        }
    }
}

/// The scenarios in which somebody is parked, recorded with a committer of the one kind and
/// another CPU of the other.
fn parked(sizes: [SizeChange; 2]) -> impl Iterator<Item = (&'static str, Program)> {
    let recorded = move |scenario: &'static blockmap_verify::scenario::Scenario| {
        (scenario.name, scenario.record_on(QUIESCE, &profiles(&sizes)))
    };
    scenarios().map(recorded).filter(|(_, program)| !program.cpus[1].steps.is_empty())
}

/// Whether entries lead to other tables, or to none, afterwards: these are broken whatever the CPUs are.
fn is_exchange(name: &str) -> bool {
    ["repaint", "carve", "collapse"].iter().any(|start| name.starts_with(start))
}

/// Takes the steps out of `cpu` that are like this, and makes sure that there were any.
fn remove(program: &mut Program, cpu: usize, is_it: impl Fn(&Step) -> bool) {
    let steps = &mut program.cpus[cpu].steps;
    let before = steps.len();
    steps.retain(|step| !is_it(step));
    assert!(steps.len() < before);
}

fn is_invalidation(step: &Step) -> bool {
    matches!(step, Step::Effect(Event::Invalidate(_)))
}

#[test]
fn a_size_change_with_parking_left_out_is_illegal() {
    for (other, key) in [
        (SizeChange::NeedsBreak, "break-before-make"),
        (SizeChange::MayAbort, "size-change-by-cpu"),
    ] {
        let mut count = 0;
        for (name, mut program) in parked([SizeChange::Quiet, other]) {
            program.cpus[1].steps.clear();
            remove(&mut program, 0, |step| matches!(step, Step::Wait(..)));
            // What is broken is broken for everybody, at the price of faults.
            let expected = if is_exchange(name) { None } else { Some((key, 1)) };
            assert_eq!(verdict(name, &program), expected, "{name} {other:?}");
            count += 1;
        }
        assert!(count > 12, "{count}");
    }
}

#[test]
fn a_parked_cpu_that_keeps_its_tlb_is_met_by_the_other_size() {
    for (name, mut program) in parked([SizeChange::Quiet, SizeChange::NeedsBreak]) {
        if !is_exchange(name) {
            remove(&mut program, 1, is_invalidation);
            assert_eq!(verdict(name, &program), Some(("parked-holds-nothing", 1)), "{name}");
        }
    }
}

#[test]
fn a_parked_cpu_that_does_not_synchronise_is_not_off_the_tables() {
    for (name, mut program) in parked([SizeChange::Quiet, SizeChange::NeedsBreak]) {
        if !is_exchange(name) {
            let steps = &mut program.cpus[1].steps;
            assert_eq!(steps[0], Step::Context(Context::Reserved));
            assert_eq!(steps.remove(1), Step::Effect(Event::Barrier(Barrier::Isb)));
            assert_eq!(verdict(name, &program), Some(("parked-holds-nothing", 1)), "{name}");
        }
    }
}

#[test]
fn a_committer_that_is_not_quiet_must_break() {
    for (own, key) in [
        (SizeChange::NeedsBreak, "break-before-make"),
        (SizeChange::MayAbort, "size-change-by-cpu"),
    ] {
        for (name, mut program) in parked([SizeChange::Quiet, own]) {
            if !is_exchange(name) {
                program.cpus[0].profile = Profile::QUIET.with_size_change(own);
                assert_eq!(verdict(name, &program), Some((key, 0)), "{name}");
            }
        }
    }
}

#[test]
fn a_committer_that_breaks_must_invalidate_and_wait_for_it() {
    for (name, program) in parked([SizeChange::NeedsBreak, SizeChange::NeedsBreak]) {
        let steps = &program.cpus[0].steps;
        let first = steps.iter().position(is_invalidation).unwrap();
        assert!(matches!(steps[first + 1..first + 3], [Step::Effect(_), Step::Effect(_)]));
        // Without the invalidation, and without the barrier that waits for it.
        for missing in [first, first + 1] {
            let mut program = program.clone();
            program.cpus[0].steps.remove(missing);
            let found = verdict(name, &program);
            assert_eq!(found, Some(("break-before-make", 0)), "{name} without {missing}");
        }
    }
}
