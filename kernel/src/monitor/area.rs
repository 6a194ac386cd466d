//! What areas of memory are asked to do.

use blockmap::ViewChange;
use blockmap::vmsa::{Change, Leaves};

use super::parse::{Operands, Wrong, change_named};

/// What becomes of the rights of an area that is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// Its aliases have all their rights, or it is not freed.
    AsItIs,
    /// Its aliases are given all their rights back.
    Reset,
}

/// What becomes of a part of the linear map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    /// Every access faults.
    Invalid,
    /// The same once TLBs are told, by `purge`.
    Later,
    /// Loads and stores work.
    Default,
    /// What was invalid is what it was.
    Valid,
}

/// What becomes of a part of the linear map that is somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carve {
    /// It is taken.
    Take,
    /// It is given back as it was.
    Free,
    /// Its owner changes what it grants.
    Change(Change),
}

impl<'a, W: Iterator<Item = &'a str>> Operands<'_, W> {
    pub(super) fn mapped(&mut self) -> Result<Leaves, Wrong<'a>> {
        self.next(|word| (word == "pages").then_some(Leaves::Pages), Some(Leaves::Largest))
    }

    pub(super) fn freed(&mut self) -> Result<Freed, Wrong<'a>> {
        self.next(|word| (word == "reset").then_some(Freed::Reset), Some(Freed::AsItIs))
    }

    pub(super) fn rights(&mut self) -> Result<ViewChange, Wrong<'a>> {
        let named = |word: &str| match word {
            "ro" => Some(ViewChange::ReadOnly),
            "rw" => Some(ViewChange::ReadWrite),
            "x" => Some(ViewChange::Execute),
            "nx" => Some(ViewChange::NoExecute),
            "rox" => Some(ViewChange::ReadOnlyExecute),
            "invalid" => Some(ViewChange::Invalid),
            "valid" => Some(ViewChange::Valid),
            _ => None,
        };
        self.next(named, None)
    }

    pub(super) fn carve(&mut self) -> Result<Carve, Wrong<'a>> {
        let named = |word: &str| match word {
            "take" => Some(Carve::Take),
            "free" => Some(Carve::Free),
            word => change_named(word).map(Carve::Change),
        };
        self.next(named, None)
    }

    pub(super) fn direct(&mut self) -> Result<Direct, Wrong<'a>> {
        let named = |word: &str| match word {
            "invalid" => Some(Direct::Invalid),
            "later" => Some(Direct::Later),
            "default" => Some(Direct::Default),
            "valid" => Some(Direct::Valid),
            _ => None,
        };
        self.next(named, None)
    }
}
