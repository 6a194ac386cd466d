//! `dump`: the tables as Linux's `kernel_page_tables` prints them.

mod filter;
mod named;

use std::fmt;
use std::io::{self, Write as _};

use anyhow::{Result, anyhow, bail};
use blockmap_dump::vmsa::{Mair, machine::VirtRange};
use blockmap_dump::{Outputs, Style, Tree, level_name};
use blockmap_inspect::{Inspected, TableReader};
use clap::Args;
use serde::Serialize;

use crate::number::Hex;
use crate::progress::Progress;
use crate::region::{Name, Regions};
use crate::screen::{Form, Outcome, Screen};
use crate::source::{SOURCES, Source, main_tree};
use crate::survey::{Leaves, Survey};
use crate::words::{letters, memory};
use filter::{Filter, Sieve};
use named::{Named, ends};

const EXAMPLES: &str = "\
Examples:
  blockmap dump qmp:vm.sock                          as /sys/kernel/debug/kernel_page_tables
  blockmap dump vmcore --filter 'RW x'               lines that have both words
  blockmap dump vmcore --filter 'PTE !CON' --phys --region linear
  blockmap dump vmcore --filter x --symbols          what the kernel calls what is executable";

/// Options of `dump`.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{SOURCES}"))]
pub(crate) struct Options {
    #[command(flatten)]
    source: Source,
    /// Only this part of the kernel's address space.
    #[arg(long, conflicts_with = "range")]
    region: Option<Name>,
    /// Shows output addresses; a line then ends where they do not follow each other.
    #[arg(long)]
    phys: bool,
    /// Only lines of leaves that have every one of these words of Linux's, and none with `!`.
    #[arg(long, value_name = "WORDS")]
    filter: Option<Filter>,
}

#[derive(Serialize)]
struct Answer {
    leaves: Vec<Row>,
    skipped: Vec<Skipped>,
}

/// Neighbouring leaves that say the same.
#[derive(Serialize)]
struct Row {
    start: Hex,
    end: Hex,
    bytes: u64,
    level: i8,
    /// Linux's name of the level.
    table: &'static str,
    output: Hex,
    valid: bool,
    contiguous: bool,
    rights: String,
    user_rights: String,
    memory: String,
    /// What the leaves' words have in common: all but the address.
    word: Hex,
    region: Name,
    /// What the kernel calls the first and the last byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    symbols: Option<[String; 2]>,
}

#[derive(Serialize)]
struct Skipped {
    start: Hex,
    bytes: u64,
    why: String,
}

/// Runs `dump`.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let inspected = options.source.open()?;
    let found = main_tree(&inspected)?;
    let reader = inspected.reader();
    let regions = Regions::of_areas(&inspected.areas, found.geometry);
    let tree = found.tree(&reader);
    let range = match options.region {
        None => options.source.range,
        Some(name) => Some(range_of(name, &inspected, &tree)?),
    };
    let tree = range.map_or(tree, |range| tree.within(range));
    if screen.form() == Form::Json {
        let survey = Survey::of(&tree)?;
        let mair = inspected.mair.unwrap_or(Mair::KERNEL);
        let rows = survey.leaves.iter().map(|leaves| Row {
            symbols: names(&inspected, leaves),
            ..row(&survey, leaves, (mair, &regions))
        });
        let skipped = survey.skipped.iter().map(|(range, why)| Skipped {
            start: Hex(range.start().value()),
            bytes: range.bytes(),
            why: why.clone(),
        });
        let answer = Answer { leaves: rows.collect(), skipped: skipped.collect() };
        screen.document("blockmap.dump/1", &answer)?;
        return Ok(Outcome::Clean);
    }
    let progress = Progress::of("reading tables".to_owned());
    let markers = inspected.markers();
    let style = Style { mair: inspected.dump_mair(), markers: &markers };
    let outputs = if options.phys { Outputs::Shown } else { Outputs::Hidden };
    let named = Named::new(inspected.symbols.as_ref(), Lines { screen, error: None });
    let mut sieve = Sieve::new(options.filter.as_ref(), named);
    let written = tree.ptdump_with(style, outputs, &mut sieve);
    drop(progress);
    match (written, sieve.finish().out.error) {
        (_, Some(error)) => Err(error.into()),
        (Err(fmt::Error), None) => Err(anyhow!("the dump could not be written")),
        (Ok(()), None) => Ok(Outcome::Clean),
    }
}

/// The addresses of a part of the kernel's.
fn range_of(
    name: Name,
    inspected: &Inspected,
    tree: &Tree<'_, TableReader<'_>>,
) -> Result<VirtRange> {
    let known = Regions::of_areas(&inspected.areas, tree.geometry()).get(name);
    let region = match known {
        Some(region) => Some(region),
        // The image is known by what is mapped.
        None => Regions::of(inspected, &Survey::of(tree)?).get(name),
    };
    match region {
        Some(region) => Ok(region.range),
        None => bail!("the source does not tell where `{}` is; use --range", name.text()),
    }
}

/// What the kernel calls the ends of some leaves.
fn names(inspected: &Inspected, leaves: &Leaves) -> Option<[String; 2]> {
    let ends = ends(inspected.symbols.as_ref()?, leaves.range.start(), leaves.range.last())?;
    Some(ends.map(|place| place.to_string()))
}

fn row(survey: &Survey, leaves: &Leaves, (mair, regions): (Mair, &Regions)) -> Row {
    let geometry = survey.geometry;
    let rights = leaves.mapped.rights(geometry);
    Row {
        start: Hex(leaves.range.start().value()),
        end: Hex(leaves.range.end().value()),
        bytes: leaves.range.bytes(),
        level: leaves.level.number(),
        table: level_name(geometry, leaves.level),
        output: Hex(leaves.mapped.output.value()),
        valid: leaves.mapped.is_valid(),
        contiguous: leaves.mapped.is_contiguous(),
        rights: letters(rights.privileged),
        user_rights: letters(rights.unprivileged),
        memory: memory(mair, leaves.mapped.meaning),
        word: Hex(leaves.mapped.meaning),
        region: regions.at(leaves.range.start()),
        symbols: None,
    }
}

/// The screen as the writer of a dump takes it, which knows no reasons for errors.
struct Lines<'s> {
    screen: &'s mut Screen,
    error: Option<io::Error>,
}

impl fmt::Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.screen.write_all(text.as_bytes()).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}
