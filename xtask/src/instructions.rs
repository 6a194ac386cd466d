//! `cargo xtask instructions`: the tests of what is written as instructions, as a program of arm64's Linux, on
//! an emulated CPU.
//!
//! A kernel that boots executes the same instructions, and sees what came of them in few places. Here each way
//! to fill, to compare and to change entries is held against the others, for every count.

use std::process::ExitCode;

use anyhow::Result;

use crate::setup;
use crate::stage::{Show, run_command};
use crate::workspace::{ARM64_LINUX, ARM64_LINUX_LINKER, cargo};

/// Runs the stage, and says that it passed.
///
/// # Errors
/// The test that failed, or what is missing and can't be installed.
pub fn run_all() -> Result<ExitCode> {
    setup::arm64_programs()?;
    run_stage()?;
    println!("instructions: all passed");
    Ok(ExitCode::SUCCESS)
}

/// Runs the tests.
///
/// # Errors
/// As [`run_all`].
pub fn run_stage() -> Result<()> {
    let mut command = cargo();
    command
        .args(["test", "--package", "blockmap-hw", "--lib", "--target", ARM64_LINUX])
        .envs([ARM64_LINUX_LINKER])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER", setup::ARM64_PROCESSOR);
    let advice = "to see it alone: cargo xtask instructions";
    run_command("instructions", Show::Closings, command, advice)
}
