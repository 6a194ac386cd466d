//! `cargo xtask miri`: the host tests of the libraries in Rust's interpreter, which sees undefined
//! behaviour, data races and leaks that a processor would not show.
//!
//! It interprets: what takes a processor a millisecond takes it seconds. So random tests make few
//! cases, and of the packages whose tests read millions of words some tests are chosen by name.

use std::process::ExitCode;

use anyhow::Result;

use crate::setup;
use crate::stage::{Show, run_command};
use crate::workspace::{cargo, target_dir};

/// The toolchain that has the interpreter.
pub const TOOLCHAIN: &str = "nightly";

/// Addresses from numbers are errors, and so is memory that nobody gives back; tests may read
/// files and the environment.
const FLAGS: &str = "-Zmiri-disable-isolation -Zmiri-strict-provenance";

/// Part of the tests, as cargo is asked for it.
struct Part {
    title: &'static str,
    packages: &'static [&'static str],
    /// Parts of the names of those that are run; all of them, if there are none here.
    tests: &'static [&'static str],
}

const PARTS: [Part; 3] = [
    Part {
        title: "miri, words and policy",
        packages: &["blockmap-machine", "blockmap-layout"],
        tests: &[],
    },
    Part {
        title: "miri, facts",
        packages: &["blockmap-vmsa"],
        tests: &["cpu::tests::a", "cpu::tests::every", "cpu::tests::what", "demand::tests::a"],
    },
    Part {
        title: "miri, locks, frames and trace",
        packages: &["blockmap-kernel"],
        tests: &["locks::", "frames::lane", "frames::tests::threads", "trace::tests::w"],
    },
];

/// Runs every part, up to the first that fails.
///
/// # Errors
/// When the interpreter can't be had, or finds something.
pub fn run_all() -> Result<ExitCode> {
    setup::miri(TOOLCHAIN)?;
    for part in &PARTS {
        let mut command = cargo();
        command.args(["miri", "test", "--lib"]);
        command.args(part.packages.iter().flat_map(|name| ["--package", name]));
        command.arg("--").args(part.tests);
        command.env("RUSTUP_TOOLCHAIN", TOOLCHAIN).env("MIRIFLAGS", FLAGS);
        command.env("CARGO_TARGET_DIR", target_dir().join("blockmap/miri"));
        command.env("PROPTEST_CASES", "2").env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
        run_command(part.title, Show::Closings, command, "to see it alone: cargo xtask miri")?;
    }
    println!("miri: all passed");
    Ok(ExitCode::SUCCESS)
}
