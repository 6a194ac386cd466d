//! The kernel's command line: its options, and the script of monitor commands after ` -- `.

use thiserror::Error;

/// What parts the kernel's options from the monitor's script.
const SEPARATOR: &str = " -- ";

/// Why a command line cannot be made. Nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The options hold ` -- `, so that their rest would be taken for a script.
    #[error("--append holds ` -- `, which begins the monitor's script; use --monitor for that")]
    SeparatorInOptions,
    /// Line ends and other control characters are not passed on by the device tree's readers.
    #[error("a control character in --append or --monitor; part commands with `;`")]
    ControlCharacter,
}

/// The whole command line for `options` and, unless a person will type, a monitor script.
///
/// A script always ends the machine: `poweroff` is added unless it is the last command.
///
/// # Errors
/// When `options` or `script` hold what would change their meaning.
pub fn command_line(options: &str, script: Option<&str>) -> Result<String, ScriptError> {
    if options.chars().chain(script.unwrap_or_default().chars()).any(char::is_control) {
        return Err(ScriptError::ControlCharacter);
    }
    if format!(" {options} ").contains(SEPARATOR) {
        return Err(ScriptError::SeparatorInOptions);
    }
    let mut line = "semihosting".to_owned();
    if !options.trim().is_empty() {
        line = format!("{line} {}", options.trim());
    }
    if let Some(script) = script {
        line = format!("{line}{SEPARATOR}{}", ending_the_machine(script));
    }
    Ok(line)
}

fn ending_the_machine(script: &str) -> String {
    let script = script.trim().trim_end_matches([';', ' ']);
    let last = script.rsplit(';').next().unwrap_or_default();
    match last.split_whitespace().next() {
        Some("poweroff") => script.to_owned(),
        Some(_) => format!("{script}; poweroff"),
        None => "poweroff".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &str, script: Option<&str>, line: &str) {
        assert_eq!(command_line(options, script).as_deref(), Ok(line));
    }

    #[test]
    fn the_kernel_may_always_end_the_machine_with_a_status() {
        check("", None, "semihosting");
        check(" rodata=off ", None, "semihosting rodata=off");
    }

    #[test]
    fn a_script_ends_the_machine_once() {
        check("", Some("stat"), "semihosting -- stat; poweroff");
        check("", Some("stat; poweroff"), "semihosting -- stat; poweroff");
        check("", Some("stat; poweroff 3 ;"), "semihosting -- stat; poweroff 3");
        check("a=b", Some("poweroff; stat;"), "semihosting a=b -- poweroff; stat; poweroff");
        check("", Some(" ; "), "semihosting -- poweroff");
        check("", Some(""), "semihosting -- poweroff");
    }

    #[test]
    fn options_that_would_be_taken_for_a_script_are_refused() {
        let error = Err(ScriptError::SeparatorInOptions);
        for options in ["a -- b", "-- b", "a --"] {
            assert_eq!(command_line(options, None), error);
        }
        check("a--b --c", None, "semihosting a--b --c");
        assert_eq!(command_line("", Some("stat\npoweroff")), Err(ScriptError::ControlCharacter));
    }
}
