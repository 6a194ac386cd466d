//! `cargo xtask bench host`: instructions of the engine and of libraries like it, counted by gungraun
//! under valgrind's callgrind, each after it was seen to do what it must.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{host_page, table};
use crate::setup;
use crate::workspace::{cargo, root, target_dir};

/// What to measure.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Options {
    /// Print figures as JSON, and write nothing.
    #[arg(long)]
    json: bool,
    /// Fail if a figure is more than 2 % above the one in docs/performance-host.md; write nothing.
    #[arg(long)]
    check: bool,
    /// Measure time instead, by criterion: as noisy as this machine is; writes nothing.
    #[arg(long)]
    time: bool,
}

/// Where the figures are kept.
const PAGE: &str = "docs/performance-host.md";

/// Runs what gungraun's benchmarks ask to be run; of the library's version.
const RUNNER: (&str, &str) = ("gungraun-runner", "0.20.0");

/// What a row is, and what it came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) work: String,
    pub(super) subject: String,
    pub(super) unit: String,
    pub(super) units: u64,
    pub(super) instructions: u64,
    /// What the engine is meant to take for one unit.
    pub(super) aim: Option<u64>,
}

impl Figure {
    /// Instructions for one unit.
    pub(super) fn each(&self) -> f64 {
        float(self.instructions) / float(self.units.max(1))
    }
}

fn float(number: u64) -> f64 {
    let low = u32::try_from(number & 0xffff_ffff).unwrap_or(0);
    let high = u32::try_from(number >> 32).unwrap_or(0);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// Counts all rows, or has criterion time them.
///
/// # Errors
/// When something can't be had or run, or a library does not do what it must; with `--check` also
/// when something became dearer.
pub(super) fn run(options: Options) -> Result<ExitCode> {
    if options.time {
        let status = bench("time").status().context("cannot run cargo")?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    setup::valgrind()?;
    let rows = rows()?;
    let counts = counts()?;
    let figures = figures(&rows, &counts)?;
    if options.json {
        println!("{}", host_page::json(&figures));
        return Ok(ExitCode::SUCCESS);
    }
    let page = host_page::page(&figures);
    let path = root().join(PAGE);
    if options.check {
        let before = fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
        let dearer = table::dearer(&before, &page);
        for line in &dearer {
            println!("{line}");
        }
        return Ok(if dearer.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    fs::write(&path, &page).with_context(|| format!("cannot write {PAGE}"))?;
    println!("{page}");
    Ok(ExitCode::SUCCESS)
}

/// Draws the plots, and writes what they are drawn from.
///
/// # Errors
/// When the program that draws can't be built, or fails.
pub(super) fn plots() -> Result<ExitCode> {
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--package", "blockmap-bench", "--", "plots"]);
    let status = command.arg(root().join("docs")).status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Cargo, which builds the other libraries as well, in a folder of their own. Sums are not checked,
/// as in anybody's program who has not asked for it.
fn other_cargo() -> Command {
    let mut command = cargo();
    command.env("RUSTFLAGS", "--cfg bench");
    command.env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "false");
    command.env("CARGO_TARGET_DIR", target_dir().join("blockmap/bench"));
    command
}

fn bench(name: &str) -> Command {
    let mut command = other_cargo();
    command.args(["bench", "--quiet", "--package", "blockmap-bench", "--bench", name]);
    command
}

/// What each row is, once all have been done and seen to be right.
fn rows() -> Result<Vec<Value>> {
    let mut command = other_cargo();
    command.args(["run", "--quiet", "--release", "--package", "blockmap-bench", "--", "rows"]);
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("a row is not done as it must be");
    }
    serde_json::from_slice(&output.stdout).context("cannot read what the rows are")
}

/// Instructions of each row, by its number.
fn counts() -> Result<HashMap<usize, u64>> {
    let runner = setup::tool(RUNNER.0, RUNNER.1)?;
    let mut command = bench("count");
    command.args(["--", "--output-format=json", "--nosummary=true"]);
    command.env("GUNGRAUN_RUNNER", runner);
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("counting failed");
    }
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads what gungraun prints: a line of JSON for each benchmark, named after its row's number.
fn parse(output: &str) -> Result<HashMap<usize, u64>> {
    let mut counts = HashMap::new();
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let told: Value =
            serde_json::from_str(line).context("cannot read what gungraun printed")?;
        let id = told["id"].as_str().and_then(|id| id.strip_prefix("row_")?.parse().ok());
        let total = &told["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"];
        match (id, total.as_u64()) {
            (Some(id), Some(count)) => counts.insert(id, count),
            (_, _) => bail!("gungraun printed no instructions:\n{line}"),
        };
    }
    Ok(counts)
}

fn figures(rows: &[Value], counts: &HashMap<usize, u64>) -> Result<Vec<Figure>> {
    let figure = |(number, row): (usize, &Value)| {
        let text = |key: &str| row[key].as_str().map(str::to_owned);
        Some(Figure {
            work: text("work")?,
            subject: text("subject")?,
            unit: text("unit")?,
            units: row["units"].as_u64()?,
            instructions: *counts.get(&number)?,
            aim: row["aim"].as_u64(),
        })
    };
    let all = rows.iter().enumerate().map(figure).collect::<Option<Vec<Figure>>>();
    all.context("a row was not counted")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn instructions_are_read_from_what_gungraun_prints() {
        let line = r#"{"id":"row_2","profiles":[{"data":{"total":{"metrics":{"Ir":{"values":{"new":70}}}}}}]}"#;
        let counts = parse(&["gungraun", line].join("\n")).unwrap();
        assert_eq!(counts, HashMap::from([(2, 70)]));
        assert!(parse(&line.replace("Ir", "Dr")).is_err());
    }

    #[test]
    fn a_row_that_was_not_counted_is_an_error() {
        let row = json!({"work": "map", "subject": "a", "unit": "map", "units": 2, "aim": null});
        let counted = figures(std::slice::from_ref(&row), &HashMap::from([(0, 70)])).unwrap();
        assert!((counted[0].each() - 35.0).abs() < f64::EPSILON);
        assert!(figures(&[row.clone(), row], &HashMap::from([(0, 70)])).is_err());
    }
}
