//! What a leaf lets each exception level do, with the limits of the tables above it.

use core::ops::BitOr;

use blockmap_vmsa::{Geometry, bits};

/// What the table descriptors on the way to an entry take away from everything below them.
///
/// Source: "Hierarchical control of data access permissions".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Limits(u64);

impl Limits {
    /// NSTable: tables and leaves below are in the non-secure address space.
    pub const NON_SECURE: Self = Self(1 << 63);
    /// APTable\[1\]: stores fault.
    pub const READ_ONLY: Self = Self(1 << 62);
    /// APTable\[0\]: the unprivileged level has no access.
    pub const PRIVILEGED: Self = Self(1 << 61);
    /// UXNTable; XNTable where there is a single exception level.
    pub const UXN: Self = Self(1 << 60);
    /// PXNTable.
    pub const PXN: Self = Self(1 << 59);

    /// Nothing is taken away.
    pub const NONE: Self = Self(0);

    const ALL: u64 = 0x1f << 59;

    /// The limits in a table descriptor.
    #[must_use]
    pub const fn of_table(word: u64) -> Self {
        Self(word & Self::ALL)
    }

    /// The limits as they lie in a table descriptor.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether every limit of `other` is among these.
    #[must_use]
    pub const fn include(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Limits {
    type Output = Self;

    /// The limits of a table below another.
    fn bitor(self, below: Self) -> Self {
        Self(self.0 | below.0)
    }
}

/// What one exception level may do with a leaf's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Loads work.
    pub reads: bool,
    /// Stores work.
    pub writes: bool,
    /// Instruction fetches work.
    pub executes: bool,
}

/// What a leaf lets the regime's two exception levels do; the unprivileged one has no rights where
/// there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RightsPair {
    /// EL1, EL2 or EL3.
    pub privileged: Rights,
    /// EL0.
    pub unprivileged: Rights,
}

impl RightsPair {
    /// What a leaf with `word` grants below tables with `limits`, once it is valid.
    ///
    /// As far as the tables say: `SCTLR_ELx.WXN` and hierarchical permissions switched off by
    /// `TCR_ELx.HPDn` are not looked at, nor is hardware management of dirty state, under which
    /// a read-only leaf with the dirty bit modifier becomes writable by a store.
    ///
    /// Source: "Data access permissions", "Instruction execution permissions".
    #[must_use]
    pub const fn of(geometry: Geometry, word: u64, limits: Limits) -> Self {
        let has_unprivileged = geometry.regime().has_unprivileged();
        let writes = word & bits::READ_ONLY == 0 && !limits.include(Limits::READ_ONLY);
        let opened = has_unprivileged
            && word & bits::UNPRIVILEGED != 0
            && !limits.include(Limits::PRIVILEGED);
        let never = bits::privileged_execute_never(geometry.regime());
        let table_never = if has_unprivileged { Limits::PXN } else { Limits::UXN };
        // Memory that EL0 can write, EL1 never executes, whatever PXN says.
        let executes = word & never == 0 && !limits.include(table_never) && !(opened && writes);
        Self {
            privileged: Rights { reads: true, writes, executes },
            unprivileged: Rights {
                reads: opened,
                writes: opened && writes,
                executes: has_unprivileged && word & bits::UXN == 0 && !limits.include(Limits::UXN),
            },
        }
    }

    /// Whether anyone may store.
    #[must_use]
    pub const fn writable(self) -> bool {
        self.privileged.writes || self.unprivileged.writes
    }

    /// Whether anyone may execute.
    #[must_use]
    pub const fn executable(self) -> bool {
        self.privileged.executes || self.unprivileged.executes
    }

    /// Whether one exception level may both store and execute.
    #[must_use]
    pub const fn writable_and_executable(self) -> bool {
        self.privileged.writes && self.privileged.executes
            || self.unprivileged.writes && self.unprivileged.executes
    }
}
