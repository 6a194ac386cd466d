//! `cargo xtask guest check`: what `blockmap` reads of each guest, against everything else that
//! knows: QEMU's own MMU, the kernel's own text, and every other source of the same machine.

mod address;
mod blockmap;
mod compare;
mod reference;
mod report;
mod source;
mod symbols;

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use super::console::Console;
use super::initramfs;
use super::kind::{Kernel, Kind};
use super::running::{self, Running, Start};
use crate::qemu::{Backing, RAM, Size};
use crate::setup;
use blockmap::Blockmap;
use report::Report;

/// Where QEMU's board has its memory.
const RAM_BASE: u64 = 0x4000_0000;

/// The tables of a kernel with PTDUMP_DEBUGFS, in its own words.
const OWN_TEXT: &str = "/sys/kernel/debug/kernel_page_tables";

/// Turns KFENCE off, where it is: it changes the tables of an idle machine from time to time.
const NO_KFENCE: &str = "write /sys/module/kfence/parameters/sample_interval 0";

/// How often a running guest is asked, and then stopped, before a difference counts.
const ATTEMPTS: u32 = 4;

/// How a check goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// How many addresses are asked of QEMU's MMU.
    pub(super) addresses: u32,
    /// Where the random addresses begin.
    pub(super) seed: u64,
}

/// A guest that is stopped, and what is known of it.
#[derive(Debug)]
struct Bench<'a> {
    kind: Kind,
    guest: &'a Running,
    blockmap: &'a Blockmap,
    /// The source that everything else is compared with: the image of its memory.
    image: String,
    /// The dump of that.
    expected: String,
}

/// Checks `kinds`; the status says whether anything differed.
pub(super) fn run(kinds: &[Kind], plan: Plan) -> Result<ExitCode> {
    setup::qemu()?;
    let blockmap = Blockmap::build()?;
    println!("random addresses: again by --seed {}", plan.seed);
    let mut report = Report::default();
    for &kind in kinds {
        let whole = check(kind, &blockmap, plan, &mut report);
        report.row(kind.name(), "the whole", whole);
    }
    Ok(report.status())
}

/// Boots a guest, asks it what it knows, stops it, and compares.
fn check(kind: Kind, blockmap: &Blockmap, plan: Plan, report: &mut Report) -> Result<String> {
    let programs = vec![initramfs::built("blockmap-cli", "blockmap")?];
    let memory: Size = "2G".parse().context("the size of a guest")?;
    if kind == Kind::Pages {
        let same = source::unshared(kind, &memory, blockmap);
        report.row(kind.name(), "QMP, memory not shared", same);
    }
    let guest = running::start(kind, &Start { backing: Backing::Shared, memory, programs })?;
    if kind.kernel() == Kernel::Reference {
        return reference::check(&guest, blockmap);
    }
    let mut console = guest.console()?;
    // Not every kernel has it.
    let _ = console.ask(NO_KFENCE);
    let list = console.ask(&format!("cat {}", symbols::OWN_LIST));
    let list = list.and_then(|list| Ok(String::from_utf8(list)?));
    let mut qmp = guest.qmp()?;
    let image = format!("{}@{RAM_BASE:#x}", guest.folder.join(RAM).display());
    let mut attempt = 1;
    let (expected, told) = loop {
        let told = asked(kind, &mut console);
        qmp.execute("stop", &json!({}))?;
        // The areas as the kernel itself has them, where it can tell.
        let exact = blockmap.run(&["dump", &image, "--symbols"])?;
        let expected = without_remarks(&exact);
        let told = told
            .into_iter()
            .map(|(what, text)| (what, text.and_then(|text| compare::exactly(&text, &expected))));
        let told: Vec<_> = told.collect();
        // The stack of the program that read it may have gone since, and is mapped memory.
        if attempt == ATTEMPTS || told.iter().all(|(_, same)| same.is_ok()) {
            break (expected, told);
        }
        qmp.execute("cont", &json!({}))?;
        attempt += 1;
    };
    for (what, same) in told {
        report.row(kind.name(), what, same);
    }
    let bench = Bench { kind, guest: &guest, blockmap, image, expected };
    let names = list.and_then(|list| {
        symbols::agree(&list, &bench.blockmap.finds(&["dump", &bench.image, "--symbols"])?)
    });
    report.row(kind.name(), "names, the kernel's list", names);
    report.row(kind.name(), "QEMU's MMU", address::agree(&bench, &mut qmp, plan));
    source::all(&bench, qmp, report)?;
    report.row(kind.name(), "audit", audit(&bench));
    report.row(kind.name(), "time of a dump", blockmap.timed(&["dump", &bench.image]));
    Ok(format!("{} lines", bench.expected.lines().count()))
}

/// What the running guest itself says of its tables.
fn asked(kind: Kind, console: &mut Console) -> Vec<(&'static str, Result<String>)> {
    let mut ask = |request: &str| Ok(String::from_utf8(console.ask(request)?)?);
    let kcore = ask("run /blockmap dump kcore --quiet --symbols");
    let kcore = kcore.map(|dump| without_remarks(&dump));
    let mut told = vec![("kcore, inside the guest", kcore)];
    match kind.kernel() {
        Kernel::Built => told.push(("the kernel's own text", ask(&format!("cat {OWN_TEXT}")))),
        Kernel::Package(_) | Kernel::Reference => {}
    }
    told
}

/// A dump without the names of symbols behind its lines.
fn without_remarks(dump: &str) -> String {
    let lines = dump.lines().map(|line| line.split_once("  # ").map_or(line, |(line, _)| line));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// What `audit` finds: nothing, but for what `rodata=noalias` leaves open.
fn audit(bench: &Bench<'_>) -> Result<String> {
    let found = bench.blockmap.finds(&["audit", &bench.image])?;
    compare::findings(bench.kind, &found)
}
