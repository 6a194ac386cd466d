//! What a leaf grants, as closed choices, and changes to it, as masks.

use crate::descriptor::Asids;
use crate::{Regime, bits};

/// What privileged software may do with a leaf's memory. The unprivileged level gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Loads.
    ReadOnly,
    /// Loads and stores.
    ReadWrite,
    /// Loads and instruction fetches.
    ReadExecute,
    /// Everything: what `rodata=off` asks for, and nothing else should.
    ReadWriteExecute,
}

/// A leaf's memory type: an index into the eight attributes of `MAIR_ELx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "AttrIndx")]
pub struct MemoryIndex(u8);

impl MemoryIndex {
    /// The index `value`, from 0 to 7, or `None`.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value < 8 { Some(Self(value)) } else { None }
    }

    /// The index in a leaf's AttrIndx field.
    #[inline]
    pub(crate) const fn of_leaf(word: u64) -> Self {
        let [low, ..] = word.to_le_bytes();
        Self(low >> 2 & 0b111)
    }

    /// The index as a number from 0 to 7.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

/// Who else sees a coherent view of the memory. With LPA2 it is `TCR_ELx.SHn`'s to say, not a
/// leaf's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shareability {
    /// This CPU alone.
    Non,
    /// Everyone.
    Outer,
    /// The CPUs that share this kernel.
    Inner,
}

/// Everything a mapping says of its memory besides where it is.
///
/// The leaves made of it are global, unprivileged-inaccessible and have their access flag set;
/// dirty state is not managed by hardware, so no bit of them ever changes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// The memory type.
    pub memory: MemoryIndex,
    /// The shareability.
    pub shareability: Shareability,
    /// The permissions.
    pub access: Access,
}

/// A change of what existing leaves grant. It never changes where they lead or how large they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Stores fault; execution stays as it is.
    #[doc(alias = "set_memory_ro")]
    ReadOnly,
    /// Stores work; execution stays as it is.
    #[doc(alias = "set_memory_rw")]
    ReadWrite,
    /// Privileged instruction fetches fault; stores stay as they are.
    #[doc(alias = "set_memory_nx")]
    NoExecute,
    /// Privileged instruction fetches work; stores stay as they are.
    #[doc(alias = "set_memory_x")]
    Execute,
    /// Every access faults; the entry remembers what it was (Linux's present-but-invalid).
    #[doc(alias = "set_direct_map_invalid_noflush")]
    Invalid,
    /// Undoes [`Change::Invalid`].
    #[doc(alias = "set_direct_map_default_noflush")]
    Valid,
}

/// Bits to clear in an entry, then bits to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Masks {
    /// Cleared first.
    pub clear: u64,
    /// Set after that.
    pub set: u64,
}

impl Masks {
    /// The entry's new value.
    #[inline]
    #[must_use]
    pub const fn apply(self, word: u64) -> u64 {
        word & !self.clear | self.set
    }
}

impl Change {
    /// Every change.
    pub const ALL: [Self; 6] = [
        Self::ReadOnly,
        Self::ReadWrite,
        Self::NoExecute,
        Self::Execute,
        Self::Invalid,
        Self::Valid,
    ];

    /// The bits of a leaf that this change clears and sets in `regime`.
    ///
    /// [`Change::Valid`] clears bit 11, which an invalid leaf uses to say that it is present and a
    /// valid one to say that it is not global: the leaves of a kernel's map are global, where they
    /// aren't ([`Change::masks_of`]).
    #[inline]
    #[must_use]
    pub const fn masks(self, regime: Regime) -> Masks {
        let never = bits::privileged_execute_never(regime);
        match self {
            Self::ReadOnly => Masks { clear: 0, set: bits::READ_ONLY },
            Self::ReadWrite => Masks { clear: bits::READ_ONLY, set: 0 },
            Self::NoExecute => Masks { clear: 0, set: never },
            Self::Execute => Masks { clear: never, set: 0 },
            Self::Invalid => Masks { clear: bits::VALID, set: bits::PRESENT },
            Self::Valid => Masks { clear: bits::PRESENT, set: bits::VALID },
        }
    }

    /// As [`Change::masks`], of a map whose leaves belong to these ASIDs: where it is to one, bit 11 says
    /// the same of a leaf before and after it is [`Change::Valid`] again.
    #[inline]
    #[must_use]
    pub const fn masks_of(self, regime: Regime, asids: Asids) -> Masks {
        let masks = self.masks(regime);
        match (self, asids) {
            (Self::Valid, Asids::One) => Masks { clear: 0, ..masks },
            (Self::Valid, Asids::Every)
            | (
                Self::ReadOnly | Self::ReadWrite | Self::NoExecute | Self::Execute | Self::Invalid,
                _,
            ) => masks,
        }
    }

    /// Whether a TLB may hold what the change takes away or refuses, so that it has to be
    /// invalidated. Only entries that were invalid are never cached. [invalid-is-never-cached]
    #[inline]
    #[must_use]
    pub const fn needs_invalidation(self) -> bool {
        !matches!(self, Self::Valid)
    }
}
