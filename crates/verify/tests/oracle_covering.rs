//! Every operation of the engine, at every address and in every order, on machines that stand for all.
//!
//! What it took is printed past the harness, so that it is in the log of every run.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::io::Write;
use std::time::Instant;

use blockmap_model::explore::{Options, Slices};
use blockmap_model::profile::{Profile, SizeChange};
use blockmap_model::verdict::Rule;
use blockmap_verify::mixture::{COVERING, Effort, Mixture, every_mixture, every_profile};
use blockmap_verify::scenario::SCENARIOS;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "oracle: {line}").unwrap();
}

/// Explores every scenario on a mixture.
fn accept(mixture: &Mixture, cpus: usize, slices: Slices, effort: &mut Effort) {
    for scenario in SCENARIOS {
        let program = mixture.program(scenario, cpus);
        let options = Options { slices, ..Options::QUICK };
        let verdicts = effort.explore(&program, options).unwrap();
        let texts: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
        let Mixture { name, writer, walkers, .. } = mixture;
        assert!(
            texts.is_empty(),
            "{} on {name} ({writer}; {walkers}), {cpus} CPUs:\n{}",
            scenario.name,
            texts.join("")
        );
    }
}

fn cover(cpus: usize) {
    for mixture in &COVERING {
        let (start, mut effort) = (Instant::now(), Effort::default());
        accept(mixture, cpus, Slices::Each, &mut effort);
        say(&format!("{cpus} CPUs, {}: {}", mixture.name, effort.in_time(start.elapsed())));
    }
}

#[test]
fn every_operation_is_legal_over_the_covering_set_on_two_cpus() {
    cover(2);
}

#[test]
fn every_operation_is_legal_over_the_covering_set_on_three_cpus() {
    cover(3);
}

#[test]
fn every_operation_is_legal_over_the_covering_set_on_four_cpus() {
    cover(4);
}

/// What changes sizes live breaks one rule where a CPU needs a break, and one where it may abort;
/// what does not is as legal there as anywhere.
#[test]
fn cpus_that_are_not_quiet_mind_size_changes_and_nothing_else() {
    let kinds = [
        (SizeChange::NeedsBreak, Rule::BreakBeforeMake),
        (SizeChange::MayAbort, Rule::SizeChangeByCpu),
    ];
    let mut wrong = [Vec::new(), Vec::new()];
    for ((size_change, rule), wrong) in kinds.into_iter().zip(&mut wrong) {
        let profile = Profile::QUIET.with_size_change(size_change);
        let mixture = Mixture { writer: profile, walkers: profile, ..COVERING[0] };
        for scenario in SCENARIOS {
            let program = mixture.program(scenario, 2);
            let verdicts = Effort::default().explore(&program, Options::QUICK).unwrap();
            assert!(verdicts.iter().all(|verdict| verdict.rule == rule), "{}", scenario.name);
            wrong.extend(verdicts.first().map(|_| scenario.name));
        }
    }
    assert_eq!(wrong[0], wrong[1]);
    assert!(wrong[0].contains(&"split a GiB down to a page"), "{wrong:?}");
    assert!(!wrong[0].contains(&"protect a page that is one"), "{wrong:?}");
}

#[test]
fn the_product_has_every_profile_once() {
    let all = every_profile();
    assert_eq!(all.len(), 3 * 2 * 2 * 2 * 2);
    for (number, one) in all.iter().enumerate() {
        assert!(!all[..number].contains(one), "{one}");
    }
    assert_eq!(every_mixture().count(), all.len() * all.len());
}

#[test]
#[ignore = "an hour: every pair of profiles; cargo xtask oracle --full"]
fn every_operation_is_legal_over_the_full_product_on_two_cpus() {
    let (start, mut effort) = (Instant::now(), Effort::default());
    for (number, mixture) in (1..).zip(every_mixture()) {
        accept(&mixture, 2, Slices::Edges, &mut effort);
        if number % 48 == 0 {
            say(&format!("{number} mixtures on 2 CPUs: {}", effort.in_time(start.elapsed())));
        }
    }
}

#[test]
#[ignore = "minutes: every pair of entries of every contiguous run; cargo xtask oracle --pairs"]
fn every_operation_is_legal_for_every_pair_of_a_run() {
    for cpus in 2..=4 {
        let (start, mut effort) = (Instant::now(), Effort::default());
        accept(&COVERING[0], cpus, Slices::Pairs, &mut effort);
        say(&format!("{cpus} CPUs, every pair: {}", effort.in_time(start.elapsed())));
    }
}
