//! What a store lets walkers meet, and whether they may.

use blockmap_machine::{Entry, Event, PhysAddr, VirtAddr, VirtRange};

use super::stale::{Old, OldKind, Read};
use super::tree::{Place, Segment, segments};
use super::{Holds, Judge};
use crate::decode::{Leaf, Word};
use crate::meaning::Translation;
use crate::profile::{Runs, SizeChange};
use crate::program::{Context, Meanwhile, write_to, written};
use crate::rights::Rights;
use crate::verdict::Rule;

/// What a segment says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    Anything,
    Nothing,
    Pointer { table: PhysAddr, allows: Rights },
    Leaves { leaf: Leaf, rights: Rights },
}

impl Judge<'_> {
    /// A CPU writes entries of one table.
    pub(super) fn write(&mut self, cpu: usize, event: Event) {
        let Some(span) = written(event) else { return };
        let table = self.tables.entry(span.table).or_default();
        table.is_free = false;
        let indices = span.first..span.first.saturating_add(span.count);
        let before: Vec<Option<u64>> = indices.clone().map(|index| table.get(index)).collect();
        let mut after = Vec::with_capacity(before.len());
        for (index, old) in indices.zip(&before) {
            let new = write_to(event, index).and_then(|write| write.apply(*old));
            table.set(index, new);
            after.push(new);
        }
        let places = table.places.clone();
        self.check_updates(cpu, event, &before);
        if !places.is_empty() {
            self.cpus[cpu].stored = self.time;
        }
        for place in &places {
            let step = self.program.shape.span(place.height);
            for segment in segments(step, span.first, &before) {
                self.outdate(cpu, (span.table, *place), segment);
            }
            for segment in segments(step, span.first, &after) {
                self.admit((span.table, *place), segment);
            }
        }
        if let Some(table) = self.tables.get_mut(&span.table) {
            table.unpublished.push((cpu, span.first, before));
            self.stale.dirty.push((cpu, span.table));
        }
    }

    /// What a segment of a table at a place says.
    pub(super) fn says(&self, place: Place, word: Option<u64>) -> Says {
        let Some(word) = word else { return Says::Anything };
        match self.program.shape.decode(place.height, word) {
            Word::Fault => Says::Nothing,
            Word::Table { table, allows } => {
                Says::Pointer { table, allows: allows.and(place.allows) }
            }
            Word::Leaf(leaf) => Says::Leaves { leaf, rights: leaf.rights.and(place.allows) },
        }
    }

    /// What walkers could read at a place until now is overwritten.
    fn outdate(&mut self, cpu: usize, (from, place): (PhysAddr, Place), segment: Segment) {
        let Some(range) = segment.range(self.program.shape, place) else { return };
        let word = segment.word.unwrap_or(0);
        let old = |kind| Old {
            range,
            height: place.height,
            from,
            kind,
            cpus: u64::MAX,
            read: Read::Still(cpu),
        };
        let cpus = self.holders();
        match self.says(place, segment.word) {
            Says::Anything | Says::Nothing => {}
            Says::Leaves { .. } => {
                let kind = OldKind::Leaves { word, allows: place.allows };
                self.stale.add(Old { cpus, ..old(kind) });
            }
            Says::Pointer { table, allows } => {
                let kind = OldKind::Pointer { table, allows };
                let (_, number) = self.stale.add(Old { cpus, ..old(kind) });
                self.lead(table, (range.start(), place.by), Some(number.1));
            }
        }
    }

    /// A pointer to `table` at `start` becomes stale, or, with `by` none, is one no more: what is
    /// below is now reached by way of it.
    pub(super) fn lead(
        &mut self,
        table: PhysAddr,
        (start, was): (VirtAddr, Option<u64>),
        by: Option<u64>,
    ) {
        let Some(found) = self.tables.get_mut(&table) else { return };
        let mut height = None;
        for place in &mut found.places {
            if place.start == start && place.by == was {
                place.by = by;
                height = Some(place.height);
            }
        }
        let Some(height) = height.filter(|height| *height > 0) else { return };
        let words = found.words.clone();
        for (index, word) in (0_u64..).zip(words) {
            let below = word.map(|word| self.program.shape.decode(height, word));
            if let Some(Word::Table { table, .. }) = below {
                let start = start.wrapping_add(index * self.program.shape.span(height));
                self.lead(table, (start, was), by);
            }
        }
    }

    /// Walkers can meet a segment of a table at a place.
    fn admit(&mut self, (from, place): (PhysAddr, Place), segment: Segment) {
        let shape = self.program.shape;
        let Some(range) = segment.range(shape, place) else { return };
        match self.says(place, segment.word) {
            Says::Anything => {
                let entry = Entry { table: from, index: segment.first };
                let seen = format!("the entry {entry}, which holds anything");
                self.find(Rule::PublishAfterFill, self.holder(), range.start(), &seen);
            }
            Says::Nothing => {
                if let Some(at) = self.must_not_fault(range) {
                    self.find(Rule::MappedStaysMapped, self.holder(), at, "a fault");
                }
            }
            Says::Leaves { leaf, rights } => {
                self.admit_leaves((range, place.height), leaf, rights);
                self.meet((range, place.height), Some((leaf, rights)), u64::MAX);
                self.note_alias(range, leaf, rights);
                self.check_fetched(range, leaf, rights);
            }
            Says::Pointer { table, allows } => {
                self.meet((range, place.height), None, u64::MAX);
                let height = place.height.saturating_sub(1);
                let below = Place { height, start: range.start(), allows, by: place.by };
                self.link(table, below);
            }
        }
    }

    /// Walkers can meet a table at a place.
    pub(super) fn link(&mut self, table: PhysAddr, place: Place) {
        let found = self.tables.entry(table).or_default();
        if found.is_free {
            let seen = format!("the table {table}, which was given back");
            self.find(Rule::FreeAfterInvalidate, self.holder(), place.start, &seen);
            return;
        }
        found.places.push(place);
        self.check_linked(table, place);
        let found = self.tables.entry(table).or_default();
        let overwritten = found.unpublished.iter();
        let mut lists: Vec<(u16, Vec<Option<u64>>)> =
            overwritten.map(|(_, first, words)| (*first, words.clone())).collect();
        let mut words = found.words.clone();
        let entries = usize::try_from(self.program.shape.entries(place.height)).unwrap_or(0);
        words.resize(entries, None);
        lists.push((0, words));
        let step = self.program.shape.span(place.height);
        for (first, words) in lists {
            for segment in segments(step, first, &words) {
                self.admit((table, place), segment);
            }
        }
    }

    fn admit_leaves(&mut self, (range, height): (VirtRange, u32), leaf: Leaf, rights: Rights) {
        let to = Translation { output: leaf.output, rights, memory: leaf.memory };
        if let Some((at, rule)) = self.not_allowed(range, to) {
            self.find(rule, self.holder(), at, &to.to_string());
            return;
        }
        if leaf.is_contiguous && self.caches_runs() {
            self.admit_run((range, height), to);
        }
    }

    fn caches_runs(&self) -> bool {
        self.program.cpus.iter().any(|cpu| cpu.profile.runs == Runs::Cached)
    }

    /// Checks what members of runs say of a range that they are not in themselves: a walker can meet
    /// them after the range has lost what it meant.
    pub(super) fn check_runs(&mut self, range: VirtRange) {
        let shape = self.program.shape;
        if !self.caches_runs() {
            return;
        }
        for height in (0..=shape.top()).filter(|height| shape.run_entries(*height) > 1) {
            // Runs that the range covers have no other members.
            for edge in [range.start(), range.last()] {
                self.check_run(height, edge.align_down(shape.run_span(height)));
            }
        }
    }

    /// Checks what each member of the run from `first` on says of all of it.
    fn check_run(&mut self, height: u32, first: VirtAddr) {
        let shape = self.program.shape;
        let bytes = shape.span(height);
        let members = (0..shape.run_entries(height)).map(|index| first.wrapping_add(index * bytes));
        for at in members.filter(|at| shape.inputs().contains(*at)) {
            let (_, own, leaf) = self.walk(at);
            let leaf = leaf.filter(|(leaf, _)| own == height && leaf.is_contiguous);
            if let (Some((leaf, rights)), Some(member)) = (leaf, VirtRange::new(at, bytes)) {
                let to = Translation { output: leaf.output, rights, memory: leaf.memory };
                self.admit_run((member, height), to);
            }
        }
    }

    /// Each leaf may speak for its whole run.
    fn admit_run(&mut self, (range, height): (VirtRange, u32), to: Translation) {
        let shape = self.program.shape;
        let (run, bytes) = (shape.run_span(height), shape.span(height));
        let mut leaf = Some(range.start());
        let mut offset = 0;
        while let Some(at) = leaf.filter(|at| *at <= range.last()) {
            let own = to.above(offset);
            let start = at.align_down(run);
            let all = Translation { output: own.output.align_down(run), ..own };
            if let Some((wrong, rule)) =
                VirtRange::new(start, run).and_then(|range| self.not_allowed(range, all))
            {
                let is_own = wrong.align_down(bytes) == at;
                let rule = if is_own { rule } else { Rule::RunChangesWhole };
                return self.find(rule, self.holder(), wrong, "another entry of its run");
            }
            // Members of one run that follow each other in memory say the same of it.
            let is_aligned = own.output.value() & (run - 1) == at.value() & (run - 1);
            let next = if is_aligned { start.checked_add(run) } else { at.checked_add(bytes) };
            offset += next.and_then(|next| next.offset_from(at)).unwrap_or(bytes);
            leaf = next;
        }
    }

    /// The first address of a range that must not fault.
    pub(super) fn must_not_fault(&self, range: VirtRange) -> Option<VirtAddr> {
        let pieces = self.meaning.pieces(range).into_iter();
        pieces.filter(|piece| piece.translation.is_some()).find_map(|piece| {
            self.first_outside(piece.range, |open| {
                open.target.is_none() || open.meanwhile != Meanwhile::Accessible
            })
        })
    }

    /// The first address of `range` that no open intent of this kind covers.
    fn first_outside(
        &self,
        range: VirtRange,
        is_it: impl Fn(&super::Open) -> bool,
    ) -> Option<VirtAddr> {
        let mut at = range.start();
        loop {
            let open = self.open.iter().find(|open| open.range.contains(at) && is_it(open));
            let Some(open) = open else { return Some(at) };
            if open.range.last() >= range.last() {
                return None;
            }
            at = open.range.end();
        }
    }

    /// The first address of a range for which a translation is neither the old nor a new one, and
    /// which rule that breaks.
    pub(super) fn not_allowed(
        &self,
        range: VirtRange,
        to: Translation,
    ) -> Option<(VirtAddr, Rule)> {
        let shifted = |at: VirtAddr| to.above(at.offset_from(range.start()).unwrap_or(0));
        for piece in self.meaning.pieces(range) {
            if piece.translation == Some(shifted(piece.range.start())) {
                continue;
            }
            let is_new = |open: &super::Open| {
                let Some(both) = open.range.intersection(piece.range) else { return false };
                let offset = both.start().offset_from(open.range.start()).unwrap_or(0);
                open.target.map(|target| target.above(offset)) == Some(shifted(both.start()))
            };
            if let Some(at) = self.first_outside(piece.range, is_new) {
                return Some((at, self.wrong(at, shifted(at))));
            }
        }
        None
    }

    /// Which rule a translation breaks that is none of the allowed.
    fn wrong(&self, at: VirtAddr, to: Translation) -> Rule {
        let open = self.open.iter().filter(|open| open.range.contains(at)).filter_map(|open| {
            let offset = at.offset_from(open.range.start()).unwrap_or(0);
            open.target.map(|target| target.above(offset))
        });
        let allowed: Vec<Translation> = self.meaning.get(at).into_iter().chain(open).collect();
        if !allowed.iter().any(|allowed| allowed.output == to.output) {
            Rule::OutputAsIntended
        } else if !allowed.iter().any(|allowed| allowed.memory == to.memory) {
            Rule::TypeAsIntended
        } else {
            Rule::RightsAsIntended
        }
    }

    /// Leaves, or a pointer, meet what TLBs may hold for the same addresses.
    pub(super) fn meet(
        &mut self,
        (range, height): (VirtRange, u32),
        leaves: Option<(Leaf, Rights)>,
        cpus: u64,
    ) {
        for (_, old) in self.stale.overlapping(self.program.shape, range) {
            let Some(both) = range.intersection(old.range) else { continue };
            let holders = old.cpus & self.holders() & cpus;
            if let Some((rule, cpu)) = self.clash((range, height, leaves), old, (both, holders)) {
                self.find(rule, cpu, both.start(), "two entries for one address");
            }
        }
    }

    /// What two entries for one address break together, and on which CPU.
    fn clash(
        &self,
        (range, height, leaves): (VirtRange, u32, Option<(Leaf, Rights)>),
        old: Old,
        (both, cpus): (VirtRange, u64),
    ) -> Option<(Rule, usize)> {
        let holds = |cpu: &usize| cpus >> cpu & 1 != 0;
        let first = || (0..self.cpus.len()).find(holds);
        match (leaves, old.kind) {
            (None, OldKind::Pointer { .. }) => None,
            (None, OldKind::Leaves { .. }) => self.minds(cpus).filter(|_| height <= old.height),
            (Some(_), OldKind::Pointer { .. }) => self.minds(cpus).filter(|_| old.height <= height),
            (Some((leaf, _)), OldKind::Leaves { word, .. }) => {
                let Word::Leaf(beside) = self.program.shape.decode(old.height, word) else {
                    return None;
                };
                let at = |start: VirtAddr| both.start().offset_from(start).unwrap_or(0);
                let output = leaf.output.wrapping_add(at(range.start()));
                let is_moved = output != beside.output.wrapping_add(at(old.range.start()));
                let is_mixed = !self.program.are_alike(leaf.memory, beside.memory)
                    || leaf.shareability != beside.shareability;
                let is_size = (height, leaf.is_contiguous) != (old.height, beside.is_contiguous);
                if is_moved || leaf.is_global != beside.is_global {
                    Some((self.parked(first()?, Rule::BreakBeforeMake), first()?))
                } else if is_mixed {
                    Some((self.parked(first()?, Rule::TypeChangeBreaks), first()?))
                } else {
                    self.minds(cpus).filter(|_| is_size)
                }
            }
        }
    }

    /// The first of these CPUs that minds two sizes, and the rule it minds by.
    fn minds(&self, cpus: u64) -> Option<(Rule, usize)> {
        (0..self.cpus.len()).filter(|cpu| cpus >> cpu & 1 != 0).find_map(|cpu| {
            let rule = match self.program.cpus[cpu].profile.size_change {
                SizeChange::NeedsBreak => Rule::BreakBeforeMake,
                SizeChange::MayAbort => Rule::SizeChangeByCpu,
                SizeChange::Quiet => return None,
            };
            Some((self.parked(cpu, rule), cpu))
        })
    }

    /// The rule, unless the CPU is parked: then it has kept what it must not.
    fn parked(&self, cpu: usize, rule: Rule) -> Rule {
        let is_parked = self.cpus[cpu].context == Context::Reserved;
        if is_parked { Rule::ParkedHoldsNothing } else { rule }
    }

    /// The first CPU whose TLB may hold something.
    pub(super) fn holder(&self) -> usize {
        self.cpus.iter().position(|now| now.holds == Holds::Something).unwrap_or(0)
    }

    /// A CPU is back on the tree: what it holds meets what the tables say.
    pub(super) fn meet_again(&mut self) {
        let cpu = self.at.0;
        let old: Vec<Old> = self.stale.all().map(|(_, old)| *old).collect();
        for old in old.into_iter().filter(|old| old.cpus >> cpu & 1 != 0) {
            for (range, height, leaf, rights) in self.current(old.range) {
                self.meet((range, height), Some((leaf, rights)), 1 << cpu);
            }
        }
    }
}
