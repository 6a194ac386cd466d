//! `map`: the picture of a map, in the terminal, as SVG, or as a page to zoom into.

mod grid;
mod html;
mod look;
mod svg;
mod terminal;

use std::fs;

use anyhow::{Context as _, Result, bail};
use blockmap_dump::vmsa::Mair;
use blockmap_dump::vmsa::machine::VirtRange;
use clap::Args;

use crate::region::{Name, Regions};
use crate::screen::{Form, Outcome, Screen};
use crate::source::{SOURCES, Source, main_tree};
use crate::survey::{Leaves, Survey};
use grid::Grid;

const EXAMPLES: &str = "\
Examples:
  blockmap map qmp:vm.sock                          the linear map, in the terminal
  blockmap map vmcore -o map.svg
  blockmap map vmcore -o map.html --region vmalloc";

/// Options of `map`.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{SOURCES}"))]
pub(crate) struct Options {
    #[command(flatten)]
    source: Source,
    /// This part of the address space; the linear map when left out.
    #[arg(long, conflicts_with = "range")]
    region: Option<Name>,
    /// Writes the picture into this file: .svg or .html.
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
}

/// What a picture is of.
pub(crate) struct Subject<'s> {
    /// In words.
    pub(crate) title: String,
    /// Its leaves.
    pub(crate) leaves: Vec<Leaves>,
    /// All leaves of the tree, with its geometry.
    pub(crate) survey: &'s Survey,
    /// The names of memory types.
    pub(crate) mair: Mair,
}

/// A file that a picture is written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Svg,
    Html,
}

/// Runs `map`.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let kind = options.output.as_deref().map(kind).transpose()?;
    let inspected = options.source.open()?;
    let found = main_tree(&inspected)?;
    let reader = inspected.reader();
    let survey = Survey::of(&found.tree(&reader))?;
    let regions = Regions::of(&inspected, &survey);
    let (name, range) = part(options, &regions)?;
    let leaves: Vec<Leaves> = match range {
        Some(range) => survey.within(range).collect(),
        None => survey.leaves.clone(),
    };
    if leaves.is_empty() {
        bail!("nothing is mapped in {name}");
    }
    let title = format!("{name} of {}", options.source.place);
    let mair = inspected.mair.unwrap_or(Mair::KERNEL);
    let subject = Subject { title, leaves, survey: &survey, mair };
    match (screen.form(), options.output.as_deref().zip(kind)) {
        (Form::Json, _) => {
            let grid = Grid::new(&subject, 128, 96);
            screen.document("blockmap.map/1", &grid)?;
        }
        (Form::Text, None) => terminal::write(&subject, screen)?,
        (Form::Text, Some((path, kind))) => {
            let picture = match kind {
                Kind::Svg => svg::picture(&subject),
                Kind::Html => html::page(&subject)?,
            };
            fs::write(path, picture).with_context(|| format!("cannot write {path}"))?;
        }
    }
    Ok(Outcome::Clean)
}

fn kind(path: &str) -> Result<Kind> {
    match path.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
        Some("svg") => Ok(Kind::Svg),
        Some("html" | "htm") => Ok(Kind::Html),
        Some(_) | None => bail!("{path} ends neither in .svg nor in .html"),
    }
}

/// The part that is meant, and its name.
fn part(options: &Options, regions: &Regions) -> Result<(String, Option<VirtRange>)> {
    if let Some(range) = options.source.range {
        return Ok((range.to_string(), Some(range)));
    }
    let name = options.region.unwrap_or(Name::Linear);
    match (regions.get(name), options.region) {
        (Some(region), _) => Ok((name.text().to_owned(), Some(region.range))),
        (None, None) => Ok(("everything".to_owned(), None)),
        (None, Some(name)) => bail!("the source does not tell where `{}` is", name.text()),
    }
}
