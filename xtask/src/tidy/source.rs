//! Source text taken apart: its code without comments and literals, and its comments.

/// A source file's code and comments.
#[derive(Default)]
pub(super) struct Source {
    /// The words and signs of the code, literals left out.
    pub(super) tokens: Vec<Token>,
    /// The comments, a line each.
    pub(super) comments: Vec<Comment>,
}

/// A word, a lifetime or a sign, with its line counted from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// One line of a comment, without what begins it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Source {
    /// Takes `text` apart. It never fails: what is broken is left to the compiler.
    pub(super) fn read(text: &str) -> Self {
        let mut reader = Reader { rest: text, line: 1, source: Self::default() };
        while reader.step() {}
        reader.source
    }
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    source: Source,
}

impl Reader<'_> {
    /// Reads one comment, literal, word or sign; false at the end.
    fn step(&mut self) -> bool {
        let rest = self.rest;
        let Some(first) = rest.chars().next() else {
            return false;
        };
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            self.comment(end);
        } else if rest.starts_with("/*") {
            self.comment(block_comment(rest));
        } else if let Some(bytes) = literal(rest) {
            self.pass(bytes);
        } else if first == '\'' {
            self.token(1 + word(&rest[1..]));
        } else if is_word(first) {
            self.token(word(rest));
        } else if first.is_whitespace() {
            self.pass(first.len_utf8());
        } else if rest.starts_with("->") || rest.starts_with("=>") {
            self.token(2);
        } else {
            self.token(first.len_utf8());
        }
        true
    }

    fn pass(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn token(&mut self, bytes: usize) {
        let text = self.rest[..bytes].to_owned();
        let line = self.line;
        self.source.tokens.push(Token { text, line });
        self.pass(bytes);
    }

    fn comment(&mut self, bytes: usize) {
        for (line, text) in (self.line..).zip(self.rest[..bytes].lines()) {
            let text = text.trim().trim_start_matches(['/', '*', '!']).trim();
            let text = text.trim_end_matches("*/").trim_end().to_owned();
            self.source.comments.push(Comment { text, line });
        }
        self.pass(bytes);
    }
}

pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn word(text: &str) -> usize {
    text.find(|character| !is_word(character)).unwrap_or(text.len())
}

/// The bytes of the block comment that `text` begins with; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The bytes of the string or character literal that `text` begins with.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['"', '#', '\'']))
    })?;
    let after = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let inner = after[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let bytes = inner.find(&end).map_or(inner.len(), |at| at + end.len());
        return Some(prefix.len() + hashes + 1 + bytes);
    }
    if let Some(inner) = after.strip_prefix('"') {
        return Some(prefix.len() + 1 + closing(inner, '"'));
    }
    // A quote begins a character if it closes behind one, and a lifetime otherwise.
    let inner = after.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    let is_character = first == '\\' || inner[first.len_utf8()..].starts_with('\'');
    is_character.then(|| prefix.len() + 1 + closing(inner, '\''))
}

/// The bytes up to and with the closing `quote`.
fn closing(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let source = Source::read(text);
        let words: Vec<_> = source.tokens.iter().map(|token| &*token.text).collect();
        words.join(" ")
    }

    #[test]
    fn literals_and_comments_are_no_code() {
        assert_eq!(code(r#"a("} \" {", '{', '\'', b'"', x)"#), "a ( , , , , x )");
        assert_eq!(code(r##"r#" " { "# br"{" c"{" z"##), "z");
        assert_eq!(code("a /* { /* } */ { */ b // }\nc"), "a b c");
    }

    #[test]
    fn lifetimes_and_arrows_are_single_tokens() {
        assert_eq!(code("&'a T -> r#fn => 'x"), "& 'a T -> r # fn => 'x");
    }

    #[test]
    fn comments_keep_their_lines() {
        let source = Source::read("//! one\nlet a; // two\n/* three\n * four */ b");
        let comments: Vec<_> =
            source.comments.iter().map(|comment| (comment.line, &*comment.text)).collect();
        assert_eq!(comments, [(1, "one"), (2, "two"), (3, "three"), (4, "four")]);
        assert_eq!(source.tokens.last().map(|token| token.line), Some(4));
    }

    #[test]
    fn broken_text_is_read_to_its_end() {
        for text in ["\"", "'", "'\\", "r#\"", "/*", "b'", "/* /* */", "'é", "r#"] {
            let _ = Source::read(text);
        }
    }
}
