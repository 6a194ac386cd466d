//! Which package may name which, and why packages of others are named at all.

use super::tree::{TextFile, Tree};
use super::{Check, Problem};
use crate::workspace::Package;

/// What each of our packages may name, whatever for. Anything else needs a decision record first.
const MAY_NAME: [(&str, &[&str]); 17] = [
    ("blockmap-machine", &[]),
    ("blockmap-vmsa", &["blockmap-machine"]),
    ("blockmap-layout", &["blockmap-vmsa"]),
    ("blockmap-dump", &["blockmap-vmsa"]),
    ("blockmap", &["blockmap-machine", "blockmap-vmsa", "blockmap-layout", "blockmap-dump"]),
    ("blockmap-hw", &["blockmap-machine", "blockmap-vmsa"]),
    ("blockmap-model", &["blockmap-machine"]),
    ("blockmap-inspect", &["blockmap-vmsa", "blockmap-layout", "blockmap-dump"]),
    ("blockmap-verify", &[ANY]),
    ("blockmap-fuzz", &["blockmap", "blockmap-inspect", "blockmap-kernel", "blockmap-model"]),
    ("blockmap-bench", &["blockmap", "blockmap-inspect", "blockmap-model", "blockmap-verify"]),
    ("blockmap-kernel", &["blockmap", "blockmap-hw"]),
    ("blockmap-cli", &["blockmap-inspect", "blockmap-layout", "blockmap-dump", "blockmap-model"]),
    ("xtask", &[]),
    ("blockmap-guest", &[]),
    ("blockmap-module-greeter", &[]),
    ("blockmap-module-tables", &[]),
];

/// Stands for every package.
const ANY: &str = "*";

/// Checks every edge between our packages, and that each foreign dependency has its reason.
pub(super) fn check(packages: &[Package], tree: &Tree, problems: &mut Vec<Problem>) {
    for package in packages {
        check_edges(package, packages, problems);
        check_lints(package, tree, problems);
    }
    let ours: Vec<&str> = packages.iter().map(|package| &*package.name).collect();
    for file in &tree.files {
        if file.path.ends_with("Cargo.toml") {
            check_reasons(file, &ours, problems);
        }
    }
}

fn check_edges(package: &Package, packages: &[Package], problems: &mut Vec<Problem>) {
    let manifest = format!("{}/Cargo.toml", package.folder);
    let mut problem = |name: &str, what: String| {
        let place = format!("{manifest}:{name}");
        problems.push(Problem { check: Check::Edge, place, line: 0, measure: 1, what });
    };
    let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| package.name == *name) else {
        let what = "say in xtask's table of edges what this package may name".to_owned();
        return problem(&package.name, what);
    };
    for dependency in &package.dependencies {
        let is_ours = packages.iter().any(|ours| ours.name == *dependency);
        let is_allowed = allowed.contains(&ANY) || allowed.contains(&&**dependency);
        if is_ours && !is_allowed {
            problem(dependency, format!("{} may not name {dependency}", package.name));
        }
    }
}

/// Checks that a package is held to the workspace's lints.
fn check_lints(package: &Package, tree: &Tree, problems: &mut Vec<Problem>) {
    let place = format!("{}/Cargo.toml", package.folder);
    let manifest = tree.file(&place);
    if manifest.is_some_and(|file| !file.text.contains("\n[lints]\nworkspace = true\n")) {
        let what = "write `[lints]` and `workspace = true` in it".to_owned();
        problems.push(Problem { check: Check::Lints, place, line: 0, measure: 1, what });
    }
}

/// Checks that each foreign dependency stands under a comment, alone or with neighbours.
fn check_reasons(manifest: &TextFile, ours: &[&str], problems: &mut Vec<Problem>) {
    let mut is_dependencies = false;
    let mut has_reason = false;
    for (line, text) in (1..).zip(manifest.text.lines()) {
        let text = text.trim();
        if text.starts_with('[') {
            is_dependencies = text.trim_end_matches(']').ends_with("dependencies");
            has_reason = false;
        } else if text.is_empty() {
            has_reason = false;
        } else if text.starts_with('#') {
            has_reason = true;
        } else if let (true, Some(name)) = (is_dependencies, dependency(text)) {
            let is_explained = has_reason || text.contains(" # ");
            // One that the workspace names has its reason there.
            if !is_explained && !ours.contains(&name) && !text.contains("workspace = true") {
                let what = format!("say in a comment above it what {name} is for");
                let place = format!("{}:{name}", manifest.path);
                problems.push(Problem { check: Check::Reason, place, line, measure: 1, what });
            }
        }
    }
}

/// The name that a line of a dependency table begins with.
fn dependency(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    let name = name.trim().trim_end_matches(".workspace").trim_matches('"');
    let is_name =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    (is_name && !line.contains(".workspace")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            folder: name.to_owned(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            tests: Vec::new(),
        }
    }

    fn whats(packages: &[Package], manifest: &str) -> Vec<String> {
        let files = vec![TextFile::new("Cargo.toml".to_owned(), manifest.to_owned())];
        let mut problems = Vec::new();
        check(packages, &Tree { files, paths: Vec::new() }, &mut problems);
        problems.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn an_edge_that_the_table_lacks_is_found() {
        let machine = package("blockmap-machine", &[]);
        let vmsa = package("blockmap-vmsa", &["blockmap-machine", "thiserror"]);
        let layout = package("blockmap-layout", &["blockmap-vmsa", "blockmap-machine"]);
        let expected = ["blockmap-layout may not name blockmap-machine"];
        assert_eq!(whats(&[machine, vmsa, layout], ""), expected);
        assert_eq!(whats(&[package("new", &[])], "").len(), 1);
    }

    #[test]
    fn a_foreign_dependency_has_its_reason() {
        let good = "[dependencies]\n# For this.\na = \"1\"\nb = { version = \"1\" }\n\
                    c.workspace = true\n\nour = { path = \"our\" }\n";
        let mut packages = vec![package("xtask", &[])];
        assert_eq!(whats(&packages, good).len(), 1, "`our` is foreign here");
        packages.push(package("our", &[]));
        packages[1].name = "blockmap-verify".to_owned();
        let bad =
            "[package]\nname = \"a\"\n[dev-dependencies]\n# For this.\na = \"1\"\n\nb = \"1\"\n";
        assert_eq!(whats(&packages, bad), ["say in a comment above it what b is for"]);
    }
}
