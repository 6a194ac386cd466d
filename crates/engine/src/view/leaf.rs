//! Changing one leaf and its alias, which lies in one leaf as well: nothing is listed, each is walked to
//! once under the locks, and no plan is moved.

use blockmap_machine::{Entry, Event, Machine, PhysRange, VirtRange};
use blockmap_vmsa::{Change, Kind, Masks, Reach};

use super::commit::{Phase, held_by_owner, phases};
use super::{ViewError, Viewing};
use crate::complete::Extent;
use crate::cut::Cuts;
use crate::plan::{Hold, Parking, Permit};
use crate::protect::Asker;
use crate::space::Place;
use crate::{Platform, Root, Space, Terms};

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// The change is in force on every CPU.
    Made,
    /// Nothing was changed: it takes more, or is not allowed.
    Not,
}

impl<P: Platform> Space<'_, P> {
    /// Makes a change of views at once, if it is of one leaf and one alias, in one phase, and allowed. The
    /// alias may have to be cut from the leaf that it lies in. What stands in the way is found by the plan
    /// that is made otherwise.
    pub(super) fn change_leaf(
        &self,
        viewing: Viewing,
        may_park: &P::MayPark,
    ) -> Result<Tried, ViewError> {
        let range = viewing.range;
        let [Phase { range: Some(of_range), aliases: Some(of_alias) }] = phases(viewing.change)
        else {
            return Ok(Tried::Not);
        };
        let seen = {
            let _reader = self.reader();
            self.find(range.start())
        };
        let Some(alias) = self.alias_of_leaf(viewing, &seen) else { return Ok(Tried::Not) };
        let parking = Parking::Allowed(may_park);
        let hold = Hold::of_both(self, (range, alias), Root::Untouched, parking);
        let (leaf, other) = (self.find(range.start()), self.find(alias.start()));
        // It may have moved before the locks were taken.
        let is_same = (leaf.level, leaf.word) == (seen.level, seen.word);
        let is_allowed = is_same
            && self.left_in(&other, alias.start()) >= alias.bytes()
            && self.leaf_allows((&leaf, range), *of_range, Asker::Anybody)
            && self.leaf_allows((&other, alias), *of_alias, Asker::Owner);
        if !is_allowed {
            return Ok(Tried::Not);
        }
        let entry = if self.is_one_leaf(&other, alias) {
            other.entry
        } else {
            match self.cut_out(alias, &other, hold.permit)? {
                Some(entry) => entry,
                None => return Ok(Tried::Not),
            }
        };
        self.update_leaf(leaf.entry, self.masks(*of_range));
        self.update_leaf(entry, held_by_owner(*of_alias, self.masks(*of_alias)));
        self.complete_leaves([range, alias], *of_range, hold.permit.terms);
        Ok(Tried::Made)
    }

    /// The alias of the range's memory, if the range is all of the leaf at `place`, and the alias could be
    /// one.
    fn alias_of_leaf(&self, viewing: Viewing, place: &Place) -> Option<VirtRange> {
        let Viewing { range, view, .. } = viewing;
        let is_leaf = matches!(place.kind, Kind::Leaf | Kind::PresentInvalid);
        if !is_leaf || !self.is_one_leaf(place, range) {
            return None;
        }
        let output = self.geometry().leaf_output(place.level, place.word);
        let alias = view.range_of(PhysRange::new(output, range.bytes())?)?;
        (alias.start().is_aligned(alias.bytes()) && self.check(alias).is_ok()).then_some(alias)
    }

    /// Whether a change is possible for the leaf at `place`, in which `part` lies.
    fn leaf_allows(
        &self,
        (place, part): (&Place, VirtRange),
        change: Change,
        asker: Asker,
    ) -> bool {
        self.entry_allows((place, part.start()), (change, asker))
            && self.platform().refusal(part).is_none()
    }

    /// Makes a leaf of its own of `alias`, which lies in the leaf at `place` and is aligned to its size.
    /// `None`, with nothing changed, if there are too few tables, or it takes other locks or may not be.
    ///
    /// # Errors
    /// A CPU did not come to be parked: nothing was changed.
    #[inline(never)]
    fn cut_out(
        &self,
        alias: VirtRange,
        place: &Place,
        permit: Permit<'_, P>,
    ) -> Result<Option<Entry>, ViewError> {
        let cuts: Cuts = self.cuts_from(place, alias);
        if self.beyond_slots(alias, &cuts).is_some() || cuts.check_strategy(&permit).is_err() {
            return Ok(None);
        }
        let needed = cuts.tables(self);
        if needed > 0 && self.platform().reserve(needed).is_err() {
            return Ok(None);
        }
        let linked = self.commit_cuts(&cuts, permit).inspect_err(|_| {
            self.platform().unreserve(needed);
        })?;
        let direct = linked.and_then(|linked| self.direct_after_cut(linked, alias));
        Ok(Some(match direct {
            Some(span) => Entry { table: span.table, index: span.first },
            None => self.find(alias.start()).entry,
        }))
    }

    fn update_leaf(&self, entry: Entry, masks: Masks) {
        let Masks { clear, set } = masks;
        self.machine().perform(Event::Update { span: entry.span(1), clear, set });
    }

    /// Makes a change of two leaves take effect.
    fn complete_leaves(&self, parts: [VirtRange; 2], change: Change, terms: Terms) {
        if change.needs_invalidation() {
            self.complete_by(|| {
                for part in parts {
                    self.invalidate(part, Reach::LastLevel, Extent::OneLeaf, terms);
                }
            });
        } else {
            self.complete_new();
        }
    }
}
