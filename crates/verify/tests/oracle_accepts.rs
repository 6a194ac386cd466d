//! The model accepts what the shipped engine does, on machines of two to four CPUs.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::time::Instant;

use blockmap::Terms;
use blockmap_model::explore::{Options, Slices, explore};
use blockmap_model::judge::judge;
use blockmap_model::profile::{Profile, Several};
use blockmap_model::text::read;
use blockmap_model::verdict::Rule;
use blockmap_verify::mixture::COVERING;
use blockmap_verify::scenario::{LIVE, SCENARIOS, Scenario};
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

/// The rules that a scenario breaks when the first two CPUs have these profiles.
fn broken(scenario: &Scenario, cpus: [Profile; 2], tlbi: TlbiForm) -> Vec<Rule> {
    let mut program = scenario.record(Terms { tlbi, ..LIVE }, 2);
    for (cpu, profile) in program.cpus.iter_mut().zip(cpus) {
        cpu.profile = profile;
    }
    let report = explore(&program, Options::QUICK).unwrap();
    let rules: Vec<Rule> = report.verdicts.iter().map(|verdict| verdict.rule).collect();
    assert_eq!(judge(&program).verdicts.is_empty(), rules.is_empty(), "{}", scenario.name);
    rules
}

#[test]
fn both_judges_accept_every_operation_over_the_covering_set() {
    for mixture in &COVERING {
        for scenario in SCENARIOS {
            let cpus = [mixture.writer, mixture.walkers];
            assert_eq!(
                broken(scenario, cpus, mixture.tlbi),
                [],
                "{}, {}",
                scenario.name,
                mixture.name
            );
        }
    }
}

/// The manual can be read to say that an invalidation by address need not remove two entries of
/// different sizes. The engine takes the other reading: it does not invalidate after a live split.
#[test]
fn by_the_stricter_reading_a_split_and_a_change_at_once_are_not_enough() {
    let strict = Profile { several: Several::NoneRemoved, ..Profile::QUIET };
    let wrong: Vec<&str> = SCENARIOS
        .iter()
        .filter(|scenario| {
            let rules = broken(scenario, [Profile::QUIET, strict], TlbiForm::Ranged);
            // What was narrowed and is still there is met by what is widened after that.
            let is_known = |rule: &Rule| {
                matches!(rule, Rule::SeveralSizesNeedEverything | Rule::NarrowThenWiden)
            };
            assert!(rules.iter().all(is_known), "{rules:?}");
            !rules.is_empty()
        })
        .map(|scenario| scenario.name)
        .collect();
    let expected = [
        "protect a page of a GiB",
        "protect a ragged range over two GiB",
        "make a page invalid",
        "unmap a page of a GiB",
        "collapse a GiB",
        "collapse 2 MiB and the run that they were in",
        "carve a page and make it read-only",
        "make an area and its aliases read-only",
    ];
    assert_eq!(wrong, expected);
}

/// The program of `legal/break-before-make.trace` with every CPU but the first parked.
#[test]
fn a_size_change_is_legal_while_up_to_three_cpus_that_need_a_break_are_parked() {
    let text = include_str!("../legal/break-before-make.trace");
    for parked in 1..=3_u32 {
        let cpus = parked + 1;
        let text = text
            .replace("cpus 2", &format!("cpus {cpus}"))
            .replace("cpu 1:", &format!("cpu 1..{cpus}:"))
            .replace("wait parked 1", &format!("wait parked {parked}"));
        let mut program = read(&text).unwrap();
        let parked_profile = program.cpus[1].profile;
        for cpu in &mut program.cpus[1..] {
            cpu.profile = parked_profile;
        }
        let start = Instant::now();
        let report = explore(&program, Options::QUICK).unwrap();
        assert_eq!(report.verdicts, [], "{parked} parked");
        assert_eq!(judge(&program).verdicts, []);
        let (slices, states) = (report.slices, report.states);
        println!("{parked} parked: {slices} slices, {states} states, {:.1?}", start.elapsed());
    }
}
