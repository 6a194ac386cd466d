//! What the ends of operations promise, and whether it is so.

use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};

use super::admit::Says;
use super::stale::{Old, OldKind};
use super::tree::{Place, segments};
use super::{Judge, Open};
use crate::decode::Word;
use crate::maintenance::{Domain, Form, Maintenance, Reach};
use crate::meaning::Translation;
use crate::profile::{Invalidation, Several, WalkCache};
use crate::program::Meanwhile;
use crate::verdict::Rule;

impl Judge<'_> {
    /// All that a CPU intended is in force.
    pub(super) fn achieve(&mut self, cpu: usize) {
        let (done, left): (Vec<Open>, Vec<Open>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open| open.cpu == cpu && open.meanwhile != Meanwhile::Later);
        self.open = left;
        let is_over = |open: &Open| {
            open.meanwhile == Meanwhile::Later
                && done.iter().any(|done| done.range.overlaps(open.range))
        };
        self.open.retain(|open| !is_over(open));
        for open in &done {
            self.meaning.set(open.range, open.target);
        }
        let now = &self.cpus[cpu];
        let is_seen = now.published > now.stored && now.synchronised >= now.published;
        for open in &done {
            if open.is_new && !is_seen {
                let seen = "a fault";
                self.find(Rule::SynchroniseAfterPublish, cpu, open.range.start(), seen);
            }
            self.check_tables(cpu, open.range);
            self.check_stale(cpu, open.range);
            self.check_runs(open.range);
            if open.is_new {
                self.mapped.push((open.range, self.cpus[cpu].published));
            }
        }
        if self.cpus.iter().all(|now| self.mapped.iter().all(|(_, time)| now.synchronised > *time))
        {
            self.mapped.clear();
        }
        self.cpus[cpu].issued.clear();
    }

    /// Checks that the tables mean what was asked of a range.
    fn check_tables(&mut self, cpu: usize, range: VirtRange) {
        let mut next = Some(range.start());
        while let Some(at) = next.filter(|at| *at <= range.last()) {
            let (bytes, _, leaf) = self.walk(at);
            let start = at.align_down(bytes);
            let entry = VirtRange::new(start, bytes).and_then(|entry| entry.intersection(range));
            if let Some(entry) = entry {
                let offset = entry.start().offset_from(start).unwrap_or(0);
                let is = leaf.map(|(leaf, rights)| {
                    Translation { output: leaf.output, rights, memory: leaf.memory }.above(offset)
                });
                let pieces = self.meaning.pieces(entry);
                let wrong = pieces.iter().find(|piece| {
                    let offset = piece.range.start().offset_from(entry.start()).unwrap_or(0);
                    piece.translation != is.map(|to| to.above(offset))
                });
                if let Some(piece) = wrong {
                    let at = piece.range.start();
                    return self.find(Rule::MapMeansWhatWasAsked, cpu, at, "another translation");
                }
            }
            next = start.checked_add(bytes);
        }
    }

    /// Checks that what TLBs and the pipeline may hold of a range is what was asked.
    fn check_stale(&mut self, cpu: usize, range: VirtRange) {
        for (key, old) in self.stale.overlapping(self.program.shape, range) {
            if let Some(at) = self.disagrees(old, key.1.1, range) {
                let holder = usize::try_from(old.cpus.trailing_zeros()).unwrap_or(0);
                let rule = self.why(cpu, holder, old);
                self.find(rule, holder, at, "what was there before");
            }
        }
        let pipeline = std::mem::take(&mut self.stale.pipeline);
        for (whose, old) in &pipeline {
            if let Some(at) = self.disagrees(*old, 0, range) {
                self.find(Rule::SynchroniseAfterInvalidate, *whose, at, "what was there before");
            }
        }
        self.stale.pipeline = pipeline;
    }

    /// The first address of a range that something stale translates as it must not.
    fn disagrees(&self, old: Old, number: u64, range: VirtRange) -> Option<VirtAddr> {
        let both = old.range.intersection(range)?;
        match old.kind {
            OldKind::Leaves { word, allows } => {
                let Word::Leaf(leaf) = self.program.shape.decode(old.height, word) else {
                    return None;
                };
                let offset = both.start().offset_from(old.range.start())?;
                let rights = leaf.rights.and(allows);
                let to = Translation { output: leaf.output, rights, memory: leaf.memory };
                self.not_allowed(both, to.above(offset)).map(|(at, _)| at)
            }
            OldKind::Pointer { table, .. } => {
                let found = self.tables.get(&table)?;
                let is_it =
                    |place: &&Place| place.start == old.range.start() && place.by == Some(number);
                let place = *found.places.iter().find(is_it)?;
                self.table_disagrees((table, place), number, both)
            }
        }
    }

    /// The same for what a table says that only a stale pointer leads to.
    fn table_disagrees(
        &self,
        (table, place): (PhysAddr, Place),
        number: u64,
        range: VirtRange,
    ) -> Option<VirtAddr> {
        let shape = self.program.shape;
        let words = &self.tables.get(&table)?.words;
        segments(shape.span(place.height), 0, words).into_iter().find_map(|segment| {
            let own = segment.range(shape, place)?;
            let both = own.intersection(range)?;
            match self.says(place, segment.word) {
                Says::Anything => Some(both.start()),
                Says::Nothing => self.must_not_fault(both),
                Says::Leaves { leaf, rights } => {
                    let offset = both.start().offset_from(own.start())?;
                    let to = Translation { output: leaf.output, rights, memory: leaf.memory };
                    self.not_allowed(both, to.above(offset)).map(|(at, _)| at)
                }
                Says::Pointer { table, allows } => {
                    let height = place.height.checked_sub(1)?;
                    let by = Some(number);
                    self.table_disagrees(
                        (table, Place { height, start: own.start(), allows, by }),
                        number,
                        both,
                    )
                }
            }
        })
    }

    /// Which rule the program forgot, that something stale is still there.
    fn why(&self, cpu: usize, holder: usize, old: Old) -> Rule {
        let own = if holder == cpu { &[][..] } else { &self.cpus[holder].issued };
        let ranged = self.program.cpus[holder].profile.invalidation == Invalidation::Ranged;
        let several = self.program.cpus[holder].profile.several;
        let is_strict = several == Several::NoneRemoved && self.is_ambiguous(old);
        let reason = |(by, names): (usize, &Maintenance)| {
            if !names.touches(old.range) {
                return None;
            }
            let sent = self.cpus[by].sent.iter().any(|sent| sent.names == *names);
            Some(if names.domain == Domain::Local && by != holder {
                (1, Rule::InvalidateEveryCpu)
            } else if names.form == Form::Ranged && !ranged {
                (2, Rule::RangeFormNeedsEveryCpu)
            } else if self.spares(*names, old) {
                match (old.kind, names.asid) {
                    (OldKind::Pointer { .. }, _)
                        if !names.depth.has_pointers_to(old.height - 1) =>
                    {
                        (4, Rule::AllLevelsBeforeFree)
                    }
                    (OldKind::Leaves { .. }, _) if !names.depth.has_leaves(old.height) => {
                        (4, Rule::NoTtlAcrossSizes)
                    }
                    _ => (3, Rule::InvalidateEveryAsid),
                }
            } else if names.reach != Some(Reach::Everything) && is_strict {
                (5, Rule::SeveralSizesNeedEverything)
            } else if sent {
                (7, Rule::CompleteAfterInvalidate)
            } else {
                (6, Rule::InvalidateAfterPublish)
            })
        };
        let issued = self.cpus[cpu].issued.iter().map(|names| (cpu, names));
        let all = issued.chain(own.iter().map(|names| (holder, names)));
        all.filter_map(reason).max().map_or(Rule::StaleUntilInvalidated, |(_, rule)| rule)
    }

    /// A table is given back.
    pub(super) fn free(&mut self, table: PhysAddr) {
        let cpu = self.at.0;
        let by_place =
            |holder: usize| self.program.cpus[holder].profile.walk_cache == WalkCache::ByPlace;
        let linked = self.tables.get(&table).and_then(|found| found.places.first().copied());
        let leads =
            |old: &Old| matches!(old.kind, OldKind::Pointer { table: to, .. } if to == table);
        let mut held: Option<Old> = None;
        for (_, old) in self.stale.all().filter(|(_, old)| old.cpus != 0) {
            let leads = leads(old);
            let holder = usize::try_from(old.cpus.trailing_zeros()).unwrap_or(0);
            if leads || old.from == table && by_place(holder) {
                held = held.filter(|_| !leads).or(Some(*old));
            }
        }
        if let Some(old) = held {
            let holder = usize::try_from(old.cpus.trailing_zeros()).unwrap_or(0);
            let mut rule = self.why(cpu, holder, old);
            if matches!(rule, Rule::StaleUntilInvalidated | Rule::InvalidateAfterPublish) {
                rule = Rule::FreeAfterInvalidate;
            }
            self.find(rule, holder, old.range.start(), "a pointer to the table, or a part of it");
        } else if let Some(place) = linked {
            let seen = "the table, which is linked";
            self.find(Rule::FreeAfterInvalidate, self.holder(), place.start, seen);
        } else {
            // What a TLB has lost, accesses that are under way may still walk by.
            let uses = |(holder, old): &&(usize, Old)| {
                leads(old) || old.from == table && by_place(*holder)
            };
            if let Some((holder, old)) = self.stale.pipeline.iter().find(uses).copied() {
                let seen = "a pointer to the table, or a part of it, in its pipeline";
                self.find(Rule::SynchroniseAfterInvalidate, holder, old.range.start(), seen);
            }
        }
        let table = self.tables.entry(table).or_default();
        table.words.clear();
        table.is_free = true;
    }

    /// A CPU relies on a range being mapped.
    pub(super) fn rely(&mut self, cpu: usize, range: VirtRange) {
        let synchronised = self.cpus[cpu].synchronised;
        let fault = self
            .mapped
            .iter()
            .find(|(mapped, published)| mapped.overlaps(range) && synchronised <= *published);
        if let Some((mapped, _)) = fault {
            let at = mapped.start().max(range.start());
            self.find(Rule::SynchroniseAfterPublish, cpu, at, "a fault");
        }
    }
}
