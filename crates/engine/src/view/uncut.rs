//! Changing views where nothing has to be cut: no table is needed, and nobody is parked.
#![expect(
    clippy::inline_always,
    reason = "what is asked of every alias is a part of the loop over them"
)]

use blockmap_machine::{Entry, Machine, Pattern, PhysAddr, Span, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, Kind, bits};

use super::Viewing;
use super::commit::phases;
use crate::plan::Parking;
use crate::protect::Asker;
use crate::space::Place;
use crate::{Platform, Space};

/// Aliases that are listed: where there are more of them, they are read from the range's entries whenever
/// they are needed.
const LISTED: usize = 20;

/// An alias of a piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alias {
    pub(super) range: VirtRange,
    /// Its entries, if it is known that they are leaves of one table, none of which reaches beyond it: as
    /// long as the locks are held that they were found under.
    pub(super) entries: Option<Span>,
}

/// A table that an alias is in, and leaves of it that a change is known to be possible for.
#[derive(Clone, Copy, Debug)]
struct Known {
    table: PhysAddr,
    /// The first address that it translates.
    start: VirtAddr,
    /// How many it translates.
    bytes: u64,
    /// Log2 of the bytes of a leaf.
    leaf_bits: u32,
    /// Bytes of a leaf, or of a run of them.
    unit: u64,
    /// What the leaves match.
    like: Pattern,
}

/// The aliases of a range's pieces, in the order of the pieces.
#[derive(Debug)]
pub(super) struct Aliases {
    listed: [Alias; LISTED],
    /// How many there are, listed or not.
    count: usize,
    /// The lowest address of any, and the highest: that is below it where there is none.
    lowest: VirtAddr,
    highest: VirtAddr,
}

impl<P: Platform> Space<'_, P> {
    /// Makes a change of views at once, if every leaf that changes is covered whole and allows it; tells
    /// whether it did. What stands in the way is found by the plan that is made then.
    pub(super) fn change_uncut(&self, viewing: Viewing, may_park: &P::MayPark) -> bool {
        let guess = self.guess_aliases(viewing);
        if !guess.is_uncut {
            return false;
        }
        let mut aliases = Aliases::of(viewing.range);
        let list =
            |aliases: &mut Aliases| self.find_uncut(viewing, aliases).then_some(()).ok_or(());
        let parking = Parking::Allowed(may_park);
        let Ok(hold) = self.hold_listed((viewing, &mut aliases), guess.slots, parking, list) else {
            return false;
        };
        for phase in phases(viewing.change) {
            self.commit_phase((viewing, &aliases), *phase, hold.permit);
        }
        true
    }

    /// The aliases of a range, or so many that it is seen that they are not all listed.
    pub(super) fn list(&self, viewing: Viewing) -> Aliases {
        let mut aliases = Aliases::of(viewing.range);
        for alias in self.aliases(viewing).take(LISTED + 1) {
            aliases.add(alias);
        }
        aliases
    }

    /// Lists the aliases that change. Tells whether all are listed, neither they nor the range end within a
    /// leaf, and the system and every leaf of both allow the change's first phase.
    fn find_uncut(&self, viewing: Viewing, aliases: &mut Aliases) -> bool {
        let Viewing { range, view, change } = viewing;
        if !self.is_uncut(range) || self.platform().refusal(range).is_some() {
            return false;
        }
        let of_range = change.of_range().first();
        let Some(of_aliases) = change.of_aliases() else {
            return of_range.is_none_or(|change| self.leaves_allow(range, *change, Asker::Anybody));
        };
        let mut pieces = self.pieces(range);
        pieces.ask(of_range.map(|change| (*change, Asker::Anybody)));
        let mut known = None;
        while let Some(piece) = pieces.advance() {
            let alias = self.alias(view, piece).ok();
            match alias.and_then(|alias| self.uncut_alias(alias, of_aliases, &mut known)) {
                Some(alias) if !aliases.are_full() => aliases.add(alias),
                Some(_) | None => return false,
            }
        }
        pieces.all_allow()
    }

    /// An alias that does not end within a leaf, if the system and every leaf of it allow a change: those
    /// in the table that is known, or else those where it is, which is known then.
    #[inline(always)]
    fn uncut_alias(
        &self,
        range: VirtRange,
        change: Change,
        known: &mut Option<Known>,
    ) -> Option<Alias> {
        if self.platform().refusal(range).is_some() {
            return None;
        }
        let mut entries = known.and_then(|known| self.known_leaves(known, range));
        if entries.is_none() {
            let first = self.find(range.start());
            let allowed = self.allowed_as((&first, range.start()), (change, Asker::Owner))?;
            let here = self.known_from(&first, allowed, range.start());
            entries = self.known_leaves(here, range);
            *known = Some(here);
        }
        let is_possible = entries.is_some()
            || self.is_uncut(range) && self.leaves_allow(range, change, Asker::Owner);
        is_possible.then_some(Alias { range, entries })
    }

    /// The table of a leaf that translates `at`, and the leaves in it that are like that one.
    fn known_from(&self, first: &Place, allowed: Pattern, at: VirtAddr) -> Known {
        let (geometry, level) = (self.geometry(), first.level);
        let bytes = geometry.span_bytes(level) * u64::from(geometry.entries(level));
        Known {
            table: first.entry.table,
            start: at.align_down(bytes),
            bytes,
            leaf_bits: geometry.span_bits(level),
            unit: self.unit_bytes(first),
            like: Pattern {
                mask: allowed.mask | bits::CONTIGUOUS,
                value: allowed.value | first.word & bits::CONTIGUOUS,
            },
        }
    }

    /// The entries of `range`, if all are in the table that is known and like the leaves that are, and no
    /// leaf or run of them reaches beyond the range.
    #[inline(always)]
    fn known_leaves(&self, known: Known, range: VirtRange) -> Option<Span> {
        let offset = range.start().offset_from(known.start)?;
        let is_inside = offset < known.bytes && range.bytes() <= known.bytes - offset;
        if !is_inside || (offset | range.bytes()) & (known.unit - 1) != 0 {
            return None;
        }
        // INVARIANT: a table has at most 8192 entries.
        let number = |bytes: u64| u16::try_from(bytes >> known.leaf_bits).ok();
        let entry = Entry { table: known.table, index: number(offset)? };
        let span = entry.span(number(range.bytes())?);
        (self.machine().scan(span, known.like) == span.count).then_some(span)
    }

    /// Whether leaves, and runs of them, are covered whole by `range` at its ends.
    fn is_uncut(&self, range: VirtRange) -> bool {
        let first = self.find(range.start());
        let unit = self.unit_bytes(&first);
        if !range.start().is_aligned(unit) {
            return false;
        }
        range.bytes() == unit || range.end().is_aligned(self.unit_bytes(&self.find(range.last())))
    }

    /// Whether a change is possible for the leaf at `place`, which translates `at`.
    pub(super) fn entry_allows(
        &self,
        (place, at): (&Place, VirtAddr),
        (change, asker): (Change, Asker),
    ) -> bool {
        self.allowed_as((place, at), (change, asker)).is_some()
    }

    /// The entries that a change is possible for as it is for the leaf at `place`, which translates `at`.
    #[inline]
    pub(super) fn allowed_as(
        &self,
        (place, at): (&Place, VirtAddr),
        (change, asker): (Change, Asker),
    ) -> Option<Pattern> {
        let is_fit = place.kind == Kind::Leaf || matches!(change, Change::Valid | Change::Invalid);
        if is_fit { self.changeable(place, at, (change, asker)).ok() } else { None }
    }

    /// Whether a change is possible for every leaf of `part`.
    fn leaves_allow(&self, part: VirtRange, change: Change, asker: Asker) -> bool {
        let mut next = Some(part.start());
        while let Some(at) = next {
            let place = self.find(at);
            let Some(pattern) = self.allowed_as((&place, at), (change, asker)) else {
                return false;
            };
            let span = self.span_up_to(place.table(), at, part.last());
            let count = if span.count == 1 { 1 } else { self.machine().scan(span, pattern).max(1) };
            next = self.after((place.level, at), count, part.last());
        }
        true
    }
}

impl Aliases {
    /// The lowest and the highest address of none.
    const NOWHERE: (VirtAddr, VirtAddr) = (VirtAddr::new(u64::MAX), VirtAddr::new(0));

    /// Those that are listed.
    pub(super) fn listed(&self) -> &[Alias] {
        self.listed.get(..self.count.min(LISTED)).unwrap_or_default()
    }

    /// Whether these are all.
    pub(super) const fn are_all(&self) -> bool {
        self.count <= LISTED
    }

    /// None yet.
    pub(super) const fn of(range: VirtRange) -> Self {
        Self {
            listed: [Alias { range, entries: None }; LISTED],
            count: 0,
            lowest: Self::NOWHERE.0,
            highest: Self::NOWHERE.1,
        }
    }

    /// From the start of the lowest to the end of the highest, if there are any.
    pub(super) fn whole(&self) -> Option<VirtRange> {
        VirtRange::inclusive(self.lowest, self.highest)
    }

    /// None any more.
    pub(super) const fn clear(&mut self) {
        self.count = 0;
        (self.lowest, self.highest) = Self::NOWHERE;
    }

    /// Whether no more can be listed.
    const fn are_full(&self) -> bool {
        self.count >= LISTED
    }

    pub(super) fn add(&mut self, alias: Alias) {
        if let Some(place) = self.listed.get_mut(self.count) {
            *place = alias;
        }
        self.lowest = self.lowest.min(alias.range.start());
        self.highest = self.highest.max(alias.range.last());
        self.count += 1;
    }
}
