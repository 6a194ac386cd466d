//! Why a CPU may still hold what it must not.

use blockmap_machine::Entry;

use super::run::{Cause, Explorer};
use super::state::{Kind, State};
use crate::decode::Word;
use crate::maintenance::{Domain, Form};
use crate::profile::Invalidation;
use crate::verdict::Rule;

impl Explorer<'_, '_> {
    /// Which rule the program forgot: of the invalidations before `cause`, the one that came
    /// nearest to removing the item decides.
    pub(super) fn why(&self, state: &State, (cpu, number): (usize, usize), cause: Cause) -> Rule {
        let before = self.slice.issued.iter().enumerate().filter(|(_, issued)| {
            issued.cpu == cpu || issued.cpu == cause.cpu && issued.step < cause.step
        });
        let reasons = before.filter_map(|(issued, _)| self.missed(state, (cpu, number), issued));
        reasons.max_by_key(|rule| nearness(*rule)).unwrap_or(Rule::StaleUntilInvalidated)
    }

    /// Why one invalidation did not remove an item; `None` if it is about others.
    fn missed(&self, state: &State, (cpu, number): (usize, usize), issued: usize) -> Option<Rule> {
        let sent = self.slice.issued[issued];
        let names = sent.names;
        let known = &self.items[number];
        if !names.touches(known.range) {
            return None;
        }
        let profile = self.slice.program.cpus[cpu].profile;
        let is_pending = state.cpus[sent.cpu]
            .sent
            .iter()
            .any(|(other, targets)| *other == issued && targets >> cpu & 1 != 0);
        Some(if names.domain == Domain::Local && sent.cpu != cpu {
            Rule::InvalidateEveryCpu
        } else if names.form == Form::Ranged && profile.invalidation == Invalidation::ByAddress {
            Rule::RangeFormNeedsEveryCpu
        } else if !self.removes(names, number) {
            let is_level = match known.item.kind {
                Kind::Pointer { .. } => names.depth.has_pointers_to(known.item.height - 1),
                Kind::Leaf { .. } | Kind::Run { .. } => names.depth.has_leaves(known.item.height),
            };
            match (is_level, known.item.kind) {
                (true, _) => Rule::InvalidateEveryAsid,
                (false, Kind::Pointer { .. }) => Rule::AllLevelsBeforeFree,
                (false, Kind::Leaf { .. } | Kind::Run { .. }) => Rule::NoTtlAcrossSizes,
            }
        } else if self.is_ambiguous((cpu, state.cpus[cpu].tlb), number, names) {
            Rule::SeveralSizesNeedEverything
        } else if is_pending {
            Rule::CompleteAfterInvalidate
        } else if !state.cpus[cpu].tlb.contains(number) {
            Rule::SynchroniseAfterInvalidate
        } else {
            self.refetched(state, (cpu, number), issued).unwrap_or(Rule::InvalidateAfterPublish)
        })
    }

    /// Why an invalidation that removed an item left a pointer by which it was fetched again.
    fn refetched(
        &self,
        state: &State,
        (cpu, number): (usize, usize),
        issued: usize,
    ) -> Option<Rule> {
        let from = self.items[number].item.from;
        let leads = |pointer: &usize| matches!(self.items[*pointer].item.kind, Kind::Pointer { table, .. } if table == from);
        if self.is_linked(state, number) {
            return None;
        }
        let pointer = state.cpus[cpu].tlb.numbers().find(leads)?;
        let names = self.slice.issued[issued].names;
        let height = self.items[pointer].item.height.checked_sub(1)?;
        match (names.depth.has_pointers_to(height), names.asid) {
            (false, _) => Some(Rule::AllLevelsBeforeFree),
            (true, Some(_)) => Some(Rule::InvalidateEveryAsid),
            (true, None) => None,
        }
    }

    /// Whether a walk from the root still comes to the table that an item was fetched from.
    fn is_linked(&self, state: &State, number: usize) -> bool {
        let item = self.items[number].item;
        let shape = self.slice.program.shape;
        let (mut table, mut height) = (self.slice.program.root, shape.top());
        while table != item.from {
            let entry = Entry { table, index: shape.index(height, item.base) };
            let place = self.slice.places.get(&entry);
            let word = place.and_then(|place| state.memory[*place]);
            match (word.map(|word| shape.decode(height, word)), height.checked_sub(1)) {
                (Some(Word::Table { table: below, .. }), Some(lower)) => {
                    (table, height) = (below, lower);
                }
                _ => return false,
            }
        }
        true
    }
}

/// How near an invalidation came to removing an item: its place among these, the last the nearest.
fn nearness(rule: Rule) -> Option<usize> {
    const NEARER: [Rule; 9] = [
        Rule::InvalidateEveryCpu,
        Rule::RangeFormNeedsEveryCpu,
        Rule::InvalidateEveryAsid,
        Rule::AllLevelsBeforeFree,
        Rule::NoTtlAcrossSizes,
        Rule::SeveralSizesNeedEverything,
        Rule::InvalidateAfterPublish,
        Rule::CompleteAfterInvalidate,
        Rule::SynchroniseAfterInvalidate,
    ];
    NEARER.iter().position(|other| *other == rule)
}
