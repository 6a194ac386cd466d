//! `cargo xtask demo`: what this project is about, on one screen.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace::cargo;

/// Runs the demonstration, which is a program of the package that may name all others.
///
/// # Errors
/// When cargo cannot be run.
pub fn run() -> Result<ExitCode> {
    let demo = ["run", "--quiet", "--release", "--package", "blockmap-verify", "--bin", "demo"];
    let status = cargo().args(demo).status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
