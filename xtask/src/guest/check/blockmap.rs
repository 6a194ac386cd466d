//! The program under test, run as anybody would run it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::workspace::{cargo, target_dir};

/// How often something is timed: a machine that does other things is slower now and then.
const TRIES: u32 = 20;

/// The program, built as users build it.
#[derive(Debug)]
pub(super) struct Blockmap {
    program: PathBuf,
}

/// A stretch of memory that is mapped by leaves which say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaves {
    /// The first address.
    pub(super) start: u64,
    /// The last address.
    pub(super) last: u64,
    /// Where the first address leads; none if the leaves are invalid.
    pub(super) output: Option<u64>,
}

impl Blockmap {
    /// Builds it.
    pub(super) fn build() -> Result<Self> {
        let status = cargo()
            .args(["build", "--quiet", "--release", "--package", "blockmap-cli"])
            .status()
            .context("cannot run cargo")?;
        ensure!(status.success(), "blockmap does not build");
        Ok(Self { program: target_dir().join("release/blockmap") })
    }

    /// What it prints; it is to find nothing.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        match output.status.code() {
            Some(0) => Ok(String::from_utf8(output.stdout)?),
            _ => bail!("{}", complaint(arguments, &output)),
        }
    }

    /// What it prints, whether it finds something or not, as JSON.
    pub(super) fn finds(&self, arguments: &[&str]) -> Result<Value> {
        let arguments = [arguments, &["--json"]].concat();
        let output = self.output(&arguments)?;
        match output.status.code() {
            Some(0 | 1) => serde_json::from_slice(&output.stdout)
                .with_context(|| format!("blockmap {} printed no JSON", arguments.join(" "))),
            _ => bail!("{}", complaint(&arguments, &output)),
        }
    }

    /// How long it takes at best, its start and its end included.
    pub(super) fn timed(&self, arguments: &[&str]) -> Result<String> {
        let mut best = Duration::MAX;
        for _ in 0..TRIES {
            let start = Instant::now();
            self.run(arguments)?;
            best = best.min(start.elapsed());
        }
        Ok(format!("{:.1} ms, the best of {TRIES}", best.as_secs_f64() * 1e3))
    }

    /// The leaves of `source`, in the order of their addresses.
    pub(super) fn leaves(&self, source: &str) -> Result<Vec<Leaves>> {
        let value = self.finds(&["dump", source])?;
        let rows = value["leaves"].as_array().context("a dump without `leaves`")?;
        rows.iter()
            .map(|row| leaves(row).with_context(|| format!("no row of leaves: {row}")))
            .collect()
    }

    fn output(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null());
        command.output().with_context(|| format!("cannot run {}", self.program.display()))
    }
}

fn leaves(row: &Value) -> Option<Leaves> {
    let start = number(&row["start"])?;
    let bytes = row["bytes"].as_u64()?;
    let is_valid = row["valid"].as_bool()?;
    let output = number(&row["output"])?;
    Some(Leaves {
        start,
        last: start.checked_add(bytes.checked_sub(1)?)?,
        output: is_valid.then_some(output),
    })
}

/// A number that was written in hexadecimal digits, which JSON's own numbers cannot be.
fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn complaint(arguments: &[&str], output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    format!("blockmap {}: {}: {}", arguments.join(" "), output.status, text.trim_end())
}
