//! Areas of memory, booted: what they and their aliases in the linear map grant after each change, what
//! that costs, and that nothing is left of it when they are gone.
#![cfg(test)]

mod purge;
mod set_memory;

use blockmap_verify::console::Stat;
use blockmap_verify::machine::{Booted, Config};

/// Where areas begin.
const AREA: u64 = 0xffff_8001_0000_0000;

/// A CPU that changes sizes quietly, and acts on ranges.
const LIVE: &str = "max,midr=0xc00fac30";

/// The same without global leaves.
const NON_GLOBAL: [&str; 2] = ["kpti=on size-change=live", "kpti=on size-change=quiesce"];

fn config(options: &str, script: &str) -> Config {
    Config::new("4G").cpu(LIVE).options(options).monitor(script)
}

fn boot(options: &str, script: &str) -> Booted {
    Booted::run(&config(options, script)).succeeded()
}

/// The linear map's address of what a walk printed that an area's page leads to.
fn alias(walked: &str) -> u64 {
    let (_, output) = walked.rsplit_once("-> 0x").unwrap_or_else(|| panic!("{walked}"));
    let output = output.split(',').next().unwrap();
    0xffff_0000_0000_0000 + u64::from_str_radix(output, 16).unwrap() - (1 << 30)
}

/// What the monitor said that a change did: entries, TLBI, DSB, ISB.
fn effects(answer: &str) -> [u64; 4] {
    let line = answer.lines().find_map(|line| line.strip_prefix("effects: "));
    let line = line.unwrap_or_else(|| panic!("{answer}"));
    let number = |part: &str| part.trim().split(' ').next().unwrap().parse().unwrap();
    let parts: Vec<u64> = line.split(',').map(number).collect();
    [parts[0], parts[1], parts[2], parts[3]]
}

/// Sees that no frame was lost from one look to the other: what is not free is a table that is kept
/// ready.
#[track_caller]
fn none_is_lost(before: &Stat, after: &Stat) {
    assert_eq!(after.frames["used"], before.frames["used"]);
    let both = |stat: &Stat| stat.frames["free"] + stat.frames["tables"];
    assert_eq!(both(after), both(before));
}
