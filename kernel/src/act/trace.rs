//! `trace on|off|dump`: the kernel's account of what it does to its tables.

use core::fmt::{self, Write};

use blockmap_kernel::monitor::Trace;
use thiserror::Error;

use super::{Console, Monitor, say};
use crate::arch::semihosting::{FileError, HostFile, Semihosting};

/// Why a trace was not ended or not written.
#[derive(Debug, Error)]
pub(super) enum TraceError<'a> {
    /// Recording is not on.
    #[error("recording is off already")]
    Off,
    /// There is no way to reach a file.
    #[error("files are reached by semihosting: say so on the command line where QEMU allows it")]
    NoHost,
    /// The file is not written.
    #[error("{name}: {error}")]
    File {
        /// The file's name.
        name: &'a str,
        /// What the host says.
        error: FileError,
    },
}

impl Monitor<'_> {
    pub(super) fn trace(&self, what: Trace<'_>) {
        let recording = self.system.recording();
        match what {
            Trace::On => say(self.system.begin_trace()),
            Trace::Off => say(if recording.end() { Ok(()) } else { Err(TraceError::Off) }),
            // The console takes every byte.
            Trace::Dump(None) => drop(write!(Console, "{}", self.system.trace_text())),
            Trace::Dump(Some(name)) => say(self.dump_to(name, &self.system.trace_text())),
        }
    }

    /// Writes `text` to a file of the host.
    pub(super) fn dump_to<'a>(
        &self,
        name: &'a str,
        text: &dyn fmt::Display,
    ) -> Result<(), TraceError<'a>> {
        let exit = self.command_line.options().exit;
        let host = Semihosting::of(exit).ok_or(TraceError::NoHost)?;
        let failed = |error| TraceError::File { name, error };
        let mut file = HostFile::create(host, name).map_err(failed)?;
        // An error of the file's is kept until it is closed.
        let _ = write!(file, "{text}");
        file.close().map_err(failed)
    }
}
