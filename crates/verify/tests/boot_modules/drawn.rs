//! Code that comes and goes at random: everything runs as it should, and nothing is left.

use std::fmt::Write;

use crate::{STRATEGIES, around, is_as_before};

/// Steps of a script.
const STEPS: u64 = 120;

/// What is there at some moment.
#[derive(Default)]
struct There {
    modules: Vec<&'static str>,
    packs: Vec<u64>,
    slots: Vec<u64>,
    /// Packs that have been made.
    made: u64,
}

/// Numbers that depend on the seed alone.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        // Marsaglia's xorshift, "Xorshift RNGs".
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// One random step, and what comes of it.
fn step(draw: &mut Draw, there: &mut There, script: &mut String) {
    match draw.below(8) {
        0 | 1 => {
            let name = ["greeter", "tables"][draw.below(2)];
            if let Some(at) = there.modules.iter().position(|loaded| *loaded == name) {
                there.modules.remove(at);
                write!(script, "modunload {name}; ").unwrap();
            } else {
                there.modules.push(name);
                write!(script, "modload {name}; ").unwrap();
            }
        }
        2 => {
            there.made += 1;
            there.packs.push(there.made);
            write!(script, "jit {}; ", [1, 64, 65, 700, 5000][draw.below(5)]).unwrap();
        }
        3 if !there.packs.is_empty() => {
            let pack = there.packs.swap_remove(draw.below(there.packs.len()));
            write!(script, "jitfree {pack}; ").unwrap();
        }
        4 => {
            let free = (0..=STEPS).find(|slot| !there.slots.contains(slot)).unwrap();
            there.slots.push(free);
            script.push_str("slot 0x91000400; ");
        }
        5 if !there.slots.is_empty() => {
            let slot = there.slots.swap_remove(draw.below(there.slots.len()));
            write!(script, "slotfree {slot}; ").unwrap();
        }
        _ => run_all(there, script),
    }
}

fn run_all(there: &There, script: &mut String) {
    there.modules.iter().for_each(|name| write!(script, "modrun {name} 1; ").unwrap());
    there.packs.iter().for_each(|pack| write!(script, "jitrun {pack}; ").unwrap());
    there.slots.iter().for_each(|slot| write!(script, "slotrun {slot} 41; ").unwrap());
}

fn script(seed: u64) -> String {
    let (mut draw, mut there, mut script) = (Draw(seed | 1), There::default(), String::new());
    (0..STEPS).for_each(|_| step(&mut draw, &mut there, &mut script));
    run_all(&there, &mut script);
    there.modules.iter().for_each(|name| write!(script, "modunload {name}; ").unwrap());
    there.packs.iter().for_each(|pack| write!(script, "jitfree {pack}; ").unwrap());
    there.slots.iter().for_each(|slot| write!(script, "slotfree {slot}; ").unwrap());
    script
}

#[test]
fn whatever_comes_and_goes_runs_and_leaves_nothing_behind() {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    for (number, strategy) in (1..).zip(STRATEGIES) {
        let seed = given.unwrap_or(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number));
        println!("replay: SEED={seed} cargo test -p blockmap-verify --test boot_modules drawn");
        let (dumps, stats, booted) = around(strategy, script(seed).trim_end_matches("; "));
        for line in booted.lines() {
            assert!(!line.starts_with("refused") && !line.starts_with("fault"), "{line}");
        }
        let ran = booted.lines().filter(|line| line.contains("programs computed what")).count();
        assert!(ran > 20, "{ran} packs ran");
        for answer in booted.answers("slotrun 0 41") {
            assert_eq!(answer, "returned 0x000000000000002a\n");
        }
        is_as_before(&dumps, &stats);
    }
}
