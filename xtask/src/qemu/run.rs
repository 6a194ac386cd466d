//! Starting QEMU: with a person at the console, or with a limit on time and output.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::{Console, Executed, Input, Machine, ScriptError, program};

/// The most that a machine may print: one that faults in its fault report would print for ever.
const CONSOLE_LIMIT_BYTES: usize = 64 << 20;

/// How many of the console's last lines an error shows.
const LAST_LINES: usize = 20;

/// Why a machine did not run to its end. It no longer runs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// Options and script make no command line.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The emulator is not there.
    #[error("cannot start {program}: {error}; `cargo xtask test` installs it on Debian")]
    Start {
        /// What was to be started.
        program: String,
        /// Why it wasn't.
        error: io::Error,
    },
    /// Reading the console failed.
    #[error("lost the machine's console")]
    Console(#[source] io::Error),
    /// Time was up.
    #[error("the machine did not end within {} s; its last lines:\n{last}", limit.as_secs())]
    TimeUp {
        /// The time it had.
        limit: Duration,
        /// The console's last lines.
        last: String,
    },
    /// It printed without end.
    #[error("the machine printed more than 64 MiB; its last lines:\n{last}")]
    TooMuch {
        /// The console's last lines.
        last: String,
    },
}

/// A machine that ran to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The status the guest ended it with, or QEMU's own; 255 when a signal ended QEMU.
    pub status: u8,
    /// What the guest printed, with unreadable bytes replaced.
    pub console: String,
    /// What QEMU itself had to say.
    pub complaints: String,
    /// From QEMU's start to its end.
    pub elapsed: Duration,
}

/// Ends QEMU when whoever watches it is gone, by a panic for example.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots `image` on `machine` with the terminal as its console; returns when it ends.
///
/// # Errors
/// When QEMU cannot be started.
pub fn interactive(machine: &Machine, image: &Path) -> Result<u8, RunError> {
    let mut command = Command::new(program());
    command.args(machine.arguments(image, Console::Terminal)?);
    let mut child = command.spawn().map_err(not_started)?;
    child.wait().map(status).map_err(RunError::Console)
}

/// Boots `image` on `machine`, hands on what it prints to `echo` as it comes, and returns when the
/// machine ends. Nobody is at the keyboard.
///
/// # Errors
/// When QEMU cannot be started, or `limit` is up first: it is ended then, and the error has the
/// console's last lines.
pub fn scripted(
    machine: &Machine,
    image: &Path,
    limit: Duration,
    echo: impl FnMut(&[u8]),
) -> Result<Finished, RunError> {
    attended((machine, image, limit), &[], echo, |mut pipe| {
        let mut bytes = Vec::new();
        // A reading error leaves the complaints shorter, and they are only for reading.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The same, and `follow` gets the addresses of all instructions that the machine executes, each in
/// sixteen digits, and one after the other; what it makes of them is returned as well.
///
/// # Errors
/// See [`scripted`].
pub fn followed<T: Send + 'static>(
    machine: &Machine,
    image: &Path,
    limit: Duration,
    follow: impl FnOnce(&mut Executed) -> T + Send + 'static,
) -> Result<(Finished, Option<T>), RunError> {
    let (sender, made) = channel();
    let further = ["-singlestep", "-d", "exec,nochain"];
    let finished = attended(
        (machine, image, limit),
        &further,
        |_| (),
        move |pipe| {
            let mut executed = Executed::new(pipe);
            let result = follow(&mut executed);
            // QEMU waits for whoever reads.
            while executed.next_address().is_some() {}
            // It fails when nobody waits for it any more.
            let _ = sender.send(result);
            executed.into_complaints()
        },
    )?;
    Ok((finished, made.recv().ok()))
}

/// Runs a machine while `hear` reads what QEMU says of it, and returns what there is to complain of.
fn attended(
    (machine, image, limit): (&Machine, &Path, Duration),
    further: &[&str],
    mut echo: impl FnMut(&[u8]),
    hear: impl FnOnce(ChildStderr) -> String + Send + 'static,
) -> Result<Finished, RunError> {
    let start = Instant::now();
    let (typed, stdin) = match &machine.input {
        Input::Typed(typed) => (Some(typed), Stdio::piped()),
        Input::Keyboard | Input::Script(_) => (None, Stdio::null()),
    };
    let mut command = Command::new(program());
    command
        .args(machine.arguments(image, Console::Stdio)?)
        .args(further)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = Running(command.spawn().map_err(not_started)?);
    if let (Some(typed), Some(keyboard)) = (typed, running.0.stdin.take()) {
        type_in(keyboard, typed.clone());
    }
    let complaints = running.0.stderr.take().map(|pipe| thread::spawn(move || hear(pipe)));
    let pieces = running.0.stdout.take().map(pieces);
    let mut console = Vec::new();
    if let Some(pieces) = pieces {
        collect(&pieces, &mut console, (start, limit), &mut echo)?;
    }
    // The console is closed: QEMU is at its end, and waiting cannot take long.
    let status = running.0.wait().map(status).map_err(RunError::Console)?;
    Ok(Finished {
        status,
        console: String::from_utf8_lossy(&console).into_owned(),
        complaints: complaints.and_then(|thread| thread.join().ok()).unwrap_or_default(),
        elapsed: start.elapsed(),
    })
}

/// Writes `typed` to the guest's console from a thread of its own: the guest takes it byte by
/// byte, when it gets to it.
fn type_in(mut keyboard: ChildStdin, typed: String) {
    thread::spawn(move || {
        // It fails when the machine ends before it has read everything.
        let _ = keyboard.write_all(typed.as_bytes());
    });
}

fn pieces(mut console: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 1 << 14];
        loop {
            let piece = match console.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => Ok(buffer[..count].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_last = piece.is_err();
            if sender.send(piece).is_err() || is_last {
                break;
            }
        }
    });
    receiver
}

fn collect(
    pieces: &Receiver<io::Result<Vec<u8>>>,
    console: &mut Vec<u8>,
    (start, limit): (Instant, Duration),
    echo: &mut impl FnMut(&[u8]),
) -> Result<(), RunError> {
    loop {
        let left = limit.saturating_sub(start.elapsed());
        match pieces.recv_timeout(left) {
            Ok(piece) => {
                let piece = piece.map_err(RunError::Console)?;
                echo(&piece);
                console.extend(piece);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                let last = last_lines(console);
                return Err(RunError::TimeUp { limit, last });
            }
        }
        if console.len() > CONSOLE_LIMIT_BYTES {
            let last = last_lines(console);
            return Err(RunError::TooMuch { last });
        }
    }
}

fn last_lines(console: &[u8]) -> String {
    // Enough for the lines shown, so that a console of megabytes isn't searched.
    let tail = &console[console.len().saturating_sub(LAST_LINES * 200)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return "(none: it printed nothing)".to_owned();
    }
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn not_started(error: io::Error) -> RunError {
    let program = program().to_string_lossy().into_owned();
    RunError::Start { program, error }
}

fn status(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_the_last() {
        let console = format!("{}first\n{}last\n", "x\n".repeat(900), "y\n".repeat(18));
        let last = last_lines(console.as_bytes());
        assert_eq!(last.lines().count(), LAST_LINES);
        assert!(last.starts_with("first\n") && last.ends_with("\nlast"));
        assert_eq!(last_lines(b""), "(none: it printed nothing)");
    }

    #[test]
    fn a_console_that_stays_open_is_left_when_time_is_up() {
        let (sender, receiver) = channel();
        sender.send(Ok(b"hello\n".to_vec())).unwrap();
        let mut console = Vec::new();
        let limits = (Instant::now(), Duration::from_millis(20));
        let error = collect(&receiver, &mut console, limits, &mut |_| {}).unwrap_err();
        assert!(matches!(error, RunError::TimeUp { last, .. } if last == "hello"));
    }
}
