//! Files and functions: their headers, lengths and parameters, and where `unsafe` is.

use super::functions::{functions, test_lines};
use super::tree::{TextFile, Tree};
use super::{Check, Problem};

/// The most lines of a file without its tests: here, and elsewhere.
const FILE_LINES: [(&str, usize); 2] = [("xtask/", 300), ("", 400)];

/// The most lines of the tests at a file's end; more go to a file of their own.
const TEST_LINES: usize = 60;

/// The most lines of a function.
const FUNCTION_LINES: usize = 60;

/// The most parameters of a public function, `self` not counted.
const PARAMETERS: usize = 4;

/// The most type parameters of a public function.
const TYPE_PARAMETERS: usize = 1;

/// Folders whose code may be unsafe.
const MAY_BE_UNSAFE: [&str; 2] = ["crates/hw/", "kernel/"];

/// Checks every source file, and returns numbers worth watching.
pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut lengths = Vec::new();
    let mut longest_function = 0;
    for file in tree.files.iter().filter(|file| file.is_code()) {
        check_header(file, problems);
        if !file.is_rust() {
            continue;
        }
        let tests = check_tests(file, problems);
        check_unsafe(file, problems);
        longest_function = longest_function.max(check_functions(file, problems));
        if !file.is_tests() {
            let lines = file.text.lines().count() - tests;
            check_length(file, lines, problems);
            lengths.push(lines);
        }
    }
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    let longest = lengths.last().copied().unwrap_or(0);
    vec![format!(
        "{} files; lines without tests: median {median}, longest {longest}; longest function {longest_function}",
        lengths.len()
    )]
}

fn problem(check: Check, place: String, (line, measure): (usize, usize), what: String) -> Problem {
    Problem { check, place, line, measure, what }
}

fn check_header(file: &TextFile, problems: &mut Vec<Problem>) {
    let openings: &[&str] = if file.is_rust() { &["//! "] } else { &["// ", "/* "] };
    if !openings.iter().any(|opening| file.text.starts_with(opening)) {
        let what = format!("begin with `{}` and the file's purpose", openings[0].trim());
        problems.push(problem(Check::Header, file.path.clone(), (1, 1), what));
    }
}

/// Checks the tests at a file's end, and returns how many lines they have.
fn check_tests(file: &TextFile, problems: &mut Vec<Problem>) -> usize {
    let mut all = 0;
    for range in test_lines(&file.source.tokens) {
        let lines = range.end() - range.start() + 1;
        all += lines;
        if lines > TEST_LINES {
            let folder = file.path.trim_end_matches(".rs");
            let what = format!(
                "{lines} lines of tests, over {TEST_LINES}: move them to {folder}/tests.rs"
            );
            let place = file.path.clone();
            problems.push(problem(Check::TestLength, place, (*range.start(), lines), what));
        }
    }
    all
}

fn check_length(file: &TextFile, lines: usize, problems: &mut Vec<Problem>) {
    let limit = FILE_LINES
        .iter()
        .find(|(folder, _)| file.path.starts_with(folder))
        .map_or(0, |(_, limit)| *limit);
    if lines > limit {
        let what = format!("{lines} lines without tests, over {limit}: part it by what it is for");
        problems.push(problem(Check::FileLength, file.path.clone(), (0, lines), what));
    }
}

fn check_unsafe(file: &TextFile, problems: &mut Vec<Problem>) {
    if MAY_BE_UNSAFE.iter().any(|folder| file.path.starts_with(folder)) {
        return;
    }
    for token in &file.source.tokens {
        if token.text == "unsafe" {
            let what = "`unsafe` belongs in crates/hw and kernel".to_owned();
            problems.push(problem(Check::Unsafe, file.path.clone(), (token.line, 1), what));
        }
    }
    let is_root = file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs");
    if is_root && !file.text.contains("\n#![forbid(unsafe_code)]\n") {
        let what = "write `#![forbid(unsafe_code)]` under the header".to_owned();
        problems.push(problem(Check::Unsafe, file.path.clone(), (1, 1), what));
    }
}

/// Checks the functions of a file, and returns the lines of the longest.
fn check_functions(file: &TextFile, problems: &mut Vec<Problem>) -> usize {
    let mut longest = 0;
    for function in functions(&file.source.tokens) {
        longest = longest.max(function.lines);
        let mut limit = |check, measure: usize, limit: usize, of: &str| {
            if measure > limit {
                let what = format!("`{}` has {measure} {of}, over {limit}", function.name);
                let place = format!("{}:{}", file.path, function.name);
                problems.push(problem(check, place, (function.line, measure), what));
            }
        };
        limit(Check::FunctionLength, function.lines, FUNCTION_LINES, "lines");
        if function.is_public {
            limit(Check::Parameters, function.parameters, PARAMETERS, "parameters");
            let types = function.type_parameters;
            limit(Check::TypeParameters, types, TYPE_PARAMETERS, "type parameters");
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(path: &str, text: &str) -> Vec<Check> {
        let file = TextFile::new(path.to_owned(), text.to_owned());
        let tree = Tree { files: vec![file], paths: Vec::new() };
        let mut problems = Vec::new();
        check(&tree, &mut problems);
        problems.iter().map(|problem| problem.check).collect()
    }

    #[test]
    fn a_file_says_its_purpose_first() {
        assert_eq!(checks("crates/vmsa/src/a.rs", "use b;\n"), [Check::Header]);
        assert_eq!(checks("crates/vmsa/src/a.rs", "//! Purpose.\nuse b;\n"), []);
        assert_eq!(checks("kernel/a.S", "/* Purpose. */\n"), []);
    }

    #[test]
    fn lengths_are_measured_without_tests() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(57));
        let file = format!("//! A.\n{}{tests}", "\n".repeat(399));
        assert_eq!(checks("crates/vmsa/src/a.rs", &file), []);
        assert_eq!(checks("xtask/src/a.rs", &file), [Check::FileLength]);
        let longer = format!("{}\n", file.replacen('\n', "\n\n", 1));
        assert_eq!(checks("crates/vmsa/src/a.rs", &longer), [Check::FileLength]);
    }

    #[test]
    fn unsafe_code_is_where_it_may_be() {
        let text = "//! A.\nunsafe fn a() {}\n";
        assert_eq!(checks("crates/vmsa/src/a.rs", text), [Check::Unsafe]);
        assert_eq!(checks("crates/hw/src/a.rs", text), []);
        assert_eq!(checks("crates/vmsa/src/lib.rs", "//! A.\n"), [Check::Unsafe]);
    }

    #[test]
    fn public_functions_take_four_parameters_at_most() {
        let text = "//! A.\npub fn a(b: B, c: C, d: D, e: E, f: F) {}\n";
        assert_eq!(checks("kernel/src/a.rs", text), [Check::Parameters]);
        assert_eq!(checks("kernel/src/a.rs", &text.replace("pub ", "")), []);
    }
}
