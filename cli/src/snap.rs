//! `snap`: the tables of a source in a small file, with nothing else of its memory.

use std::fs::File;
use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;

use crate::number::Bytes;
use crate::progress::Progress;
use crate::screen::{Form, Outcome, Screen};
use crate::source::{Finding, SOURCES};

const EXAMPLES: &str = "\
Examples:
  blockmap snap qmp:vm.sock -o vm.snap        for a report of a defect: no user data is in it
  blockmap snap vmcore -o vm.snap --symbols   with the names of the kernel's code and data
  blockmap diff vm.snap qmp:vm.sock           what changed since";

/// Options of `snap`.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{SOURCES}"))]
pub(crate) struct Options {
    /// Where the tables are; the sources are listed below.
    source: String,
    #[command(flatten)]
    finding: Finding,
    /// The file to write; one that is there is kept unless --force is given.
    #[arg(short, long, value_name = "FILE")]
    output: String,
    /// Writes over a file that is there.
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    file: &'a str,
    bytes: usize,
    trees: usize,
}

/// Runs `snap`.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let inspected = options.finding.open(&options.source)?;
    let progress = Progress::of("reading tables".to_owned());
    let snapshot = inspected.snapshot();
    drop(progress);
    if snapshot.is_empty() {
        bail!("the snapshot could not be put together");
    }
    let path = &options.output;
    let file = if options.force { File::create(path) } else { File::create_new(path) };
    file.and_then(|mut file| file.write_all(&snapshot))
        .with_context(|| format!("cannot write {path} (--force writes over a file)"))?;
    let (bytes, trees) = (snapshot.len(), inspected.trees.len());
    match screen.form() {
        Form::Json => screen.document("blockmap.snap/1", &Answer { file: path, bytes, trees })?,
        Form::Text => writeln!(screen, "{path}: {}", Bytes(u64::try_from(bytes)?))?,
    }
    Ok(Outcome::Clean)
}
