//! A copy of the tree that faults are seeded in.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::list::Mutant;
use crate::loom;
use crate::workspace::{cargo, root, target_dir};

/// How long tests may take to notice a fault: a fault may well be an endless loop.
const PATIENCE: Duration = Duration::from_secs(600);

/// The copy.
pub(super) struct Tree {
    folder: PathBuf,
    target: PathBuf,
}

/// In which order the accesses of several CPUs are made in a test.
#[derive(Clone, Copy)]
enum Order {
    /// As it happens.
    Any,
    /// In every one, by loom.
    Every,
}

/// What the tests made of a fault.
pub(super) enum Outcome {
    /// This test failed.
    Noticed(String),
    /// The tests did not end.
    Hung,
    /// They passed.
    Survived,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noticed(test) => f.write_str(test),
            Self::Hung => f.write_str("(the tests did not end)"),
            Self::Survived => f.write_str("SURVIVED"),
        }
    }
}

impl Tree {
    /// Brings the copy up to date with the tree: the files that git knows of, as they are now.
    pub(super) fn copy() -> Result<Self> {
        let base = target_dir().join("blockmap/mutants");
        let tree = Self { folder: base.join("tree"), target: base.join("target") };
        let mut git = Command::new("git");
        git.current_dir(root()).args(["ls-files", "-z", "--cached", "--others"]);
        let output = git.arg("--exclude-standard").output().context("cannot run git")?;
        let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
        let names: BTreeSet<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
        tree.remove_others(&tree.folder, &names)?;
        for name in names {
            let (from, to) = (root().join(name), tree.folder.join(name));
            let Ok(content) = fs::read(&from) else { continue };
            // Files that are the same keep their time, so that cargo need not build them again.
            if fs::read(&to).is_ok_and(|old| old == content) {
                continue;
            }
            let parent = to.parent().unwrap_or(&tree.folder);
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
            fs::write(&to, content).with_context(|| to.display().to_string())?;
        }
        Ok(tree)
    }

    /// Removes the files below `folder` that the tree no longer has.
    fn remove_others(&self, folder: &Path, names: &BTreeSet<&str>) -> Result<()> {
        let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
        for entry in entries {
            let path = entry?.path();
            let name = path.strip_prefix(&self.folder)?.to_string_lossy().into_owned();
            if path.is_dir() {
                self.remove_others(&path, names)?;
            } else if !names.contains(name.as_str()) || !root().join(&name).exists() {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }

    /// Seeds a fault, runs its tests, and takes the fault out again.
    pub(super) fn with_fault(&self, mutant: &Mutant) -> Result<Outcome> {
        let path = self.folder.join(&mutant.file);
        let sound = fs::read_to_string(&path).with_context(|| mutant.file.clone())?;
        if sound.matches(&mutant.old).count() != 1 {
            bail!("{}: the text that it replaces is not in {} once", mutant.name, mutant.file);
        }
        fs::write(&path, sound.replacen(&mutant.old, &mutant.new, 1))?;
        let tests: Vec<&str> = mutant.tests().collect();
        let outcome = self.test(&tests).with_context(|| mutant.name.clone());
        fs::write(&path, sound)?;
        outcome
    }

    /// Runs tests named `PACKAGE:TEST`, up to the first that notices something.
    pub(super) fn test(&self, tests: &[&str]) -> Result<Outcome> {
        for test in tests {
            let (package, name) = test.split_once(':').context("tests are PACKAGE:TEST")?;
            let package = match package {
                "engine" => "blockmap".to_owned(),
                other => format!("blockmap-{other}"),
            };
            let which = if name == "lib" { vec!["--lib"] } else { vec!["--test", name] };
            let arguments = [&["test", "--quiet", "--package", &package], &which[..]].concat();
            let order = if name == "loom" { Order::Every } else { Order::Any };
            self.compile(order, &arguments)?;
            match self.run(order, &arguments)? {
                Outcome::Survived => {}
                noticed @ (Outcome::Noticed(_) | Outcome::Hung) => return Ok(noticed),
            }
        }
        Ok(Outcome::Survived)
    }

    /// A fault that does not compile is none.
    fn compile(&self, order: Order, arguments: &[&str]) -> Result<()> {
        let output = self.cargo(order).args(arguments).arg("--no-run").output()?;
        if !output.status.success() {
            bail!("does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn run(&self, order: Order, arguments: &[&str]) -> Result<Outcome> {
        let log = self.target.join("last-test.txt");
        let file = fs::File::create(&log)?;
        let mut command = self.cargo(order);
        command.args(arguments).stdout(file.try_clone()?).stderr(file).stdin(Stdio::null());
        let mut child = command.spawn()?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if start.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Ok(Outcome::Hung);
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if status.success() {
            return Ok(Outcome::Survived);
        }
        Ok(Outcome::Noticed(failed_test(&fs::read_to_string(&log)?)))
    }

    fn cargo(&self, order: Order) -> Command {
        let mut cargo = cargo();
        cargo.current_dir(&self.folder).env("CARGO_TARGET_DIR", &self.target);
        // A fault that only ever shows in thousands of cases is one for a test of its own.
        cargo.env("PROPTEST_CASES", "128").env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
        cargo.env("RUST_BACKTRACE", "0");
        match order {
            Order::Any => {}
            Order::Every => {
                loom::on_its_atomics(&mut cargo);
                cargo.env("CARGO_TARGET_DIR", self.target.join("loom"));
            }
        }
        cargo
    }
}

/// The first test that a log says has failed.
fn failed_test(log: &str) -> String {
    let heading = |line: &str| {
        let name = line.strip_prefix("---- ")?.strip_suffix(" stdout ----")?;
        Some(name.to_owned())
    };
    log.lines().find_map(heading).unwrap_or_else(|| "(the test program ended early)".to_owned())
}
