//! `manual`: man pages and completions, made from the command line itself.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use clap_complete::Shell;

use crate::screen::{Outcome, Screen};

const EXAMPLES: &str = "\
Examples:
  blockmap manual --man ~/.local/share/man/man1     one page for each command
  blockmap manual --completions bash > /etc/bash_completion.d/blockmap";

/// Options of `manual`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[group(required = true, multiple = true)]
pub(crate) struct Options {
    /// Writes the man pages into this folder.
    #[arg(long, value_name = "FOLDER")]
    man: Option<PathBuf>,
    /// Prints the completions for this shell.
    #[arg(long, value_name = "SHELL")]
    completions: Option<Shell>,
}

/// Runs `manual` on the whole command line.
pub(crate) fn run(mut command: Command, options: &Options, screen: &mut Screen) -> Result<Outcome> {
    if let Some(shell) = options.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "blockmap", &mut script);
        screen.write_all(&script)?;
    }
    if let Some(folder) = &options.man {
        let made = fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), folder));
        made.with_context(|| format!("cannot write man pages into {}", folder.display()))?;
    }
    Ok(Outcome::Clean)
}
