//! Blocks or pages: the one decision that shapes the linear map, as a pure function.

use core::fmt;

use blockmap_vmsa::Leaves;

use crate::rodata::Rodata;
use crate::strategy::Strategy;

/// Whether free pages are taken out of the linear map one by one, to catch stray accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DebugPagealloc {
    /// They are, from any context, atomic ones included.
    On,
    /// They stay mapped.
    #[default]
    Off,
}

/// Whether a guard pool (KFENCE), whose pages change one by one from any context, may still be
/// placed in the linear map after it was painted. A pool placed before painting has pages of its
/// own and asks for nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[doc(alias = "KFENCE")]
pub enum LateGuard {
    /// It may.
    Possible,
    /// There is none, or it has its place already.
    #[default]
    Never,
}

/// Whose memory this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum World {
    /// Nobody asks to share single pages.
    #[default]
    Ordinary,
    /// A Realm: single pages become shared with the host, and private again.
    #[doc(alias = "CCA")]
    Realm,
}

/// Everything the decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inputs {
    /// The command line's `rodata=`.
    pub rodata: Rodata,
    /// The command line's `debug_pagealloc=`.
    pub debug_pagealloc: DebugPagealloc,
    /// Whether a guard pool may come late.
    pub late_guard: LateGuard,
    /// Whether this is a Realm.
    pub world: World,
    /// How the sizes of live leaves change.
    pub strategy: Strategy,
}

/// What the linear map is painted with, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// The leaves.
    pub leaves: Leaves,
    /// The reason that decided.
    pub why: Why,
}

/// Why the linear map is painted as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Pages: free pages come and go in atomic context, where nothing can be split.
    DebugPagealloc,
    /// Blocks: they are split while every CPU uses them.
    SplitLive,
    /// Blocks: they are split while all other CPUs are parked.
    SplitParked,
    /// Pages: no leaf can be split, and `rodata=on` changes single pages.
    Rodata,
    /// Pages: no leaf can be split, and a guard pool may come late.
    LateGuard,
    /// Pages: no leaf can be split, and a Realm shares single pages.
    Realm,
    /// Blocks: no leaf can be split, and nobody asks for it.
    NothingChanges,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DebugPagealloc => "debug_pagealloc changes single pages in atomic context",
            Self::SplitLive => "every CPU changes the sizes of live leaves quietly",
            Self::SplitParked => "sizes change while all other CPUs are parked",
            Self::Rodata => "rodata=on changes single pages, and sizes cannot change",
            Self::LateGuard => "a guard pool may come late, and sizes cannot change",
            Self::Realm => "a Realm shares single pages, and sizes cannot change",
            Self::NothingChanges => "sizes cannot change, and nobody changes single pages",
        })
    }
}

/// Decides what the linear map is painted with. Memory that is added later asks again.
#[must_use]
#[doc(alias = "force_pte_mapping")]
pub const fn decide(inputs: Inputs) -> Decision {
    let why = match inputs {
        Inputs { debug_pagealloc: DebugPagealloc::On, .. } => Why::DebugPagealloc,
        Inputs { strategy: Strategy::Live, .. } => Why::SplitLive,
        Inputs { strategy: Strategy::Quiesce, .. } => Why::SplitParked,
        Inputs { rodata: Rodata::On, .. } => Why::Rodata,
        Inputs { late_guard: LateGuard::Possible, .. } => Why::LateGuard,
        Inputs { world: World::Realm, .. } => Why::Realm,
        Inputs {
            debug_pagealloc: DebugPagealloc::Off,
            strategy: Strategy::Pages,
            rodata: Rodata::NoAlias | Rodata::Off,
            late_guard: LateGuard::Never,
            world: World::Ordinary,
        } => Why::NothingChanges,
    };
    let leaves = match why {
        Why::SplitLive | Why::SplitParked | Why::NothingChanges => Leaves::Largest,
        Why::DebugPagealloc | Why::Rodata | Why::LateGuard | Why::Realm => Leaves::Pages,
    };
    Decision { leaves, why }
}

#[cfg(test)]
mod tests;
