//! What barriers, and the ends of operations, make sure.

use blockmap_machine::{Barrier, PhysAddr, VirtAddr, VirtRange};

use super::admit::Says;
use super::stale::{Key, Old, OldKind, Read, intersection};
use super::tree::{Place, segments};
use super::{Holds, Judge, Open, Sent};
use crate::decode::Word;
use crate::maintenance::{Domain, Form, Maintenance, Reach};
use crate::meaning::Translation;
use crate::profile::{Invalidation, Several, Synchronisation, WalkCache};
use crate::program::Context;
use crate::verdict::Rule;

impl Judge<'_> {
    /// The invalidations of `cpu` are complete: the local ones only after a local barrier.
    pub(super) fn complete(&mut self, cpu: usize, barrier: Barrier) {
        let is_done =
            |sent: &Sent| barrier == Barrier::DsbIsh || sent.names.domain == Domain::Local;
        let sent = std::mem::take(&mut self.cpus[cpu].sent);
        let (done, left): (Vec<Sent>, Vec<Sent>) = sent.into_iter().partition(is_done);
        self.cpus[cpu].sent = left;
        let Some(hull) = hull(self.program.shape.inputs(), &done) else { return };
        for target in 0..self.cpus.len() {
            self.empty_parked((cpu, target), &done);
        }
        for (key, old) in self.stale.overlapping(self.program.shape, hull) {
            match old.kind {
                OldKind::Leaves { .. } => {
                    let rest = self.survivors(cpu, &done, old);
                    if rest != [(old.range, old.cpus)] {
                        self.stale.remove(key);
                        for (range, cpus) in rest {
                            self.stale.add(Old { cpus, ..old.part(range) });
                        }
                    }
                }
                OldKind::Pointer { table, .. } => {
                    self.complete_pointer((cpu, &done), key, (old, table))
                }
            }
        }
    }

    /// A CPU that is off the tree and has emptied its TLB since holds nothing of it.
    fn empty_parked(&mut self, (cpu, target): (usize, usize), done: &[Sent]) {
        let now = &self.cpus[target];
        let empties = |sent: &Sent| {
            let names = sent.names;
            names.reach == Some(Reach::Everything)
                && names.asid.is_none()
                && (names.domain == Domain::Every || cpu == target)
                && sent.time > now.synchronised
        };
        let is_off = now.context == Context::Reserved && now.lingering.is_none();
        if is_off && done.iter().any(empties) {
            self.cpus[target].holds = Holds::Nothing;
        }
    }

    /// What is left of a stale pointer, and of what was reached by it.
    fn complete_pointer(
        &mut self,
        (cpu, done): (usize, &[Sent]),
        key: Key,
        (old, table): (Old, PhysAddr),
    ) {
        let rest = self.survivors(cpu, done, old).into_iter().fold(0, |all, (_, cpus)| all | cpus);
        let gone = old.cpus & !rest;
        let number = key.1.1;
        if gone != 0 {
            let hits =
                |sent: &&Sent| sent.names.depth.has_pointers_to(old.height.saturating_sub(1));
            let done: Vec<Sent> = done.iter().filter(hits).copied().collect();
            self.orphan((cpu, &done), (table, number), Old { cpus: gone, ..old });
        }
        self.stale.keep(key, rest);
        if rest == 0 {
            self.forget(table, (old.range.start(), number));
        }
    }

    /// A pointer is gone from the TLBs of its CPUs: what they may keep of what it led to.
    fn orphan(
        &mut self,
        (cpu, done): (usize, &[Sent]),
        (table, number): (PhysAddr, u64),
        pointer: Old,
    ) {
        let Some(found) = self.tables.get(&table) else { return };
        let at = pointer.range.start();
        let is_it = |place: &&Place| place.start == at && place.by == Some(number);
        let Some(place) = found.places.iter().find(is_it).copied() else { return };
        let words = found.words.clone();
        let shape = self.program.shape;
        for segment in segments(shape.span(place.height), 0, &words) {
            let Some(range) = segment.range(shape, place) else { continue };
            let old = Old { range, height: place.height, from: table, ..pointer };
            match self.says(place, segment.word) {
                Says::Anything | Says::Nothing => {}
                Says::Leaves { .. } => {
                    let word = segment.word.unwrap_or(0);
                    let kind = OldKind::Leaves { word, allows: place.allows };
                    let old = Old { kind, ..old };
                    for (range, cpus) in self.survivors(cpu, done, old) {
                        let read = Read::Until(self.time);
                        self.stale.add(Old { cpus, read, ..old.part(range) });
                    }
                }
                Says::Pointer { table: below, allows } => {
                    let kind = OldKind::Pointer { table: below, allows };
                    let old = Old { kind, ..old };
                    let rest = self.survivors(cpu, done, old);
                    let left = rest.iter().fold(0, |all, (_, cpus)| all | cpus);
                    let gone = old.cpus & !left;
                    if gone != 0 {
                        self.orphan((cpu, done), (below, number), Old { cpus: gone, ..old });
                    }
                    if left != 0 {
                        let read = Read::Until(self.time);
                        let (_, own) = self.stale.add(Old { cpus: left, read, ..old });
                        self.lead(below, (range.start(), Some(number)), Some(own.1));
                    }
                }
            }
        }
    }

    /// Nothing leads to a table by way of a stale pointer any more.
    fn forget(&mut self, table: PhysAddr, (start, number): (VirtAddr, u64)) {
        let Some(found) = self.tables.get_mut(&table) else { return };
        let mut height = None;
        found.places.retain(|place| {
            let is_it = place.start == start && place.by == Some(number);
            if is_it {
                height = Some(place.height);
            }
            !is_it
        });
        let Some(height) = height.filter(|height| *height > 0) else { return };
        let words = found.words.clone();
        for (index, word) in (0_u64..).zip(words) {
            let below = word.map(|word| self.program.shape.decode(height, word));
            if let Some(Word::Table { table, .. }) = below {
                let start = start.wrapping_add(index * self.program.shape.span(height));
                self.forget(table, (start, number));
            }
        }
    }

    /// Which parts of something stale which CPUs may hold after invalidations. What leaves the
    /// issuer's TLB stays in its pipeline.
    fn survivors(&mut self, cpu: usize, done: &[Sent], old: Old) -> Vec<(VirtRange, u64)> {
        let Read::Until(until) = old.read else { return vec![(old.range, old.cpus)] };
        let mut rest: Vec<(VirtRange, u64)> = Vec::new();
        let mut known: Vec<((bool, bool, bool), Vec<VirtRange>)> = Vec::new();
        for target in (0..self.cpus.len()).filter(|target| old.cpus >> target & 1 != 0) {
            let profile = self.program.cpus[target].profile;
            let is_strict = profile.several == Several::NoneRemoved && self.is_ambiguous(old);
            let class = (target == cpu, profile.invalidation == Invalidation::Ranged, is_strict);
            let parts = match known.iter().find(|(other, _)| *other == class) {
                Some((_, parts)) => parts.clone(),
                None => self.left_by(class, (done, until), old),
            };
            if target == cpu && parts != [old.range] && self.lingers(cpu, old) {
                self.stale.pipeline.push((cpu, old));
            }
            for part in &parts {
                match rest.iter_mut().find(|(range, _)| range == part) {
                    Some((_, cpus)) => *cpus |= 1 << target,
                    None => rest.push((*part, 1 << target)),
                }
            }
            known.push((class, parts));
        }
        rest
    }

    /// What invalidations leave of something stale on one kind of CPU.
    fn left_by(
        &self,
        (is_own, is_ranged, is_strict): (bool, bool, bool),
        (done, until): (&[Sent], u64),
        old: Old,
    ) -> Vec<VirtRange> {
        let bytes = self.program.shape.span(old.height);
        let entries = usize::try_from(old.range.bytes() / bytes).unwrap_or(1).max(1);
        let mut is_gone = vec![false; entries];
        for Sent { names, time } in done {
            let is_all = names.reach == Some(Reach::Everything);
            let acts = (names.domain == Domain::Every || is_own)
                && (names.form == Form::Plain || is_ranged)
                && (is_all || !is_strict)
                && *time > until;
            if !acts || !names.touches(old.range) || self.spares(*names, old) {
                continue;
            }
            let touched = match names.reach {
                Some(Reach::Within(range)) => intersection(range, old.range),
                Some(Reach::Everything) | None => Some(old.range),
            };
            let Some(touched) = touched.filter(|touched| *touched != old.range) else {
                return Vec::new();
            };
            let index = |at: VirtAddr| {
                let offset = at.offset_from(old.range.start()).unwrap_or(0);
                usize::try_from(offset / bytes).unwrap_or(0)
            };
            is_gone[index(touched.start())..=index(touched.last())].fill(true);
        }
        let mut parts: Vec<VirtRange> = Vec::new();
        let mut at = old.range.start();
        for run in is_gone.chunk_by(|one, other| one == other) {
            let length = u64::try_from(run.len()).unwrap_or(0) * bytes;
            if run.first() == Some(&false) {
                parts.extend(VirtRange::new(at, length.min(old.range.bytes())));
            }
            at = at.wrapping_add(length);
        }
        parts
    }

    /// Whether an invalidation that touches something stale does not name it for all that.
    fn spares(&self, names: Maintenance, old: Old) -> bool {
        match old.kind {
            OldKind::Pointer { .. } => {
                let height = old.height.saturating_sub(1);
                names.asid.is_some() || !names.depth.has_pointers_to(height)
            }
            OldKind::Leaves { word, .. } => {
                let leaf = self.program.shape.decode(old.height, word);
                let is_global = matches!(leaf, Word::Leaf(leaf) if leaf.is_global);
                let is_by_address = names.reach != Some(Reach::Everything);
                let is_space =
                    names.asid.is_none_or(|asid| if is_global { is_by_address } else { asid == 0 });
                !is_space || !names.depth.has_leaves(old.height)
            }
        }
    }

    /// Whether something of another size translates the same addresses.
    fn is_ambiguous(&self, old: Old) -> bool {
        let size = |height: u32, word: u64| (height, word >> 52 & 1);
        let OldKind::Leaves { word, .. } = old.kind else { return false };
        let current = self.current(old.range);
        let is_other = |height: u32, is_contiguous: bool| {
            (height, u64::from(is_contiguous)) != size(old.height, word)
        };
        let beside = self.stale.overlapping(self.program.shape, old.range);
        current.iter().any(|(_, height, leaf, _)| is_other(*height, leaf.is_contiguous))
            || beside.iter().any(|(_, other)| match other.kind {
                OldKind::Leaves { word: other_word, .. } => {
                    size(other.height, other_word) != size(old.height, word)
                }
                OldKind::Pointer { .. } => false,
            })
    }

    /// Whether a CPU's own pipeline may go on using what its TLB lost.
    fn lingers(&self, cpu: usize, old: Old) -> bool {
        let executes = match old.kind {
            OldKind::Leaves { word, .. } => matches!(
                self.program.shape.decode(old.height, word),
                Word::Leaf(leaf) if leaf.rights.executes()
            ),
            OldKind::Pointer { .. } => false,
        };
        let synchronisation = self.program.cpus[cpu].profile.synchronisation;
        executes || synchronisation == Synchronisation::Context
    }

    /// All that a CPU intended is in force.
    pub(super) fn achieve(&mut self, cpu: usize) {
        let (done, left): (Vec<Open>, Vec<Open>) =
            std::mem::take(&mut self.open).into_iter().partition(|open| open.cpu == cpu);
        self.open = left;
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
            let entry = VirtRange::new(start, bytes).and_then(|entry| intersection(entry, range));
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
        let both = intersection(old.range, range)?;
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
            let both = intersection(own, range)?;
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
            } else if sent {
                (6, Rule::CompleteAfterInvalidate)
            } else {
                (5, Rule::InvalidateAfterPublish)
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
        let mut held: Option<Old> = None;
        for (_, old) in self.stale.all() {
            let leads = matches!(old.kind, OldKind::Pointer { table: to, .. } if to == table);
            let holder = usize::try_from(old.cpus.trailing_zeros()).unwrap_or(0);
            if leads || old.from == table && by_place(holder) {
                held = held.filter(|_| !leads).or(Some(*old));
            }
        }
        if let Some(old) = held {
            let holder = usize::try_from(old.cpus.trailing_zeros()).unwrap_or(0);
            let rule = match self.why(cpu, holder, old) {
                Rule::StaleUntilInvalidated | Rule::InvalidateAfterPublish => {
                    Rule::FreeAfterInvalidate
                }
                other => other,
            };
            self.find(rule, holder, old.range.start(), "a pointer to the table, or a part of it");
        } else if let Some(place) = linked {
            let seen = "the table, which is linked";
            self.find(Rule::FreeAfterInvalidate, self.holder(), place.start, seen);
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

/// The addresses that invalidations name, and those between.
fn hull(inputs: VirtRange, done: &[Sent]) -> Option<VirtRange> {
    let ranges = done.iter().filter_map(|sent| match sent.names.reach? {
        Reach::Everything => Some(inputs),
        Reach::Within(range) => intersection(range, inputs),
    });
    let join = |one: VirtRange, other: VirtRange| {
        let start = one.start().min(other.start());
        let bytes =
            one.last().max(other.last()).offset_from(start).and_then(|above| above.checked_add(1));
        bytes.and_then(|bytes| VirtRange::new(start, bytes)).unwrap_or(inputs)
    };
    ranges.reduce(join)
}
