//! `cargo xtask oracle`: the engine's operations through the explorer, on machines that stand for all,
//! or on more than that.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace::cargo;

/// How much to explore.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Every pair of profiles of quiet CPUs, on two CPUs: about an hour.
    #[arg(long)]
    pub full: bool,
    /// Every pair of entries of every contiguous run, on two to four CPUs: minutes.
    #[arg(long)]
    pub pairs: bool,
}

/// Explores the covering set, or what the options ask for instead.
///
/// # Errors
/// When the tests cannot be started.
pub fn run(options: Options) -> Result<ExitCode> {
    let mut command = cargo();
    command.args(["test", "--package", "blockmap-verify", "--test", "oracle_covering", "--"]);
    if options.full {
        command.arg("the_full_product");
    }
    if options.pairs {
        command.arg("every_pair_of_a_run");
    }
    if options.full || options.pairs {
        command.arg("--ignored");
    }
    let status = command.status().context("cannot run the explorer")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
