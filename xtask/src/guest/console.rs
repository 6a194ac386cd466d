//! A client of the program that runs in a guest: requests and answers over the console.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What the guest says when it serves requests.
pub(super) const READY: &str = "guest: ready";

/// How the line before an answer begins.
const ANSWER: &str = "guest: answer ";

/// The longest answer that is taken: a guest that is out of order may say anything.
const ANSWER_LIMIT_BYTES: u64 = 64 << 20;

/// A connection to a guest's console.
#[derive(Debug)]
pub(super) struct Console {
    reader: BufReader<UnixStream>,
    asked: u64,
}

impl Console {
    /// Connects to the console at `path`, answers taking `patience` at most.
    pub(super) fn connect(path: &Path, patience: Duration) -> Result<Self> {
        let stream = UnixStream::connect(path)
            .with_context(|| format!("no console at {}", path.display()))?;
        stream.set_read_timeout(Some(patience))?;
        Ok(Self::over(stream))
    }

    fn over(stream: UnixStream) -> Self {
        Self { reader: BufReader::new(stream), asked: 0 }
    }

    /// What the guest answers to `request`: `cat PATH`, `run PROGRAM …` or `write PATH …`.
    pub(super) fn ask(&mut self, request: &str) -> Result<Vec<u8>> {
        self.asked += 1;
        writeln!(self.reader.get_mut(), "{} {request}", self.asked)?;
        let (is_ok, length) = loop {
            let mut line = Vec::new();
            let read = self.reader.read_until(b'\n', &mut line);
            if read.with_context(|| format!("the guest does not answer to: {request}"))? == 0 {
                bail!("the guest's console closed");
            }
            let line = String::from_utf8_lossy(&line);
            if let Some((number, is_ok, length)) = head(&line) {
                // An answer to somebody who no longer waits for it has another number.
                if number == self.asked {
                    break (is_ok, length);
                }
            }
        };
        if length > ANSWER_LIMIT_BYTES {
            bail!("an answer of {length} bytes to: {request}");
        }
        let mut answer = vec![0; usize::try_from(length)?];
        self.reader.read_exact(&mut answer).context("the answer ends early")?;
        if !is_ok {
            bail!("in the guest: {}", String::from_utf8_lossy(&answer).trim_end());
        }
        Ok(answer)
    }
}

/// The request's number, whether it succeeded, and the answer's length.
fn head(line: &str) -> Option<(u64, bool, u64)> {
    let mut words = line.trim_end().strip_prefix(ANSWER)?.split(' ');
    let number = words.next()?.parse().ok()?;
    let is_ok = match words.next()? {
        "ok" => true,
        "failed" => false,
        _ => return None,
    };
    Some((number, is_ok, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_among_what_else_is_printed() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut console = Console::over(ours);
        let text = "[  0.1] Linux\n\nguest: answer 1 ok 5\na\nb\0c\nguest: answer 2 failed 2\nno";
        theirs.write_all(text.as_bytes()).unwrap();
        assert_eq!(console.ask("cat /a").unwrap(), b"a\nb\0c");
        assert_eq!(console.ask("cat /b").unwrap_err().to_string(), "in the guest: no");
        drop(theirs);
        assert!(console.ask("cat /c").is_err());
    }
}
