//! A machine in QEMU, by its QMP socket.
//!
//! Registers come through QEMU's own gdbstub, opened for the purpose on a private socket; memory
//! from the file behind it where that is shared, which leaves the machine running, and otherwise
//! from QEMU (`pmemsave`), with the machine stopped for as long as that takes.

mod client;
mod machine;
mod memory;
mod mtree;

use std::path::PathBuf;

use thiserror::Error;

use crate::GdbError;
pub(crate) use machine::{Machine, Opening};
pub(crate) use memory::SavedMemory;

/// Why QEMU did not answer as needed. The machine runs again if it ran before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QmpError {
    /// There is no connection.
    #[error("no QMP server answers at {}: {why}; start QEMU with -qmp unix:{},server=on,wait=off", path.display(), path.display())]
    Connect {
        /// Where.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The other side went away.
    #[error("QEMU closed the connection: {0}")]
    Closed(String),
    /// No answer came.
    #[error("QEMU did not answer within 30 s; a QMP socket serves one client at a time")]
    Silent,
    /// An answer is none.
    #[error("QEMU sent `{0}`, which answers nothing that was asked")]
    Protocol(String),
    /// It refused.
    #[error("QEMU refused {command}: {answer}")]
    Refused {
        /// What was asked.
        command: String,
        /// What it said.
        answer: String,
    },
    /// QEMU's gdbstub failed.
    #[error(transparent)]
    Gdb(#[from] GdbError),
    /// The machine has no RAM.
    #[error("QEMU's map of memory has no RAM in it")]
    NoMemory,
    /// A private folder for sockets and copies of memory could not be made.
    #[error("no folder for temporary files: {0}; set TMPDIR")]
    Folder(String),
}
