//! `cargo xtask guest`: real Linux kernels on machines of QEMU's, to read the tables of.
//!
//! Everything is under `guest` in the target folder: packages, kernels, and a folder for each guest
//! that runs. Nothing of it needs root, and the machine's own packages stay as they are.

mod archive;
mod check;
mod console;
mod initramfs;
mod kernel;
mod kind;
mod qmp;
mod running;
mod sources;
mod stock;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::qemu::{Backing, CONSOLE, QMP, RAM, Size};
use crate::setup;
use crate::workspace::target_dir;
use kind::{Kernel, Kind};
use running::Start;

/// What `cargo xtask guest` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    /// Fetches Debian's kernels, as packages, from where this machine gets its own.
    Fetch {
        /// The suite to take them from.
        #[arg(long, default_value = SUITE)]
        suite: String,
    },
    /// Builds a small kernel that prints its own tables, from Debian's sources.
    Kernel {
        /// The suite to take the sources from.
        #[arg(long, default_value = SUITE)]
        suite: String,
    },
    /// Which guests there are, and which of them run.
    List,
    /// Boots a guest, and leaves it running.
    Start {
        /// Which.
        kind: Kind,
        /// Where its memory is: in a file that others can read, or in QEMU alone.
        #[arg(long, value_enum, default_value_t = Memory::Shared)]
        memory: Memory,
        /// How much memory it has.
        #[arg(long, value_name = "SIZE", default_value = "2G")]
        size: Size,
    },
    /// Asks a guest: `cat PATH`, `run PROGRAM …` or `write PATH …`; prints the answer.
    Ask {
        /// Which.
        kind: Kind,
        /// What.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        request: Vec<String>,
    },
    /// Types a line at the QEMU monitor of a guest's machine, such as `info mtree`.
    Monitor {
        /// Which.
        kind: Kind,
        /// The line.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        line: Vec<String>,
    },
    /// Compares what `blockmap` reads of guests with everything else that knows their tables.
    Check {
        /// Which; all that are there, if none is named.
        kinds: Vec<Kind>,
        /// How many random addresses are asked of QEMU's MMU, for each guest.
        #[arg(long, value_name = "COUNT", default_value_t = 1000)]
        addresses: u32,
        /// Where the random addresses begin; from the clock, if not given.
        #[arg(long, value_name = "NUMBER")]
        seed: Option<u64>,
    },
    /// Ends guests, and removes what they left.
    Stop {
        /// Which; all, if none is named.
        kinds: Vec<Kind>,
    },
}

/// The suite that has recent kernels, one with pages of 16 KiB among them.
const SUITE: &str = "sid";

/// Where a guest's memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Memory {
    /// In a file.
    Shared,
    /// In QEMU alone.
    Private,
}

impl From<Memory> for Backing {
    fn from(memory: Memory) -> Self {
        match memory {
            Memory::Shared => Self::Shared,
            Memory::Private => Self::Private,
        }
    }
}

/// Does what was asked for.
///
/// # Errors
/// When a package cannot be had, something does not build, or a guest does not do as it should.
pub fn run(options: &Options) -> Result<ExitCode> {
    match &options.verb {
        Verb::Fetch { suite } => stock::fetch(suite, &metapackages())?,
        Verb::Kernel { suite } => println!("{}", kernel::build(suite)?.display()),
        Verb::List => list(),
        Verb::Start { kind, memory, size } => {
            setup::qemu()?;
            let backing = Backing::from(*memory);
            let start = Start { backing, memory: size.clone(), programs: Vec::new() };
            let folder = running::start(*kind, &start)?.leave();
            println!("qmp:{}", folder.join(QMP).display());
            println!("console: {}", folder.join(CONSOLE).display());
            if backing == Backing::Shared {
                println!("memory: {}@0x40000000", folder.join(RAM).display());
            }
        }
        Verb::Ask { kind, request } => {
            let path = running::place(*kind).join(CONSOLE);
            let answer =
                console::Console::connect(&path, running::REQUEST)?.ask(&request.join(" "))?;
            io::stdout().write_all(&answer)?;
        }
        Verb::Monitor { kind, line } => {
            let mut qmp = qmp::Qmp::connect(&running::place(*kind).join(QMP))?;
            print!("{}", qmp.human(&line.join(" "))?);
        }
        Verb::Check { kinds, addresses, seed } => {
            let kinds = if kinds.is_empty() { &Kind::ALL[..] } else { kinds };
            let seed = seed.unwrap_or_else(|| {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                since.as_secs()
            });
            return check::run(kinds, check::Plan { addresses: *addresses, seed });
        }
        Verb::Stop { kinds } => {
            let kinds = if kinds.is_empty() { &Kind::ALL[..] } else { kinds };
            for kind in kinds {
                running::stop(*kind)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where everything of the guests is.
fn folder() -> PathBuf {
    target_dir().join("guest")
}

fn metapackages() -> Vec<&'static str> {
    let mut names: Vec<&str> = Kind::ALL
        .iter()
        .filter_map(|kind| match kind.kernel() {
            Kernel::Package(name) => Some(name),
            Kernel::Built | Kernel::Reference => None,
        })
        .collect();
    names.dedup();
    names
}

fn list() {
    for kind in Kind::ALL {
        let state = if running::runs(kind) { "runs" } else { "" };
        println!("{kind:10} {state:5} {}", kind.about());
    }
}
