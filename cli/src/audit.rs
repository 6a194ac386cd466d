//! `audit`: memory that is protected through one mapping and open through another, and other
//! mappings that a kernel should not have.

mod alias;
mod finding;
mod image;
mod sarif;
mod single;

use std::io::Write as _;

use anyhow::{Result, anyhow};
use blockmap_dump::vmsa::Mair;
use blockmap_inspect::Outputs;
use clap::Args;
use serde::Serialize;

use crate::number::{Bytes, Hex};
use crate::probe;
use crate::region::Regions;
use crate::screen::{BAD, Columns, Form, GOOD, HEAD, NOTE, Outcome, Screen, plain, right};
use crate::source::{SOURCES, Source, main_tree};
use crate::survey::Survey;
use finding::{Finding, Kind, Weight};
use image::Image;

const EXAMPLES: &str = "\
Examples:
  blockmap audit qmp:vm.sock
  blockmap audit vmcore --deny wx,x-alias --json
  blockmap audit vmcore --sarif > audit.sarif

Kinds:
  wx        writable and executable through one mapping
  x-alias   executable, and writable through another mapping
  ro-alias  read-only outside the linear map, and writable through another mapping
  user      open to EL0 in the kernel's half
  memtype   mapped with memory types that do not go together
  image     part of the kernel image, read-only or executable there, writable in the linear map
What is not denied is noted. What could not be read is always a finding.";

/// Options of `audit`.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{SOURCES}"))]
pub(crate) struct Options {
    #[command(flatten)]
    source: Source,
    /// Kinds that are findings; the kinds are listed below.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "KINDS",
        default_value = "wx,x-alias,ro-alias,user"
    )]
    deny: Vec<Kind>,
    /// Counts windows as well: read-only mappings in the fixmap, which last for a moment or show
    /// firmware's own memory.
    #[arg(long)]
    strict: bool,
    /// Prints a SARIF 2.1.0 document, for tools that show findings.
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    tree: probe::Tree,
    deny: &'a [Kind],
    findings: Vec<Finding>,
    denied: usize,
    noted: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Image>,
}

/// Runs `audit`: a finding is a mapping of a denied kind.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let inspected = options.source.open()?;
    if inspected.outputs == Outputs::Invented {
        return Err(anyhow!(
            "the source has no output addresses, and aliases are found by them: \
             use a dump of memory or a machine"
        ));
    }
    let found = main_tree(&inspected)?;
    let reader = inspected.reader();
    let tree = found.tree(&reader);
    let tree = options.source.range.map_or(tree, |range| tree.within(range));
    let survey = Survey::of(&tree)?;
    let regions = Regions::of(&inspected, &survey);
    let mair = inspected.mair.unwrap_or(Mair::KERNEL);
    let mut findings = single::findings(&survey, &regions);
    findings.extend(alias::findings(&survey, (mair, &regions)));
    findings.retain(|finding| finding.kind != Kind::Image || options.deny.contains(&Kind::Image));
    for finding in &mut findings {
        finding.weigh(&options.deny, options.strict);
    }
    if let Some(symbols) = &inspected.symbols {
        for finding in &mut findings {
            finding.name(symbols);
        }
    }
    findings.sort_by_key(|finding| (finding.weight, finding.kind, finding.start));
    let denied = findings.iter().filter(|finding| finding.weight == Weight::Denied).count();
    let answer = Answer {
        tree: probe::Tree::of(found),
        deny: &options.deny,
        denied,
        noted: findings.len() - denied,
        findings,
        image: image::image(&survey, &regions),
    };
    match screen.form() {
        Form::Text if options.sarif => {
            sarif::write(&answer.findings, &options.source.place, screen)?;
        }
        Form::Text => write_text(&answer, screen)?,
        Form::Json => screen.document("blockmap.audit/1", &answer)?,
    }
    Ok(if denied == 0 { Outcome::Clean } else { Outcome::Finding })
}

/// Findings that are printed: damaged tables have hundreds of thousands. JSON has all.
const MOST_LINES: usize = 1000;

fn write_text(answer: &Answer<'_>, screen: &mut Screen) -> Result<()> {
    let mut columns = Columns::default();
    for finding in answer.findings.iter().take(MOST_LINES) {
        let (weight, style) = match finding.weight {
            Weight::Denied => ("DENY", BAD),
            Weight::Noted => ("note", NOTE),
        };
        columns.row([
            plain(weight).style(style),
            plain(finding.kind.text()),
            right(Bytes(finding.bytes)),
            plain(&finding.rights),
            plain(format!("{} ({})", Hex(finding.start.0), finding.region.text())),
            plain(finding.what()),
        ]);
    }
    columns.write(0, screen)?;
    if let Some(left) = answer.findings.len().checked_sub(MOST_LINES).filter(|left| *left != 0) {
        writeln!(screen, "… and {left} more: see --json")?;
    }
    if let Some(image) = &answer.image {
        writeln!(screen, "{HEAD}image{HEAD:#} {image}")?;
    }
    let (style, said) = if answer.denied == 0 { (GOOD, "passed") } else { (BAD, "failed") };
    writeln!(screen, "{style}{said}{style:#}: {} denied, {} noted", answer.denied, answer.noted)?;
    Ok(())
}
