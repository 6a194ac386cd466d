//! `blockmap`: reads the page tables of arm64 kernels, and says what they mean.
#![forbid(unsafe_code)]

mod arguments;
mod audit;
mod check;
mod diff;
mod dump;
mod explain;
mod manual;
mod map;
mod number;
mod plan;
mod probe;
mod progress;
mod region;
mod screen;
mod snap;
mod source;
mod stat;
mod survey;
mod walk;
mod words;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use arguments::{Arguments, Command};
use screen::{Outcome, Screen};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.color.choose();
    if arguments.quiet {
        progress::be_quiet();
    }
    let mut screen = Screen::new(arguments.form());
    match run(&arguments.command, &mut screen) {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Finding) => ExitCode::from(1),
        // Whoever reads has seen enough: `blockmap dump … | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{}error:{:#} {error:#}", screen::BAD, screen::BAD);
            ExitCode::from(2)
        }
    }
}

fn run(command: &Command, screen: &mut Screen) -> anyhow::Result<Outcome> {
    match command {
        Command::Probe(options) => probe::run(options, screen),
        Command::Dump(options) => dump::run(options, screen),
        Command::Stat(options) => stat::run(options, screen),
        Command::Audit(options) => audit::run(options, screen),
        Command::Diff(options) => diff::run(options, screen),
        Command::Map(options) => map::run(options, screen),
        Command::Snap(options) => snap::run(options, screen),
        Command::Walk(options) => walk::run(options, screen),
        Command::Explain(options) => explain::run(options, screen),
        Command::Plan(options) => plan::run(options, screen),
        Command::Check(options) => check::run(options, screen),
        Command::Manual(options) => manual::run(Arguments::command(), options, screen),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(ErrorKind::BrokenPipe)
}
