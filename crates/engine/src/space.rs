//! A table tree under one root, and the operations on it.
#![expect(
    clippy::inline_always,
    reason = "a plan that is made in one place and committed there is not moved"
)]

use blockmap_machine::{Entry, Machine, Pattern, PhysAddr, Span, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, Geometry, Kind, Level, Masks, bits};
use thiserror::Error;

use crate::plan::{OutOfTables, Plan, Ready};
use crate::{
    MapError, Mapping, NotParked, Platform, ProtectError, Reader, RepaintError, SplitError, TopUp,
    UnmapError,
};

/// The translation tables under one root: holding one tells that its platform reaches them.
///
/// Operations take `&self`: the platform's locks keep those on the same slots apart. Each is made
/// of three steps, and the method named after the operation takes all three:
///
/// | step | may fail | does |
/// |---|---|---|
/// | `plan_…` | yes | locks; checks everything; counts the tables needed; changes nothing |
/// | [`Plan::reserve`] | yes | sets the tables aside |
/// | [`Ready::commit`](crate::Ready::commit) | only where CPUs must be parked | performs the effects |
///
/// When it returns, the tables say what was asked for, and nothing else has changed.
/// [map-means-what-was-asked]
#[derive(Debug)]
pub struct Space<'p, P: Platform> {
    platform: &'p P,
    root: PhysAddr,
}

impl<P: Platform> Clone for Space<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Space<'_, P> {}

/// What is wrong with a range before any table is looked at. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RangeError {
    /// Start and length must be multiples of the granule's page.
    #[error("{0} is not a multiple of the page in start and length")]
    Unaligned(VirtRange),
    /// The range reaches beyond the addresses that this tree translates.
    #[error("{0} is not within the half that these tables translate")]
    OutsideHalf(VirtRange),
}

/// What is set in a descriptor that leads to a table; at level 3 it is a page's.
const TABLE: u64 = bits::VALID | bits::TABLE_OR_PAGE;

/// Where a walk ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) level: Level,
    pub(crate) entry: Entry,
    pub(crate) word: u64,
    pub(crate) kind: Kind,
}

impl Place {
    /// The table that the walk ended in.
    pub(crate) fn table(self) -> (Level, PhysAddr) {
        (self.level, self.entry.table)
    }
}

impl Place {
    /// The entries of the same table that map, or are marked present, as this one does; `None` if it
    /// is no leaf.
    #[inline]
    pub(crate) fn leaves_like(&self) -> Option<Pattern> {
        let page = if self.level == Level::L3 { bits::TABLE_OR_PAGE } else { 0 };
        let (mask, value) = match self.kind {
            Kind::Leaf => (bits::VALID, bits::VALID),
            Kind::PresentInvalid => (bits::VALID | bits::PRESENT, bits::PRESENT),
            Kind::Invalid | Kind::Table | Kind::Reserved => return None,
        };
        Some(Pattern { mask: mask | bits::TABLE_OR_PAGE, value: value | page })
    }
}

impl<'p, P: Platform> Space<'p, P> {
    /// The tables under `root` as `platform` reaches them.
    ///
    /// `root` is a table of the platform's geometry: all zeroes, or a tree whose every table the
    /// platform's machine can reach.
    pub const fn new(platform: &'p P, root: PhysAddr) -> Self {
        Self { platform, root }
    }

    /// The root table.
    #[must_use]
    pub const fn root(&self) -> PhysAddr {
        self.root
    }

    /// The system these tables belong to.
    #[must_use]
    pub const fn platform(&self) -> &'p P {
        self.platform
    }

    /// The shape of the tree.
    #[inline]
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.platform.geometry()
    }

    /// Reads the tables; none is freed while the reader lives.
    ///
    /// An operation that frees tables waits for readers, so nobody may start one while it holds a
    /// reader itself.
    #[must_use]
    pub fn reader(&self) -> Reader<'p, P> {
        Reader::new(self.platform)
    }

    /// Maps memory in the largest leaves that fit, where nothing is mapped yet.
    ///
    /// # Errors
    /// See [`MapError`]; the tables are as they were.
    pub fn map(&self, mapping: Mapping) -> Result<(), MapError> {
        // A mapping changes no size, so nobody is parked for it.
        let (Ok(()) | Err(NotParked { .. })) = self.carry_out(|| self.plan_map(mapping))?;
        Ok(())
    }

    /// Removes the mapping of `range` and frees the tables that this empties, once every reader has
    /// left. A leaf covered in part is split first.
    ///
    /// # Errors
    /// See [`UnmapError`]; the tables are as they were.
    pub fn unmap(&self, range: VirtRange, may_park: &P::MayPark) -> Result<(), UnmapError> {
        Ok(self.carry_out(|| self.plan_unmap(range, may_park))??)
    }

    /// Changes what the leaves of `range` grant. A leaf covered in part is split first; one that is
    /// covered whole keeps its size.
    ///
    /// # Errors
    /// See [`ProtectError`]; the tables are as they were.
    pub fn protect(
        &self,
        range: VirtRange,
        change: Change,
        may_park: &P::MayPark,
    ) -> Result<(), ProtectError> {
        let refusal = || self.platform.refusal(range).map_or(Ok(()), Err);
        self.protect_after(range, change, Some(may_park), &refusal)?;
        Ok(())
    }

    /// As [`Space::protect`], from any context: nobody is parked, so no leaf can be split, whatever
    /// the strategy. The range's ends must lie between two leaves already.
    ///
    /// # Errors
    /// See [`ProtectError`]; the tables are as they were.
    pub fn protect_leaves(&self, range: VirtRange, change: Change) -> Result<(), ProtectError> {
        let refusal = || self.platform.refusal(range).map_or(Ok(()), Err);
        self.protect_after(range, change, None, &refusal)?;
        Ok(())
    }

    /// Splits leaves and contiguous runs until both ends of `range` lie between two: no deeper than
    /// their alignment asks. What an address translates to does not change.
    ///
    /// # Errors
    /// See [`SplitError`]; the tables are as they were.
    pub fn split(&self, range: VirtRange, may_park: &P::MayPark) -> Result<(), SplitError> {
        Ok(self.carry_out(|| self.plan_split(range, may_park))??)
    }

    /// Makes pages of all leaves of `range` but those in `keep`, whatever they are, with all other
    /// CPUs parked once for each table of slots (with 4 KiB pages, 512 GiB). What an address
    /// translates to does not change, and what is mapped nowhere stays so.
    ///
    /// It is for every strategy: under [`Strategy::Pages`](crate::Strategy::Pages) it makes the
    /// pages that the strategy is named for. The slots are locked from before their old tables are
    /// read: who wants to change them meanwhile waits, and nothing is lost.
    ///
    /// # Errors
    /// See [`RepaintError`]; every address translates as it did.
    #[doc(alias = "linear_map_maybe_split_to_ptes")]
    pub fn repaint(
        &self,
        range: VirtRange,
        keep: &[VirtRange],
        may_park: &P::MayPark,
    ) -> Result<(), RepaintError> {
        let mut rest = Some(range);
        while let Some(part) = rest.and_then(|rest| self.in_slot_table(rest)) {
            self.carry_out(|| self.plan_repaint(part, keep, may_park))??;
            rest = range
                .last()
                .offset_from(part.last())
                .and_then(|bytes| VirtRange::new(part.end(), bytes));
        }
        Ok(())
    }

    /// Plans, reserves and commits; on a shortage tops up with nothing held, and plans anew. Tells
    /// how the plan went, and if well, how the commit.
    pub(crate) fn carry_out<'s, E: From<OutOfTables>>(
        &'s self,
        plan: impl Fn() -> Result<Plan<'s, P>, E>,
    ) -> Result<Result<(), NotParked>, E>
    where
        P: 's,
    {
        Ok(self.get_ready(plan)?.commit())
    }

    /// Plans and reserves; on a shortage tops up with nothing held, and plans anew.
    ///
    /// Others may be faster and set aside what was topped up. It goes on as long as there is memory:
    /// each time somebody was served.
    #[inline(always)]
    fn get_ready<'s, E: From<OutOfTables>>(
        &'s self,
        plan: impl Fn() -> Result<Plan<'s, P>, E>,
    ) -> Result<Ready<'s, P>, E>
    where
        P: 's,
    {
        let mut supply = TopUp::Enough;
        loop {
            let plan = plan()?;
            let short = match plan.reserve() {
                Ok(ready) => return Ok(ready),
                Err(short) => short,
            };
            supply = match supply {
                TopUp::Enough => self.platform.top_up(short.needed),
                TopUp::Short => return Err(short.into()),
            };
        }
    }

    /// The bits that a change clears and sets.
    #[inline]
    pub(crate) fn masks(&self, change: Change) -> Masks {
        change.masks_of(self.geometry().regime(), self.platform().asids())
    }

    /// Checks what can be checked of a range before any table is looked at.
    pub(crate) fn check(&self, range: VirtRange) -> Result<(), RangeError> {
        let geometry = self.geometry();
        let page = geometry.page_bytes();
        if !range.start().is_aligned(page) || range.bytes() & (page - 1) != 0 {
            return Err(RangeError::Unaligned(range));
        }
        if !geometry.translates(range) {
            return Err(RangeError::OutsideHalf(range));
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn machine(&self) -> &'p P::Machine {
        self.platform.machine()
    }

    /// The entry at which a walk of `address` from the root ends.
    #[inline]
    pub(crate) fn find(&self, address: VirtAddr) -> Place {
        self.descend(self.geometry().root_level(), self.root, address)
    }

    /// The entry at which a walk of `address` that starts in `table`, of `level`, ends.
    #[inline]
    pub(crate) fn find_below(&self, level: Level, table: PhysAddr, address: VirtAddr) -> Place {
        self.descend(level, table, address)
    }

    #[inline(always)]
    fn descend(&self, level: Level, mut table: PhysAddr, address: VirtAddr) -> Place {
        let geometry = self.geometry();
        // Each level by itself: of a geometry that is constant a few instructions are left of it.
        for above in [Level::Minus1, Level::L0, Level::L1, Level::L2] {
            if above >= level {
                let entry = Entry { table, index: geometry.index(above, address) };
                let word = self.machine().load(entry);
                if word & TABLE != TABLE {
                    return Place { level: above, entry, word, kind: geometry.kind(above, word) };
                }
                table = geometry.table_address(word);
            }
        }
        self.look(Level::L3, table, address)
    }

    /// The entry of one table that a walk of `address` goes through.
    #[inline]
    pub(crate) fn look(&self, level: Level, table: PhysAddr, address: VirtAddr) -> Place {
        let geometry = self.geometry();
        let entry = Entry { table, index: geometry.index(level, address) };
        let word = self.machine().load(entry);
        Place { level, entry, word, kind: geometry.kind(level, word) }
    }

    /// The entries of `table` from the one that translates `at` up to the one that translates
    /// `last`, or to the end of the table.
    #[inline]
    pub(crate) fn span_up_to(
        &self,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
        last: VirtAddr,
    ) -> Span {
        let geometry = self.geometry();
        let table_bytes = geometry.span_bytes(level) * u64::from(geometry.entries(level));
        let table_last = at.align_down(table_bytes).wrapping_add(table_bytes - 1);
        let end = if last < table_last { last } else { table_last };
        let index = geometry.index(level, at);
        Entry { table, index }.span(geometry.index(level, end) - index + 1)
    }

    /// The part of `span`, at `level` and known to hold leaves and tables only, before its first table.
    #[inline]
    pub(crate) fn leaves_of(&self, level: Level, span: Span) -> Span {
        match level {
            Level::L3 => span,
            Level::Minus1 | Level::L0 | Level::L1 | Level::L2 => {
                let block = Pattern { mask: bits::TABLE_OR_PAGE, value: 0 };
                Span { count: self.machine().scan(span, block).max(1), ..span }
            }
        }
    }

    /// The first address that the `count` entries from that of `at` on, at `level`, do not cover;
    /// `None` if that is above `last`.
    #[inline]
    pub(crate) fn after(
        &self,
        (level, at): (Level, VirtAddr),
        count: u16,
        last: VirtAddr,
    ) -> Option<VirtAddr> {
        let span = self.geometry().span_bytes(level);
        let above = at.align_down(span).checked_add(span * u64::from(count))?;
        (above <= last).then_some(above)
    }
}
