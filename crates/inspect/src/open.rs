//! Opens a source, whatever it is.

use std::io;
use std::path::{Path, PathBuf};

use blockmap_vmsa::machine::PhysAddr;
use thiserror::Error;

use crate::{
    FileAt, FindError, FormatError, GdbAddress, GdbError, Inspected, Overrides, PhysicalMemory,
    Provenance, QmpError, ReadError, SourceSpec, Topic,
    file::{open_files, open_kcore, open_standard_input},
    gdb::{Gdb, GdbMemory, Leave},
    interrupt::Interrupts,
    opened::{Keep, Opened},
    qmp::{Machine, Opening, SavedMemory},
};

/// Why a source gave no trees. Nothing is left behind, and a machine that was running runs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file could not be opened or read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file has nothing in it.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// An image of RAM without its address.
    #[error(
        "{} is none of the formats that say where their memory is; if it is an image of RAM, \
         give the address of its first byte: {}@0x40000000", .0.display(), .0.display()
    )]
    Unknown(PathBuf),
    /// An image that would not fit below the end of the address space.
    #[error("{0}: the image reaches beyond the end of the address space")]
    Range(FileAt),
    /// The source was read, and no tree found in it.
    #[error(transparent)]
    Find(#[from] FindError),
    /// No root table could be read.
    #[error("the root table at {root} could not be read: {error}; is it of this source?")]
    Root {
        /// Where the first tree's is.
        root: PhysAddr,
        /// Why not.
        error: ReadError,
    },
    /// A gdbstub failed.
    #[error(transparent)]
    Gdb(#[from] GdbError),
    /// QEMU failed.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// The user ended the program. A machine that had been stopped runs again.
    #[error("interrupted")]
    Interrupted,
    /// A file of a known format is not as it should be.
    #[error("{}: {error}", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: FormatError,
    },
    /// The running machine's memory could not be read.
    #[error(
        "/proc/kcore: {0}; it takes root, CAP_SYS_RAWIO, a kernel with CONFIG_PROC_KCORE, and no \
         lockdown for confidentiality"
    )]
    Kcore(io::Error),
    /// Standard input has something that can't be read in one pass.
    #[error("standard input is neither a kernel_page_tables text nor a snapshot: name a file")]
    StandardInput,
}

/// Opens a source: finds out what it is, where its tables are, and what is known of its kernel.
///
/// The tables of machines that run are copied, so that all that is said of them is of one moment,
/// and the machine is let go. While that lasts, the signals SIGINT, SIGTERM and SIGHUP are held
/// back; one that came makes this end with [`OpenError::Interrupted`].
///
/// # Errors
/// Says what was tried, and what to do.
pub fn open(spec: &SourceSpec, overrides: &Overrides) -> Result<Inspected, OpenError> {
    let live = |open: &dyn Fn() -> Result<Inspected, OpenError>| {
        let interrupts = Interrupts::held();
        let opened = open();
        if interrupts.came() { Err(OpenError::Interrupted) } else { opened }
    };
    match spec {
        SourceSpec::Files(files) => open_files(files, overrides),
        SourceSpec::Gdb(address) => live(&|| open_gdb(address, overrides)),
        SourceSpec::Qmp(path) => live(&|| open_qmp(path, overrides)),
        SourceSpec::Kcore => live(&|| open_kcore(overrides)),
        SourceSpec::StandardInput => open_standard_input(overrides),
    }
}

fn open_gdb(address: &GdbAddress, overrides: &Overrides) -> Result<Inspected, OpenError> {
    let mut origin = Provenance::default();
    let mut gdb = Gdb::connect(address, Leave::Running)?;
    origin.add(Topic::Source, format!("gdbstub at {address}; the machine is stopped while read"));
    let registers = gdb.registers(overrides.regime, &mut origin)?;
    let opened = Opened {
        memory: Box::new(GdbMemory::new(gdb)?),
        registers: Some(registers),
        linux: None,
        keep: Keep::Copy,
    };
    opened.finish(origin, overrides)
}

fn open_qmp(path: &Path, overrides: &Overrides) -> Result<Inspected, OpenError> {
    let mut origin = Provenance::default();
    let Opening { machine, registers, shared } =
        Machine::open(path, overrides.regime, &mut origin)?;
    let memory: Box<dyn PhysicalMemory> = if let Some(memory) = shared {
        // Whoever waits for the socket need not wait for what comes now.
        drop(machine);
        Box::new(memory)
    } else {
        Box::new(SavedMemory::new(machine)?)
    };
    let opened = Opened { memory, registers, linux: None, keep: Keep::Copy };
    opened.finish(origin, overrides)
}
