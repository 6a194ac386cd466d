//! Unmapping at leisure: addresses are taken out of use one by one, and TLBs forget all of them
//! together.
//!
//! ```text timeline: retire and purge
//! 1. update leaves, invalid           a walker sees: the old leaves, or nothing
//! 2. dsb ishst                        a walker sees: nothing; a TLB may hold the old leaves
//! 3. update table entries, invalid    a walker sees: nothing
//! 4. dsb ishst                        a walker sees: nothing
//! 5. tlbi   all ranges                a TLB holds: the old leaves and tables, or nothing
//! 6. dsb ish                          a TLB holds: nothing
//! 7. isb                              from here on the memory may be used for something else
//! 8. fill   leaves, empty             a walker sees: nothing
//! 9. store  table entries, empty      a walker sees: nothing
//! ```
//!
//! Steps 1 and 2 are made for each range, the others once for as many as there are. What was retired
//! says still what it led to, and that it is somebody's: nobody maps anything there, nobody makes it
//! valid again, and whoever purges learns which memory is free now. No list of it is kept.
//! [free-after-invalidate] [all-levels-before-free]

use blockmap_machine::{
    Barrier, Event, Machine, Pattern, PhysAddr, PhysRange, VirtAddr, VirtRange,
};
use blockmap_vmsa::{Kind, Level, Masks, Reach, TlbiForm, bits};

use crate::complete::{Extent, MOST_INVALIDATIONS_BY_ADDRESS};
use crate::plan::{Hold, Parking};
use crate::{Platform, Root, Space, Terms, UnmapError};

/// Addresses that are out of use and that TLBs may still translate: holding one tells that neither
/// they nor the memory they led to may be used for anything else before [`Space::purge`].
#[derive(Debug)]
#[must_use = "what is retired is nobody's until it is purged"]
pub struct Retired {
    range: VirtRange,
    /// Bytes of its smallest leaf.
    smallest: u64,
}

/// An entry that nobody uses.
const EMPTY: Pattern = Pattern { mask: u64::MAX, value: 0 };

impl Retired {
    /// The addresses.
    #[must_use]
    pub const fn range(&self) -> VirtRange {
        self.range
    }
}

impl<P: Platform> Space<'_, P> {
    /// Takes `range`, all of it mapped and in leaves of its own, out of use: it is invalid, and TLBs
    /// are not told. From then on it can only be purged.
    ///
    /// # Errors
    /// See [`UnmapError`]; the tables are as they were.
    pub fn retire(&self, range: VirtRange) -> Result<Retired, UnmapError> {
        self.check(range)?;
        let hold = Hold::new(self, range, Root::Untouched, Parking::Never);
        if let Some(why) = self.platform().refusal(range) {
            return Err(UnmapError::Refused { range, why });
        }
        let smallest = self.smallest_leaf(range)?;
        self.find_cuts(range).1.check(&hold.permit)?;
        let masks = Masks { clear: bits::VALID, set: bits::PRESENT | bits::HELD };
        self.update_range(range, masks);
        // Whoever purges may be another CPU.
        self.machine().barrier(Barrier::DsbIshst);
        Ok(Retired { range, smallest })
    }

    /// Has every TLB forget what was `retired`, by one operation, and empties the
    /// entries and frees the tables that this empties. `release` is told, piece by piece, which memory
    /// they led to, when nobody can reach it that way any more.
    ///
    /// It can't fail and needs no table. Ranges that are not far apart, within what one instruction
    /// covers, are invalidated by one, and what lies between them is too.
    pub fn purge(&self, retired: &mut [Option<Retired>], release: impl Fn(PhysRange)) {
        let all = || retired.iter().flatten();
        let Some(first) = all().map(|one| one.range.start()).min() else { return };
        let last = all().map(|one| one.range.last()).max().unwrap_or(first);
        let Some(hull) = VirtRange::inclusive(first, last) else { return };
        let hold = Hold::new(self, hull, Root::Changes, Parking::Never);
        let mut unlinked = false;
        for one in all() {
            unlinked |= self.unlink_emptied(one.range, retired);
        }
        let reach = if unlinked { Reach::AllLevels } else { Reach::LastLevel };
        self.complete_by(|| self.forget((hull, retired), reach, hold.permit.terms));
        for one in all() {
            self.each_memory(one.range, &release);
        }
        if unlinked {
            self.platform().wait_for_readers();
        }
        for one in all() {
            self.empty(one.range);
            self.free_unlinked(one.range);
        }
        retired.fill_with(|| None);
    }

    /// Invalidates all ranges.
    fn forget(&self, (hull, retired): (VirtRange, &[Option<Retired>]), reach: Reach, terms: Terms) {
        let geometry = self.geometry();
        let each = || retired.iter().flatten();
        match terms.tlbi {
            TlbiForm::Ranged if hull.bytes() <= geometry.range_invalidation_limit() => {
                self.invalidate(hull, reach, Extent::Leaves, terms);
            }
            TlbiForm::Ranged => {
                each().for_each(|one| self.invalidate(one.range, reach, Extent::Leaves, terms));
            }
            TlbiForm::ByAddress => {
                let count: u64 = each().map(|one| one.range.bytes() / one.smallest).sum();
                if count > MOST_INVALIDATIONS_BY_ADDRESS {
                    self.machine().invalidate(geometry.invalidate_all());
                } else {
                    each().for_each(|one| {
                        self.invalidate(one.range, reach, Extent::Every(one.smallest), terms);
                    });
                }
            }
        }
    }

    /// Makes the topmost tables invalid that have nothing but what was retired, and says whether
    /// there are any: the entries keep their pointers.
    fn unlink_emptied(&self, range: VirtRange, retired: &[Option<Retired>]) -> bool {
        let geometry = self.geometry();
        let mut unlinked = false;
        let mut next = Some(range.start());
        while let Some(at) = next {
            let (mut level, mut table) = (geometry.root_level(), self.root());
            next = loop {
                let place = self.look(level, table, at);
                let (Kind::Table, Some(below)) = (place.kind, level.next()) else {
                    break self.after((level, at), 1, range.last());
                };
                let child = geometry.table_address(place.word);
                if self.has_nothing_else((below, child), at, retired) {
                    let span = place.entry.span(1);
                    self.machine().perform(Event::Update { span, clear: bits::VALID, set: 0 });
                    unlinked = true;
                    break self.after((level, at), 1, range.last());
                }
                if below == Level::L3 {
                    break self.after((level, at), 1, range.last());
                }
                (level, table) = (below, child);
            };
        }
        unlinked
    }

    /// Whether every entry of a table around `at` is empty or within what was retired.
    fn has_nothing_else(
        &self,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
        retired: &[Option<Retired>],
    ) -> bool {
        let geometry = self.geometry();
        let bytes = geometry.span_bytes(level);
        let entries = geometry.granule().entries();
        let start = at.align_down(bytes * u64::from(entries));
        let mut index = 0;
        while index < entries {
            let from = start.wrapping_add(bytes * u64::from(index));
            let place = self.look(level, table, from);
            let rest = place.entry.span(entries - index);
            index += match (place.kind, level.next()) {
                (Kind::Invalid, _) if place.word == 0 => self.machine().scan(rest, EMPTY).max(1),
                (Kind::Invalid, _) => 1,
                (Kind::Table, Some(below)) => {
                    let child = geometry.table_address(place.word);
                    if !self.has_nothing_else((below, child), from, retired) {
                        return false;
                    }
                    1
                }
                (Kind::Table | Kind::Leaf | Kind::PresentInvalid | Kind::Reserved, _) => {
                    let Some(entry) = VirtRange::new(from, bytes) else { return false };
                    let mut all = retired.iter().flatten();
                    let Some(one) = all.find(|one| one.range.covers(entry)) else { return false };
                    // All that follows of it in this table is as it is, or a table.
                    let left = self.span_up_to((level, table), from, one.range.last());
                    let alike = place.leaves_like().map(|like| self.machine().scan(left, like));
                    alike.unwrap_or(1).max(1)
                }
            };
        }
        true
    }

    /// Tells `release` the memory of the leaves of `range`, in pieces as long as can be: in tables that are linked and in those
    /// that no longer are.
    fn each_memory(&self, range: VirtRange, release: &impl Fn(PhysRange)) {
        let geometry = self.geometry();
        let mut piece: Option<PhysRange> = None;
        let mut next = Some(range.start());
        while let Some(at) = next {
            let mut place = self.find(at);
            while let (Kind::Invalid, true, Some(below)) =
                (place.kind, place.word != 0, place.level.next())
            {
                place = self.find_below(below, geometry.table_address(place.word), at);
            }
            let bytes = geometry.span_bytes(place.level);
            let output = geometry.leaf_output(place.level, place.word);
            let mut count = 1;
            if place.kind == Kind::PresentInvalid {
                let span = self.span_up_to(place.table(), at, range.last());
                count = self.machine().climb(span, place.word, bytes).max(1);
            }
            if place.kind == Kind::PresentInvalid
                && let Some(memory) = PhysRange::new(output, bytes * u64::from(count))
            {
                let follows = |before: &PhysRange| before.end() == memory.start();
                let both = piece
                    .filter(follows)
                    .and_then(|before| PhysRange::inclusive(before.start(), memory.last()));
                if both.is_none() {
                    piece.into_iter().for_each(release);
                }
                piece = both.or(Some(memory));
            }
            next = self.after((place.level, at), count, range.last());
        }
        piece.into_iter().for_each(release);
    }

    /// Empties the leaves of `range` in tables that are linked.
    fn empty(&self, range: VirtRange) {
        let mut next = Some(range.start());
        while let Some(at) = next {
            let place = self.find(at);
            next = if place.kind == Kind::PresentInvalid {
                let span = self.span_up_to(place.table(), at, range.last());
                let span = self.leaves_of(place.level, span);
                self.machine().perform(Event::Fill { span, value: 0, step: 0 });
                self.after((place.level, at), span.count, range.last())
            } else {
                self.after((place.level, at), 1, range.last())
            };
        }
    }
}
