//! What one CPU may do: the freedoms of the architecture that CPUs use differently.

/// A CPU's properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// What happens when a TLB holds a leaf in two sizes.
    pub size_change: SizeChange,
    /// How faults are ordered after stores.
    pub synchronisation: Synchronisation,
    /// Whether descriptors may be cached by where they are stored.
    pub walk_cache: WalkCache,
    /// Which invalidations it acts on.
    pub invalidation: Invalidation,
    /// Whether it caches contiguous runs as one.
    pub runs: Runs,
    /// How an invalidation by address treats several entries for one address.
    pub several: Several,
    /// Whether its walker sees its own stores before others do.
    pub forwarding: Forwarding,
}

/// What happens when a TLB holds a leaf in two sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SizeChange {
    /// Anything in between the two: the old leaf must be broken first (FEAT_BBM level 0, and
    /// level 1 where nT is not used).
    NeedsBreak,
    /// One of the two, or a TLB conflict abort (level 2).
    MayAbort,
    /// One of the two.
    Quiet,
}

/// How a translation fault is ordered after the stores that make it unjust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Synchronisation {
    /// Only context synchronisation makes a CPU look again.
    Context,
    /// Completed stores suffice (FEAT_ETS2).
    Ets2,
    /// Completed stores suffice for every kind of fault (FEAT_ETS3).
    Ets3,
}

/// Whether descriptors may be cached by where they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WalkCache {
    /// By the addresses they translate only (FEAT_nTLBPA).
    ByInput,
    /// By their own place in memory too: a table used anew may meet them.
    ByPlace,
}

/// Which invalidations a CPU acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalidation {
    /// Not on those of ranges.
    ByAddress,
    /// On all (FEAT_TLBIRANGE).
    Ranged,
}

/// Whether a CPU caches contiguous runs as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runs {
    /// It may.
    Cached,
    /// It ignores the contiguous bit.
    Ignored,
}

/// What an invalidation by address must do when several entries translate the address: the manual
/// leaves room for both readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Several {
    /// It removes all of them, as Linux relies on after a live split.
    AllRemoved,
    /// It need remove none: only an invalidation of everything is sure to.
    NoneRemoved,
}

/// Whether a CPU's walker sees stores that its own store buffer still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forwarding {
    /// Not before everybody does.
    None,
    /// In any order.
    ToOwnWalker,
}

impl Profile {
    /// A CPU on which live size changes are quiet and nothing else is promised.
    pub const QUIET: Self = Self {
        size_change: SizeChange::Quiet,
        synchronisation: Synchronisation::Context,
        walk_cache: WalkCache::ByPlace,
        invalidation: Invalidation::Ranged,
        runs: Runs::Cached,
        several: Several::AllRemoved,
        forwarding: Forwarding::ToOwnWalker,
    };

    /// The same with another answer to size changes.
    #[must_use]
    pub const fn with_size_change(self, size_change: SizeChange) -> Self {
        Self { size_change, ..self }
    }
}
