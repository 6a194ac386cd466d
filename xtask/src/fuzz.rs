//! `cargo xtask fuzz`: libFuzzer searches for input that reaches new code, and for what breaks.
//!
//! The targets are the package `blockmap-fuzz`; here it is built with the compiler's coverage
//! counters, which the toolchain at hand has. What the search found stays in the target folder and
//! is where the next one begins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::workspace::{cargo, host, root, target_dir};

/// What to search, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The target; all of them, one after the other, when left out.
    pub target: Option<String>,
    /// How long to search each target.
    #[arg(long, default_value_t = 60)]
    pub seconds: u32,
    /// Only feeds the target this file.
    #[arg(long, value_name = "FILE", requires = "target")]
    pub input: Option<PathBuf>,
}

/// Where the targets are listed; each with its name in quotes.
const LIST: &str = "crates/fuzz/src/lib.rs";

/// Device trees of machines are with the kernel's tests.
const DEVICE_TREES: &str = "kernel/tests/fixtures";

/// What the compiler adds to every branch, comparison and block for libFuzzer to see.
const COVERAGE: [&str; 9] = [
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // One unit each: the linker keeps counters and the code that they count together.
    "-Ccodegen-units=1",
    "-Clink-dead-code",
    "-Cdebug-assertions=on",
];

/// Searches, and says what was found.
///
/// # Errors
/// When there is no such target, or it can't be built.
pub fn run(options: &Options) -> Result<ExitCode> {
    let names = names()?;
    let chosen: Vec<&str> = match &options.target {
        Some(name) if names.contains(name) => vec![name],
        Some(name) => bail!("no target is called {name}; there are {}", names.join(", ")),
        None => names.iter().map(String::as_str).collect(),
    };
    let program = build()?;
    for name in chosen {
        if !search(&program, name, options)? {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn names() -> Result<Vec<String>> {
    let text = fs::read_to_string(root().join(LIST)).with_context(|| format!("no {LIST}"))?;
    let names = listed(&text);
    if names.is_empty() {
        bail!("{LIST} lists no target");
    }
    Ok(names)
}

fn listed(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("Target { name: \"")?;
        Some(rest.split_once('"')?.0.to_owned())
    });
    names.collect()
}

/// Builds the program that is every target.
fn build() -> Result<PathBuf> {
    let folder = target_dir().join("blockmap/fuzz");
    let host = host()?;
    let status = cargo()
        // With a target named, what only runs while building has no counters.
        .args(["build", "--release", "--package", "blockmap-fuzz", "--target", &host])
        .args(["--config", "profile.release.lto=false"])
        .env("RUSTFLAGS", COVERAGE.join(" "))
        .env("CARGO_TARGET_DIR", &folder)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the targets can't be built; libFuzzer takes a C++ compiler, as g++ or clang++");
    }
    Ok(folder.join(host).join("release/blockmap-fuzz"))
}

/// Tells whether the target withstood.
fn search(program: &Path, name: &str, options: &Options) -> Result<bool> {
    let found = target_dir().join("blockmap/fuzz/found").join(name);
    let broken = target_dir().join("blockmap/fuzz/broken").join(name);
    for folder in [&found, &broken] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    println!("== fuzz {name}");
    let mut command = Command::new(program);
    command.current_dir(root()).env("BLOCKMAP_FUZZ_TARGET", name).env("RUST_BACKTRACE", "0");
    match &options.input {
        Some(file) => command.arg(std::path::absolute(file)?),
        None => command
            .arg(format!("-max_total_time={}", options.seconds))
            .arg(format!("-artifact_prefix={}/", broken.display()))
            .args([
                "-timeout=20",
                "-max_len=65536",
                "-print_final_stats=1",
                "-verbosity=0",
                "-print_funcs=0",
            ])
            .arg(&found)
            .arg(seeds(name)),
    };
    let status = command.status().with_context(|| program.display().to_string())?;
    if !status.success() {
        let place = broken.display();
        println!("{name} broke: cargo xtask fuzz {name} --input FILE, FILE being in {place}");
    }
    Ok(status.success())
}

/// The folder of a target's seeds.
fn seeds(name: &str) -> PathBuf {
    match name {
        "device-tree" => root().join(DEVICE_TREES),
        name => root().join("crates/fuzz/seeds").join(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_target_has_seeds() {
        let names = names().unwrap();
        assert!(names.len() >= 8, "{names:?}");
        for name in names {
            assert!(fs::read_dir(seeds(&name)).unwrap().next().is_some(), "{name}");
        }
        assert_eq!(listed("Target { name: \"a\", b },\nTarget { name: \"c\", d },"), ["a", "c"]);
    }
}
