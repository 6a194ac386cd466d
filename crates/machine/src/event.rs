//! The effects a table change can have, as data.

use crate::{Invalidate, PhysAddr, PhysRange};

/// One 64-bit entry of a translation table, named by where the table is and not by how it is
/// reached: whoever performs events owns the window through which tables are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The table's first byte.
    pub table: PhysAddr,
    /// Which of its entries, counted in entries of eight bytes.
    pub index: u16,
}

impl Entry {
    /// This entry and those after it in the same table, `count` in all.
    #[inline]
    #[must_use]
    pub const fn span(self, count: u16) -> Span {
        Span { table: self.table, first: self.index, count }
    }
}

/// Neighbouring entries of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The table's first byte.
    pub table: PhysAddr,
    /// The index of the first entry.
    pub first: u16,
    /// How many entries; with `first` it never reaches past the table's end.
    pub count: u16,
}

/// One effect on memory, on the order of memory accesses, on TLBs or on caches.
///
/// Stores write each 64-bit entry whole (single-copy atomic) and once. Between entries of a bulk
/// effect there is no order: a walker may see any subset of them done until a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Writes one entry.
    Store {
        /// Where.
        entry: Entry,
        /// What.
        value: u64,
    },
    /// Writes neighbouring entries in arithmetic progression: `value`, `value + step`, …
    Fill {
        /// Which entries.
        span: Span,
        /// The first entry's new value.
        value: u64,
        /// What each entry's value has more than the one before it.
        step: u64,
    },
    /// Rewrites neighbouring entries: the bits of `clear` are cleared, then those of `set` set.
    ///
    /// Each entry is read and written once, not atomically together: nobody else, hardware
    /// included, may write these entries meanwhile.
    Update {
        /// Which entries.
        span: Span,
        /// Bits to clear, first.
        clear: u64,
        /// Bits to set, after that.
        set: u64,
    },
    /// Orders what came before against what comes after.
    Barrier(Barrier),
    /// Removes translations from TLBs.
    Invalidate(Invalidate),
    /// Maintains caches, line by line over a range of memory.
    Maintain {
        /// The instruction.
        op: CacheOp,
        /// The memory whose lines it is done to.
        range: PhysRange,
    },
}

/// A barrier instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Barrier {
    /// `dsb ishst`: earlier stores are visible to every observer and walker of the inner
    /// shareable domain before anything later is done.
    DsbIshst,
    /// `dsb ish`: as [`Barrier::DsbIshst`] for loads too, and broadcast TLB and cache maintenance
    /// has completed on every CPU of the domain.
    DsbIsh,
    /// `dsb nshst`: earlier stores are visible to this CPU's own walker.
    DsbNshst,
    /// `dsb nsh`: earlier accesses and local maintenance have completed on this CPU.
    DsbNsh,
    /// `isb`: later instructions are fetched and translated anew.
    Isb,
}

/// A cache maintenance instruction by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheOp {
    /// `dc cvau`: cleans data to the point of unification, where instruction fetches see it.
    DcCvau,
    /// `dc civac`: cleans and invalidates data to the point of coherency.
    DcCivac,
    /// `dc ivac`: invalidates data to the point of coherency; what was not written back is lost.
    DcIvac,
    /// `ic ivau`: invalidates instruction caches to the point of unification.
    IcIvau,
}
