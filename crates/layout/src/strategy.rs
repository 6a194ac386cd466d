//! How the sizes of live leaves change, as a pure function of the CPUs and the command line.
//!
//! | `size-change=` | all Quiet | some not | not final, a second CPU admitted |
//! |---|---|---|---|
//! | `auto` | live | all others parked | all others parked |
//! | `live` | live | kept off, but for the boot CPU: sizes never change | live |
//! | `quiesce` | all others parked | all others parked | all others parked |
//! | `never` | live | sizes never change | all others parked, if the boot CPU is Quiet |
//!
//! Before the answer is final nobody knows what the next CPU will be. Whoever is there already is
//! parked for each change until then, so a permission can change at every moment of a boot.

use core::str::FromStr;

use blockmap_vmsa::Leaves;
use blockmap_vmsa::cpu::SizeChange;
use thiserror::Error;

use crate::policy::{Inputs, decide};

/// How the sizes of live leaves change, on every CPU that was admitted. Painting, splitting,
/// collapsing and memory that is added later all ask this, and so does the admission of a CPU that
/// comes late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// In place, while every CPU uses them: no CPU aborts or needs the old leaf broken first.
    Live,
    /// With all other CPUs parked where they can't see the change.
    Quiesce,
    /// Never: leaves keep the size they were painted with.
    Pages,
}

/// The command line's `size-change=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum SizeChoice {
    /// Live where every CPU is quiet, with all others parked where not.
    #[default]
    Auto,
    /// Live or not at all: a CPU that is not quiet is not admitted.
    Live,
    /// With all others parked, even where every CPU is quiet.
    Quiesce,
    /// Live where every CPU is quiet, not at all where not: what Linux does. The map is painted in
    /// pages then, or repainted once a CPU that is not quiet has come.
    Never,
}

/// A text is no value of `size-change=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("size-change= takes auto, live, quiesce or never")]
pub struct SizeChoiceError;

/// The CPUs that use the tables: what a strategy follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Admitted {
    /// What happens on the boot CPU when a live leaf changes its size.
    pub boot: SizeChange,
    /// The least of what happens on the others; `None` while there are none.
    pub others: Option<SizeChange>,
    /// Whether more are expected.
    pub answer: Answer,
}

/// Whether all CPUs that were announced have been heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Some have not reported yet, and may still come.
    Open,
    /// All have reported, or are known not to come. A CPU that comes late makes it no less final.
    Final,
}

/// A CPU that the command line keeps off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "live size changes are {0:?} on it, and size-change=live admits Quiet CPUs only: it stays off \
     (size-change=auto would admit it)"
)]
pub struct KeptOff(pub SizeChange);

/// What becomes of a painted map under a strategy that it was not painted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repaint {
    /// It stays.
    Nothing,
    /// Its blocks become pages, with all other CPUs parked: nothing can be split from then on.
    ToPages,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 3] = [Self::Live, Self::Quiesce, Self::Pages];

    /// The strategy of a system with these CPUs. [size-change-by-cpu]
    ///
    /// It is asked before a CPU is admitted, as if it were, and the strategy is in force before it
    /// is.
    #[must_use]
    pub fn of(choice: SizeChoice, cpus: Admitted) -> Self {
        let all = cpus.others.map_or(cpus.boot, |others| others.min(cpus.boot));
        let is_quiet = all == SizeChange::Quiet;
        let is_settled = cpus.answer == Answer::Final || cpus.others.is_none();
        match choice {
            SizeChoice::Live if is_quiet => Self::Live,
            SizeChoice::Auto | SizeChoice::Never if is_quiet && is_settled => Self::Live,
            SizeChoice::Auto | SizeChoice::Quiesce => Self::Quiesce,
            SizeChoice::Never if cpus.boot == SizeChange::Quiet && !is_settled => Self::Quiesce,
            SizeChoice::Live | SizeChoice::Never => Self::Pages,
        }
    }

    /// What this strategy makes of a map that was painted with `painted`; `inputs` are those it
    /// was decided from.
    #[must_use]
    #[doc(alias = "linear_map_maybe_split_to_ptes")]
    pub const fn repaint(self, painted: Leaves, inputs: Inputs) -> Repaint {
        match (painted, decide(Inputs { strategy: self, ..inputs }).leaves) {
            (Leaves::Largest, Leaves::Pages) => Repaint::ToPages,
            (Leaves::Largest | Leaves::Pages, Leaves::Largest) | (Leaves::Pages, Leaves::Pages) => {
                Repaint::Nothing
            }
        }
    }
}

impl SizeChoice {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Live, Self::Quiesce, Self::Never];

    /// The value as it stands after `size-change=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Live => "live",
            Self::Quiesce => "quiesce",
            Self::Never => "never",
        }
    }

    /// Whether a CPU other than the boot CPU may use the tables on which this happens when a live
    /// leaf changes its size.
    ///
    /// # Errors
    /// [`KeptOff`]: it never gets to use them.
    pub const fn admits(self, size_change: SizeChange) -> Result<(), KeptOff> {
        match (self, size_change) {
            (Self::Live, SizeChange::NeedsBreak | SizeChange::MayAbort) => {
                Err(KeptOff(size_change))
            }
            (Self::Live, SizeChange::Quiet) | (Self::Auto | Self::Quiesce | Self::Never, _) => {
                Ok(())
            }
        }
    }
}

impl FromStr for SizeChoice {
    type Err = SizeChoiceError;

    fn from_str(text: &str) -> Result<Self, SizeChoiceError> {
        Self::ALL.into_iter().find(|value| value.name() == text).ok_or(SizeChoiceError)
    }
}

#[cfg(test)]
mod tests;
