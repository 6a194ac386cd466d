//! What several CPUs do to their tables is judged: the trace of a booted machine has each CPU's
//! steps in its own order, with what one does that another waits for.
#![cfg(test)]

use std::fs;
use std::path::PathBuf;

use blockmap_machine::{Event, Tlbi};
use blockmap_model::explore::{Options, explore};
use blockmap_model::judge::judge;
use blockmap_model::profile::SizeChange;
use blockmap_model::program::{Context, Program, Step};
use blockmap_model::replay::judge_end;
use blockmap_model::text::read;
use blockmap_model::verdict::Verdict;
use blockmap_verify::machine::{Booted, Config};

const BREAKS: &str = "cortex-a72";
const ABORTS: &str = "max";
const QUIET: &str = "max,midr=0xc00fac30";
/// The boot CPU is quiet; the second needs a break, the third may abort, the fourth is quiet.
const MIXED: &str = "cpu.boot.midr=0x410fd823 cpu.1.midr=0x410fd811 cpu.1.bbm=0 \
                     cpu.2.midr=0x410fd822";

/// Changes sizes and rights, and takes them back, while three CPUs read and write all over memory.
const BUSY: &str = "load on 1; load on 2; load on 3; churn 3 20000; ro 0xffff000055555000 1; \
                    split 0xffff000048000000 512; nx 0xffff000055550000 64; vmap 3; \
                    rw 0xffff000055555000 1; vunmap 0xffff800100000000; purge; \
                    load off 1; load off 2; load off 3";

fn four(cpu: &str) -> Config {
    Config::new("2G").cpu(cpu).cpus(4)
}

fn disguised(options: &str) -> Config {
    four(QUIET).board("virt,virtualization=on").options(options)
}

/// Boots with a trace, does what the script says, and reads the trace back as a program.
fn traced((config, options): (Config, &str), name: &str, script: &str) -> (Booted, Program) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("judged-{name}"));
    // What an earlier run left would pass for this one's.
    let _ = fs::remove_file(&path);
    let script = format!("{script}; trace dump {}", path.display());
    let config = config.options(&format!("trace=65536 {options}")).monitor(&script);
    let booted = Booted::run(&config.limit(std::time::Duration::from_secs(300))).succeeded();
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}: {}", booted.console));
    assert!(text.contains("\n# dropped records: 0\n"), "{text}");
    let program = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (booted, program)
}

#[track_caller]
fn accepted(program: &Program) {
    let verdicts = [judge_end(program), judge(program).verdicts].concat();
    let verdicts: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
    assert!(verdicts.is_empty(), "{}", verdicts.join("\n"));
}

/// How often a CPU parked.
fn parkings(program: &Program, cpu: usize) -> usize {
    let is_in = |step: &&Step| matches!(step, Step::Signal(name) if name.starts_with("in"));
    program.cpus[cpu].steps.iter().filter(is_in).count()
}

fn sizes(program: &Program) -> Vec<SizeChange> {
    program.cpus.iter().map(|cpu| cpu.profile.size_change).collect()
}

#[test]
fn a_busy_machine_that_changes_sizes_live_is_judged_from_its_first_table_on() {
    let (_, program) = traced((four(QUIET), ""), "live", BUSY);
    assert_eq!(sizes(&program), [SizeChange::Quiet; 4]);
    assert_eq!((1..4).map(|cpu| parkings(&program, cpu)).sum::<usize>(), 0);
    assert!(judge(&program).effects > 1000);
    accepted(&program);
}

#[test]
fn a_busy_machine_that_parks_is_judged_from_its_first_table_on() {
    for (cpu, size, options) in [
        (BREAKS, SizeChange::NeedsBreak, ""),
        (ABORTS, SizeChange::MayAbort, ""),
        (QUIET, SizeChange::Quiet, "size-change=quiesce"),
    ] {
        let name = format!("parked-{size:?}");
        let (_, program) = traced((four(cpu), options), &name, BUSY);
        assert_eq!(sizes(&program), [size; 4]);
        assert!((1..4).all(|cpu| parkings(&program, cpu) >= 3), "{cpu}");
        accepted(&program);
    }
}

#[test]
fn a_machine_of_unlike_cpus_is_judged_as_what_they_are() {
    let (_, program) = traced((disguised(""), MIXED), "mixed", BUSY);
    let [quiet, breaks, aborts] = [SizeChange::Quiet, SizeChange::NeedsBreak, SizeChange::MayAbort];
    assert_eq!(sizes(&program), [quiet, breaks, aborts, quiet]);
    accepted(&program);
}

#[test]
fn several_cpus_that_change_the_tables_at_once_are_judged() {
    let script = "writers 6; writers 6 same; ro 0xffff000055555000 1";
    for (cpu, name) in [(QUIET, "writers"), (BREAKS, "writers-parked")] {
        let machine = Config::new("6G").cpu(cpu).cpus(4);
        let (booted, program) = traced((machine, ""), name, script);
        for writers in ["writers 6", "writers 6 same"] {
            let answer = booted.answer(writers);
            assert_eq!(answer.matches(" 6 changes, 0 of them wrong; ").count(), 4, "{answer}");
        }
        let locks = |cpu: usize| {
            let is_lock = |step: &&Step| matches!(step, Step::Lock { turn: Some(_), .. });
            program.cpus[cpu].steps.iter().filter(is_lock).count()
        };
        assert!((1..4).all(|cpu| locks(cpu) >= 24), "a lock for each change");
        accepted(&program);
    }
}

#[test]
fn cpus_that_leave_and_come_back_are_judged() {
    let script = "ro 0xffff000055555000 1; cpu off 2; split 0xffff000048000000 512; cpu off 1; \
                  cpu on 2; ro 0xffff000065555000 1; cpu on 1; ro 0xffff000075555000 1";
    for cpu in [BREAKS, QUIET] {
        let (booted, program) = traced((four(cpu), ""), &format!("left-{}", cpu.len()), script);
        assert_eq!(booted.answer("cpu on 2").lines().last(), Some("done"), "{}", booted.console);
        let came = |step: &&Step| **step == Step::Context(Context::Other);
        assert_eq!(program.cpus[2].steps.iter().filter(came).count(), 2);
        accepted(&program);
    }
}

#[test]
fn a_repaint_of_the_whole_map_is_judged() {
    let options = format!("{MIXED} size-change=never");
    let script = "load on 1; load on 2; load on 3; ro 0xffff000055555000 7; strategy";
    let (booted, program) = traced((disguised(""), &options), "repaint", script);
    booted.says("the map is in pages");
    assert!((1..4).all(|cpu| parkings(&program, cpu) == 1));
    accepted(&program);
}

/// A busy machine of this CPU whose leaves stop being global.
fn non_global(cpu: &str, name: &str) -> Program {
    let script = "load on 1; load on 2; load on 3; ro 0xffff000055555000 1; kpti on; vmap 3; \
                  ro 0xffff000065555000 1; load off 1; load off 2; load off 3";
    let (booted, program) = traced((four(cpu), ""), name, script);
    assert_eq!(booted.answer("kpti on").trim_end(), "done");
    program
}

#[test]
fn leaves_that_stop_being_global_are_judged() {
    for cpu in [BREAKS, QUIET] {
        let program = non_global(cpu, &format!("non-global-{}", cpu.len()));
        assert!((1..4).all(|cpu| parkings(&program, cpu) >= 1));
        let left = program.cpus[0].steps.iter();
        assert_eq!(left.filter(|step| **step == Step::Context(Context::Reserved)).count(), 1);
        accepted(&program);
    }
}

#[test]
fn whoever_walks_while_leaves_stop_being_global_is_found() {
    let good = non_global(QUIET, "non-global-wrong");
    // The CPU that makes the change stays on the tables.
    let mut stays = good.clone();
    stays.cpus[0].steps.retain(|step| !matches!(step, Step::Context(_)));
    assert_eq!(judge(&stays).verdicts.first().map(|verdict| verdict.cpu), Some(0));
    // It leaves them with its TLB as it is: of its own invalidations of everything, the first.
    let mut keeps = good.clone();
    let is_own = |step: &Step| matches!(step, Step::Effect(Event::Invalidate(names)) if names.op == Tlbi::Vmalle1);
    let own = keeps.cpus[0].steps.iter().position(is_own).unwrap();
    keeps.cpus[0].steps.remove(own);
    assert!(!judge(&keeps).verdicts.is_empty());
    // A parked CPU keeps its TLB: each time, for the last is the one that counts.
    let mut parked = good;
    parked.cpus[1].steps.retain(|step| !is_own(step));
    assert!(!judge(&parked).verdicts.is_empty());
}

/// A late trace of a split out of a block, and of what its page's rights are after that.
fn late((config, options): (Config, &str), name: &str) -> Program {
    let script = "trace off; trace on; ro 0xffff000055555000 1";
    traced((config, options), name, script).1
}

#[test]
fn every_order_that_the_edges_of_a_trace_leave_is_explored() {
    for (config, options, name) in
        [(four(BREAKS).cpus(2), "", "late-breaks"), (four(QUIET).cpus(3), "", "late-quiet")]
    {
        let program = late((config, options), name);
        accepted(&program);
        let report = explore(&program, Options::QUICK).unwrap();
        assert_eq!(report.verdicts, [], "{name}");
        assert!(report.states > 100, "{report:?}");
    }
}

/// Which rule, on which CPU, and whether the address is in the block that was split.
fn first(verdicts: &[Verdict]) -> Option<(&'static str, usize, bool)> {
    verdicts.first().map(|verdict| {
        let block = verdict.address.value() & !((1 << 30) - 1);
        (verdict.rule.key(), verdict.cpu, block == 0xffff_0000_4000_0000)
    })
}

fn is_of(step: &Step, word: &str) -> bool {
    matches!(step, Step::Signal(name) | Step::Wait(name, _) if name.starts_with(word))
}

#[test]
fn a_cpu_that_needs_a_break_and_was_not_parked_is_found() {
    let mut program = late((disguised(""), MIXED), "unparked");
    accepted(&program);
    // CPU 1 stays where it is, and nobody waits for it.
    program.cpus[1].steps.clear();
    for step in &mut program.cpus[0].steps {
        if let Step::Wait(name, count) = step
            && name.starts_with("in")
        {
            *count -= 1;
        }
    }
    let expected = Some(("break-before-make", 1, true));
    assert_eq!(first(&judge(&program).verdicts), expected);
}

#[test]
fn a_cpu_that_parks_with_its_tlb_as_it_was_is_found() {
    let mut program = late((disguised(""), MIXED), "uninvalidated");
    let is_own = |step: &Step| matches!(step, Step::Effect(Event::Invalidate(names)) if names.op == Tlbi::Vmalle1);
    let steps = &mut program.cpus[1].steps;
    let before = steps.len();
    steps.retain(|step| !is_own(step));
    assert!(steps.len() < before);
    assert_eq!(first(&judge(&program).verdicts), Some(("parked-holds-nothing", 1, true)));
}

#[test]
fn a_cpu_that_nobody_waits_for_is_found() {
    let mut program = late((disguised(""), MIXED), "not-waited-for");
    program.cpus[0].steps.retain(|step| !(is_of(step, "in") && matches!(step, Step::Wait(..))));
    assert!(!judge(&program).verdicts.is_empty());
}
