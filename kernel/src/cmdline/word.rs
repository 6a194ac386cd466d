//! Words of a command line: where they end, and what quotes do.

/// One word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// All of it, quotes included.
    pub(super) text: &'a str,
    /// Up to the first `=`.
    pub(super) name: &'a str,
    /// After the first `=`, where there is one.
    pub(super) value: Option<&'a str>,
}

/// The words of a command line, up to the word `--`.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    rest: &'a str,
    script: Option<&'a str>,
}

impl<'a> Words<'a> {
    pub(super) const fn new(line: &'a str) -> Self {
        Self { rest: line, script: None }
    }

    /// What stands after the word `--`, once the words before it were taken; `None` where there is
    /// nothing.
    pub(super) const fn script(&self) -> Option<&'a str> {
        self.script
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let line = self.rest.trim_ascii_start();
        let (text, rest) = line.split_at_checked(end_of_word(line))?;
        self.rest = rest;
        match text {
            "" => None,
            "--" => {
                let script = rest.trim_ascii();
                self.script = (!script.is_empty()).then_some(script);
                self.rest = "";
                None
            }
            text => Some(Word::new(text)),
        }
    }
}

impl<'a> Word<'a> {
    fn new(text: &'a str) -> Self {
        let bare = unquoted(text);
        let (name, value) = match bare.split_once('=') {
            // Quotes around all of the word are gone already; those around its value go now.
            Some((name, value)) => (name, Some(unquoted(value))),
            None => (bare, None),
        };
        Self { text, name, value }
    }
}

/// The text without a quote at its start, and then without one at its end.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').map_or(text, |open| open.strip_suffix('"').unwrap_or(open))
}

/// How many bytes the word at the start of `line` has: up to white space that is not between
/// quotes.
fn end_of_word(line: &str) -> usize {
    let mut is_quoted = false;
    line.bytes()
        .position(|byte| {
            is_quoted ^= byte == b'"';
            byte.is_ascii_whitespace() && !is_quoted
        })
        .unwrap_or(line.len())
}
