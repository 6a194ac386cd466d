//! The first and only program of a Linux guest: sets the guest up, then serves requests that come
//! in at the console, one a line, until the machine ends.
#![forbid(unsafe_code)]

mod answer;
mod request;
#[cfg(target_os = "linux")]
mod system;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("error: this is the first program of a guest; `cargo xtask guest start` runs it");
        return ExitCode::FAILURE;
    }
    #[cfg(target_os = "linux")]
    for complaint in system::set_up() {
        println!("guest: {complaint}");
    }
    println!("guest: ready");
    let served = serve(io::stdin().lock(), io::stdout().lock());
    eprintln!("guest: the console ended: {served:?}");
    // The kernel panics when its first program ends, which is what a lost console deserves.
    ExitCode::FAILURE
}

/// Answers requests until the console ends or fails.
fn serve(requests: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    for line in requests.lines() {
        let (number, outcome) = match request::parse(&line?) {
            Ok((number, request)) => (number, answer::to(&request)),
            Err(error) => (0, Err(error)),
        };
        answer::write(&mut answers, number, &outcome)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(requests: &str) -> String {
        let mut answers = Vec::new();
        serve(requests.as_bytes(), &mut answers).unwrap();
        String::from_utf8(answers).unwrap()
    }

    #[test]
    fn an_answer_names_its_request_and_its_length() {
        let text = answers("7 cat /dev/null\n");
        assert_eq!(text, "\nguest: answer 7 ok 0\n");
    }

    #[test]
    fn what_a_program_prints_is_the_answer() {
        assert_eq!(answers("8 run /bin/echo two words\n"), "\nguest: answer 8 ok 10\ntwo words\n");
    }

    #[test]
    fn a_request_that_fails_is_answered_with_the_reason() {
        let text = answers("9 cat /nowhere\n10 run /nowhere\nnonsense\n");
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("guest: ")).collect();
        assert!(heads[0].starts_with("guest: answer 9 failed"), "{text}");
        assert!(heads[1].starts_with("guest: answer 10 failed"), "{text}");
        assert!(heads[2].starts_with("guest: answer 0 failed"), "{text}");
        assert!(text.contains("/nowhere: "), "{text}");
    }
}
