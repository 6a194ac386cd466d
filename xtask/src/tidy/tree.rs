//! The tree's text files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::source::Source;

/// What is not the project's text: built things, and what git keeps.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// Name endings of files that are read; scripts without one are too.
const READ: [&str; 9] = ["rs", "S", "ld", "md", "toml", "sh", "txt", "trace", ""];

/// One text file.
pub(super) struct TextFile {
    /// Its path from the top folder, with `/` between the parts.
    pub(super) path: String,
    pub(super) text: String,
    /// Its code and comments, if it has any.
    pub(super) source: Source,
}

impl TextFile {
    pub(super) fn new(path: String, text: String) -> Self {
        let source = if is_code(&path) { Source::read(&text) } else { Source::default() };
        Self { path, text, source }
    }

    pub(super) fn is_rust(&self) -> bool {
        ending(&self.path) == "rs"
    }

    pub(super) fn is_code(&self) -> bool {
        is_code(&self.path)
    }

    pub(super) fn is_prose(&self) -> bool {
        ending(&self.path) == "md"
    }

    /// Whether all of it is tests.
    pub(super) fn is_tests(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.split('/').any(|part| part == "tests")
    }
}

fn is_code(path: &str) -> bool {
    ["rs", "S", "ld"].contains(&ending(path))
}

/// What stands behind the last dot of a file's name.
fn ending(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// All of them, and every path there is.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: Vec<TextFile>,
    /// Every file and folder, text or not; folders end with `/`.
    pub(super) paths: Vec<String>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        tree.paths.sort();
        Ok(tree)
    }

    pub(super) fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> Result<()> {
        let absolute = root.join(folder);
        let entries = fs::read_dir(&absolute)
            .with_context(|| format!("cannot read {}", absolute.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}{name}");
            if entry.file_type()?.is_dir() {
                if !LEFT_OUT.contains(&name.as_str()) {
                    self.paths.push(format!("{path}/"));
                    self.read_folder(root, &format!("{path}/"))?;
                }
                continue;
            }
            if READ.contains(&ending(&path)) {
                let text = fs::read_to_string(entry.path())
                    .with_context(|| format!("cannot read {path}"))?;
                self.files.push(TextFile::new(path.clone(), text));
            }
            self.paths.push(path);
        }
        Ok(())
    }
}
