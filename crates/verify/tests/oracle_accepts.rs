//! The model accepts what the shipped engine does, on machines of two to four CPUs.

use blockmap::Terms;
use blockmap_model::explore::{Options, explore};
use blockmap_verify::scenario::{LIVE, SCENARIOS};
use blockmap_vmsa::TlbiForm;

#[test]
fn every_operation_is_legal_on_quiet_cpus() {
    for tlbi in [TlbiForm::Ranged] {
        for cpus in 2..=2 {
            let start = std::time::Instant::now();
            let (mut slices, mut states, mut transitions) = (0, 0, 0);
            for scenario in SCENARIOS {
                let program = scenario.record(Terms { tlbi, ..LIVE }, cpus);
                let report = explore(&program, Options::QUICK).unwrap();
                let verdicts: Vec<String> =
                    report.verdicts.iter().map(ToString::to_string).collect();
                assert!(
                    verdicts.is_empty(),
                    "{}, {cpus} CPUs:\n{}",
                    scenario.name,
                    verdicts.join("")
                );
                println!(
                    "{}: {} slices, {} states {:?}",
                    scenario.name,
                    report.slices,
                    report.states,
                    start.elapsed()
                );
                slices += report.slices;
                states += report.states;
                transitions += report.transitions;
            }
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "{tlbi:?} {cpus} CPUs: {slices} slices, {states} states, {transitions} transitions, {seconds:.1} s"
            );
        }
    }
}
