//! Which slots a change of views touches: a guess from a few entries, which is checked under the locks.

use blockmap_machine::{PhysRange, VirtAddr, VirtRange};

use super::uncut::Aliases;
use super::{View, Viewing};
use crate::plan::{Hold, Parking, slot_level};
use crate::space::Place;
use crate::{Platform, Root, Space};

/// What a look at a few entries of a range tells, without a lock.
pub(super) struct Guess {
    /// The slots that its aliases are in, and those between.
    pub(super) slots: VirtRange,
    /// Whether no leaf of it seems to reach beyond the range.
    pub(super) is_uncut: bool,
}

impl<P: Platform> Space<'_, P> {
    /// Takes the locks of a range and of its aliases, where no leaf changes its size, and has `list` make
    /// the list of these under them. They are taken to be `wanted`; where that was wrong, the list is
    /// made again with the locks of what was listed.
    ///
    /// # Errors
    /// Those of `list`; nothing is locked.
    pub(super) fn hold_listed<'s, E>(
        &'s self,
        (viewing, aliases): (Viewing, &mut Aliases),
        mut wanted: VirtRange,
        parking: Parking<'s, P>,
        list: impl Fn(&mut Aliases) -> Result<(), E>,
    ) -> Result<Hold<'s, P>, E> {
        loop {
            let ranges = (viewing.range, wanted);
            let hold = Hold::of_both(self, ranges, Root::Untouched, parking);
            aliases.clear();
            list(aliases)?;
            let found = self.slots_of(aliases.whole().unwrap_or(viewing.range));
            if wanted.covers(found) {
                return Ok(hold);
            }
            wanted = found;
        }
    }

    /// The slots from the lowest to the highest that aliases are likely to be in: those of the first and
    /// the last entry of every table. The range's own where it has no aliases.
    pub(super) fn guess_aliases(&self, viewing: Viewing) -> Guess {
        let Viewing { range, view, change } = viewing;
        let (mut guess, mut is_uncut) = (None, true);
        let _reader = self.reader();
        let mut next = Some(range.start()).filter(|_| change.of_aliases().is_some());
        while let Some(at) = next {
            let first = self.find(at);
            let span = self.span_up_to(first.table(), at, range.last());
            next = self.after((first.level, at), span.count, range.last());
            let highest = next.map_or(range.last(), |above| above.wrapping_add(u64::MAX));
            let last = self.look(first.level, first.entry.table, highest);
            if at == range.start() {
                is_uncut &= at.is_aligned(self.unit_bytes(&first));
            }
            if next.is_none() {
                is_uncut &= range.end().is_aligned(self.unit_bytes(&last));
            }
            for page in [(&first, at), (&last, highest)] {
                let alias = self.alias_of_page(view, page);
                guess = match (guess, alias) {
                    (Some(so_far), Some(alias)) => Some(hull(so_far, alias)),
                    (so_far, alias) => so_far.or(alias),
                };
            }
        }
        Guess { slots: self.slots_of(guess.unwrap_or(range)), is_uncut }
    }

    /// The alias of the page that the leaf at `place` translates `at` in.
    fn alias_of_page(&self, view: View, (place, at): (&Place, VirtAddr)) -> Option<VirtRange> {
        let page = self.geometry().page_bytes();
        let output = self.output(place, at)?.align_down(page);
        let alias = view.range_of(PhysRange::new(output, page)?)?;
        self.check(alias).is_ok().then_some(alias)
    }

    /// All of the slots that `range` touches.
    fn slots_of(&self, range: VirtRange) -> VirtRange {
        let slot = self.geometry().span_bytes(slot_level(self.geometry()));
        let last = range.last().align_down(slot).wrapping_add(slot - 1);
        VirtRange::inclusive(range.start().align_down(slot), last).unwrap_or(range)
    }
}

/// From the start of the lower to the end of the higher.
fn hull(one: VirtRange, other: VirtRange) -> VirtRange {
    let start = one.start().min(other.start());
    VirtRange::inclusive(start, one.last().max(other.last())).unwrap_or(one)
}
