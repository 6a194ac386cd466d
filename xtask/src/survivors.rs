//! `cargo xtask survivors`: changes the engine and the facts below it in every way that
//! cargo-mutants knows, one at a time, and says which changes no test notices.
//!
//! Those that nothing could notice are in `crates/verify/survivors.txt`, each with its reason.
//! Anything else that survives is a hole in the tests, and the command fails. Unlike the faults of
//! `cargo xtask mutants`, which stand for mistakes that people make, these are found by a machine.
//!
//! All of them take hours. `--file` chooses files, and `--shard 3/20` a part of what is chosen.

mod reasons;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::setup;
use crate::workspace::{root, target_dir};

/// What to change.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The package; both, one after the other, when left out.
    #[arg(value_enum)]
    pub package: Option<Part>,
    /// Only this file, relative to the top folder, or those that such a pattern names.
    #[arg(long, value_name = "PATTERN")]
    pub file: Vec<String>,
    /// Only one of so many equal parts, as 0/20.
    #[arg(long, value_name = "PART/PARTS")]
    pub shard: Option<String>,
}

/// A package that is changed, and the tests that are to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// `crates/vmsa`.
    Vmsa,
    /// `crates/engine`.
    Engine,
}

/// Where the reasons are, from the top folder.
const REASONS: &str = "crates/verify/survivors.txt";

/// The tool, in the version whose words the reasons are in.
const TOOL: (&str, &str) = ("cargo-mutants", "27.1.0");

/// Seconds that tests may take to notice a change: it may well be an endless loop.
const PATIENCE: &str = "120";

impl Part {
    const fn package(self) -> &'static str {
        match self {
            Self::Vmsa => "blockmap-vmsa",
            Self::Engine => "blockmap",
        }
    }

    /// The packages with the tests, and which tests: those that take seconds.
    const fn tests(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Vmsa => (&["blockmap-vmsa"], &["--lib", "--test=linux_descriptors"]),
            Self::Engine => (
                &["blockmap", "blockmap-verify"],
                &[
                    "--lib",
                    "--test=effects",
                    "--test=timelines",
                    "--test=refusals",
                    "--test=slots",
                    "--test=carries",
                    "--test=collapse",
                    "--test=carve",
                    "--test=parked",
                    "--test=random_programs",
                    "--test=oracle_accepts",
                ],
            ),
        }
    }
}

/// Makes the changes, and prints those that survived without a reason.
///
/// # Errors
/// When cargo-mutants can't be had or run, or the tests fail without a change.
pub fn run(options: &Options) -> Result<ExitCode> {
    let text = fs::read_to_string(root().join(REASONS)).with_context(|| format!("no {REASONS}"))?;
    let reasons = reasons::parse(&text).with_context(|| REASONS.to_owned())?;
    let tool = setup::tool(TOOL.0, TOOL.1)?;
    let parts = options.package.map_or(vec![Part::Vmsa, Part::Engine], |part| vec![part]);
    let mut code = ExitCode::SUCCESS;
    for part in parts {
        let folder = target_dir().join("blockmap/survivors").join(part.package());
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        mutate(&tool, part, options, &folder)?;
        let list = |name: &str| {
            let path = folder.join("mutants.out").join(name);
            fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let outcome = reasons::compare(&reasons, &list("missed.txt")?, &list("caught.txt")?);
        print!("{outcome}");
        if !outcome.is_good() {
            println!("add a test that notices, or the line with its reason to {REASONS}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Has the tool make the changes in a copy of the tree.
fn mutate(tool: &Path, part: Part, options: &Options, folder: &Path) -> Result<()> {
    let (packages, tests) = part.tests();
    let mut command = Command::new(tool);
    command.current_dir(root()).args(["mutants", "--package", part.package()]);
    command.args(packages.iter().flat_map(|name| ["--test-package", name]));
    command.args(tests.iter().map(|test| format!("--cargo-test-arg={test}")));
    command.args(options.file.iter().flat_map(|file| ["--file", file]));
    command.args(options.shard.iter().flat_map(|shard| ["--shard", shard]));
    command.args(["--no-shuffle", "--line-col=false", "--no-times", "--colors=never"]);
    command.args(["--timeout", PATIENCE, "--output"]).arg(folder);
    command.env("CARGO_TARGET_DIR", folder.join("target"));
    // Less to build, and a change that only ever shows in thousands of cases needs a test of its own.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("PROPTEST_CASES", "64");
    command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").env("RUST_BACKTRACE", "0");
    let status = command.status().with_context(|| tool.display().to_string())?;
    // 2: some survived; 3: some never ended, which is noticed too.
    match status.code() {
        Some(0 | 2 | 3) => Ok(()),
        Some(_) | None => bail!("{} ended with {status}", TOOL.0),
    }
}
