//! Splitting: making an address lie between two leaves.
//!
//! One page out of a 1 GiB block takes two new tables, one barrier and one link:
//!
//! ```text timeline: split
//! 1. fill   level 2 table            a walker sees: the 1 GiB block
//! 2. fill   level 3 table            a walker sees: the 1 GiB block
//! 3. store  level 2 table -> level 3 a walker sees: the 1 GiB block
//! 4. dsb ishst                       a walker sees: the 1 GiB block
//! 5. store  level 1 entry -> level 2 a walker sees: the block, or the small leaves
//! ```
//!
//! Block and small leaves translate every address alike, so it does not matter which of them a
//! walker meets, or for how long a TLB keeps the block: on CPUs where a live size change is quiet
//! nothing is invalidated. [size-change-is-quiet] An invalidation made later must then find the
//! block too, and so carries no level hint. [no-ttl-across-sizes]
//!
//! Where some CPU is not quiet, the last step is made while all other CPUs are parked, as `switch`
//! shows.
//!
//! A leaf in a contiguous run leaves the run before its own size changes: the contiguous bit is
//! cleared in all entries of the run, and step 4 comes before the link, and before anything else
//! changes in those entries. [run-changes-whole]
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

mod batch;
mod commit;
mod parked;

use blockmap_layout::Strategy;
use blockmap_machine::{Entry, Span, VirtAddr, VirtRange};
use blockmap_vmsa::{Geometry, Kind, LeafSize, Level, bits};
use thiserror::Error;

pub(crate) use self::batch::{Count, PendingCuts};
use crate::plan::{Hold, Parking, Permit, Work, slot_level};
use crate::space::Place;
use crate::{NotParked, OutOfTables, Plan, Platform, RangeError, Refusal, Root, Space};

/// Why nothing was split. The tables are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The range is no range of these tables.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The system keeps the sizes of this range's leaves as they are.
    #[error("{range} keeps the sizes of its leaves: {why}")]
    Refused {
        /// The range asked for.
        range: VirtRange,
        /// Why.
        why: Refusal,
    },
    /// A leaf would have to change its size, and the strategy in force does not allow it.
    #[error(transparent)]
    SizeChange(#[from] SizeChangeRefused),
    /// All other CPUs had to be parked, and one did not come.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Not enough table memory.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

/// A live leaf would have to change its size, and that is not possible now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the leaf at {address} would have to change its size, and {why}: choose a range of whole leaves"
)]
pub struct SizeChangeRefused {
    /// An address in the leaf.
    pub address: VirtAddr,
    /// Why it is not possible.
    pub why: NoSizeChange,
}

/// Why no leaf can change its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoSizeChange {
    /// The strategy in force, this one, is not to.
    #[error("the CPUs allow none ({0:?})")]
    Strategy(Strategy),
    /// The operation was asked for without a [`Platform::MayPark`], and it might take parking.
    #[error("nobody may be parked here")]
    NobodyMayPark,
    /// It is somebody's carve, and keeps its size until that is restored.
    #[error("it belongs to a carve")]
    Held,
}

/// The two ends of a range, as far as they lie within a leaf or run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cuts {
    start: Option<Cut>,
    end: Option<Cut>,
}

/// An address that lies within a leaf or contiguous run.
#[derive(Clone, Copy, Debug)]
struct Cut {
    at: VirtAddr,
    /// The leaf that `at` lies in, or starts within a run.
    leaf: Place,
    run: Run,
}

/// Whether the leaf that a cut goes through is in a contiguous run that must come apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// It is, and this many leaves are in the run.
    Of(u16),
    /// It is in none.
    None,
}

impl Cut {
    /// The entries that change together: of the run, or of the leaf alone.
    fn span(&self) -> Span {
        let Entry { table, index } = self.leaf.entry;
        match self.run {
            Run::Of(count) => Entry { table, index: index - index % count }.span(count),
            Run::None => self.leaf.entry.span(1),
        }
    }
}

impl Cuts {
    /// How many tables they take.
    #[inline]
    pub(crate) fn tables<P: Platform>(&self, space: &Space<'_, P>) -> u32 {
        let depth = |cut: &Option<Cut>| cut.as_ref().map_or(0, |cut| space.depth(cut));
        let both = depth(&self.start) + depth(&self.end);
        match (&self.start, &self.end) {
            (Some(start), Some(end)) if start.leaf.level == end.leaf.level => {
                both - space.shared_depth(start, end)
            }
            _ => both,
        }
    }

    /// The cuts there are.
    #[inline]
    fn both(&self) -> impl Iterator<Item = &Cut> {
        [&self.start, &self.end].into_iter().flatten()
    }

    /// Whether both ends already lie between two leaves.
    pub(crate) fn is_empty(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }

    /// Checks that the operation may make the cuts.
    pub(crate) fn check<P: Platform>(
        &self,
        permit: &Permit<'_, P>,
    ) -> Result<(), SizeChangeRefused> {
        let is_held = |cut: &&Cut| cut.leaf.word & bits::HELD != 0;
        if let Some(cut) = self.both().find(is_held) {
            return Err(SizeChangeRefused { address: cut.at, why: NoSizeChange::Held });
        }
        self.check_strategy(permit)
    }

    /// The same for the owner of leaves that are held.
    pub(crate) fn check_strategy<P: Platform>(
        &self,
        permit: &Permit<'_, P>,
    ) -> Result<(), SizeChangeRefused> {
        let Some(cut) = self.both().next() else { return Ok(()) };
        let why = match (permit.parking, permit.terms.strategy) {
            (Parking::Allowed(_), Strategy::Live | Strategy::Quiesce) => return Ok(()),
            (Parking::Never, _) => NoSizeChange::NobodyMayPark,
            (Parking::Allowed(_), strategy @ Strategy::Pages) => NoSizeChange::Strategy(strategy),
        };
        Err(SizeChangeRefused { address: cut.at, why })
    }
}

impl<P: Platform> Space<'_, P> {
    /// Plans to [`Space::split`]: locks and checks, and changes nothing.
    ///
    /// # Errors
    /// See [`SplitError`].
    pub fn plan_split<'s>(
        &'s self,
        range: VirtRange,
        may_park: &'s P::MayPark,
    ) -> Result<Plan<'s, P>, SplitError> {
        self.check(range)?;
        let parking = Parking::Allowed(may_park);
        let (hold, _, cuts) = self.hold_cuts(range, Root::Untouched, parking);
        match self.platform().refusal(range) {
            // Tables are read and written through smaller leaves as well as through larger ones.
            None | Some(Refusal::Tables) => {}
            Some(why @ (Refusal::ImageZone | Refusal::ImageAlias)) => {
                return Err(SplitError::Refused { range, why });
            }
        }
        cuts.check(&hold.permit)?;
        Ok(Plan::new(hold, Work::Split(cuts), cuts.tables(self)))
    }

    /// Takes the locks of `range` and finds its cuts. A leaf or run that is larger than a slot belongs
    /// to all the slots it covers: to cut it, all of them are locked, and the root.
    #[inline]
    pub(crate) fn hold_cuts<'s>(
        &'s self,
        range: VirtRange,
        root: Root,
        parking: Parking<'s, P>,
    ) -> (Hold<'s, P>, Place, Cuts) {
        let mut hold = Hold::new(self, range, root, parking);
        let mut first = self.find(range.start());
        let mut cuts = self.cuts_from(&first, range);
        self.widen_for_cuts(&mut hold, (&mut first, &mut cuts), range);
        (hold, first, cuts)
    }

    /// Takes more locks where `cuts` of `range`, whose start was found at `first`, go through leaves that are
    /// larger than a slot, and finds both again.
    #[inline(always)]
    pub(crate) fn widen_for_cuts<'s>(
        &'s self,
        hold: &mut Hold<'s, P>,
        (first, cuts): (&mut Place, &mut Cuts),
        range: VirtRange,
    ) {
        if let Some(wider) = self.beyond_slots(range, cuts) {
            hold.exchange(wider, Root::Changes);
            (*first, *cuts) = self.find_cuts(range);
        }
    }

    /// `range` and all leaves that are larger than a slot and are cut; `None` if there are none.
    #[inline]
    pub(crate) fn beyond_slots(&self, range: VirtRange, cuts: &Cuts) -> Option<VirtRange> {
        let level = slot_level(self.geometry());
        // No run is larger than the table that it is in.
        let is_larger =
            |cut: &Cut| cut.leaf.level < level || cut.leaf.level == level && cut.run != Run::None;
        if !cuts.both().any(is_larger) {
            return None;
        }
        let slot = self.geometry().span_bytes(level);
        let (mut start, mut last) = (range.start(), range.last());
        for cut in cuts.both() {
            let unit = self.unit_bytes(&cut.leaf);
            if unit > slot {
                let first = cut.at.align_down(unit);
                start = start.min(first);
                last = last.max(first.wrapping_add(unit - 1));
            }
        }
        let is_wider = start < range.start() || last > range.last();
        VirtRange::inclusive(start, last).filter(|_| is_wider)
    }

    /// Where the walk of the range's start ends, and which of its ends lie within a leaf.
    ///
    /// A range within one leaf, run or entry takes one walk.
    #[inline]
    pub(crate) fn find_cuts(&self, range: VirtRange) -> (Place, Cuts) {
        let first = self.find(range.start());
        (first, self.cuts_from(&first, range))
    }

    /// Which ends of a range lie within a leaf, where the walk of its start ends at `first`.
    #[inline]
    pub(crate) fn cuts_from(&self, first: &Place, range: VirtRange) -> Cuts {
        let unit = self.unit_bytes(first);
        let left_in_unit = unit - (range.start().value() & (unit - 1));
        let end = range.end();
        let end_cut = if range.bytes() < self.left_in(first, range.start()) {
            self.cut(first, end)
        } else if range.bytes() == left_in_unit || range.last() == self.geometry().inputs().1 {
            None
        } else {
            self.cut(&self.find(end), end)
        };
        Cuts { start: self.cut(first, range.start()), end: end_cut }
    }

    /// Bytes of the leaf at `place` from `at` on, which lies in it.
    #[inline]
    pub(crate) fn left_in(&self, place: &Place, at: VirtAddr) -> u64 {
        let bytes = self.geometry().span_bytes(place.level);
        bytes - (at.value() & (bytes - 1))
    }

    /// The cut through the leaf or run of `place` at `at`, unless `at` is where it starts.
    #[inline]
    fn cut(&self, place: &Place, at: VirtAddr) -> Option<Cut> {
        match place.kind {
            Kind::Invalid | Kind::Table | Kind::Reserved => None,
            Kind::Leaf | Kind::PresentInvalid if at.is_aligned(self.unit_bytes(place)) => None,
            Kind::Leaf | Kind::PresentInvalid => {
                let run = self.run_entries(place).map_or(Run::None, Run::Of);
                Some(Cut { at, leaf: *place, run })
            }
        }
    }

    /// How many leaves are in the run that `place` is in, if it is a leaf in a run.
    #[inline]
    fn run_entries(&self, place: &Place) -> Option<u16> {
        match place.kind {
            Kind::Leaf | Kind::PresentInvalid if place.word & bits::CONTIGUOUS != 0 => {
                self.geometry().run_size(place.level).map(LeafSize::entries)
            }
            Kind::Leaf | Kind::PresentInvalid | Kind::Invalid | Kind::Table | Kind::Reserved => {
                None
            }
        }
    }

    /// Bytes that `place` translates as one: its run's, or its own.
    #[inline]
    pub(crate) fn unit_bytes(&self, place: &Place) -> u64 {
        self.geometry().span_bytes(place.level) * u64::from(self.run_entries(place).unwrap_or(1))
    }

    /// How many levels of tables the cut adds: down to the first whose leaves end at it.
    #[inline(always)]
    fn depth(&self, cut: &Cut) -> u32 {
        let granule = self.geometry().granule();
        let below = cut.leaf.level.levels_below();
        let zeros = cut.at.value().trailing_zeros();
        let end_there = zeros.saturating_sub(granule.page_bits()) / granule.index_bits();
        below - end_there.min(below)
    }

    /// How many of the tables that two cuts add are the same: those of the spans they both are in.
    #[inline(always)]
    fn shared_depth(&self, start: &Cut, end: &Cut) -> u32 {
        let granule = self.geometry().granule();
        let below = start.leaf.level.levels_below();
        let differ = u64::BITS - (start.at.value() ^ end.at.value()).leading_zeros();
        let in_both = differ.saturating_sub(granule.page_bits()).div_ceil(granule.index_bits());
        (below + 1).saturating_sub(in_both).min(self.depth(start)).min(self.depth(end))
    }
}

/// The contiguous run that new leaves at `level` are put in: of blocks of level 1 none, see
/// [`Leaves::Largest`](blockmap_vmsa::Leaves).
#[inline]
pub(crate) fn used_run(geometry: Geometry, level: Level) -> Option<LeafSize> {
    match level {
        Level::L2 | Level::L3 => geometry.run_size(level),
        Level::Minus1 | Level::L0 | Level::L1 => None,
    }
}
