//! Every target, with its seeds and with random changes of them.
//!
//! `BLOCKMAP_FUZZ_SEED=N` begins the changes there, and `BLOCKMAP_FUZZ_ROUNDS=N` makes so many.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

use blockmap_fuzz::{Cost, Mutations, TARGETS, Target, target};

/// How many changed inputs a target gets unless somebody asks for more.
const fn usual_rounds(target: Target) -> u64 {
    match target.cost {
        Cost::Small => 3000,
        Cost::Large => 200,
    }
}

/// Says how to see a panic again, when there is one.
struct Replay(String);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: {}", self.0);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Where a target's seeds are. Device trees of machines are with the kernel's tests.
fn folder(target: Target) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    match target.name {
        "device-tree" => own.join("../../kernel/tests/fixtures"),
        name => own.join("seeds").join(name),
    }
}

fn withstands(name: &str) {
    let target = target(name).unwrap();
    let mut seeds = Vec::new();
    for file in files(&folder(target)) {
        let seed = fs::read(&file).unwrap();
        let replay = Replay(format!("cargo xtask fuzz {name} --input {}", file.display()));
        (target.feed)(&seed);
        drop(replay);
        seeds.push(seed);
    }
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let first = number("BLOCKMAP_FUZZ_SEED").unwrap_or(0);
    let rounds = number("BLOCKMAP_FUZZ_ROUNDS").unwrap_or(usual_rounds(target));
    for seed in first..first + rounds {
        let replay = Replay(format!(
            "BLOCKMAP_FUZZ_SEED={seed} BLOCKMAP_FUZZ_ROUNDS=1 cargo test -p blockmap-fuzz \
             --test seeds"
        ));
        (target.feed)(&Mutations::new(seed).of(&seeds));
        drop(replay);
    }
}

#[test]
fn an_archive_is_read_to_its_end() {
    withstands("archive");
}

#[test]
fn a_command_line_is_understood_or_complained_about() {
    withstands("command-line");
}

#[test]
fn a_device_tree_is_read_to_its_end() {
    withstands("device-tree");
}

#[test]
fn a_memory_map_is_planned_or_refused() {
    withstands("memory-map");
}

#[test]
fn a_module_is_written_or_refused() {
    withstands("module");
}

#[test]
fn a_monitor_command_is_understood_or_refused() {
    withstands("monitor");
}

#[test]
fn a_program_survives_being_written() {
    withstands("program");
}

#[test]
fn a_source_is_opened_or_refused() {
    withstands("source");
}

#[test]
fn tables_are_read_in_bounded_time() {
    withstands("tables");
}

#[test]
fn a_trace_survives_being_written() {
    withstands("trace");
}

#[test]
fn a_word_means_one_thing() {
    withstands("words");
}

#[test]
fn every_target_is_fed() {
    let own = include_str!("seeds.rs");
    for target in TARGETS {
        let call = format!("withstands(\"{}\")", target.name);
        assert_eq!(own.matches(&call).count(), 1, "{call}");
    }
}
