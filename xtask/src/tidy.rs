//! `cargo xtask tidy`: the project's own rules of form, checked by reading its text.
//!
//! The text is masked and cut into tokens rather than parsed: a full Rust parser is
//! most of a minute's build on a fresh machine, would not read assembly and linker scripts, and
//! the measures taken here, of lines, parameters and words, need no more.

mod documents;
mod edges;
mod exceptions;
mod form;
mod functions;
mod links;
mod rules;
mod source;
mod tree;
mod words;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::{packages, root};
use exceptions::EXCEPTIONS;
pub use exceptions::Exception;
use tree::Tree;

/// What a rule of form is about; an exception is made of one of these for one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A file says its purpose first.
    Header,
    /// Lines of a file, its tests not counted.
    FileLength,
    /// Lines of the tests at a file's end.
    TestLength,
    /// Lines of a function.
    FunctionLength,
    /// Parameters of a public function, `self` not counted.
    Parameters,
    /// Type parameters of a public function.
    TypeParameters,
    /// `unsafe` outside the packages that may have it.
    Unsafe,
    /// A word with a better one.
    Word,
    /// A rule's key that is cited and not described, or described and not cited.
    Rule,
    /// A package that names one it may not name.
    Edge,
    /// A package without the workspace's lints.
    Lints,
    /// A dependency without a reason.
    Reason,
    /// A document that is missing, or does not say what it must.
    Document,
    /// An exception that is no longer needed, or allows more than it must.
    Exception,
}

/// A place that breaks a rule of form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The rule.
    pub check: Check,
    /// The file, relative to the top folder, and `:` and a name in it where that matters.
    pub place: String,
    /// The line, counted from one; zero when it is no line's.
    pub line: usize,
    /// What was measured; one where nothing is.
    pub measure: usize,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.place.split(':').next().unwrap_or_default();
        match self.line {
            0 => write!(f, "{file}: {}", self.what),
            line => write!(f, "{file}:{line}: {}", self.what),
        }
    }
}

/// What the tree is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Numbers worth watching, a line each.
    pub facts: Vec<String>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Prints what the tree is like; the status fails if anything is wrong.
///
/// # Errors
/// When the tree cannot be read.
pub fn run() -> Result<ExitCode> {
    let report = examine(root())?;
    for fact in &report.facts {
        println!("   {fact}");
    }
    for problem in &report.problems {
        eprintln!("{problem}");
    }
    Ok(match report.problems.len() {
        0 => ExitCode::SUCCESS,
        count => {
            eprintln!("tidy: {count} to put right");
            ExitCode::FAILURE
        }
    })
}

/// Checks the tree at `root`, the workspace that this was built from.
///
/// # Errors
/// When a file, or what cargo says of the workspace, cannot be read.
pub fn examine(root: &Path) -> Result<Report> {
    let tree = Tree::read(root)?;
    let packages = packages()?;
    let mut problems = Vec::new();
    let facts = form::check(&tree, &mut problems);
    words::check(&tree, &mut problems);
    rules::check(&tree, &mut problems);
    links::check(&tree, &mut problems);
    edges::check(&packages, &tree, &mut problems);
    documents::check(&tree, &mut problems);
    let problems = exceptions::apply(EXCEPTIONS, problems);
    Ok(Report { facts, problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let report = examine(root()).unwrap();
        let lines: Vec<String> = report.problems.iter().map(Problem::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}
