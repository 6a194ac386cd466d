//! How the sizes of live leaves change, and which way a CPU's properties ask for.

use blockmap_vmsa::cpu::SizeChange;

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

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 3] = [Self::Live, Self::Quiesce, Self::Pages];

    /// What a system starts with whose boot CPU does `size_change` to live leaves.
    /// [size-change-by-cpu]
    ///
    /// A CPU that may abort, or needs the old leaf broken first, asks for [`Strategy::Pages`] as
    /// long as CPUs cannot be parked: this changes to [`Strategy::Quiesce`] when they can.
    #[must_use]
    pub const fn of_boot_cpu(size_change: SizeChange) -> Self {
        match size_change {
            SizeChange::Quiet => Self::Live,
            SizeChange::MayAbort | SizeChange::NeedsBreak => Self::Pages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cpu_that_never_aborts_starts_live() {
        assert_eq!(Strategy::of_boot_cpu(SizeChange::Quiet), Strategy::Live);
        assert_eq!(Strategy::of_boot_cpu(SizeChange::MayAbort), Strategy::Pages);
        assert_eq!(Strategy::of_boot_cpu(SizeChange::NeedsBreak), Strategy::Pages);
    }
}
