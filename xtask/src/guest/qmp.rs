//! A client of QEMU's machine protocol: one command at a time.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A connection that has said hello. QEMU serves one at a time.
#[derive(Debug)]
pub(super) struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// The longest that a command may take; a dump of all memory takes seconds.
    const PATIENCE: Duration = Duration::from_secs(2 * 60);

    /// Connects to the machine whose socket is at `path`.
    pub(super) fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path)
            .with_context(|| format!("no machine answers at {}", path.display()))?;
        stream.set_read_timeout(Some(Self::PATIENCE))?;
        let mut qmp = Self { reader: BufReader::new(stream) };
        let greeting = qmp.read()?;
        if greeting.get("QMP").is_none() {
            bail!("{} speaks another protocol: {greeting}", path.display());
        }
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// What the machine returns for `command`.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.reader.get_mut(), "{request}")?;
        loop {
            let answer = self.read()?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("{command}: {}", error["desc"].as_str().unwrap_or_default());
            }
            // Anything else is an event.
        }
    }

    /// What the machine's monitor for people prints for `line`.
    pub(super) fn human(&mut self, line: &str) -> Result<String> {
        let value = self.execute("human-monitor-command", &json!({ "command-line": line }))?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).context("the machine does not answer")?;
        if read == 0 {
            bail!("the machine closed the connection");
        }
        serde_json::from_str(&line).with_context(|| format!("no answer of QEMU's: {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_passed_over_and_errors_told() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut qmp = Qmp { reader: BufReader::new(ours) };
        let text = "{\"event\":\"STOP\"}\n{\"return\":{\"a\":1}}\n{\"error\":{\"desc\":\"no\"}}\n";
        (&theirs).write_all(text.as_bytes()).unwrap();
        assert_eq!(qmp.execute("stop", &json!({})).unwrap(), json!({ "a": 1 }));
        assert_eq!(qmp.execute("x", &json!({})).unwrap_err().to_string(), "x: no");
        drop(theirs);
        assert!(qmp.execute("stop", &json!({})).is_err());
    }
}
