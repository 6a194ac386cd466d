//! `cargo xtask bench`: what operations cost. `host` has the engine as a library, beside others, and
//! `plots` draws.
//!
//! `kernel`: what the kernel's operations cost, counted in instructions and effects on an emulator
//! that counts them, beside Linux's figures. Each row is commands of the monitor, given twice in
//! one boot: where nothing is recorded, for its instructions; and again while effects are recorded, for
//! those. The model judges what was recorded, and three counters of the CPU must agree. Another boot
//! follows each instruction, to tell the frame allocator's and vmalloc's share.

mod host;
mod host_page;
mod prose;
mod row;
mod rows;
mod share;
mod source;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::image::Image;
use crate::qemu::{Finished, Input, Machine, followed, scripted};
use crate::workspace::{cargo, target_dir};
use crate::{image, modules, setup};
use row::{Boot, Figures};
use rows::BOOTS;
use share::Follower;

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

/// What is booted.
struct Program {
    image: Image,
    modules: PathBuf,
}

const LIMIT: Duration = Duration::from_secs(300);

/// How many instructions the rows of a machine may have to be followed one by one, which takes a
/// thousand times as long as to count them.
const MOST_FOLLOWED: u64 = 4_000_000;

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
    let program = Program { image: image::build()?, modules: modules::build()? };
    let mut rows = Vec::new();
    for boot in &BOOTS {
        let mut first = measure(boot, &program)?;
        if first != measure(boot, &program)? {
            bail!("{}: two runs of the same commands differ", boot.name);
        }
        let counted = first.iter().filter_map(|figures| figures.instructions).sum::<u64>();
        // What several CPUs execute is one sequence only for the emulator.
        if boot.cpus == 1 && counted <= MOST_FOLLOWED {
            shares(boot, &program, &mut first).with_context(|| boot.name)?;
        }
        rows.extend(boot.rows().zip(first));
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

/// Boots a machine, and counts its rows. Its traces are judged.
fn measure(boot: &Boot, program: &Program) -> Result<Vec<Figures>> {
    let folder = target_dir().join("blockmap");
    let traces = ["painted", "bench"].map(|name| folder.join(format!("{name}.trace")));
    let names = traces.each_ref().map(|path| path.to_string_lossy());
    let [painted, rest] = &names;
    // What an earlier run left would pass for this one's.
    for path in &traces {
        let _ = fs::remove_file(path);
    }
    let asked = boot.asked((painted, rest));
    let script: Vec<&str> = asked.iter().map(|asked| &*asked.command).collect();
    let plain = console(boot, program, ("", "count on"))?;
    let console = console(boot, program, (RECORDED, &script.join("; ")))?;
    let figures = boot.read(&plain, &console, &asked).with_context(|| boot.name)?;
    traces.iter().try_for_each(|path| judge(path)).with_context(|| boot.name)?;
    Ok(figures)
}

/// Has a boot of its own tell whose the instructions of the rows are.
fn shares(boot: &Boot, program: &Program, rows: &mut [Figures]) -> Result<()> {
    let painted = target_dir().join("blockmap/painted.trace");
    let asked = boot.asked_first(&painted.to_string_lossy());
    let script: Vec<&str> = asked.iter().map(|asked| &*asked.command).collect();
    let machine = machine(boot, program, (RECORDED, &script.join("; ")))?;
    let elf = fs::read(&program.image.elf).context("cannot read the kernel")?;
    let (finished, passed) = followed(&machine, &program.image.flat, LIMIT, move |executed| {
        Follower::new(source::Program::read(&elf)?).all(executed)
    })?;
    let passed = passed.context("nothing was followed")??;
    share::attribute(boot, (&told(boot, &finished)?, &asked), &passed, rows)
}

/// Has the kernel keep a record of what it does to its tables from the first on.
const RECORDED: &str = "trace=4194304";

/// What a boot with these options says while it carries out a script.
fn console(boot: &Boot, program: &Program, how: (&str, &str)) -> Result<String> {
    let machine = machine(boot, program, how)?;
    told(boot, &scripted(&machine, &program.image.flat, LIMIT, |_| ())?)
}

/// The console of a machine that came to a good end.
fn told(boot: &Boot, finished: &Finished) -> Result<String> {
    if finished.status != 0 {
        bail!("{}: the machine failed:\n{}", boot.name, finished.console);
    }
    Ok(finished.console.replace("\r\n", "\n"))
}

/// The machine that counts, with these options and a script.
fn machine(boot: &Boot, program: &Program, (options, script): (&str, &str)) -> Result<Machine> {
    let mut machine = Machine::with_memory("12G".parse()?);
    // The counter ticks once for each instruction.
    machine.cpu = format!("{},cntfrq=1000000000", boot.cpu);
    machine.cpus = boot.cpus;
    machine.options = format!("quiet {options} {}", boot.options);
    machine.input = Input::Script(script.to_owned());
    let counting = ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm", "-initrd"];
    machine.further.extend(counting.map(str::to_owned));
    machine.further.push(program.modules.to_string_lossy().into_owned());
    Ok(machine)
}

/// Has the model judge a trace.
fn judge(trace: &Path) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "blockmap-cli", "--", "check"]).arg(trace);
    let output = command.output().context("cannot run the judge")?;
    let (said, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{} is not right:\n{said}{complaints}", trace.display());
    Ok(())
}
