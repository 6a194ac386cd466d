//! The table of what was compared.

use std::process::ExitCode;

use anyhow::Result;

use crate::guest::kind::Kind;

/// What was compared so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    failures: usize,
}

impl Report {
    /// Prints one row: what was seen, or why it is wrong.
    pub(super) fn row(&mut self, kind: Kind, what: &str, outcome: Result<String>) {
        match outcome {
            Ok(seen) => println!("{kind:10} {what:26} same    {seen}"),
            Err(error) => {
                self.failures += 1;
                let text = format!("{error:#}");
                let mut lines = text.lines();
                println!("{kind:10} {what:26} DIFFERS {}", lines.next().unwrap_or_default());
                for line in lines {
                    println!("{:37} {line}", "");
                }
            }
        }
    }

    /// The status: success if nothing differed.
    pub(super) fn status(&self) -> ExitCode {
        if self.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
