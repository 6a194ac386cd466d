//! Doing what a request asks, and the form of an answer.
//!
//! An answer is a line `guest: answer NUMBER ok|failed LENGTH`, with an empty line before it so
//! that it begins a line whatever the kernel printed, and then that many bytes.

use std::fs;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::request::Request;

/// What is asked for, or why there is none.
pub(crate) fn to(request: &Request) -> Result<Vec<u8>, String> {
    match request {
        Request::Cat(path) => fs::read(path).map_err(|error| format!("{path}: {error}")),
        Request::Write(path, text) => fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map(|()| Vec::new())
            .map_err(|error| format!("{path}: {error}")),
        Request::Run(program, arguments) => {
            let output = Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .output()
                .map_err(|error| format!("{program}: {error}"))?;
            if output.status.success() {
                return Ok(output.stdout);
            }
            let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("{program}: {}\n{complaints}", output.status))
        }
    }
}

/// Writes the answer to the request `number`.
pub(crate) fn write(
    answers: &mut impl Write,
    number: u64,
    outcome: &Result<Vec<u8>, String>,
) -> io::Result<()> {
    let (word, bytes) = match outcome {
        Ok(bytes) => ("ok", &**bytes),
        Err(reason) => ("failed", reason.as_bytes()),
    };
    write!(answers, "\nguest: answer {number} {word} {}\n", bytes.len())?;
    answers.write_all(bytes)?;
    answers.flush()
}
