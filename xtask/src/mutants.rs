//! `cargo xtask mutants`: seeds known faults, one at a time, and checks that a test notices each.
//!
//! The faults are in `crates/verify/mutants.txt`. They are seeded in a copy of the tree, so that the
//! tree itself is never wrong; the copy is kept, which makes the next run faster.

pub(crate) mod list;
mod tree;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::workspace::root;
use list::{Canary, Mutant};
use tree::{Outcome, Tree};

/// Which faults to seed.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Only mutants whose name contains one of these.
    #[arg(value_name = "PART")]
    pub only: Vec<String>,
}

/// Where the list is, from the top folder.
const LIST: &str = "crates/verify/mutants.txt";

/// Seeds the faults and prints, for each, the test that noticed it.
///
/// # Errors
/// When the list can't be read or doesn't fit the tree, or the tests fail without any fault.
pub fn run(options: &Options) -> Result<ExitCode> {
    let text = fs::read_to_string(root().join(LIST)).with_context(|| format!("no {LIST}"))?;
    let mut mutants = list::parse(&text).with_context(|| LIST.to_owned())?;
    let canaries: Vec<Mutant> = mutants.extract_if(.., |mutant| mutant.canary.is_some()).collect();
    if !options.only.is_empty() {
        mutants.retain(|mutant| options.only.iter().any(|part| mutant.name.contains(part)));
    }
    if mutants.is_empty() {
        bail!("no mutant has a name like that; see {LIST}");
    }
    let tree = Tree::copy()?;
    sing(&tree, &canaries)?;
    healthy(&tree, &mutants)?;
    let mut survivors = 0;
    println!("{:<44} {:<28} noticed by", "mutant", "rule");
    for mutant in &mutants {
        let outcome = tree.with_fault(mutant)?;
        survivors += usize::from(matches!(outcome, Outcome::Survived));
        println!("{:<44} {:<28} {outcome}", mutant.name, mutant.rule.as_deref().unwrap_or("-"));
    }
    println!("{} mutants, {survivors} survived", mutants.len());
    Ok(if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks that faults are told from what is none: one that no test can notice survives, and one that
/// is known to be noticed is.
fn sing(tree: &Tree, canaries: &[Mutant]) -> Result<()> {
    for known in [Canary::Survives, Canary::Noticed] {
        let canary = canaries.iter().find(|mutant| mutant.canary == Some(known));
        let canary = canary.with_context(|| format!("{LIST} has no canary for {known:?}"))?;
        let outcome = tree.with_fault(canary)?;
        match (known, &outcome) {
            (Canary::Survives, Outcome::Survived) | (Canary::Noticed, Outcome::Noticed(_)) => {
                println!("{:<44} {:<28} {outcome}, as it must", canary.name, "(canary)");
            }
            (Canary::Survives | Canary::Noticed, _) => {
                bail!("{}: {outcome}: the outcomes of this command mean nothing", canary.name);
            }
        }
    }
    Ok(())
}

/// Checks that the tests pass while nothing is wrong: else they would notice anything.
fn healthy(tree: &Tree, mutants: &[Mutant]) -> Result<()> {
    let mut tests: Vec<&str> = mutants.iter().flat_map(Mutant::tests).collect();
    tests.sort_unstable();
    tests.dedup();
    match tree.test(&tests)? {
        Outcome::Survived => Ok(()),
        Outcome::Noticed(test) => bail!("{test} fails without any fault"),
        Outcome::Hung => bail!("the tests hang without any fault"),
    }
}
