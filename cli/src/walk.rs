//! `walk`: how addresses are translated, each level's entry field by field.

use std::io::Write as _;

use anyhow::Result;
use blockmap_dump::vmsa::machine::VirtAddr;
use blockmap_dump::vmsa::{Geometry, Kind, Mair};
use blockmap_dump::{Outcome as End, Walk};
use blockmap_inspect::{Inspected, Place};
use clap::Args;
use serde::Serialize;

use crate::explain::field::{Field, fields};
use crate::explain::parse_number;
use crate::number::Hex;
use crate::screen::{Form, Outcome, Screen};
use crate::source::{Finding, SOURCES};
use crate::words::{letters, memory};

const EXAMPLES: &str = "\
Examples:
  blockmap walk qmp:vm.sock 0xffff000040000000
  blockmap walk vmcore 0xffff800080010000 0xffff000000210000 --json
  blockmap walk vmcore 0xffff800080010000 --symbols     what the kernel calls what is there";

/// Options of `walk`.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{SOURCES}"))]
pub(crate) struct Options {
    /// Where the tables are; the sources are listed below.
    source: String,
    /// The addresses.
    #[arg(required = true, value_name = "ADDRESS", value_parser = parse_number)]
    addresses: Vec<u64>,
    #[command(flatten)]
    finding: Finding,
}

#[derive(Serialize)]
struct Answer {
    walks: Vec<One>,
}

#[derive(Serialize)]
struct One {
    address: Hex,
    steps: Vec<Step>,
    /// `mapped`, `fault`, or `unknown` where a table could not be read.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rights: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_rights: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What the kernel calls what is there, by whatever address it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
}

#[derive(Serialize)]
struct Step {
    level: i8,
    table: Hex,
    index: u16,
    word: Hex,
    kind: &'static str,
    fields: Vec<Field>,
}

/// Runs `walk`: a finding is an address that does not translate.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let inspected = options.finding.open(&options.source)?;
    let reader = inspected.reader();
    let mair = inspected.mair.unwrap_or(Mair::KERNEL);
    let mut outcome = Outcome::Clean;
    let mut walks = Vec::new();
    for &address in &options.addresses {
        let input = VirtAddr::new(address);
        let translates = |tree: &&blockmap_inspect::FoundTree| {
            let (lowest, highest) = tree.geometry.inputs();
            lowest <= input && input <= highest
        };
        let trees = &inspected.trees;
        let Some(found) = trees.iter().find(translates).or_else(|| trees.first()) else {
            continue;
        };
        let walk = found.tree(&reader).walk(input);
        if !matches!(walk.outcome(), End::Mapped { .. }) {
            outcome = Outcome::Finding;
        }
        match screen.form() {
            Form::Json => {
                let symbol = symbol(&inspected, &walk).map(|place| place.to_string());
                walks.push(One { symbol, ..one(found.geometry, &walk, mair) });
            }
            Form::Text => {
                writeln!(screen, "{}", walk.described(mair))?;
                if let Some(place) = symbol(&inspected, &walk) {
                    writeln!(screen, "{input} is {place}")?;
                }
            }
        }
    }
    if screen.form() == Form::Json {
        screen.document("blockmap.walk/1", &Answer { walks })?;
    }
    Ok(outcome)
}

/// What the kernel calls what an address leads to.
fn symbol<E>(inspected: &Inspected, walk: &Walk<E>) -> Option<Place> {
    let symbols = inspected.symbols.as_ref()?;
    symbols.at(walk.input()).or_else(|| symbols.in_memory(walk.output()?))
}

fn one<E: std::fmt::Display + Clone>(geometry: Geometry, walk: &Walk<E>, mair: Mair) -> One {
    let step = |step: blockmap_dump::Step| Step {
        level: step.level.number(),
        table: Hex(step.table.value()),
        index: step.index,
        word: Hex(step.word),
        kind: match step.kind {
            Kind::Invalid => "invalid",
            Kind::Table => "table",
            Kind::Leaf => "leaf",
            Kind::PresentInvalid => "present-invalid",
            Kind::Reserved => "reserved",
        },
        fields: fields(geometry, step.level, step.word, mair),
    };
    let (outcome, why) = match walk.outcome() {
        End::Mapped { .. } => ("mapped", None),
        End::PresentInvalid { level, .. } => {
            ("fault", Some(format!("invalid at {level}, but present")))
        }
        End::Invalid(level) => ("fault", Some(format!("invalid at {level}"))),
        End::Reserved(level) => ("fault", Some(format!("reserved encoding at {level}"))),
        End::NotOfThisHalf => ("fault", Some("in neither half".to_owned())),
        End::Skipped(skipped) => {
            ("unknown", Some(format!("table {}: {}", skipped.table, skipped.refusal)))
        }
    };
    let mut one = One {
        address: Hex(walk.input().value()),
        steps: walk.steps().map(step).collect(),
        outcome,
        output: walk.output().map(|output| Hex(output.value())),
        bytes: None,
        rights: None,
        user_rights: None,
        memory: walk.mapped().map(|mapped| memory(mair, mapped.meaning)),
        why,
        symbol: None,
    };
    if let End::Mapped { size, rights, .. } = walk.outcome() {
        one.bytes = Some(size.bytes());
        one.rights = Some(letters(rights.privileged));
        one.user_rights = Some(letters(rights.unprivileged));
    }
    one
}
