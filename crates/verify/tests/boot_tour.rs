//! All owners together, booted: what comes goes again, and leaves a map that is as it was at boot,
//! tables included.
#![cfg(test)]

use std::time::Duration;

use blockmap_verify::console::Stat;
use blockmap_verify::machine::{Booted, Config};

/// A CPU that changes sizes quietly, one that may abort, one that needs a break.
const CPUS: [(&str, &str); 3] =
    [("max,midr=0xc00fac30", "Live"), ("max", "Quiesce"), ("cortex-a72", "Quiesce")];

fn machine(cpu: &str) -> Config {
    Config::new("2G").cpu(cpu).modules().limit(Duration::from_secs(600))
}

/// Sees that the last dump is the first, and the last statistics too: leaves, tables, frames.
#[track_caller]
fn is_as_before(booted: &Booted, replay: &str) {
    let dumps: Vec<&str> = booted.answers("ptdump all").collect();
    assert_eq!(dumps.first(), dumps.last(), "{replay}");
    let stats: Vec<&str> = booted.answers("stat").collect();
    let leaves = |stat: &str| {
        let lines: Vec<String> = stat.lines().map(str::to_owned).collect();
        lines.into_iter().take_while(|line| !line.contains("frames")).collect::<Vec<_>>()
    };
    let [first, last] = [stats[0], stats[stats.len() - 1]];
    assert_eq!(leaves(first), leaves(last), "{replay}");
    let stats = booted.stats();
    let all = |stat: &Stat| stat.frames["free"] + stat.frames["tables"];
    assert_eq!(stats.first().map(all), stats.last().map(all), "{replay}");
    assert_eq!(stats[stats.len() - 1].frames["used"], stats[0].frames["used"], "{replay}");
}

#[test]
fn a_tour_ends_with_the_map_that_it_began_with() {
    for (cpu, strategy) in CPUS {
        let script = "strategy; stat; ptdump all; tour; stat; ptdump all";
        let booted = Booted::run(&machine(cpu).monitor(script)).succeeded();
        assert!(booted.answer("strategy").starts_with(strategy), "{}", booted.console);
        booted.says("The linear map is as it was, in 4 tables.");
        is_as_before(&booted, "");
        // The module ran twice, and could be written by no address; a page was gone meanwhile.
        assert_eq!(booted.console.matches("greeter: loaded, relocated and running").count(), 2);
        assert_eq!(booted.console.matches("fault: permission fault, level ").count(), 2);
        assert_eq!(booted.console.matches("fault: translation fault, level 3, read").count(), 1);
        assert!(!booted.console.contains("refused"), "{}", booted.console);
    }
}

/// What the random steps are drawn from: `BLOCKMAP_SEED=7` replays that one.
fn seeds() -> Vec<u64> {
    match std::env::var("BLOCKMAP_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => vec![0x0123_4567_89ab_cdef],
    }
}

/// Has all owners do so many things, with `meanwhile` before that and `afterwards` behind it.
fn cycles(config: Config, (steps, seed): (u32, u64), [meanwhile, afterwards]: [&str; 2]) -> Booted {
    let cycles = format!("cycles {steps} {seed}");
    let script = format!(
        "stat; ptdump all; {meanwhile} guard on; {cycles}; guard off; {afterwards} heal; stat; \
         ptdump all"
    );
    let booted = Booted::run(&config.options("guard-pool=late").monitor(&script)).succeeded();
    let replay = format!("BLOCKMAP_SEED={seed} replays it; {}", booted.console);
    let answer = booted.answer(&cycles);
    let outcome = answer.lines().last().unwrap_or_default();
    assert!(outcome.ends_with("; 0 of them wrong"), "{outcome}: {replay}");
    is_as_before(&booted, &replay);
    assert!(booted.answer("heal").starts_with("healed: "), "{replay}");
    booted
}

#[test]
fn a_thousand_random_steps_of_all_owners_leave_the_map_of_boot() {
    for seed in seeds() {
        for (cpu, _) in CPUS {
            cycles(machine(cpu), (1000, seed), [""; 2]);
        }
    }
}

/// How many steps are made meanwhile: an emulator on few processors takes its time.
/// `BLOCKMAP_STEPS=1000` is the whole.
fn steps() -> u32 {
    std::env::var("BLOCKMAP_STEPS").map_or(100, |steps| steps.parse().expect("a number"))
}

#[test]
fn the_same_while_two_other_cpus_read_the_tables_without_pause() {
    for (cpu, _) in CPUS {
        let machine = machine(cpu).cpus(3);
        let meanwhile = ["reader on 1; reader on 2;", "reader off 1; reader off 2;"];
        let booted = cycles(machine, (steps(), seeds()[0]), meanwhile);
        for reader in [1, 2] {
            let off = booted.answer(&format!("reader off {reader}"));
            assert!(off.contains(" passes, 0 of them wrong"), "{off}");
            assert!(!off.starts_with("reader: 0 passes"), "{off}");
        }
    }
}

#[test]
#[ignore = "minutes long where CPUs share few processors; the two beside it have each half of it"]
fn the_same_while_other_cpus_read_the_tables_and_are_loaded() {
    let [meanwhile, afterwards] =
        ["on", "off"].map(|what| format!("reader {what} 1; load {what} 2; load {what} 3;"));
    for (cpu, _) in CPUS {
        let machine = machine(cpu).cpus(4);
        cycles(machine, (steps(), seeds()[0]), [&meanwhile, &afterwards]);
    }
}
