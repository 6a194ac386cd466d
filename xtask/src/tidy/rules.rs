//! Rule keys: what code cites, `docs/rules.md` describes, and the other way round.

use std::collections::BTreeMap;

use super::tree::{TextFile, Tree};
use super::{Check, Problem};

/// The register of rules: a heading, or a table row's first cell, for each key.
const REGISTER: &str = "docs/rules.md";

/// Compares the keys that comments cite with those that the register describes.
pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let mut cited: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| file.is_code()) {
        for comment in &file.source.comments {
            for key in citations(&comment.text) {
                cited.entry(key).or_insert((file.path.clone(), comment.line));
            }
        }
    }
    let register = tree.file(REGISTER);
    let described = register.map(described).unwrap_or_default();
    for (key, (path, line)) in &cited {
        if !described.contains_key(key) {
            let what = format!("[{key}] is not described in {REGISTER}");
            problems.push(problem(path, *line, what));
        }
    }
    for (key, line) in &described {
        if !cited.contains_key(key) {
            problems.push(problem(REGISTER, *line, format!("no code cites [{key}]")));
        }
    }
}

fn problem(path: &str, line: usize, what: String) -> Problem {
    let place = path.to_owned();
    Problem { check: Check::Rule, place, line, measure: 1, what }
}

/// The keys in brackets in a comment: lower-case words joined by hyphens.
fn citations(text: &str) -> Vec<String> {
    let mut pieces = text.split('[').skip(1);
    let mut keys = Vec::new();
    while let Some((inner, after)) = pieces.next().and_then(|piece| piece.split_once(']')) {
        // Behind a link's text stands where it leads.
        let is_link = after.starts_with(['(', ':']) || after.is_empty() && text.contains("][");
        if is_key(inner) && !is_link {
            keys.push(inner.to_owned());
        }
    }
    keys
}

fn is_key(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.contains('-') && text.split('-').all(is_word)
}

/// The register's keys with their lines.
fn described(register: &TextFile) -> BTreeMap<String, usize> {
    (1..)
        .zip(register.text.lines())
        .filter_map(|(line, text)| {
            let opening = match text.strip_prefix('|') {
                Some(row) => row.split('|').next()?,
                None => text.strip_prefix('#')?.trim_start_matches('#'),
            };
            let key = opening.trim().trim_matches(['`', '[', ']']);
            is_key(key).then(|| (key.to_owned(), line))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(code: &str, register: &str) -> Vec<String> {
        let file = |path: &str, text: &str| TextFile::new(path.to_owned(), text.to_owned());
        let files = vec![file("a.rs", code), file(REGISTER, register)];
        let mut problems = Vec::new();
        check(&Tree { files, paths: Vec::new() }, &mut problems);
        problems.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn each_cited_key_is_described_and_each_described_key_cited() {
        let register = "# Rules\n## `one-rule`\n| [two-rules] | text |\n|---|---|\n";
        let code =
            "// So. [one-rule] [two-rules]\nlet a = \"[no-rule]\"; // [word] [`a-b`] [a-b](c)";
        assert_eq!(whats(code, register), [""; 0]);
        assert_eq!(whats("// [one-rule]", register), ["no code cites [two-rules]"]);
        let missing = ["[one-rule] is not described in docs/rules.md"];
        assert_eq!(whats("// [one-rule]", ""), missing);
    }
}
