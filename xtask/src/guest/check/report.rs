//! The table of what was compared.

use std::process::ExitCode;

use anyhow::Result;

/// What was compared so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    failures: usize,
}

impl Report {
    /// Prints one row: what was seen, or why it is wrong.
    pub(super) fn row(&mut self, guest: &str, what: &str, outcome: Result<String>) {
        match outcome {
            Ok(seen) => println!("{guest:10} {what:26} same    {seen}"),
            Err(error) => {
                self.failures += 1;
                let text = format!("{error:#}");
                let mut lines = text.lines();
                println!("{guest:10} {what:26} DIFFERS {}", lines.next().unwrap_or_default());
                for line in lines {
                    println!("{:37} {line}", "");
                }
            }
        }
    }

    /// Prints one row: why something could not be compared here.
    #[expect(clippy::unused_self, reason = "rows are the report's, whatever they say")]
    pub(super) fn untried(&mut self, guest: &str, what: &str, why: &str) {
        println!("{guest:10} {what:26} untried {why}");
    }

    /// The status: success if nothing differed.
    pub(super) fn status(&self) -> ExitCode {
        if self.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
