//! The list of faults: what is replaced by what, and which tests must notice.
//!
//! ```text
//! == name-of-the-fault
//! file  crates/engine/src/complete.rs
//! rule  complete-after-invalidate
//! tests verify:effects verify:timelines
//! -         machine.barrier(Barrier::DsbIsh);
//! +
//! ```
//!
//! Lines of `-` are the text that is replaced, which stands in the file once; lines of `+` are what
//! replaces it. Lines that begin with `#` and empty lines are passed over.

use anyhow::{Context, Result, bail};

/// A fault to seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    pub(crate) file: String,
    /// The rule that the fault breaks, if it breaks one that has a key.
    pub(crate) rule: Option<String>,
    tests: String,
    /// What must become of it if it is seeded to try the tests of it, and not the tree's.
    pub(crate) canary: Option<Canary>,
    pub(crate) old: String,
    pub(crate) new: String,
}

/// What must become of a fault that is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canary {
    /// No test can notice it.
    Survives,
    /// Its tests notice it.
    Noticed,
}

impl Mutant {
    /// The tests that must notice, each as `PACKAGE:TEST`.
    pub(crate) fn tests(&self) -> impl Iterator<Item = &str> {
        self.tests.split_whitespace()
    }

    fn check(self) -> Result<Self> {
        if self.file.is_empty() || self.tests.is_empty() || self.old.is_empty() {
            bail!("{} lacks file, tests or the text that is replaced", self.name);
        }
        Ok(self)
    }
}

/// Reads a list.
pub(crate) fn parse(text: &str) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    let mut current: Option<Mutant> = None;
    for (line, number) in text.lines().zip(1..) {
        if let Some(name) = line.strip_prefix("== ") {
            mutants.extend(current.take().map(Mutant::check).transpose()?);
            current = Some(Mutant { name: name.trim().to_owned(), ..Mutant::default() });
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            let mutant = current.as_mut().with_context(|| format!("line {number}: no name yet"))?;
            field(mutant, line).with_context(|| format!("line {number}"))?;
        }
    }
    mutants.extend(current.take().map(Mutant::check).transpose()?);
    Ok(mutants)
}

fn field(mutant: &mut Mutant, line: &str) -> Result<()> {
    let (key, value) = line.split_once(' ').unwrap_or((line, ""));
    match key {
        "file" => value.trim().clone_into(&mut mutant.file),
        "rule" => mutant.rule = Some(value.trim().to_owned()),
        "tests" => value.trim().clone_into(&mut mutant.tests),
        "canary" => {
            mutant.canary = Some(match value.trim() {
                "survives" => Canary::Survives,
                "noticed" => Canary::Noticed,
                other => bail!("a canary survives or is noticed, not `{other}`"),
            });
        }
        "-" => add_line(&mut mutant.old, value),
        "+" => add_line(&mut mutant.new, value),
        other => bail!("`{other}` is none of file, rule, canary, tests, - and +"),
    }
    Ok(())
}

fn add_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_what_is_replaced_by_what() {
        let text = "# all of them\n== one\nfile a.rs\nrule some-rule\ntests verify:effects vmsa:lib\n\
                    -     first;\n-     second;\n+     second;\n\n== two\nfile b.rs\ntests vmsa:lib\n- x\n";
        let mutants = parse(text).unwrap();
        assert_eq!(mutants.len(), 2);
        assert_eq!(mutants[0].old, "    first;\n    second;");
        assert_eq!(mutants[0].new, "    second;");
        assert_eq!(mutants[0].tests().collect::<Vec<_>>(), ["verify:effects", "vmsa:lib"]);
        assert_eq!((mutants[1].new.as_str(), &mutants[1].rule), ("", &None));
    }

    #[test]
    fn an_incomplete_list_is_refused() {
        assert!(parse("file a.rs").is_err());
        assert!(parse("== one\nfile a.rs\n- x").is_err());
        assert!(parse("== one\nfold a.rs").is_err());
        assert!(parse("== one\ncanary sings").is_err());
    }
}
