//! QMP itself: one line of JSON for each command, answer and event.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use serde_json::{Value, json};

use super::QmpError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest line that is read.
const MOST_BYTES: u64 = 1 << 24;

/// Lines that may come before an answer: events.
const MOST_EVENTS: usize = 10_000;

/// Commands that are sent before an answer is read, at most.
const AT_ONCE: usize = 32;

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    reader: BufReader<UnixStream>,
}

impl Client {
    /// Connects and leaves negotiation mode.
    pub(super) fn connect(path: &Path) -> Result<Self, QmpError> {
        let failed = |error: std::io::Error| QmpError::Connect {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut client = Self { reader: BufReader::new(stream) };
        let greeting = client.line()?;
        if greeting.get("QMP").is_none() {
            return Err(QmpError::Protocol(greeting.to_string()));
        }
        client.execute("qmp_capabilities", &json!({}))?;
        Ok(client)
    }

    /// What a command returns.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, QmpError> {
        self.send(command, arguments)?;
        self.answer(command)
    }

    /// What a command returns for each of several arguments. All are sent before the first answer
    /// is read: QEMU takes its time to look up from the machine.
    pub(super) fn execute_each(
        &mut self,
        command: &str,
        arguments: &[Value],
    ) -> Result<Vec<Result<Value, QmpError>>, QmpError> {
        let mut answers = Vec::with_capacity(arguments.len());
        for some in arguments.chunks(AT_ONCE) {
            for arguments in some {
                self.send(command, arguments)?;
            }
            for _ in some {
                match self.answer(command) {
                    refused @ Err(QmpError::Refused { .. }) => answers.push(refused),
                    answer => answers.push(Ok(answer?)),
                }
            }
        }
        Ok(answers)
    }

    fn send(&mut self, command: &str, arguments: &Value) -> Result<(), QmpError> {
        let mut text = json!({ "execute": command, "arguments": arguments }).to_string();
        text.push('\n');
        let closed = |error: std::io::Error| QmpError::Closed(error.to_string());
        self.reader.get_mut().write_all(text.as_bytes()).map_err(closed)
    }

    /// The answer to the command that was sent first of those without one.
    fn answer(&mut self, command: &str) -> Result<Value, QmpError> {
        for _ in 0..MOST_EVENTS {
            let mut line = self.line()?;
            if let Some(answer) = line.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(error) = line.get("error") {
                let answer = error.get("desc").and_then(Value::as_str).unwrap_or("no reason");
                let (command, answer) = (command.to_owned(), answer.to_owned());
                return Err(QmpError::Refused { command, answer });
            }
            if line.get("event").is_none() {
                return Err(QmpError::Protocol(line.to_string()));
            }
        }
        Err(QmpError::Silent)
    }

    /// What the human monitor prints for a line.
    pub(super) fn monitor(&mut self, line: &str) -> Result<String, QmpError> {
        let arguments = json!({ "command-line": line });
        let answer = self.execute("human-monitor-command", &arguments)?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    /// Where QEMU's process has its current folder, to which the names of its files are relative.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let peer = socket_peercred(self.reader.get_ref()).ok()?;
        std::fs::read_link(format!("/proc/{}/cwd", peer.pid.as_raw_nonzero())).ok()
    }

    fn line(&mut self) -> Result<Value, QmpError> {
        let mut line = Vec::new();
        let read = Read::by_ref(&mut self.reader).take(MOST_BYTES).read_until(b'\n', &mut line);
        match read {
            Ok(0) => Err(QmpError::Closed("end of file".to_owned())),
            Ok(_) => serde_json::from_slice(&line)
                .map_err(|_| QmpError::Protocol(String::from_utf8_lossy(&line).trim().to_owned())),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                Err(QmpError::Silent)
            }
            Err(error) => Err(QmpError::Closed(error.to_string())),
        }
    }
}
