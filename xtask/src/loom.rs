//! `cargo xtask loom`: what several CPUs may do to the kernel's locks, frames and trace at once, in
//! every order.
//!
//! The library is built once more for it, on loom's atomics, in a folder of its own.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::stage::{Show, run_command};
use crate::workspace::{cargo, target_dir};

/// The package, and the test that is there for loom alone. They are the name of a test in
/// `crates/verify/mutants.txt` too.
const TEST: [&str; 4] = ["--package", "blockmap-kernel", "--test", "loom"];

/// Runs the stage, and says that it passed.
///
/// # Errors
/// When an order is found that breaks a promise; loom's own words come before it.
pub fn run_all() -> Result<ExitCode> {
    run_stage()?;
    println!("loom: all passed");
    Ok(ExitCode::SUCCESS)
}

/// Runs the tests in every order.
///
/// # Errors
/// As [`run_all`].
pub fn run_stage() -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--quiet"]).args(TEST);
    on_its_atomics(&mut command);
    command.env("CARGO_TARGET_DIR", target_dir().join("blockmap/loom"));
    run_command("loom", Show::All, command, "to see it alone: cargo xtask loom")
}

/// Has `cargo` build the kernel's library on loom's atomics.
pub(crate) fn on_its_atomics(cargo: &mut Command) {
    cargo.env("RUSTFLAGS", "--cfg loom");
    // Most of its time loom is at its own book-keeping.
    cargo.args(["--config", "profile.dev.package.loom.opt-level=3"]);
    cargo.args(["--config", "profile.dev.package.generator.opt-level=3"]);
}
