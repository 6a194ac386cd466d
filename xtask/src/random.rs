//! `cargo xtask random`: random programs through the engine and the model, and one of them again.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::workspace::cargo;

/// Which programs, and how many.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// The seed of the first program; the next number is that of the next. Without it, the clock's.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How many steps of programs to judge: with 1, the seed's program alone.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub steps: u64,
}

/// Draws programs until enough steps are judged, or one is found wrong.
///
/// # Errors
/// When the search cannot be started.
pub fn run(options: Options) -> Result<ExitCode> {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = options.seed.unwrap_or_else(clock).to_string();
    let steps = options.steps.to_string();
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "blockmap-verify", "--bin", "random", "--"]);
    let status = command.args([seed, steps]).status().context("cannot run the search")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
