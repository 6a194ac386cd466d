//! The one-pass judge agrees with the explorer, and is fast.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use blockmap::host::MAY_PARK;
use blockmap::{Space, Terms};
use blockmap_machine::{VirtAddr, VirtRange};
use blockmap_model::explore::{Options, explore};
use blockmap_model::judge::judge;
use blockmap_model::profile::{Profile, SizeChange};
use blockmap_model::program::{Intent, Meanwhile, Program, Step, Target};
use blockmap_model::text::read;
use blockmap_verify::recorder::{LINEAR, linear};
use blockmap_verify::scenario::{LIVE, Recording, SCENARIOS, record};
use blockmap_vmsa::{Change, TlbiForm};

/// The first verdict's rule, CPU and address, as each of the two says it.
fn both(program: &Program) -> (Option<String>, Option<String>) {
    let line = |verdict: &blockmap_model::verdict::Verdict| {
        format!("{} on CPU {}", verdict.rule, verdict.cpu)
    };
    let explored = explore(program, Options::QUICK).unwrap();
    let judged = judge(program);
    (explored.verdicts.first().map(line), judged.verdicts.first().map(line))
}

#[test]
fn both_say_the_same_of_the_written_programs() {
    let mut differ = Vec::new();
    for folder in ["legal", "illegal"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let program = read(&fs::read_to_string(&path).unwrap()).unwrap();
            let (explored, judged) = both(&program);
            if explored != judged {
                differ.push(format!("{}: {explored:?}, {judged:?}", path.display()));
            }
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// One fault of a program.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    LeftOut,
    SwappedWithNext,
    Weakened(&'static str, &'static str),
}

const FAULTS: [Fault; 10] = [
    Fault::None,
    Fault::LeftOut,
    Fault::SwappedWithNext,
    Fault::Weakened("dsb ishst", "dsb nshst"),
    Fault::Weakened("dsb ish", "dsb ishst"),
    Fault::Weakened("dsb ish", "dsb nsh"),
    Fault::Weakened("is 0x", " 0x"),
    Fault::Weakened("vaae1", "vaale1"),
    Fault::Weakened("vaae1", "vae1"),
    Fault::Weakened("tlbi vaale1is 0x", "tlbi vaale1is 0x7"),
];

/// The program with a fault at one step; `None` where the fault does not apply.
fn with_fault(program: &Program, step: usize, fault: Fault) -> Option<Program> {
    let mut faulty = program.clone();
    let steps = &mut faulty.cpus[0].steps;
    let effect = matches!(steps.get(step), Some(Step::Effect(_)));
    match fault {
        Fault::None if step == 0 => {}
        Fault::LeftOut if effect => {
            steps.remove(step);
        }
        Fault::SwappedWithNext if effect && step + 1 < steps.len() => steps.swap(step, step + 1),
        Fault::Weakened(from, to) if effect => {
            let text = steps[step].to_string();
            let is_whole = from.starts_with("dsb");
            if !text.contains(from) || is_whole && text != from {
                return None;
            }
            steps[step] = Step::Effect(text.replace(from, to).parse().ok()?);
        }
        Fault::None | Fault::LeftOut | Fault::SwappedWithNext | Fault::Weakened(..) => return None,
    }
    Some(faulty)
}

#[test]
fn both_say_the_same_of_the_engine_with_one_fault() {
    let mut differ = Vec::new();
    let (mut wrong, mut all) = (0, 0);
    for scenario in SCENARIOS {
        for (tlbi, size_change) in [
            (TlbiForm::Ranged, SizeChange::Quiet),
            (TlbiForm::ByAddress, SizeChange::Quiet),
            (TlbiForm::Ranged, SizeChange::NeedsBreak),
        ] {
            let mut program = scenario.record(Terms { tlbi, ..LIVE }, 2);
            program.cpus[1].profile = Profile::QUIET.with_size_change(size_change);
            for step in 0..program.cpus[0].steps.len() {
                for fault in FAULTS {
                    let Some(faulty) = with_fault(&program, step, fault) else { continue };
                    let (explored, judged) = both(&faulty);
                    all += 1;
                    wrong += usize::from(explored.is_some());
                    if explored.is_some() != judged.is_some() {
                        let step = program.cpus[0].steps[step].to_string();
                        let name = scenario.name;
                        differ.push(format!(
                            "{name} ({tlbi:?}, {size_change:?}), {fault:?} at {step}: {explored:?}, {judged:?}"
                        ));
                    }
                }
            }
        }
    }
    println!("{all} programs, {wrong} of them wrong");
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

/// A program of many changes of a map of 12 GiB: pages, runs, blocks, mixed.
fn long_program(operations: u64) -> Program {
    let prepare = |space: &Space<'_, Recording<'_>>| space.map(linear(12)).unwrap();
    record((LIVE, 7000), prepare, |space| {
        let mut random = 1_u64;
        for _ in 0..operations {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let bytes = 4096 << (random >> 60);
            let start = LINEAR + (random >> 20) % (12 << 30) / bytes * bytes;
            let range = VirtRange::new(VirtAddr::new(start), bytes).unwrap();
            let (change, rights) = if random >> 16 & 1 == 0 {
                (Change::ReadOnly, "r--")
            } else {
                (Change::ReadWrite, "rw-")
            };
            let target = Target::Rights(rights.parse().unwrap());
            let meanwhile = Meanwhile::Accessible;
            space.platform().note(Step::Intend(Intent { range, target, meanwhile }));
            space.protect(range, change, &MAY_PARK).unwrap();
            space.platform().note(Step::Achieved);
        }
    })
}

#[test]
#[ignore = "a measurement: wants a core of its own"]
fn the_judge_takes_a_million_effects_a_second() {
    let program = long_program(100_000);
    let start = Instant::now();
    let judged = judge(&program);
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(judged.verdicts, []);
    let steps = program.cpus[0].steps.len();
    println!("{} effects in {steps} steps, {seconds:.2} s", judged.effects);
    let effects = u32::try_from(judged.effects).unwrap();
    assert!(f64::from(effects) / seconds > 1e6, "{effects} effects in {seconds} s");
}

#[test]
fn the_judge_accepts_a_long_program() {
    let judged = judge(&long_program(3_000));
    assert_eq!(judged.verdicts, []);
    assert!(judged.effects > 100_000);
}
