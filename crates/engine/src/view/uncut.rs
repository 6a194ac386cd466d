//! Changing views where nothing has to be cut: no table is needed, and nobody is parked.

use blockmap_machine::{Machine, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, Kind};

use super::Viewing;
use super::commit::phases;
use super::hull::hull;
use crate::plan::Parking;
use crate::protect::Asker;
use crate::space::Place;
use crate::{Platform, Space};

/// Aliases that are listed: where there are more of them, they are read from the range's entries whenever
/// they are needed.
const LISTED: usize = 20;

/// The aliases of a range's pieces, in the order of the pieces.
#[derive(Debug)]
pub(super) struct Aliases {
    listed: [VirtRange; LISTED],
    /// How many there are, listed or not.
    count: usize,
    /// From the lowest to the highest; the range's own where it has none.
    whole: VirtRange,
}

impl<P: Platform> Space<'_, P> {
    /// Makes a change of views at once, if every leaf that changes is covered whole and allows it; tells
    /// whether it did. What stands in the way is found by the plan that is made then.
    pub(super) fn change_uncut(&self, viewing: Viewing, may_park: &P::MayPark) -> bool {
        let is_uncut = {
            let _reader = self.reader();
            self.is_uncut(viewing.range)
        };
        let mut aliases = Aliases::of(viewing.range);
        let list =
            |aliases: &mut Aliases| self.find_uncut(viewing, aliases).then_some(()).ok_or(());
        let listed = is_uncut
            .then(|| self.hold_listed((viewing, &mut aliases), Parking::Allowed(may_park), list));
        let Some(Ok(hold)) = listed else { return false };
        if !self.all_allow(viewing, &aliases) {
            return false;
        }
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
    /// leaf, and every leaf of the range allows the first phase.
    fn find_uncut(&self, viewing: Viewing, aliases: &mut Aliases) -> bool {
        let Viewing { range, view, change } = viewing;
        if !self.is_uncut(range) {
            return false;
        }
        let of_range = change.of_range().first();
        if change.of_aliases().is_none() {
            return of_range.is_none_or(|change| self.allows(range, *change, Asker::Anybody));
        }
        let mut pieces = self.pieces(range);
        pieces.ask(of_range.map(|change| (*change, Asker::Anybody)));
        for piece in pieces.by_ref() {
            match self.alias(view, piece) {
                Ok(alias) if self.is_uncut(alias) => aliases.add(alias),
                Ok(_) | Err(_) => return false,
            }
        }
        pieces.all_allow() && aliases.are_all()
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

    /// Whether the system lets the range change, and the first phase is possible for every leaf of the
    /// aliases.
    fn all_allow(&self, viewing: Viewing, aliases: &Aliases) -> bool {
        let is_let = self.platform().refusal(viewing.range).is_none();
        is_let
            && viewing.change.of_aliases().is_none_or(|change| {
                let mut all = aliases.listed().iter();
                all.all(|alias| self.allows(*alias, change, Asker::Owner))
            })
    }

    /// Whether a change is possible for the leaf at `place`, which translates `at`.
    pub(super) fn entry_allows(
        &self,
        (place, at): (&Place, VirtAddr),
        (change, asker): (Change, Asker),
    ) -> bool {
        let is_fit = place.kind == Kind::Leaf || matches!(change, Change::Valid | Change::Invalid);
        is_fit && self.changeable(place, at, (change, asker)).is_ok()
    }

    /// Whether a change is possible for every leaf of `part`.
    fn allows(&self, part: VirtRange, change: Change, asker: Asker) -> bool {
        if self.platform().refusal(part).is_some() {
            return false;
        }
        let takes_invalid = matches!(change, Change::Valid | Change::Invalid);
        let mut next = Some(part.start());
        while let Some(at) = next {
            let place = self.find(at);
            let is_fit = takes_invalid || place.kind == Kind::Leaf;
            let Some(pattern) =
                self.changeable(&place, at, (change, asker)).ok().filter(|_| is_fit)
            else {
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
    /// Those that are listed.
    pub(super) fn listed(&self) -> &[VirtRange] {
        self.listed.get(..self.count.min(LISTED)).unwrap_or_default()
    }

    /// Whether these are all.
    pub(super) const fn are_all(&self) -> bool {
        self.count <= LISTED
    }

    /// None yet.
    pub(super) const fn of(range: VirtRange) -> Self {
        Self { listed: [range; LISTED], count: 0, whole: range }
    }

    /// From the start of the lowest to the end of the highest; the range that they are aliases of where
    /// there is none.
    pub(super) const fn whole(&self) -> VirtRange {
        self.whole
    }

    /// None any more.
    pub(super) const fn clear(&mut self) {
        self.count = 0;
    }

    pub(super) fn add(&mut self, alias: VirtRange) {
        if let Some(place) = self.listed.get_mut(self.count) {
            *place = alias;
        }
        self.whole = if self.count == 0 { alias } else { hull(self.whole, alias) };
        self.count += 1;
    }
}
