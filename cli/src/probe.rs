//! `probe`: what a source is, what was found in it, and from where.

use std::io::Write as _;

use anyhow::Result;
use blockmap_dump::vmsa::Half;
use blockmap_inspect::{Topic, VmCoreInfo};
use clap::Args;
use serde::Serialize;

use crate::number::Hex;
use crate::screen::{Form, HEAD, NOTE, Outcome, Screen};
use crate::source::{Finding, SOURCES};

const EXAMPLES: &str = "\
Examples:
  blockmap probe qmp:vm.sock
  blockmap probe vmcore --symbols            whether the kernel's symbols can be read too
  blockmap probe vm.ram@0x40000000 --json";

/// Options of `probe`.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{SOURCES}"))]
pub(crate) struct Options {
    /// Where the tables are; the sources are listed below.
    source: String,
    #[command(flatten)]
    finding: Finding,
}

#[derive(Serialize)]
struct Answer<'a> {
    found: Vec<Found<'a>>,
    trees: Vec<Tree>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mair: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<&'a str>,
    areas: Vec<Area<'a>>,
}

#[derive(Serialize)]
struct Found<'a> {
    topic: &'static str,
    text: &'a str,
}

/// A tree, in every command's JSON.
#[derive(Serialize)]
pub(crate) struct Tree {
    half: &'static str,
    root: Hex,
    granule_bytes: u64,
    va_bits: u32,
    pa_bits: u32,
    levels: u32,
}

impl Tree {
    /// The tree that was found.
    pub(crate) const fn of(tree: &blockmap_inspect::FoundTree) -> Self {
        let geometry = tree.geometry;
        Self {
            half: match geometry.half() {
                Half::Lower => "lower",
                Half::Upper => "upper",
            },
            root: Hex(tree.root.value()),
            granule_bytes: geometry.page_bytes(),
            va_bits: geometry.input_bits(),
            pa_bits: geometry.output_bits(),
            levels: geometry.root_level().levels_below() + 1,
        }
    }
}

#[derive(Serialize)]
struct Area<'a> {
    start: Hex,
    name: &'a str,
}

/// Runs `probe`.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let inspected = options.finding.open(&options.source)?;
    let lines = inspected.origin.lines();
    match screen.form() {
        Form::Json => {
            let found =
                lines.iter().map(|line| Found { topic: line.topic.name(), text: &line.text });
            let areas = &inspected.areas;
            let answer = Answer {
                found: found.collect(),
                trees: inspected.trees.iter().map(Tree::of).collect(),
                mair: inspected.mair.map(|mair| Hex(mair.value())),
                kernel: inspected.linux.as_ref().map(VmCoreInfo::release),
                areas: areas
                    .iter()
                    .map(|area| Area { start: Hex(area.start.value()), name: &area.name })
                    .collect(),
            };
            screen.document("blockmap.probe/1", &answer)?;
        }
        Form::Text => {
            for line in lines {
                let style = if line.topic == Topic::Warning { NOTE } else { HEAD };
                writeln!(screen, "{style}{:9}{style:#} {}", line.topic.name(), line.text)?;
            }
        }
    }
    Ok(Outcome::Clean)
}
