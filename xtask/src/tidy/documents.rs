//! Documents: the folders they name, the records they number, the files they link.

use super::tree::{TextFile, Tree};
use super::{Check, Problem};

/// The document that says what each folder is for.
const MAP: &str = "ARCHITECTURE.md";

/// Where decision records are, and the document that lists them.
const RECORDS: &str = "docs/decisions/";
const INDEX: &str = "docs/decisions/README.md";

/// Checks the documents.
pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    check_folders(tree, problems);
    check_records(tree, problems);
    for file in tree.files.iter().filter(|file| file.is_prose()) {
        check_links(tree, file, problems);
    }
}

fn problem(path: &str, line: usize, what: String) -> Problem {
    let place = path.to_owned();
    Problem { check: Check::Document, place, line, measure: 1, what }
}

/// Every folder at the top, and every one under `crates` and `docs`, is named in the map.
fn check_folders(tree: &Tree, problems: &mut Vec<Problem>) {
    let Some(map) = tree.file(MAP) else {
        return problems.push(problem(MAP, 0, "write it: what each folder is for".to_owned()));
    };
    let folders = tree.paths.iter().filter(|path| {
        let depth = path.matches('/').count();
        let is_part = path.starts_with("crates/") || path.starts_with("docs/");
        path.ends_with('/') && !path.starts_with('.') && (depth == 1 || depth == 2 && is_part)
    });
    for folder in folders {
        let name = folder.trim_end_matches('/');
        if !map.text.contains(name) {
            problems.push(problem(MAP, 0, format!("say what `{folder}` is for")));
        }
    }
}

/// Records are numbered from one without a gap, and listed.
fn check_records(tree: &Tree, problems: &mut Vec<Problem>) {
    let index = tree.file(INDEX).map(|index| &*index.text).unwrap_or_default();
    let mut expected = 1;
    for file in &tree.files {
        let Some(name) = file.path.strip_prefix(RECORDS) else {
            continue;
        };
        if file.path == INDEX {
            continue;
        }
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || number.parse() != Ok(expected) {
            let what =
                format!("a decision record's name begins with its number, here {expected:04}-");
            problems.push(problem(&file.path, 0, what));
        }
        expected += 1;
        if !index.contains(name) {
            problems.push(problem(INDEX, 0, format!("list {name}")));
        }
    }
}

/// Links to files of the tree lead somewhere.
fn check_links(tree: &Tree, file: &TextFile, problems: &mut Vec<Problem>) {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut is_code = false;
    for (line, text) in (1..).zip(file.text.lines()) {
        is_code ^= text.trim_start().starts_with("```");
        for target in text.split("](").skip(1) {
            let target = target.split([')', '#', ' ']).next().unwrap_or_default();
            let is_elsewhere = target.is_empty() || target.contains(':');
            if !is_code && !is_elsewhere && !leads_somewhere(tree, folder, target) {
                let what = format!("the link to {target} leads nowhere");
                problems.push(problem(&file.path, line, what));
            }
        }
    }
}

fn leads_somewhere(tree: &Tree, folder: &str, target: &str) -> bool {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !part.is_empty()) {
        match part {
            "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return false;
                }
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    path.is_empty() || tree.paths.iter().any(|there| there.trim_end_matches('/') == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(files: &[(&str, &str)], folders: &[&str]) -> Vec<String> {
        let read =
            |(path, text): &(&str, &str)| TextFile::new((*path).to_owned(), (*text).to_owned());
        let mut paths: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        paths.extend(folders.iter().map(|folder| (*folder).to_owned()));
        let mut problems = Vec::new();
        let files = files.iter().map(read).collect();
        check(&Tree { files, paths }, &mut problems);
        problems.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn every_folder_is_named_in_the_map() {
        let folders = ["crates/", "crates/vmsa/", "crates/vmsa/src/", "kernel/", ".ci/"];
        assert_eq!(
            whats(&[(MAP, "`crates/`: parts")], &folders),
            ["say what `crates/vmsa/` is for", "say what `kernel/` is for"]
        );
    }

    #[test]
    fn records_are_numbered_and_listed() {
        let files = [
            (MAP, ""),
            ("docs/decisions/0001-a.md", ""),
            ("docs/decisions/0003-b.md", ""),
            (INDEX, "0001-a.md"),
        ];
        let expected =
            ["a decision record's name begins with its number, here 0002-", "list 0003-b.md"];
        assert_eq!(whats(&files, &[]), expected);
    }

    #[test]
    fn links_lead_somewhere() {
        let text = "[a](../ARCHITECTURE.md#there) [b](http://b) [c](gone.md) [d](.) [e](#here)";
        let files = [(MAP, ""), ("docs/a.md", text)];
        let found = whats(&files, &["docs/"]);
        assert_eq!(found, ["say what `docs/` is for", "the link to gone.md leads nowhere"]);
    }
}
