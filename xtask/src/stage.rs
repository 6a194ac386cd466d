//! Running commands one after another, each named and timed, up to the first that fails.

use std::io::{self, BufRead, BufReader, pipe};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::workspace::cargo;

/// How much of a command's output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// What it prints, as it prints it.
    All,
    /// Cargo tests: the closing line of each test program that ran tests, and what the oracle's say
    /// of what they took; everything, if it fails.
    Closings,
}

/// Runs cargo with `arguments` as the stage `title`.
///
/// # Errors
/// When it fails; the error says what to type to see it again.
pub fn run(title: &str, show: Show, arguments: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.args(arguments);
    let again = format!("to see it alone: cargo {}", arguments.join(" "));
    run_command(title, show, command, &again)
}

/// Runs `work`, which needs no command, as the stage `title`.
///
/// # Errors
/// What `work` fails with.
pub fn run_work(title: &str, work: impl FnOnce() -> Result<ExitCode>) -> Result<()> {
    let start = opening(title);
    let code = work()?;
    if code != ExitCode::SUCCESS {
        bail!("{title} failed; to see it alone: cargo xtask {title}");
    }
    closing(title, start);
    Ok(())
}

/// Runs `command` as the stage `title`.
///
/// # Errors
/// When it cannot be started, or fails; the error ends with `advice`.
pub fn run_command(title: &str, show: Show, mut command: Command, advice: &str) -> Result<()> {
    let start = opening(title);
    let succeeded = match show {
        Show::All => command.status().map(|status| status.success()),
        Show::Closings => with_closings_shown(command),
    };
    if !succeeded.with_context(|| format!("cannot run {title}"))? {
        bail!("{title} failed; {advice}");
    }
    closing(title, start);
    Ok(())
}

fn with_closings_shown(mut command: Command) -> io::Result<bool> {
    let (reader, writer) = pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the pipe's writing ends; they must close for the reading to end.
    drop(command);
    let mut everything = String::new();
    let mut program = String::new();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if let Some(name) = test_program(&text) {
            program = name;
        }
        if let Some(fact) = said(&text) {
            println!("{fact}");
        }
        if let Some(closing) = test_closing(&text) {
            println!("{closing} [{program}]");
        }
        everything.push_str(&text);
        line.clear();
    }
    let succeeded = child.wait()?.success();
    if !succeeded {
        print!("{everything}");
    }
    Ok(succeeded)
}

/// The test program that cargo says it is about to run, as its crate and source file.
fn test_program(line: &str) -> Option<String> {
    let line = line.trim();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} doctests"));
    }
    let (source, path) = line.strip_prefix("Running ")?.split_once(" (")?;
    let file = path.trim_end_matches(')').rsplit('/').next()?;
    let name = file.rsplit_once('-').map_or(file, |(name, _hash)| name);
    Some(format!("{name} {}", source.trim_start_matches("unittests ")))
}

/// What a test says of what it took: tests of the oracle print that past the harness, in between
/// its own dots.
fn said(line: &str) -> Option<&str> {
    line.find("oracle: ").map(|at| line[at..].trim_end())
}

/// A test program's closing line, if it ran any test.
fn test_closing(line: &str) -> Option<&str> {
    let line = line.trim();
    let is_closing = line.starts_with("test result: ");
    (is_closing && !line.contains(" 0 passed; 0 failed")).then_some(line)
}

fn opening(title: &str) -> Instant {
    println!("== {title}");
    Instant::now()
}

fn closing(title: &str, start: Instant) {
    println!("   {title}: {:.1} s", start.elapsed().as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_named_by_crate_and_source() {
        let unit = "     Running unittests src/lib.rs (target/debug/deps/blockmap_vmsa-0f0e)\n";
        assert_eq!(test_program(unit).unwrap(), "blockmap_vmsa src/lib.rs");
        let own = "     Running tests/boot.rs (/elsewhere/debug/deps/boot-0f0e)\n";
        assert_eq!(test_program(own).unwrap(), "boot tests/boot.rs");
        assert_eq!(test_program("   Doc-tests blockmap\n").unwrap(), "blockmap doctests");
        assert_eq!(test_program("running 3 tests\n"), None);
    }

    #[test]
    fn what_the_oracle_took_is_shown() {
        assert_eq!(said("..oracle: 2 CPUs, 5 states/s\n"), Some("oracle: 2 CPUs, 5 states/s"));
        assert_eq!(said("test something ... ok\n"), None);
    }

    #[test]
    fn a_closing_line_without_tests_is_left_out() {
        let some = "test result: ok. 10 passed; 0 failed; 0 ignored; 0 measured\n";
        assert_eq!(test_closing(some), Some(some.trim()));
        let failed = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured\n";
        assert!(test_closing(failed).is_some());
        assert_eq!(
            test_closing("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured\n"),
            None
        );
        assert_eq!(test_closing("test boots ... ok\n"), None);
    }
}
