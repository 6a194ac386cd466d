//! What can be asked of the guest, as a line of text.

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The bytes of a file.
    Cat(String),
    /// What a program prints, run with these arguments to its end.
    Run(String, Vec<String>),
    /// Puts a text into a file that is there, such as a parameter of the kernel's.
    Write(String, String),
}

/// Reads `NUMBER REQUEST`; the words are parted by spaces and hold none.
pub(crate) fn parse(line: &str) -> Result<(u64, Request), String> {
    let mut words = line.split_ascii_whitespace();
    let number = words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| format!("a request begins with its number: {line:?}"))?;
    let request = match (words.next(), words.next()) {
        (Some("cat"), Some(path)) => Request::Cat(path.to_owned()),
        (Some("run"), Some(program)) => {
            return Ok((
                number,
                Request::Run(program.to_owned(), words.map(str::to_owned).collect()),
            ));
        }
        (Some("write"), Some(path)) => {
            let text: Vec<&str> = words.by_ref().collect();
            Request::Write(path.to_owned(), text.join(" "))
        }
        _ => {
            return Err(format!(
                "a request is `cat PATH`, `run PROGRAM …` or `write PATH …`: {line:?}"
            ));
        }
    };
    match words.next() {
        None => Ok((number, request)),
        Some(word) => Err(format!("what is {word:?} for in {line:?}?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_requests_are_read() {
        assert_eq!(parse("1 cat /a"), Ok((1, Request::Cat("/a".to_owned()))));
        let run = Request::Run("/b".to_owned(), vec!["-x".to_owned(), "y".to_owned()]);
        assert_eq!(parse("2 run /b -x y"), Ok((2, run)));
        let write = Request::Write("/c".to_owned(), "0 0".to_owned());
        assert_eq!(parse("3 write /c 0 0"), Ok((3, write)));
    }

    #[test]
    fn anything_else_is_refused_with_its_words() {
        for line in ["", "cat /a", "1", "1 cat", "1 cat /a /b", "1 rm /a", "-1 cat /a"] {
            assert!(parse(line).unwrap_err().contains(line), "{line}");
        }
    }
}
