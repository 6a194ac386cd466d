//! What areas of memory are asked to do.

use blockmap::ViewChange;
use blockmap::vmsa::Leaves;

use super::parse::{Operands, Wrong};

/// What becomes of the rights of an area that is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// Its aliases have all their rights, or it is not freed.
    AsItIs,
    /// Its aliases are given all their rights back.
    Reset,
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
}
