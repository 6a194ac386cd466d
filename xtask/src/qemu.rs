//! QEMU's arm64 machine: the only place that knows its arguments and what they make the guest see.
//!
//! The contract with the kernel: the word `semihosting` on its command line allows it to end the
//! machine with a status, and everything after ` -- ` is a script of monitor commands.

mod executed;
mod linux;
mod machine;
mod run;
mod script;
mod size;

pub use executed::Executed;
pub use linux::{Backing, CONSOLE, CONSOLE_LOG, LinuxGuest, QMP, RAM};
pub use machine::{Console, Input, Machine};
pub use run::{Finished, RunError, followed, interactive, scripted};
pub use script::{ScriptError, command_line};
pub use size::{Size, SizeError};

use std::env;
use std::ffi::OsString;
use std::process::Command;

/// The emulator's name.
pub const PROGRAM: &str = "qemu-system-aarch64";

/// The environment variable that names another emulator, to try another version.
pub const OVERRIDE: &str = "BLOCKMAP_QEMU";

/// Whether the environment names another emulator.
#[must_use]
pub fn is_overridden() -> bool {
    env::var_os(OVERRIDE).is_some()
}

/// The emulator to start.
#[must_use]
pub fn program() -> OsString {
    env::var_os(OVERRIDE).unwrap_or_else(|| PROGRAM.into())
}

/// The first line of what the emulator says of itself; `None` when it doesn't start.
#[must_use]
pub fn version() -> Option<String> {
    let output = Command::new(program()).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
