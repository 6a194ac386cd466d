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
//! A leaf in a contiguous run leaves the run before its own size changes: the contiguous bit is
//! cleared in all entries of the run. [run-changes-whole]

use blockmap_layout::Strategy;
use blockmap_machine::{Barrier, Entry, Event, Machine, PhysAddr, Span, VirtAddr, VirtRange};
use blockmap_vmsa::{Geometry, Kind, LeafSize, Level, bits};
use thiserror::Error;

use crate::fill::Progression;
use crate::plan::{Hold, Work};
use crate::space::Place;
use crate::{OutOfTables, Plan, Platform, RangeError, Root, Space, Terms};

/// Why nothing was split. The tables are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The range is no range of these tables.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A leaf would have to change its size, and the strategy in force does not allow it.
    #[error(transparent)]
    SizeChange(#[from] SizeChangeRefused),
    /// Not enough table memory.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

/// A live leaf would have to change its size, and the strategy in force does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the leaf at {address} would have to change its size, and the CPUs allow none ({strategy:?}): \
     choose a range of whole leaves"
)]
pub struct SizeChangeRefused {
    /// An address in the leaf.
    pub address: VirtAddr,
    /// The strategy in force.
    pub strategy: Strategy,
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

/// A table, filled and not linked, and the live entry it will replace.
#[derive(Clone, Copy)]
struct Link {
    entry: Entry,
    table: PhysAddr,
}

impl Cuts {
    /// How many tables they take.
    pub(crate) fn tables<P: Platform>(&self, space: &Space<'_, P>) -> u32 {
        let depth = |cut: Option<Cut>| cut.map_or(0, |cut| space.depth(cut));
        let both = depth(self.start) + depth(self.end);
        match (self.start, self.end) {
            (Some(start), Some(end)) if start.leaf.level == end.leaf.level => {
                both - space.shared_depth(start, end)
            }
            _ => both,
        }
    }

    /// Whether both ends already lie between two leaves.
    pub(crate) fn is_empty(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }

    /// Checks that the terms allow the cuts.
    pub(crate) fn check(&self, terms: Terms) -> Result<(), SizeChangeRefused> {
        match (self.start.or(self.end), terms.strategy) {
            (None, _) | (Some(_), Strategy::Live) => Ok(()),
            (Some(cut), strategy @ (Strategy::Quiesce | Strategy::Pages)) => {
                Err(SizeChangeRefused { address: cut.at, strategy })
            }
        }
    }
}

impl<P: Platform> Space<'_, P> {
    /// Plans to [`Space::split`]: locks and checks, and changes nothing.
    ///
    /// # Errors
    /// See [`SplitError`].
    pub fn plan_split(&self, range: VirtRange) -> Result<Plan<'_, P>, SplitError> {
        self.check(range)?;
        let hold = Hold::new(self, range, Root::Untouched);
        let (_, cuts) = self.find_cuts(range);
        cuts.check(hold.terms)?;
        Ok(Plan::new(hold, Work::Split(cuts), cuts.tables(self)))
    }

    /// Where the walk of the range's start ends, and which of its ends lie within a leaf.
    ///
    /// A range within one leaf, run or entry takes one walk.
    #[inline]
    pub(crate) fn find_cuts(&self, range: VirtRange) -> (Place, Cuts) {
        let first = self.find(range.start());
        let (unit, entry) = (self.unit_bytes(first), self.geometry().span_bytes(first.level));
        let left_in = |bytes: u64| bytes - (range.start().value() & (bytes - 1));
        let end = range.end();
        let end_cut = if range.bytes() < left_in(entry) {
            self.cut(first, end)
        } else if range.bytes() == left_in(unit) || range.last() == self.geometry().inputs().1 {
            None
        } else {
            self.cut(self.find(end), end)
        };
        (first, Cuts { start: self.cut(first, range.start()), end: end_cut })
    }

    /// The cut through the leaf or run of `place` at `at`, unless `at` is where it starts.
    #[inline]
    fn cut(&self, place: Place, at: VirtAddr) -> Option<Cut> {
        match place.kind {
            Kind::Invalid | Kind::Table | Kind::Reserved => None,
            Kind::Leaf | Kind::PresentInvalid if at.is_aligned(self.unit_bytes(place)) => None,
            Kind::Leaf | Kind::PresentInvalid => {
                let run = self.run_entries(place).map_or(Run::None, Run::Of);
                Some(Cut { at, leaf: place, run })
            }
        }
    }

    /// How many leaves are in the run that `place` is in, if it is a leaf in a run.
    #[inline]
    fn run_entries(&self, place: Place) -> Option<u16> {
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
    fn unit_bytes(&self, place: Place) -> u64 {
        self.geometry().span_bytes(place.level) * u64::from(self.run_entries(place).unwrap_or(1))
    }

    /// How many levels of tables the cut adds: down to the first whose leaves end at it.
    fn depth(&self, cut: Cut) -> u32 {
        let below = cut.leaf.level.levels_below();
        let aligned_at = |levels_below: &u32| {
            Level::with_levels_below(*levels_below)
                .is_some_and(|level| cut.at.is_aligned(self.geometry().span_bytes(level)))
        };
        below - (0..=below).rev().find(aligned_at).unwrap_or(0)
    }

    /// How many of the tables that two cuts add are the same: those of the spans they both are in.
    fn shared_depth(&self, start: Cut, end: Cut) -> u32 {
        let differ = start.at.value() ^ end.at.value();
        let deepest = self.depth(start).min(self.depth(end));
        let is_shared = |depth: &u32| {
            Level::with_levels_below(start.leaf.level.levels_below() - depth)
                .is_some_and(|level| differ < self.geometry().span_bytes(level))
        };
        let shared = (0..deepest).take_while(is_shared).count();
        u32::try_from(shared).unwrap_or(deepest)
    }

    /// Makes the cuts: fills, publishes, links. Returns a table of pages that was linked, and an
    /// address it translates, if there is one at the start, or else at the end.
    #[inline]
    pub(crate) fn commit_cuts(&self, cuts: Cuts) -> Option<(PhysAddr, VirtAddr)> {
        let start = cuts.start.and_then(|cut| self.prepare(cut));
        let end = match (start, cuts.end) {
            (Some((link, place)), Some(cut)) if link.entry == cut.leaf.entry => {
                if !self.is_cut_by(place, cuts.start?.at, cut.at) {
                    self.cut_unlinked((cut.leaf.level.next()?, link.table), cut.at);
                }
                None
            }
            (_, Some(cut)) => self.prepare(cut),
            (_, None) => None,
        };
        if start.is_some() || end.is_some() {
            // A walker may follow a table entry the moment it is stored: what it leads to must be
            // visible first. [publish-after-fill]
            self.machine().barrier(Barrier::DsbIshst);
        }
        self.leave_runs(cuts);
        for (link, _) in [start, end].into_iter().flatten() {
            self.machine().store(link.entry, self.geometry().table_word(link.table));
        }
        let (_, place) = start.or(end)?;
        let at = if start.is_some() { cuts.start?.at } else { cuts.end?.at };
        (place.level == Level::L3).then_some((place.entry.table, at))
    }

    /// Whether cutting at `at`, which made `place`, has cut at `end` too: in its table of pages,
    /// where `end` lies between two runs, or in the run that came apart.
    #[inline]
    fn is_cut_by(&self, place: Place, at: VirtAddr, end: VirtAddr) -> bool {
        let Some(run) = used_run(self.geometry(), Level::L3) else { return false };
        let differ = at.value() ^ end.value();
        let is_same_table = differ < self.geometry().span_bytes(Level::L2);
        let is_same_run = differ < run.bytes() && !at.is_aligned(run.bytes());
        place.level == Level::L3 && is_same_table && (is_same_run || end.is_aligned(run.bytes()))
    }

    /// Takes apart the contiguous runs that the cuts go through, each once.
    #[inline]
    fn leave_runs(&self, cuts: Cuts) {
        let first = cuts.start.and_then(|cut| self.leave_run(cut));
        let is_done = |entry: Entry| {
            first.is_some_and(|span| {
                span.table == entry.table && entry.index.wrapping_sub(span.first) < span.count
            })
        };
        if let Some(cut) = cuts.end.filter(|cut| !is_done(cut.leaf.entry)) {
            self.leave_run(cut);
        }
    }

    #[inline]
    fn leave_run(&self, cut: Cut) -> Option<Span> {
        let Run::Of(count) = cut.run else { return None };
        let Entry { table, index } = cut.leaf.entry;
        let span = Entry { table, index: index - index % count }.span(count);
        self.machine().perform(Event::Update { span, clear: bits::CONTIGUOUS, set: 0 });
        Some(span)
    }

    /// Fills the tables that replace the leaf a cut goes through; `None` if the cut lies between
    /// two leaves of a run.
    #[inline]
    fn prepare(&self, cut: Cut) -> Option<(Link, Place)> {
        if cut.at.is_aligned(self.geometry().span_bytes(cut.leaf.level)) {
            return None;
        }
        let (table, place) = self.build(cut.leaf, cut.at)?;
        Some((Link { entry: cut.leaf.entry, table }, place))
    }

    /// Fills tables that translate as `leaf` does, in leaves as large as can be with `at` between
    /// two of them. Returns the topmost, and where the walk of `at` ends in them.
    #[inline]
    fn build(&self, leaf: Place, at: VirtAddr) -> Option<(PhysAddr, Place)> {
        let geometry = self.geometry();
        let mut level = leaf.level.next()?;
        let top = self.platform().take_table();
        let (mut table, mut word) = (top, self.fill_children(top, level, leaf, at));
        loop {
            let entry = Entry { table, index: geometry.index(level, at) };
            let place = Place { level, entry, word, kind: geometry.kind(level, word) };
            let below = match level.next() {
                Some(below) if !at.is_aligned(geometry.span_bytes(level)) => below,
                Some(_) | None => return Some((top, place)),
            };
            let child = self.platform().take_table();
            word = self.fill_children(child, below, place, at);
            self.machine().store(entry, geometry.table_word(child));
            (table, level) = (child, below);
        }
    }

    /// Makes a cut in tables that nothing points to yet.
    fn cut_unlinked(&self, (level, table): (Level, PhysAddr), at: VirtAddr) {
        let place = self.find_below(level, table, at);
        let Some(cut) = self.cut(place, at) else { return };
        self.leave_run(cut);
        if let Some((link, _)) = self.prepare(cut) {
            self.machine().store(link.entry, self.geometry().table_word(link.table));
        }
    }

    /// Fills `table`, of `level`, with the leaves that `leaf` becomes: in contiguous runs, but for
    /// the run that `at` lies within. Returns the word of the leaf that `at` lies in.
    #[inline]
    fn fill_children(&self, table: PhysAddr, level: Level, leaf: Place, at: VirtAddr) -> u64 {
        let geometry = self.geometry();
        let output = geometry.leaf_output(leaf.level, leaf.word);
        let meaning = geometry.leaf_meaning(leaf.word);
        let entries = geometry.granule().entries();
        let index = geometry.index(level, at);
        let (plain_first, plain_end, contiguous) = match used_run(geometry, level) {
            None => (0, entries, 0),
            Some(run) if at.is_aligned(run.bytes()) => (0, 0, bits::CONTIGUOUS),
            Some(run) => {
                let first = index - index % run.entries();
                (first, first + run.entries(), bits::CONTIGUOUS)
            }
        };
        let leaves = Progression { table, level, output };
        self.fill_leaves(leaves, (0, plain_first), meaning | contiguous);
        self.fill_leaves(leaves, (plain_first, plain_end), meaning);
        self.fill_leaves(leaves, (plain_end, entries), meaning | contiguous);
        let is_plain = (plain_first..plain_end).contains(&index);
        let bytes = geometry.span_bytes(level) * u64::from(index);
        let word = geometry.leaf_word(level, output.wrapping_add(bytes), meaning);
        if is_plain { word } else { word | contiguous }
    }
}

/// The contiguous run that new leaves at `level` are put in: of blocks of level 1 none, see
/// [`Leaves::Largest`](blockmap_vmsa::Leaves).
pub(crate) fn used_run(geometry: Geometry, level: Level) -> Option<LeafSize> {
    match level {
        Level::L2 | Level::L3 => geometry.run_size(level),
        Level::Minus1 | Level::L0 | Level::L1 => None,
    }
}
