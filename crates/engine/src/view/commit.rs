//! Making a planned change of views: what must be split, then phase by phase.

use blockmap_layout::Strategy;
use blockmap_machine::{Machine, Pattern, VirtRange};
use blockmap_vmsa::{Change, Masks, bits};

use super::piece::Piece;
use super::uncut::{Alias, Aliases};
use super::{ViewChange, Viewing};
use crate::cut::PendingCuts;
use crate::plan::Permit;
use crate::{NotParked, Platform, Space, publish_code};

/// What is in force on every CPU before the next phase begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    /// Of the range.
    pub(super) range: Option<Change>,
    /// Of the aliases.
    pub(super) aliases: Option<Change>,
}

/// The phases of a change; what is narrowed comes first.
pub(super) const fn phases(change: ViewChange) -> &'static [Phase] {
    const fn both(change: Change) -> Phase {
        Phase { range: Some(change), aliases: Some(change) }
    }
    const fn range(change: Change) -> Phase {
        Phase { range: Some(change), aliases: None }
    }
    const fn aliases(change: Change) -> Phase {
        Phase { range: None, aliases: Some(change) }
    }
    match change {
        ViewChange::ReadOnly => const { &[both(Change::ReadOnly)] },
        ViewChange::ReadWrite => const { &[both(Change::ReadWrite)] },
        ViewChange::NoExecute => const { &[range(Change::NoExecute)] },
        ViewChange::Execute => const { &[aliases(Change::ReadOnly), range(Change::Execute)] },
        ViewChange::ReadOnlyExecute => const { &[both(Change::ReadOnly), range(Change::Execute)] },
        ViewChange::Invalid => const { &[both(Change::Invalid)] },
        ViewChange::Valid => const { &[aliases(Change::Valid), range(Change::Valid)] },
    }
}

impl<P: Platform> Space<'_, P> {
    /// Performs a checked change of views. Of the tables that were set aside, `left` are left.
    ///
    /// # Errors
    /// A CPU did not come to be parked: every address grants what it did.
    pub(crate) fn commit_views(
        &self,
        viewing: Viewing,
        permit: Permit<'_, P>,
        left: &mut u32,
    ) -> Result<(), NotParked> {
        self.split_views(viewing, permit, left)?;
        if *left > 0 {
            self.platform().unreserve(*left);
        }
        let aliases = self.list(viewing);
        for phase in phases(viewing.change) {
            self.commit_phase((viewing, &aliases), *phase, permit);
        }
        Ok(())
    }

    /// Has the range and its aliases begin and end between two leaves.
    fn split_views(
        &self,
        viewing: Viewing,
        permit: Permit<'_, P>,
        left: &mut u32,
    ) -> Result<(), NotParked> {
        let aliases = viewing.change.of_aliases().map(|_| self.aliases(viewing));
        let parts = core::iter::once(viewing.range)
            .chain(aliases.into_iter().flatten().map(|alias| alias.range));
        match permit.terms.strategy {
            Strategy::Live | Strategy::Pages => {}
            Strategy::Quiesce => {
                for part in parts {
                    let cuts = self.find_cuts(part).1;
                    self.commit_cuts(&cuts, permit)?;
                    *left = left.saturating_sub(cuts.tables(self));
                }
                return Ok(());
            }
        }
        let mut pending = PendingCuts::default();
        for part in parts {
            self.cut_into(&mut pending, part);
        }
        self.link_cuts(&mut pending);
        *left = left.saturating_sub(pending.taken());
        Ok(())
    }

    /// Stores, and has it in force everywhere.
    pub(super) fn commit_phase(
        &self,
        (viewing, aliases): (Viewing, &Aliases),
        phase: Phase,
        permit: Permit<'_, P>,
    ) {
        if aliases.are_all() {
            self.commit_to((viewing, phase), || aliases.listed().iter().copied(), permit);
        } else {
            self.commit_to((viewing, phase), || self.aliases(viewing), permit);
        }
    }

    fn commit_to<A: Iterator<Item = Alias>>(
        &self,
        (viewing, phase): (Viewing, Phase),
        all: impl Fn() -> A,
        permit: Permit<'_, P>,
    ) {
        let Phase { range, aliases } = phase;
        let of_aliases = aliases.map(|change| held_by_owner(change, self.masks(change)));
        // Of code that was read-only before, nothing has to be narrowed.
        if let (None, Some(masks)) = (range, of_aliases)
            && all().all(|alias| self.all_of(alias.range, masks))
        {
            return;
        }
        if range == Some(Change::Execute) || range == Some(Change::Valid) {
            self.publish_views(viewing);
        }
        if let Some(change) = range {
            self.update_range(viewing.range, self.masks(change));
        }
        if let Some(masks) = of_aliases {
            all().for_each(|Alias { range, entries }| match entries {
                Some(entries) => self.update(entries, masks),
                None => self.update_range(range, masks),
            });
        }
        let parts = || {
            let most = if aliases.is_some() { usize::MAX } else { 0 };
            range
                .map(|_| viewing.range)
                .into_iter()
                .chain(all().take(most).map(|alias| alias.range))
        };
        match range.or(aliases) {
            None => {}
            Some(change) if change.needs_invalidation() => self.complete_each(parts, permit.terms),
            Some(_) => self.complete_new(),
        }
    }

    /// Whether masks change nothing in any leaf of `part`.
    fn all_of(&self, part: VirtRange, masks: Masks) -> bool {
        let pattern = Pattern { mask: masks.clear | masks.set, value: masks.set };
        let mut next = Some(part.start());
        while let Some(at) = next {
            let place = self.find(at);
            let span = self.span_up_to(place.table(), at, part.last());
            let leaves = self.leaves_of(place.level, span);
            if self.machine().scan(leaves, pattern) < leaves.count {
                return false;
            }
            next = self.after((place.level, at), leaves.count, part.last());
        }
        true
    }

    /// Makes what was written to the memory of the range what is fetched, if it is executable or
    /// becomes so: its aliases are valid.
    fn publish_views(&self, viewing: Viewing) {
        let never = bits::privileged_execute_never(self.geometry().regime());
        let becomes = viewing.change.of_range().contains(&Change::Execute);
        if becomes || !self.all_of(viewing.range, Masks { clear: 0, set: never }) {
            for piece in self.pieces(viewing.range).flatten() {
                publish_code(self.machine(), piece.memory);
            }
        }
    }

    /// The aliases of the range's pieces.
    pub(super) fn aliases(&self, viewing: Viewing) -> impl Iterator<Item = Alias> {
        // INVARIANT: the plan has seen that every piece has one.
        let alias = move |piece: Piece| {
            let range = viewing.view.range_of(piece.memory)?;
            Some(Alias { range, entries: None })
        };
        self.pieces(viewing.range).flatten().filter_map(alias)
    }
}

/// The aliases that lose a right are their owner's from then on, until they have all they had.
pub(super) const fn held_by_owner(change: Change, masks: Masks) -> Masks {
    match change {
        Change::ReadOnly | Change::Invalid => Masks { set: masks.set | bits::HELD, ..masks },
        Change::ReadWrite => Masks { clear: masks.clear | bits::HELD, ..masks },
        Change::NoExecute | Change::Execute | Change::Valid => masks,
    }
}
