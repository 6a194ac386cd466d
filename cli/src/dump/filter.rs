//! Choosing lines of a dump by the words in them.

use std::fmt::{self, Write};
use std::str::FromStr;

use thiserror::Error;

/// Words that lines may have, and how they are meant.
const WORDS: [(&str, &str); 26] = [
    ("F", "invalid but present"),
    ("USR", "EL0 has access"),
    ("ro", "read-only"),
    ("RW", "writable"),
    ("NX", "the kernel never executes"),
    ("x", "executable"),
    ("SHD", "shareable"),
    ("AF", "accessed"),
    ("NG", "not global"),
    ("CON", "one of a contiguous run"),
    ("BLK", "block"),
    ("UXN", "EL0 never executes"),
    ("GP", "guarded page"),
    ("PGD", "level"),
    ("P4D", "level"),
    ("PUD", "level"),
    ("PMD", "level"),
    ("PTE", "level"),
    ("MEM/NORMAL", "memory type"),
    ("MEM/NORMAL-TAGGED", "memory type"),
    ("MEM/NORMAL-NC", "memory type"),
    ("MEM/NORMAL-WT", "memory type"),
    ("DEVICE/nGnRnE", "memory type"),
    ("DEVICE/nGnRE", "memory type"),
    ("DEVICE/nGRE", "memory type"),
    ("DEVICE/GRE", "memory type"),
];

/// Words that a line must have, and words that it must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    wanted: Vec<&'static str>,
    unwanted: Vec<&'static str>,
}

/// A word that no line has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is in no line of a dump; there are: {all}", all = all_words())]
pub(super) struct FilterError(String);

fn all_words() -> String {
    WORDS.map(|(word, _)| word).join(" ")
}

impl FromStr for Filter {
    type Err = FilterError;

    /// Words with blanks or commas between them, in any case where that is no other word; memory
    /// types also without what is before the `/`.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut filter = Self { wanted: Vec::new(), unwanted: Vec::new() };
        for word in text.split([' ', ',', '+']).filter(|word| !word.is_empty()) {
            let (list, name) = match word.strip_prefix('!') {
                Some(name) => (&mut filter.unwanted, name),
                None => (&mut filter.wanted, word),
            };
            let is = |known: &str| {
                known.eq_ignore_ascii_case(name)
                    || known
                        .split('/')
                        .next_back()
                        .is_some_and(|end| end.eq_ignore_ascii_case(name))
            };
            let found = WORDS.iter().find(|(known, _)| is(known));
            let (known, _) = found.ok_or_else(|| FilterError(word.to_owned()))?;
            list.push(known);
        }
        Ok(filter)
    }
}

impl Filter {
    /// Whether a line is wanted: one of leaves with the right words.
    fn lets_through(&self, line: &str) -> bool {
        let mut words = line.split_whitespace().skip(1);
        let words: Vec<_> = words.by_ref().collect();
        let has = |word: &&'static str| words.contains(word);
        // A gap has nothing behind its level.
        let is_gap = words
            .last()
            .is_none_or(|last| last.len() == 3 && last.ends_with('D') || *last == "PTE");
        !is_gap && self.wanted.iter().all(has) && !self.unwanted.iter().any(has)
    }
}

/// Lets lines through to `out`: all, or those that a filter wants. An area is named before its
/// first line that is.
pub(super) struct Sieve<'f, W> {
    filter: Option<&'f Filter>,
    line: String,
    area: Option<String>,
    out: W,
}

impl<'f, W: Write> Sieve<'f, W> {
    pub(super) const fn new(filter: Option<&'f Filter>, out: W) -> Self {
        Self { filter, line: String::new(), area: None, out }
    }

    /// What the lines were written to.
    pub(super) fn finish(self) -> W {
        self.out
    }

    /// Takes a whole line, its end included.
    fn take(&mut self, filter: &Filter) -> fmt::Result {
        let line = std::mem::take(&mut self.line);
        if line.starts_with("---[") {
            let is_start = !line.trim_end().ends_with("end ]---");
            self.area = is_start.then_some(line);
            return Ok(());
        }
        if filter.lets_through(&line) {
            if let Some(area) = self.area.take() {
                self.out.write_str(&area)?;
            }
            self.out.write_str(&line)?;
        }
        Ok(())
    }
}

impl<W: Write> Write for Sieve<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(filter) = self.filter else {
            return self.out.write_str(text);
        };
        for part in text.split_inclusive('\n') {
            self.line.push_str(part);
            if part.ends_with('\n') {
                self.take(filter)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "\
---[ Linear Mapping start ]---
0xffff000000000000-0xffff000000200000           2M PMD       RW NX SHD AF        BLK UXN    MEM/NORMAL-TAGGED
0xffff000000200000-0xffff000000600000           4M PMD       ro NX SHD AF        BLK UXN    MEM/NORMAL
0xffff000000600000-0xffff008000000000         500G PUD
---[ Linear Mapping end ]---
---[ vmalloc() area ]---
0xffff800080010000-0xffff800080200000        1984K PTE       ro x  SHD AF    CON     UXN    MEM/NORMAL
";

    fn filtered(filter: &str) -> String {
        let filter: Filter = filter.parse().unwrap();
        let mut sieve = Sieve::new(Some(&filter), String::new());
        // In pieces, as a dump comes.
        for piece in DUMP.as_bytes().chunks(7) {
            sieve.write_str(str::from_utf8(piece).unwrap()).unwrap();
        }
        sieve.finish()
    }

    #[test]
    fn lines_with_every_word_come_through_under_their_area() {
        let lines: Vec<_> = DUMP.lines().collect();
        assert_eq!(filtered("ro x"), format!("{}\n{}\n", lines[5], lines[6]));
        assert_eq!(filtered("blk,!RW"), format!("{}\n{}\n", lines[0], lines[2]));
        assert_eq!(
            filtered("normal"),
            format!("{}\n{}\n{}\n{}\n", lines[0], lines[2], lines[5], lines[6])
        );
        assert_eq!(filtered("RW x"), "");
        assert_eq!(filtered("").lines().count(), 5, "gaps are no leaves");
    }

    #[test]
    fn a_word_that_no_line_has_is_named() {
        let error = "ro,wx".parse::<Filter>().unwrap_err();
        assert!(error.to_string().starts_with("`wx` is in no line of a dump; there are: F USR"));
    }
}
