//! The kernel's own account of it, judged: no frame is ever writable through one address and
//! executable through another, on any CPU; and code is fetchable before it is executed.

use std::fs;
use std::path::PathBuf;

use blockmap_machine::Event;
use blockmap_model::judge::judge;
use blockmap_model::program::{Program, Step};
use blockmap_model::replay::judge_end;
use blockmap_model::text::read;
use blockmap_verify::machine::Booted;

use crate::{STRATEGIES, machine};

const BUSY: &str = "modload greeter; modrun greeter 1; slot 0x91000400; slotrun 0 1; \
                    slot 0x9b007c00; modload tables; jit 300; modunload greeter; slotrun 1 3; \
                    modrun tables 1; jit 1; jitfree 1; jitrun 2; modload greeter; slotfree 0; \
                    modunload tables; jitfree 2; modrun greeter 4; slotfree 1; modunload greeter";

/// Boots with a trace and more CPUs that use memory, does what the script says, and reads the trace
/// back.
fn traced(options: &str, name: &str, script: &str) -> Program {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("modules-{name}"));
    // What an earlier run left would pass for this one's.
    let _ = fs::remove_file(&path);
    let loads = ["on", "off"].map(|power| format!("load {power} 1; load {power} 2"));
    let script = format!("{}; {script}; {}; trace dump {}", loads[0], loads[1], path.display());
    let config = machine(&format!("trace=65536 {options}")).cpus(3).monitor(&script);
    let booted = Booted::run(&config).succeeded();
    assert!(booted.lines().all(|line| !line.starts_with("refused")), "{}", booted.console);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\n# dropped records: 0\n"), "{text}");
    read(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn verdicts(program: &Program) -> Vec<String> {
    let verdicts = [judge_end(program), judge(program).verdicts].concat();
    verdicts.iter().map(ToString::to_string).collect()
}

fn first_rule(program: &Program) -> Option<&'static str> {
    judge(program).verdicts.first().map(|verdict| verdict.rule.key())
}

#[test]
fn what_is_loaded_run_and_unloaded_is_judged() {
    for strategy in STRATEGIES {
        let program = traced(strategy, strategy, BUSY);
        assert_eq!(verdicts(&program), [""; 0], "{strategy}");
    }
}

#[test]
fn a_part_that_is_executed_before_nobody_can_write_it_is_found() {
    let mut program = traced("", "unnarrowed", "jit 1; jitfree 1");
    assert_eq!(verdicts(&program), [""; 0]);
    // The text is written at its own address, so what is left out is the first invalidation of it
    // after the program was written there.
    let steps = &mut program.cpus[0].steps;
    let is_publish = |step: &Step| matches!(step, Step::Effect(Event::Maintain { .. }));
    let publish = steps.iter().position(is_publish).unwrap();
    let is_tlbi = |step: &Step| matches!(step, Step::Effect(Event::Invalidate(_)));
    let narrowing = steps[..publish].iter().rposition(is_tlbi).unwrap();
    steps.remove(narrowing);
    assert_eq!(first_rule(&program), Some("stale-until-invalidated"));
}

#[test]
fn code_that_was_not_made_fetchable_is_found() {
    let mut program = traced("", "unpublished", "jit 1; jitfree 1");
    let is_publish = |step: &Step| matches!(step, Step::Effect(Event::Maintain { .. }));
    let steps = &mut program.cpus[0].steps;
    let before = steps.len();
    steps.retain(|step| !is_publish(step));
    assert!(steps.len() < before);
    assert_eq!(first_rule(&program), Some("code-clean-before-run"));
}
