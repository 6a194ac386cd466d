//! Why a CPU may still hold what it must not.

use super::run::{Cause, Explorer};
use super::state::{Kind, State};
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
        } else if is_pending {
            Rule::CompleteAfterInvalidate
        } else if !state.cpus[cpu].tlb.contains(number) {
            Rule::SynchroniseAfterInvalidate
        } else {
            Rule::InvalidateAfterPublish
        })
    }
}

/// How near an invalidation came to removing an item.
fn nearness(rule: Rule) -> u32 {
    match rule {
        Rule::InvalidateEveryCpu => 1,
        Rule::RangeFormNeedsEveryCpu => 2,
        Rule::InvalidateEveryAsid => 3,
        Rule::AllLevelsBeforeFree | Rule::NoTtlAcrossSizes => 4,
        Rule::InvalidateAfterPublish => 5,
        Rule::CompleteAfterInvalidate => 6,
        Rule::SynchroniseAfterInvalidate => 7,
        _ => 0,
    }
}
