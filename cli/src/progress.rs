//! What goes on, on standard error: for work that takes longer than a second.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use crate::screen::NOTE;

/// Whether the user asked for silence.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Says nothing from now on.
pub(crate) fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// Says something that should be known, beside the answer.
pub(crate) fn remark(text: &str) {
    if !IS_QUIET.load(Ordering::Relaxed) {
        anstream::eprintln!("{NOTE}note:{NOTE:#} {text}");
    }
}

/// Work in progress. It is mentioned after a second, and every second from then on if somebody
/// looks on.
#[derive(Debug)]
pub(crate) struct Progress {
    work: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Work that `what` names begins; it ends when the value goes away.
    pub(crate) fn of(what: String) -> Self {
        if IS_QUIET.load(Ordering::Relaxed) {
            return Self { work: None };
        }
        let (sender, receiver) = channel();
        let thread = spawn(move || {
            let began = Instant::now();
            let is_watched = stderr().is_terminal();
            let mut was_said = false;
            while receiver.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let seconds = began.elapsed().as_secs();
                // A closed standard error is no reason to stop working.
                drop(match (is_watched, was_said) {
                    (true, _) => write!(stderr(), "\r{what} … {seconds} s"),
                    (false, false) => writeln!(stderr(), "{what} …"),
                    (false, true) => Ok(()),
                });
                was_said = true;
            }
            if was_said && is_watched {
                drop(write!(stderr(), "\r{:1$}\r", "", what.chars().count() + 12));
            }
        });
        Self { work: Some((sender, thread)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.work.take() {
            drop(sender);
            drop(thread.join());
        }
    }
}
