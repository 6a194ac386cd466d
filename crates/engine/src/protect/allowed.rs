//! Which leaves a change of permissions is possible for.

use blockmap_machine::{Pattern, VirtAddr};
use blockmap_vmsa::descriptor::Asids;
use blockmap_vmsa::{Change, Kind, Regime, bits};

use super::ProtectError;
use crate::space::Place;
use crate::{Platform, Space};

/// Who asks for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Somebody, who changes what nobody owns.
    Anybody,
    /// The owner of the leaves.
    Owner,
}

/// What a change found of the leaves that it made valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// None of them lets the privileged level execute, as far as leaves say.
    Never,
    /// One of them does. Of other changes than [`Change::Valid`] it says nothing.
    Possible,
}

impl Execution {
    /// What is true of both.
    pub(crate) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, Self::Never) => Self::Never,
            (Self::Possible, _) | (_, Self::Possible) => Self::Possible,
        }
    }
}

impl<P: Platform> Space<'_, P> {
    /// The entries that `change` is possible for as it is for `place`, which translates `at`. Those that
    /// become valid are executable at the privileged level if it is, or none is.
    #[inline]
    pub(crate) fn changeable(
        &self,
        place: &Place,
        at: VirtAddr,
        (change, asker): (Change, Asker),
    ) -> Result<Pattern, ProtectError> {
        let (regime, asids) = (self.geometry().regime(), self.platform().asids());
        let pattern = asked_by(asker, allowed(change, (regime, asids), place, at)?);
        if !pattern.matches(place.word) {
            return Err(ProtectError::Held(at));
        }
        let never = match change {
            Change::Valid => bits::privileged_execute_never(regime),
            Change::ReadOnly
            | Change::ReadWrite
            | Change::NoExecute
            | Change::Execute
            | Change::Invalid => 0,
        };
        let value = pattern.value | place.word & never;
        Ok(Pattern { mask: pattern.mask | never, value })
    }

    /// What was looked at in entries that match.
    #[inline]
    pub(crate) fn execution_of(&self, pattern: Pattern) -> Execution {
        let never = bits::privileged_execute_never(self.geometry().regime());
        if pattern.value & never == 0 { Execution::Possible } else { Execution::Never }
    }
}

/// Of entries that match, those that whoever asks may change: of anybody's, those that nobody owns.
#[inline]
const fn asked_by(asker: Asker, pattern: Pattern) -> Pattern {
    match asker {
        Asker::Anybody => Pattern { mask: pattern.mask | bits::HELD, ..pattern },
        Asker::Owner => pattern,
    }
}

/// The entries that `change` is possible for in the way it is for `place`, which translates `at`.
#[inline]
fn allowed(
    change: Change,
    (regime, asids): (Regime, Asids),
    place: &Place,
    at: VirtAddr,
) -> Result<Pattern, ProtectError> {
    let leaves = place.leaves_like().ok_or(ProtectError::NotMapped(at))?;
    let never = bits::privileged_execute_never(regime);
    let (right, right_mask, error) = match change {
        Change::Execute => {
            (bits::READ_ONLY, bits::READ_ONLY, ProtectError::WritableAndExecutable(at))
        }
        Change::ReadWrite => (never, never, ProtectError::WritableAndExecutable(at)),
        Change::Invalid | Change::Valid if place.kind == Kind::Leaf => {
            (asids.leaf_bit(), bits::NOT_GLOBAL, ProtectError::OtherAsids(at))
        }
        Change::ReadOnly | Change::NoExecute | Change::Invalid | Change::Valid => {
            (0, 0, ProtectError::NotMapped(at))
        }
    };
    let pattern = Pattern { mask: leaves.mask | right_mask, value: leaves.value | right };
    if pattern.matches(place.word) { Ok(pattern) } else { Err(error) }
}
