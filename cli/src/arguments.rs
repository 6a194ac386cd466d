//! The command line.

use clap::{Parser, Subcommand, ValueEnum};

use crate::screen::Form;
use crate::{audit, check, diff, dump, explain, manual, map, plan, probe, snap, stat, walk};

/// What the status means, for the end of the help.
const STATUS: &str = "\
Exit status:
  0  done, and nothing to report
  1  done, and something was found or differs
  2  not done: the error says what was tried, and what to do";

/// Reads the page tables of arm64 kernels, and says what they mean.
#[derive(Debug, Parser)]
#[command(name = "blockmap", version, after_help = STATUS, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Prints one JSON document instead of text (docs/inspector.md has the schemas).
    #[arg(long, global = true)]
    json: bool,
    /// When to use colour.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(crate) color: Color,
    /// No progress and no remarks on standard error.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Arguments {
    /// What answers shall look like.
    pub(crate) const fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What a source is, what was found in it, and from where
    Probe(probe::Options),
    /// The tables as Linux's kernel_page_tables prints them
    Dump(dump::Options),
    /// Leaves of each size, memory of tables, TLB entries; and why there are not more blocks
    Stat(stat::Options),
    /// Memory that is protected through one mapping and open through another
    Audit(audit::Options),
    /// How an address is translated, each level's entry field by field
    Walk(walk::Options),
    /// What changed between two maps of one kernel
    Diff(diff::Options),
    /// The picture of a map: in the terminal, as SVG, or as a page to zoom into
    Map(map::Options),
    /// The tables alone in a small file, for reports and to compare with later
    Snap(snap::Options),
    /// What a memory map costs in tables and TLB entries: in blocks, in pages, at each granule
    Plan(plan::Options),
    /// What one descriptor says, field by field, at every level and granule
    Explain(explain::Options),
    /// Whether a list of table changes is right on every CPU it is for
    Check(check::Options),
    /// Man pages and shell completions
    Manual(manual::Options),
}

/// When to use colour.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that shows it.
    Auto,
    /// Even into a file.
    Always,
    /// Not at all.
    Never,
}

impl Color {
    /// Makes it so for everything that is written from now on.
    pub(crate) fn choose(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
