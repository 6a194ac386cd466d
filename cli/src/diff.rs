//! `diff`: what changed between two maps of one kernel.

mod compare;

use std::io::Write as _;

use anyhow::Result;
use blockmap_dump::Size;
use blockmap_dump::vmsa::Mair;
use blockmap_inspect::{Inspected, Outputs};
use clap::Args;
use serde::Serialize;

use crate::number::{Bytes, grouped};
use crate::progress::remark;
use crate::region::Regions;
use crate::screen::{BAD, Columns, Form, GOOD, HEAD, NOTE, Outcome, Screen, plain, right};
use crate::source::{Finding, SOURCES, main_tree, parse_range};
use crate::survey::Survey;
use compare::{Change, Kind, Sides, changes};

const EXAMPLES: &str = "\
Examples:
  blockmap diff before.snap after.snap
  blockmap diff kernel_page_tables.txt qmp:vm.sock --range 0xffff000000000000+12G";

/// Options of `diff`.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{SOURCES}"))]
pub(crate) struct Options {
    /// The one; the sources are listed below.
    before: String,
    /// The other.
    after: String,
    #[command(flatten)]
    finding: Finding,
    /// Only these addresses: START-END or START+BYTES.
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    range: Option<blockmap_dump::vmsa::machine::VirtRange>,
    /// Every change, not only the forty first.
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Answer {
    before: Total,
    after: Total,
    changes: Vec<Change>,
}

/// What one of the two is made of.
#[derive(Clone, Debug, Serialize)]
struct Total {
    mapped_bytes: u64,
    tlb_entries: u64,
    tables: u64,
    table_bytes: u64,
    /// Stretches that could not be read, and were not compared.
    unread: usize,
}

/// One of the two, read.
struct Side {
    inspected: Inspected,
    survey: Survey,
    total: Total,
}

/// Runs `diff`: a finding is any change.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let before = read(&options.before, options)?;
    let after = read(&options.after, options)?;
    if before.survey.geometry != after.survey.geometry {
        remark(
            "the two have tables of different shapes: what is said of sizes follows each one's own",
        );
    }
    let outputs = match (before.inspected.outputs, after.inspected.outputs) {
        (Outputs::Known, Outputs::Known) => Outputs::Known,
        (Outputs::Invented, _) | (_, Outputs::Invented) => Outputs::Invented,
    };
    let regions = Regions::of(&after.inspected, &after.survey);
    let regions = if regions.all().is_empty() {
        Regions::of(&before.inspected, &before.survey)
    } else {
        regions
    };
    let mair = after.inspected.mair.unwrap_or(Mair::KERNEL);
    let sides = Sides { before: &before.survey, after: &after.survey, outputs };
    let changes = changes(&sides, (mair, &regions));
    // What was not read may differ.
    let is_same = changes.is_empty() && before.total.unread + after.total.unread == 0;
    let answer = Answer { before: before.total, after: after.total, changes };
    match screen.form() {
        Form::Json => screen.document("blockmap.diff/1", &answer)?,
        Form::Text => write_text(&answer, options, screen)?,
    }
    Ok(if is_same { Outcome::Clean } else { Outcome::Finding })
}

fn read(source: &str, options: &Options) -> Result<Side> {
    let inspected = options.finding.open(source)?;
    let found = *main_tree(&inspected)?;
    let reader = inspected.reader();
    let tree = found.tree(&reader);
    let tree = options.range.map_or(tree, |range| tree.within(range));
    let survey = Survey::of(&tree)?;
    let stat = tree.stat();
    let total = Total {
        mapped_bytes: stat.mapped_bytes(),
        tlb_entries: stat.tlb_entries(),
        tables: stat.tables(),
        table_bytes: stat.table_bytes(),
        unread: survey.skipped.len(),
    };
    drop(reader);
    Ok(Side { inspected, survey, total })
}

fn write_text(answer: &Answer, options: &Options, screen: &mut Screen) -> Result<()> {
    let Answer { before, after, changes } = answer;
    let unread = before.unread + after.unread;
    if unread != 0 {
        let unread = grouped(u64::try_from(unread)?);
        writeln!(screen, "{BAD}not compared{BAD:#}: {unread} stretches that could not be read")?;
    } else if changes.is_empty() {
        writeln!(screen, "{GOOD}the same{GOOD:#}: {} mapped", Bytes(after.mapped_bytes))?;
    }
    if changes.is_empty() {
        return Ok(());
    }
    let most = if options.all { usize::MAX } else { 40 };
    let mut columns = Columns::default();
    for change in changes.iter().take(most) {
        columns.row([
            plain(change.kind.text()).style(NOTE),
            right(Size::of(change.bytes)),
            plain(change.start),
            plain(change.region.text()),
            plain(change.what()),
        ]);
    }
    columns.write(0, screen)?;
    if let Some(left) = changes.len().checked_sub(most).filter(|left| *left != 0) {
        writeln!(screen, "… and {} more: see --all", grouped(u64::try_from(left)?))?;
    }
    writeln!(screen)?;
    let mut columns = Columns::headed(["", "changes", "bytes"].map(plain));
    for kind in Kind::ALL {
        let those: Vec<_> = changes.iter().filter(|change| change.kind == kind).collect();
        let bytes = those.iter().map(|change| change.bytes).sum();
        if !those.is_empty() {
            let count = u64::try_from(those.len())?;
            columns.row([plain(kind.text()), right(grouped(count)), right(Bytes(bytes))]);
        }
    }
    columns.write(0, screen)?;
    writeln!(
        screen,
        "{HEAD}TLB entries{HEAD:#} {} -> {}; {HEAD}tables{HEAD:#} {} -> {} ({})",
        grouped(before.tlb_entries),
        grouped(after.tlb_entries),
        grouped(before.tables),
        grouped(after.tables),
        signed(before.table_bytes, after.table_bytes),
    )?;
    Ok(())
}

/// A change of bytes with its sign.
fn signed(before: u64, after: u64) -> String {
    match after.checked_sub(before) {
        Some(more) => format!("+{}", Bytes(more)),
        None => format!("-{}", Bytes(before - after)),
    }
}
