//! Executable memory, booted: modules, JIT packs and slots are loaded, run, and never writable where
//! they can be executed, by any address; and nothing of them is left.
#![cfg(test)]

mod code;
mod cost;
mod drawn;
mod hostile;
mod judged;
mod shortage;

use blockmap_verify::console::{Dump, Stat};
use blockmap_verify::machine::{Booted, Config};

/// The strategies, by the options that have the kernel take them.
const STRATEGIES: [&str; 2] = ["size-change=live", "size-change=quiesce"];

/// The same without global leaves.
const NON_GLOBAL: [&str; 2] = ["kpti=on size-change=live", "kpti=on size-change=quiesce"];

/// A machine with 2 GiB and the kernel's modules.
fn machine(options: &str) -> Config {
    Config::new("2G").options(options).modules()
}

/// Boots it, and does what the script says between two dumps and statistics.
fn around(options: &str, script: &str) -> ([Dump; 2], [Stat; 2], Booted) {
    let look = "stat; ptdump all";
    let script = format!("{look}; {script}; heal; {look}");
    let booted = Booted::run(&machine(options).monitor(&script)).succeeded();
    let all = booted.dumps();
    let dumps = [all[0].clone(), all[all.len() - 1].clone()];
    let all = booted.stats();
    (dumps, [all[0].clone(), all[all.len() - 1].clone()], booted)
}

/// Sees that the map is as it was, tables included, and that no frame is missing.
#[track_caller]
fn is_as_before([before, after]: &[Dump; 2], [stat_before, stat_after]: &[Stat; 2]) {
    assert_eq!(after, before);
    assert_eq!(sizes(stat_after), sizes(stat_before));
    let all = |stat: &Stat| stat.frames["free"] + stat.frames["tables"];
    assert_eq!(all(stat_after), all(stat_before));
    assert_eq!(stat_after.frames["used"], stat_before.frames["used"]);
}

/// How many leaves and runs there are of each size, and how many tables.
fn sizes(stat: &Stat) -> Vec<(&String, &String)> {
    let is_size = |name: &str| ["leaves", "runs", "tables"].iter().any(|one| name.starts_with(one));
    stat.map.iter().filter(|(name, _)| is_size(name)).collect()
}

/// The two addresses of what a command made: its own, and the linear map's.
fn addresses(booted: &Booted, command: &str) -> [u64; 2] {
    let answer = booted.answer(command);
    let address = |before: &str| {
        let (_, after) = answer.split_once(before).unwrap_or_else(|| panic!("{answer}"));
        let digits: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
        u64::from_str_radix(digits.trim_start_matches("0x"), 16).unwrap()
    };
    [address(" at "), address("in the linear map at ")]
}

/// Sees that the monitor's answer to `command` was the single line `line`, each time.
#[track_caller]
fn answers(booted: &Booted, command: &str, line: &str) {
    let answers: Vec<&str> = booted.answers(command).map(str::trim_end).collect();
    assert!(!answers.is_empty(), "{command} was never run");
    assert!(answers.iter().all(|answer| *answer == line), "{command}: {answers:?}");
}
