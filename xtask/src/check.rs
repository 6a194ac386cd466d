//! `cargo xtask check`: everything that needs no machine, in the order in which it fails fastest.

use std::process::ExitCode;

use anyhow::Result;

use crate::stage::{Show, run, run_command, run_work};
use crate::workspace::{BARE_METAL, cargo, packages};
use crate::{doc, setup, tidy};

/// Tests whose names begin so start machines; `cargo xtask test` runs them.
pub const BOOTING: &str = "boot";

/// Explores the engine's operations on every kind of machine: minutes, and so not before each push.
pub const COVERING: &str = "oracle_covering";

/// The packages of modules, which no host can link.
pub const MODULES: &str = "blockmap-module-*";

/// The packages with code for the bare-metal target alone.
pub const BARE_METAL_PACKAGES: [&str; 2] = ["blockmap-kernel", "blockmap-hw"];

/// Runs every stage, up to the first that fails.
///
/// # Errors
/// The stage that failed, with what to type to see it alone.
pub fn run_stages() -> Result<()> {
    setup::lint_tools()?;
    setup::bare_metal_target()?;
    let mut format = cargo();
    format.args(["fmt", "--all", "--check"]);
    run_command("format", Show::All, format, "to mend it: cargo fmt --all")?;
    run_work("tidy", tidy::run)?;
    lint()?;
    host_tests()?;
    doc::run_stages()
}

/// Runs every stage and says that all passed.
///
/// # Errors
/// As [`run_stages`].
pub fn run_all() -> Result<ExitCode> {
    run_stages()?;
    println!("check: all passed");
    Ok(ExitCode::SUCCESS)
}

fn lint() -> Result<()> {
    let host = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run("lints, host", Show::All, &host)?;
    let mut arguments = vec!["clippy", "--quiet", "--target", BARE_METAL];
    for package in BARE_METAL_PACKAGES {
        arguments.extend(["--package", package]);
    }
    arguments.extend(["--", "-D", "warnings"]);
    run("lints, bare metal", Show::All, &arguments)
}

fn host_tests() -> Result<()> {
    let packages = packages()?;
    // A module has instructions of the machine that its kernel runs on.
    let mut arguments = vec!["test", "--workspace", "--exclude", MODULES, "--lib", "--bins"];
    for name in packages.iter().flat_map(|package| &package.tests) {
        if !name.starts_with(BOOTING) && name != COVERING {
            arguments.extend(["--test", name]);
        }
    }
    run("host tests", Show::Closings, &arguments)
}
