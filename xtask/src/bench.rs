//! `cargo xtask bench`: what operations cost. `host` has the engine as a library, beside others, and
//! `plots` draws.
//!
//! `kernel`: what the kernel's operations cost, counted in instructions and effects on an emulator
//! that counts them, beside Linux's figures. Each row is a command of the monitor, given twice in
//! one boot: where nothing is recorded, for its instructions; and somewhere else while effects are
//! recorded, for those.

mod host;
mod host_page;
mod row;
mod table;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::qemu::{Input, Machine, scripted};
use crate::{image, setup};
use row::{Boot, Figures, Row};

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// The kernel on its machine; writes docs/performance.md.
    Kernel {
        /// Print figures as JSON, and write nothing.
        #[arg(long)]
        json: bool,
        /// Fail if a figure is more than 2 % above the one in docs/performance.md; write nothing.
        #[arg(long)]
        check: bool,
    },
    /// The engine on this machine, in instructions under valgrind, beside other libraries; writes
    /// docs/performance-host.md.
    Host(host::Options),
    /// Draws docs/plots: tables against memory, TLB reach, cost beside Linux; writes docs/reach.md.
    Plots,
}

/// Where the figures are kept.
const PAGE: &str = "docs/performance.md";

const LIMIT: Duration = Duration::from_secs(300);

/// Measures all rows.
///
/// # Errors
/// When a machine does not run, or two runs of it differ; with `--check` also when something became
/// dearer.
pub fn run(options: &Options) -> Result<ExitCode> {
    match &options.what {
        What::Kernel { json, check } => kernel(*json, *check),
        What::Host(options) => host::run(*options),
        What::Plots => host::plots(),
    }
}

fn kernel(json: bool, check: bool) -> Result<ExitCode> {
    setup::bare_metal_target()?;
    setup::qemu()?;
    let mut rows = Vec::new();
    for boot in &row::BOOTS {
        let first = measure(boot)?;
        if first != measure(boot)? {
            bail!("{}: two runs of the same commands differ", boot.name);
        }
        rows.extend(boot.rows.iter().zip(first));
    }
    if json {
        println!("{}", table::json(&rows));
        return Ok(ExitCode::SUCCESS);
    }
    let page = table::page(&rows);
    if check {
        let before = fs::read_to_string(PAGE).with_context(|| format!("cannot read {PAGE}"))?;
        let dearer = table::dearer(&before, &page);
        for line in &dearer {
            println!("{line}");
        }
        return Ok(if dearer.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    fs::write(PAGE, &page).with_context(|| format!("cannot write {PAGE}"))?;
    println!("{page}");
    Ok(ExitCode::SUCCESS)
}

/// Boots a machine, and counts its rows.
fn measure(boot: &Boot) -> Result<Vec<Figures>> {
    let image = image::build()?;
    let mut machine = Machine::with_memory("12G".parse()?);
    boot.cpu.clone_into(&mut machine.cpu);
    machine.options = format!("quiet trace=4194304 {}", boot.options);
    machine.input = Input::Script(script(boot.rows));
    let counting = ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm"];
    machine.further.extend(counting.map(str::to_owned));
    let finished = scripted(&machine, &image.flat, LIMIT, |_| ())?;
    if finished.status != 0 {
        bail!("{}: the machine failed:\n{}", boot.name, finished.console);
    }
    let console = finished.console.replace("\r\n", "\n");
    boot.rows.iter().map(|row| row.read(&console)).collect()
}

/// The commands of all rows: without a trace, then with one; and at the end those that can be given
/// only once.
fn script(rows: &[Row]) -> String {
    let counted = |row: &Row| row.command(row.counted);
    let twice = rows.iter().filter(|row| row.traced.is_some()).map(counted);
    let traced = rows.iter().filter_map(|row| row.traced.map(|at| row.command(at)));
    let once = rows.iter().filter(|row| row.traced.is_none()).map(counted);
    let commands = ["trace off", "count on"].map(str::to_owned).into_iter().chain(twice);
    let commands = commands.chain(["trace on".to_owned()]).chain(traced);
    let commands = commands.chain(["trace off".to_owned()]).chain(once);
    commands.collect::<Vec<String>>().join("; ")
}
