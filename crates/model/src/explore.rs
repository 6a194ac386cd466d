//! Everything that hardware may do with a program, tried.
//!
//! The state is: what memory holds that walkers read; of each CPU the stores that are not visible
//! yet, the invalidations that have not taken effect, the translations that its TLB could hold, the
//! ones that its pipeline could still use, the roots that its walks could start from; and which
//! locks, counters and intents there are. A transition is a step of a CPU, one store becoming
//! visible, or one invalidation taking effect on one CPU. Every state that can be reached is
//! visited once, and checked.
//!
//! Three reductions make this small, and are argued for in `REDUCTIONS.md`: TLBs are *collecting*
//! ([`Tlb::Collecting`]), addresses are explored one by one or in pairs ([`Slices`]), and an
//! invalidation takes effect late where nothing could be gained by its being early.

mod change;
mod check;
mod close;
mod project;
mod run;
mod slice;
mod state;
mod stores;
mod why;

use blockmap_machine::VirtAddr;
use thiserror::Error;

use crate::program::Program;
use crate::replay::judge_end;
use crate::verdict::Verdict;

/// Which addresses are explored together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slices {
    /// The first and last entries of every effect and intent, and their neighbours.
    Edges,
    /// Every entry that an effect writes.
    Each,
    /// As [`Slices::Each`], and every pair of entries of a contiguous run.
    Pairs,
    /// All of [`Slices::Edges`] at once: for programs that touch a few entries.
    Whole,
}

/// What is kept of a TLB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tlb {
    /// All it could hold.
    Collecting,
    /// One of the sets it could hold; every one is tried.
    Subsets,
}

/// How to explore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which addresses together.
    pub slices: Slices,
    /// What of TLBs.
    pub tlb: Tlb,
    /// How many states a slice may have.
    pub most_states: usize,
}

impl Options {
    /// Edges, collecting TLBs, a million states a slice.
    pub const QUICK: Self =
        Self { slices: Slices::Edges, tlb: Tlb::Collecting, most_states: 1_000_000 };
}

/// What was explored, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many slices there were.
    pub slices: usize,
    /// How many states were visited.
    pub states: usize,
    /// How many transitions were taken.
    pub transitions: usize,
    /// What is wrong, the first wrong effect first; of each rule the first verdict.
    pub verdicts: Vec<Verdict>,
}

/// Why a program was not explored to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExploreError {
    /// A slice has more states than were allowed.
    #[error("the slice at {0} has too many states: allow more, or explore fewer CPUs at once")]
    TooManyStates(VirtAddr),
    /// A slice has more translations than a set of them holds.
    #[error("the slice at {0} has more than 256 translations: explore fewer addresses at once")]
    TooManyTranslations(VirtAddr),
    /// More than 64 addresses in a slice.
    #[error("more than 64 addresses at once: explore slices")]
    TooManyAddresses,
}

/// Explores a program.
///
/// # Errors
/// [`ExploreError`]; nothing is known of the program then.
pub fn explore(program: &Program, options: Options) -> Result<Report, ExploreError> {
    let mut report = Report::default();
    let mut found: Vec<((usize, usize), Verdict)> = Vec::new();
    for addresses in slice::slices(program, options.slices) {
        if addresses.len() > 64 {
            return Err(ExploreError::TooManyAddresses);
        }
        let slice = project::Projected::new(program, &addresses);
        let explored = run::run(&slice, options)?;
        report.slices += 1;
        report.states += explored.states;
        report.transitions += explored.transitions;
        for (rank, verdict) in explored.verdicts {
            keep_first(&mut found, rank, verdict);
        }
    }
    found.sort_by_key(|(rank, verdict)| (*rank, verdict.rule));
    report.verdicts = found.into_iter().map(|(_, verdict)| verdict).collect();
    if report.verdicts.is_empty() {
        report.verdicts = judge_end(program);
    }
    Ok(report)
}

/// Keeps the verdict if it is the first of its rule.
fn keep_first(found: &mut Vec<((usize, usize), Verdict)>, rank: (usize, usize), verdict: Verdict) {
    let key = |rank: (usize, usize), verdict: &Verdict| (rank, verdict.cpu, verdict.address);
    match found.iter_mut().find(|(_, other)| other.rule == verdict.rule) {
        Some(known) if key(known.0, &known.1) <= key(rank, &verdict) => {}
        Some(known) => *known = (rank, verdict),
        None => found.push((rank, verdict)),
    }
}

#[cfg(test)]
mod tests;
