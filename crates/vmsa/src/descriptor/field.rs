//! The fields of descriptors that take few values, one type each.

use crate::bits;
use crate::{Regime, Shareability};

macro_rules! one_bit {
    ($(
        $(#[$doc:meta])*
        $name:ident {
            $(#[$doc_clear:meta])* $clear:ident,
            $(#[$doc_set:meta])* $set:ident,
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[$doc_clear])* $clear,
            $(#[$doc_set])* $set,
        }

        impl $name {
            /// What `bit` of `word` says.
            pub(super) const fn of(word: u64, bit: u64) -> Self {
                if word & bit == 0 { Self::$clear } else { Self::$set }
            }

            /// `bit` if the field says so, otherwise zero.
            pub(super) const fn bits(self, bit: u64) -> u64 {
                match self {
                    Self::$clear => 0,
                    Self::$set => bit,
                }
            }
        }
    )*};
}

one_bit! {
    /// Bit 0 of a leaf.
    Validity {
        /// Clear, but bit 11 marks the rest as meant: the walk faults.
        PresentInvalid,
        /// Set.
        Valid,
    }

    /// NS and NSTable: which physical address space. A walk from Non-secure state ignores them.
    OutputSpace {
        /// That of the regime's own security state.
        Own,
        /// Non-secure.
        NonSecure,
    }

    /// AP\[2\] and APTable\[1\]: whether stores are permitted.
    Stores {
        /// They are, by this descriptor.
        Allowed,
        /// They fault, for every exception level; in a table, for everything below it.
        Denied,
    }

    /// AP\[1\]: whether the unprivileged level may do with a leaf's memory what the privileged one
    /// may. In a regime with a single level the bit is RES1. APTable\[0\] is its opposite.
    Unprivileged {
        /// It may not.
        Denied,
        /// It may.
        Allowed,
    }

    /// The access flag. In a table it exists with FEAT_HAFT and is ignored otherwise.
    AccessFlag {
        /// A leaf faults, or hardware sets the flag; it is in no TLB.
        Clear,
        /// The leaf may be used.
        Set,
    }

    /// nG: which ASIDs a leaf belongs to.
    Asids {
        /// All: the leaf is global.
        Every,
        /// The current one.
        One,
    }

    /// nT of a block: software's promise during a size change (FEAT_BBM level 1).
    BlockCaching {
        /// As usual.
        Usual,
        /// The block is not cached so that it could conflict with entries of other sizes.
        NoTranslation,
    }

    /// GP: which instructions an indirect branch may land on (FEAT_BTI).
    BranchTargets {
        /// Any.
        Any,
        /// Landing pads only: a guarded page.
        Guarded,
    }

    /// DBM: whether hardware turns a read-only leaf writable at the first store (FEAT_HAFDBS, and
    /// only where `TCR_ELx.HD` is set).
    DirtyTracking {
        /// It doesn't.
        BySoftware,
        /// It does.
        ByHardware,
    }

    /// The Contiguous bit.
    Contiguity {
        /// The leaf stands for itself.
        Single,
        /// It is one of a run that a TLB may hold as a single entry.
        Run,
    }

    /// A bit without meaning.
    Bit {
        /// 0.
        Clear,
        /// 1.
        Set,
    }
}

/// Who may execute: UXN and PXN, or XN. In a table, who is not kept from it below.
///
/// Memory that the unprivileged level can write is never executable by the privileged one,
/// whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Execution {
    /// Every level of the regime.
    Everyone,
    /// The unprivileged level (PXN set). Not in a regime with a single level.
    UnprivilegedOnly,
    /// The privileged level (UXN set). Not in a regime with a single level.
    PrivilegedOnly,
    /// Nobody.
    Nobody,
}

impl Asids {
    /// Bit 11 of a valid leaf. A leaf of the current ASID has it.
    #[inline]
    #[must_use]
    pub const fn leaf_bit(self) -> u64 {
        self.bits(bits::NOT_GLOBAL)
    }
}

impl Execution {
    /// What two bits say: `never` keeps the unprivileged level from executing, or the only one;
    /// `privileged` the other one.
    pub(super) const fn of(regime: Regime, word: u64, never: u64, privileged: u64) -> Self {
        let has_two = regime.has_unprivileged();
        match (word & never != 0, word & privileged != 0) {
            (false, true) if has_two => Self::UnprivilegedOnly,
            (true, false) if has_two => Self::PrivilegedOnly,
            (false, _) => Self::Everyone,
            (true, _) => Self::Nobody,
        }
    }

    /// The two bits, as in [`Execution::of`].
    pub(super) const fn bits(self, regime: Regime, never: u64, privileged: u64) -> u64 {
        let both = if regime.has_unprivileged() { never | privileged } else { never };
        match self {
            Self::Everyone => 0,
            Self::UnprivilegedOnly => privileged,
            Self::PrivilegedOnly => never,
            Self::Nobody => both,
        }
    }
}

/// SH of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// The leaf says.
    Is(Shareability),
    /// 0b01, which is reserved.
    Reserved,
    /// The leaf has no such field: with LPA2 `TCR_ELx.SHn` decides for the whole tree.
    ByControl,
}

impl Sharing {
    /// Bits 9:8 where they are SH.
    pub(super) const fn of(word: u64) -> Self {
        match word >> 8 & 0b11 {
            0b00 => Self::Is(Shareability::Non),
            0b01 => Self::Reserved,
            0b10 => Self::Is(Shareability::Outer),
            _ => Self::Is(Shareability::Inner),
        }
    }

    /// Bits 9:8 where they are SH, otherwise zero.
    pub(super) const fn bits(self) -> u64 {
        match self {
            Self::Is(Shareability::Non) | Self::ByControl => 0,
            Self::Reserved => 0b01 << 8,
            Self::Is(Shareability::Outer) => 0b10 << 8,
            Self::Is(Shareability::Inner) => 0b11 << 8,
        }
    }
}
