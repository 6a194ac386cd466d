//! Words with a better one, in names, comments and documents.

use super::source::is_word;
use super::tree::{TextFile, Tree};
use super::{Check, Problem};

/// Parts of names that say nothing, and what to do.
const IN_NAMES: [(&str, &str); 6] = [
    ("util", "name what it does"),
    ("utils", "name what it does"),
    ("helper", "name what it does"),
    ("helpers", "name what it does"),
    ("manager", "name what it holds, or what it does"),
    ("misc", "part it by what it is for"),
];

/// The same for names of files and folders; in code it is a word of Arm's (CnP, "common not
/// private").
const IN_PATHS: (&str, &str) = ("common", "name what it is about");

/// Words of comments and documents, and what to do.
const IN_PROSE: [(&str, &str); 8] = [
    ("TODO", "do it, or say in docs/caveats.md what is missing"),
    ("FIXME", "mend it, or say in docs/caveats.md what is wrong"),
    ("XXX", "say what is meant"),
    ("HACK", "say what it is for"),
    ("helper", "say what it does"),
    ("helpers", "say what they do"),
    ("session", "documents speak of the project, not of how it was written"),
    ("sessions", "documents speak of the project, not of how it was written"),
];

/// Paths that only one machine has.
const PATHS: [&str; 4] = ["/work/", "/root/", "/home/", "/tmp/"];

/// Checks names of files and in code, comments, and documents outside their code.
pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for path in &tree.paths {
        check_name(path, (path, 0), problems);
        let (word, advice) = IN_PATHS;
        if parts(path).iter().any(|part| part == word) {
            problems.push(problem((path, 0), format!("`{word}` in a name: {advice}")));
        }
    }
    for file in &tree.files {
        // Names in assembly and linker scripts are often the toolchain's own.
        for token in file.source.tokens.iter().filter(|_| file.is_rust()) {
            check_name(&token.text, (&file.path, token.line), problems);
        }
        for (line, text) in prose(file) {
            check_prose(&text, (&file.path, line), problems);
        }
    }
}

/// A file's comments, or a document's lines, with code spans left out.
fn prose(file: &TextFile) -> Vec<(usize, String)> {
    if !file.is_prose() {
        let comments = file.source.comments.iter();
        return comments.map(|comment| (comment.line, without_code_spans(&comment.text))).collect();
    }
    let mut is_code = false;
    (1..)
        .zip(file.text.lines())
        .filter_map(|(line, text)| {
            let is_fence = text.trim_start().starts_with("```");
            is_code ^= is_fence;
            (!is_code && !is_fence).then(|| (line, without_code_spans(text)))
        })
        .collect()
}

fn without_code_spans(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

fn problem(place: (&str, usize), what: String) -> Problem {
    let (path, line) = place;
    Problem { check: Check::Word, place: path.to_owned(), line, measure: 1, what }
}

fn check_name(name: &str, place: (&str, usize), problems: &mut Vec<Problem>) {
    for part in parts(name) {
        if let Some((word, advice)) = IN_NAMES.iter().find(|(word, _)| part == *word) {
            problems.push(problem(place, format!("`{word}` in a name: {advice}")));
        }
    }
}

/// The words of a name, whichever way they are joined, in lower case.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for character in name.chars() {
        let is_joint = !character.is_alphanumeric();
        if is_joint || (was_lower && character.is_uppercase()) {
            parts.push(String::new());
        }
        if let (false, Some(last)) = (is_joint, parts.last_mut()) {
            last.extend(character.to_lowercase());
        }
        was_lower = character.is_lowercase();
    }
    parts
}

fn check_prose(text: &str, place: (&str, usize), problems: &mut Vec<Problem>) {
    let words: Vec<&str> =
        text.split(|character| !is_word(character)).filter(|word| !word.is_empty()).collect();
    for word in &words {
        let found = IN_PROSE.iter().find(|(banned, _)| banned == word);
        if let Some((word, advice)) = found {
            problems.push(problem(place, format!("`{word}`: {advice}")));
        }
    }
    for pair in words.windows(2) {
        if pair[0].eq_ignore_ascii_case("issue") && pair[1].bytes().all(|b| b.is_ascii_digit()) {
            let what = "an issue's number: say what the issue said".to_owned();
            problems.push(problem(place, what));
        }
    }
    for path in PATHS {
        if text.contains(path) {
            problems.push(problem(place, format!("`{path}` is a path of one machine")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<usize> {
        let tree = Tree {
            files: vec![TextFile::new(path.to_owned(), text.to_owned())],
            paths: vec![path.to_owned()],
        };
        let mut problems = Vec::new();
        check(&tree, &mut problems);
        problems.iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn names_say_what_they_are_for() {
        assert_eq!(found("a/utils.rs", ""), [0]);
        assert_eq!(found("a/common/b.rs", "fn is_common() {}"), [0]);
        assert_eq!(found("a.rs", "struct TableManager;\nfn map_helper() {}"), [1, 2]);
        assert!(found("a.rs", "struct Commons; let s = \"utils\";").is_empty());
    }

    #[test]
    fn comments_and_documents_speak_of_the_project() {
        assert_eq!(found("a.rs", "// TODO: it\n\"TODO\"; // as in issue #12\n"), [1, 2]);
        assert_eq!(found("a.md", "a session\n`helper`\n```\nsession\n```\nsee /tmp/a\n"), [1, 6]);
    }
}
