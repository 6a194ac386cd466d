//! `cargo xtask doc`: the documentation, warnings being errors.

use std::process::ExitCode;

use anyhow::Result;

use crate::check::BARE_METAL_PACKAGES;
use crate::setup;
use crate::stage::{Show, run_command};
use crate::workspace::{BARE_METAL, cargo, target_dir};

/// What `cargo xtask doc` takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Open it in a browser.
    #[arg(long)]
    open: bool,
}

/// Builds the documentation and says where it begins.
///
/// # Errors
/// When a link leads nowhere or a crate does not build.
pub fn run(options: Options) -> Result<ExitCode> {
    setup::bare_metal_target()?;
    run_stages()?;
    let front = target_dir().join("doc/blockmap/index.html");
    println!("{}", front.display());
    if options.open {
        cargo()
            .args(["doc", "--quiet", "--no-deps", "--package", "blockmap", "--open"])
            .status()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the documentation: for bare metal that of the packages whose contents are there alone.
///
/// # Errors
/// As [`run`].
pub fn run_stages() -> Result<()> {
    let mut host = vec!["--workspace"];
    let mut bare_metal = vec!["--target", BARE_METAL];
    for package in BARE_METAL_PACKAGES {
        host.extend(["--exclude", package]);
        bare_metal.extend(["--package", package]);
    }
    document("documentation, host", &host)?;
    document("documentation, bare metal", &bare_metal)
}

fn document(title: &str, arguments: &[&str]) -> Result<()> {
    let mut command = cargo();
    command
        .args(["doc", "--quiet", "--no-deps"])
        .args(arguments)
        .env("RUSTDOCFLAGS", "-D warnings");
    run_command(title, Show::All, command, "to see it alone: cargo xtask doc")
}
