//! `cargo xtask test`: everything that must hold, with the machine started.

use std::process::ExitCode;

use anyhow::Result;

use crate::check::{self, BOOTING, COVERING, MODULES};
use crate::stage::{Show, run, run_work};
use crate::workspace::packages;
use crate::{image, instructions, loom, modules, setup};

/// Sets up what is missing and runs every test, up to the first stage that fails.
///
/// # Errors
/// The stage that failed, with what to type to see it alone.
pub fn run_all() -> Result<ExitCode> {
    // First, so that what cannot be installed is known before minutes of other work.
    setup::bare_metal_target()?;
    setup::qemu()?;
    setup::arm64_programs()?;
    check::run_stages()?;
    run("doctests", Show::Closings, &["test", "--workspace", "--exclude", MODULES, "--doc"])?;
    loom::run_stage()?;
    instructions::run_stage()?;
    run_work("image", || image::build().map(|_image| ExitCode::SUCCESS))?;
    run_work("modules", || modules::build().map(|_archive| ExitCode::SUCCESS))?;
    let covering = ["test", "--package", "blockmap-verify", "--test", COVERING];
    run("the oracle's covering set", Show::Closings, &covering)?;
    boot_tests()?;
    println!("test: all passed");
    Ok(ExitCode::SUCCESS)
}

fn boot_tests() -> Result<()> {
    let packages = packages()?;
    for package in &packages {
        let booting = package.tests.iter().filter(|name| name.starts_with(BOOTING));
        let arguments: Vec<&str> = booting.flat_map(|name| ["--test", name]).collect();
        if !arguments.is_empty() {
            let all = [&["test", "--package", &package.name], &arguments[..]].concat();
            run("boot tests", Show::All, &all)?;
        }
    }
    Ok(())
}
