//! `stat`: what a kernel's map is made of, what it costs, and why it is not made of more blocks.

mod loss;
mod part;

use std::io::Write as _;

use anyhow::{Result, bail};
use blockmap_dump::Size;
use blockmap_dump::vmsa::Mair;
use clap::Args;
use serde::Serialize;

use crate::number::{Bytes, grouped, percent};
use crate::probe;
use crate::region::{Name, Regions};
use crate::screen::{BAD, Columns, Form, GOOD, HEAD, NOTE, Outcome, Screen, plain, right};
use crate::source::{SOURCES, Source, main_tree};
use crate::survey::Survey;
use loss::Loss;
use part::Part;

const EXAMPLES: &str = "\
Examples:
  blockmap stat qmp:vm.sock
  blockmap stat vmcore --region linear --json";

/// Options of `stat`.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{SOURCES}"))]
pub(crate) struct Options {
    #[command(flatten)]
    source: Source,
    /// Only this part of the kernel's address space.
    #[arg(long, conflicts_with = "range")]
    region: Option<Name>,
    /// Every reason for a broken block, not only the ten that weigh most.
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Answer {
    tree: probe::Tree,
    parts: Vec<Part>,
    /// Of the linear map, or of everything where nothing tells which part that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<Loss>,
}

/// Runs `stat`.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let inspected = options.source.open()?;
    let found = main_tree(&inspected)?;
    let reader = inspected.reader();
    let whole = found.tree(&reader);
    let tree = options.source.range.map_or(whole, |range| whole.within(range));
    let survey = Survey::of(&tree)?;
    let regions = Regions::of(&inspected, &survey);
    let mut parts = Vec::new();
    for region in regions.all() {
        let is_wanted = options.region.is_none_or(|name| name == region.name);
        // Parts of a range would be cut anywhere: they are one.
        if is_wanted && options.source.range.is_none() {
            parts.push(Part::of(region.name.text(), &whole.within(region.range)));
        }
    }
    if let (Some(name), true) = (options.region, parts.is_empty()) {
        bail!("the source does not tell where `{}` is; use --range", name.text());
    }
    parts.retain(|part| part.tables > 0 && part.is_used());
    if options.region.is_none() {
        parts.push(Part::of("all", &tree));
    }
    let mair = inspected.mair.unwrap_or(Mair::KERNEL);
    let linear = match (options.source.range, options.region) {
        (Some(range), _) => Some(range),
        (None, None | Some(Name::Linear)) => regions.get(Name::Linear).map(|region| region.range),
        (None, Some(_)) => None,
    };
    let loss = linear.map(|range| loss::loss(&survey, range, (mair, &regions)));
    match screen.form() {
        Form::Json => {
            let answer = Answer { tree: probe::Tree::of(found), parts, loss };
            screen.document("blockmap.stat/1", &answer)?;
        }
        Form::Text => {
            write_parts(&parts, screen)?;
            if let Some(part) = parts.iter().find(|part| part.name == "linear") {
                write_direct_map(part, screen)?;
            }
            if let Some(loss) = &loss {
                write_loss(loss, options, screen)?;
            }
        }
    }
    Ok(Outcome::Clean)
}

fn write_parts(parts: &[Part], screen: &mut Screen) -> Result<()> {
    // Only sizes that somebody has.
    let mut sizes: Vec<u64> =
        parts.iter().flat_map(|part| part.sizes.iter().map(|size| size.bytes)).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    sizes.dedup();
    let headings = ["mapped", "invalid"].map(right).into_iter();
    let headings = headings.chain(sizes.iter().map(|bytes| right(Size::of(*bytes))));
    let last = ["TLB entries", "tables", "their memory"].map(right);
    let mut columns = Columns::headed([plain("")].into_iter().chain(headings).chain(last));
    for part in parts {
        let count = |bytes: &u64| {
            let found = part.sizes.iter().find(|size| size.bytes == *bytes);
            right(found.map(|size| grouped(size.count)).unwrap_or_default())
        };
        let invalid = if part.invalid_bytes == 0 {
            String::new()
        } else {
            Bytes(part.invalid_bytes).to_string()
        };
        let first = [plain(part.name).style(HEAD), right(Bytes(part.mapped_bytes)), right(invalid)];
        let last = [
            right(grouped(part.tlb_entries)),
            right(grouped(part.tables)),
            right(Bytes(part.table_bytes)),
        ];
        columns.row(first.into_iter().chain(sizes.iter().map(count)).chain(last));
    }
    columns.write(0, screen)?;
    for part in parts.iter().filter(|part| part.name == "all") {
        let levels =
            part.levels.iter().map(|level| format!("{} at level {}", level.tables, level.level));
        let levels: Vec<_> = levels.collect();
        writeln!(screen, "\ntables: {}", levels.join(", "))?;
        for (count, what) in [
            (part.misprogrammed, "contiguous runs that are not whole, or not aligned"),
            (part.reserved, "entries with a reserved encoding"),
            (part.skipped, "stretches that could not be read: in no number above"),
        ] {
            if count != 0 {
                writeln!(screen, "{BAD}{} {what}{BAD:#}", grouped(count))?;
            }
        }
    }
    Ok(())
}

/// Lines as x86's `/proc/meminfo` has them, which tools know.
fn write_direct_map(part: &Part, screen: &mut Screen) -> Result<()> {
    writeln!(screen)?;
    for size in part.sizes.iter().rev() {
        let name = format!("DirectMap{}:", Size::of(size.bytes).to_string().replace('K', "k"));
        writeln!(screen, "{name:15} {:8} kB", (size.bytes * size.count) >> 10)?;
    }
    Ok(())
}

fn write_loss(loss: &Loss, options: &Options, screen: &mut Screen) -> Result<()> {
    let all = loss.mapped_bytes + loss.invalid_bytes;
    let style = if loss.block_bytes * 100 >= all * 99 { GOOD } else { NOTE };
    let share = percent(loss.block_bytes, all);
    writeln!(screen, "\n{style}{share}{style:#} of it is in blocks; TLB entries:")?;
    let mut columns = Columns::default();
    columns.row([right(grouped(loss.tlb_entries)), plain("now")]);
    columns.row([
        right(grouped(loss.tlb_entries_joined)),
        plain("if neighbours with the same rights were joined"),
    ]);
    columns
        .row([right(grouped(loss.tlb_entries_uniform)), plain("if all of it had the same rights")]);
    columns.write(2, screen)?;
    for size in &loss.sizes {
        let name = Size::of(size.bytes);
        writeln!(
            screen,
            "{HEAD}{name} blocks{HEAD:#}: memory has room for {}, {} are there; {} could be joined, {} broken",
            grouped(size.possible),
            grouped(size.present),
            grouped(size.joinable),
            grouped(size.broken),
        )?;
        let most = if options.all { usize::MAX } else { 10 };
        let mut columns = Columns::default();
        for reason in size.reasons.iter().take(most) {
            columns.row([
                right(format!("{} broken by", grouped(reason.blocks))),
                right(Bytes(reason.bytes)),
                plain(&reason.differs),
                plain(reason.owner_text()),
            ]);
        }
        columns.write(2, screen)?;
        if let Some(left) = size.reasons.len().checked_sub(most).filter(|left| *left != 0) {
            writeln!(screen, "  … and {left} more: see --all")?;
        }
    }
    Ok(())
}
