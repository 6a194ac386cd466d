//! What people and files say: traces, programs, command lines, monitor commands.

use blockmap::machine::Event;
use blockmap_kernel::cmdline::CommandLine;
use blockmap_kernel::monitor;
use blockmap_model::text::read;

/// Calls `with` with the input, if it is text.
fn as_text(input: &[u8], with: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(input) {
        with(text);
    }
}

/// A line that is an event is written as the same event again.
pub(crate) fn trace(input: &[u8]) {
    as_text(input, |text| {
        for line in text.lines() {
            match line.parse::<Event>() {
                Ok(event) => assert_eq!(event.to_string().parse(), Ok(event), "{line}"),
                Err(error) => assert!(!error.to_string().is_empty(), "an error without words"),
            }
        }
    });
}

/// A program survives being written.
pub(crate) fn program(input: &[u8]) {
    as_text(input, |text| match read(text) {
        Ok(program) => assert_eq!(read(&program.to_string()), Ok(program)),
        Err(error) => {
            let lines = text.lines().count();
            assert!(error.number <= lines + 1, "{error} in {lines} lines");
            assert!(!error.what.to_string().is_empty(), "an error without words");
        }
    });
}

/// Every word is either an option or complained about, in words that say which.
pub(crate) fn command_line(input: &[u8]) {
    as_text(input, |text| {
        let line = CommandLine::new(text);
        let options = line.options();
        assert!(options.monitor.is_none_or(|script| text.contains(script)), "{options:?}");
        for complaint in line.complaints() {
            assert!(!complaint.to_string().is_empty(), "a complaint without words");
        }
    });
}

/// A command is understood, or refused in words.
pub(crate) fn monitor(input: &[u8]) {
    as_text(input, |text| {
        for command in monitor::split(text) {
            if let Err(error) = monitor::parse(command) {
                assert!(!error.to_string().is_empty(), "an error without words");
            }
        }
    });
}
