//! The model accepts what the shipped engine does, on machines of two to four CPUs.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::time::Instant;

use blockmap::Terms;
use blockmap_model::explore::{Options, Slices, explore};
use blockmap_verify::scenario::{LIVE, SCENARIOS};
use blockmap_vmsa::TlbiForm;

/// Explores every scenario, and prints what that took.
fn accept(tlbi: TlbiForm, cpus: usize, slices: Slices) {
    let start = Instant::now();
    let (mut count, mut states, mut transitions) = (0, 0, 0);
    for scenario in SCENARIOS {
        let program = scenario.record(Terms { tlbi, ..LIVE }, cpus);
        let report = explore(&program, Options { slices, ..Options::QUICK }).unwrap();
        let verdicts: Vec<String> = report.verdicts.iter().map(ToString::to_string).collect();
        assert!(verdicts.is_empty(), "{}, {cpus} CPUs:\n{}", scenario.name, verdicts.join(""));
        count += report.slices;
        states += report.states;
        transitions += report.transitions;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{slices:?} {tlbi:?} {cpus} CPUs: {count} slices, {states} states, \
         {transitions} transitions, {seconds:.1} s"
    );
}

#[test]
fn every_operation_is_legal_on_two_quiet_cpus_at_every_address() {
    accept(TlbiForm::Ranged, 2, Slices::Each);
    accept(TlbiForm::ByAddress, 2, Slices::Edges);
}

#[test]
fn every_operation_is_legal_on_three_and_four_quiet_cpus() {
    accept(TlbiForm::Ranged, 3, Slices::Each);
    accept(TlbiForm::Ranged, 4, Slices::Each);
}

#[test]
#[ignore = "minutes: every pair of entries of every contiguous run"]
fn every_operation_is_legal_for_every_pair_of_a_run() {
    for cpus in 2..=4 {
        accept(TlbiForm::Ranged, cpus, Slices::Pairs);
    }
}
