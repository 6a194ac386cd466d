//! What barriers that complete invalidations make sure.

use blockmap_machine::{Barrier, PhysAddr, VirtAddr, VirtRange};

use super::admit::Says;
use super::hidden::Others;
use super::stale::{Key, Old, OldKind, Read};
use super::tree::{Place, segments};
use super::{Holds, Judge, Sent};
use crate::decode::Word;
use crate::maintenance::{Domain, Form, Maintenance, Reach};
use crate::profile::{Invalidation, Several, Synchronisation};
use crate::program::Context;

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
        self.finish_users(cpu, &done);
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
                    self.complete_pointer((cpu, &done), key, (old, table));
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
            self.cpus[target].others = Others::Nothing;
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
                        let read = Read::Until(cpu, self.time);
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
                        let read = Read::Until(cpu, self.time);
                        let (_, own) = self.stale.add(Old { cpus: left, read, ..old });
                        self.lead(below, (range.start(), Some(number)), Some(own.1));
                    }
                }
            }
        }
    }

    /// What was overwritten while nobody walked is gone once it can't be read any more.
    pub(super) fn forget_unheld(&mut self, gone: &[(Key, Old)]) {
        for ((_, (_, number)), old) in gone {
            match old.kind {
                OldKind::Leaves { .. } => {}
                OldKind::Pointer { table, .. } => self.forget(table, (old.range.start(), *number)),
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
        let done = self.after((cpu, done), old);
        if done.is_empty() {
            return vec![(old.range, old.cpus)];
        }
        let mut rest: Vec<(VirtRange, u64)> = Vec::new();
        let mut known: Vec<((bool, bool, bool), Vec<VirtRange>)> = Vec::new();
        for target in (0..self.cpus.len()).filter(|target| old.cpus >> target & 1 != 0) {
            let profile = self.program.cpus[target].profile;
            let is_strict = profile.several == Several::NoneRemoved && self.is_ambiguous(old);
            let class = (target == cpu, profile.invalidation == Invalidation::Ranged, is_strict);
            let parts = match known.iter().find(|(other, _)| *other == class) {
                Some((_, parts)) => parts.clone(),
                None => self.left_by(class, &done, old),
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

    /// Those invalidations of a CPU that were issued when it knew that something could no longer be
    /// read.
    fn after(&self, (cpu, done): (usize, &[Sent]), old: Old) -> Vec<Sent> {
        let (by, until) = match old.read {
            Read::Still(_) => return Vec::new(),
            Read::Released(by, _) if by == cpu => return Vec::new(),
            Read::Released(by, since) | Read::Until(by, since) => (by, since),
        };
        let is_after = |sent: &&Sent| {
            if by == cpu { sent.time > until } else { self.known.of(cpu, sent.time, by) >= until }
        };
        done.iter().filter(is_after).copied().collect()
    }

    /// Others no longer use what an invalidation names, had they even lost it themselves.
    fn finish_users(&mut self, cpu: usize, done: &[Sent]) {
        for (user, old) in std::mem::take(&mut self.stale.pipeline) {
            let done = self.after((cpu, done), old);
            if user == cpu || done.is_empty() {
                self.stale.pipeline.push((user, old));
                continue;
            }
            let is_ranged = self.program.cpus[user].profile.invalidation == Invalidation::Ranged;
            let left = self.left_by((false, is_ranged, false), &done, old);
            self.stale.pipeline.extend(left.into_iter().map(|range| (user, old.part(range))));
        }
    }

    /// What invalidations leave of something stale on one kind of CPU.
    fn left_by(
        &self,
        (is_own, is_ranged, is_strict): (bool, bool, bool),
        done: &[Sent],
        old: Old,
    ) -> Vec<VirtRange> {
        let bytes = self.program.shape.span(old.height);
        let entries = usize::try_from(old.range.bytes() / bytes).unwrap_or(1).max(1);
        let mut is_gone = vec![false; entries];
        for Sent { names, .. } in done {
            let is_all = names.reach == Some(Reach::Everything);
            let acts = (names.domain == Domain::Every || is_own)
                && (names.form == Form::Plain || is_ranged)
                && (is_all || !is_strict);
            if !acts || !names.touches(old.range) || self.spares(*names, old) {
                continue;
            }
            let touched = match names.reach {
                Some(Reach::Within(range)) => range.intersection(old.range),
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
    pub(super) fn spares(&self, names: Maintenance, old: Old) -> bool {
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
    pub(super) fn is_ambiguous(&self, old: Old) -> bool {
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
}

/// The addresses that invalidations name, and those between.
fn hull(inputs: VirtRange, done: &[Sent]) -> Option<VirtRange> {
    let ranges = done.iter().filter_map(|sent| match sent.names.reach? {
        Reach::Everything => Some(inputs),
        Reach::Within(range) => range.intersection(inputs),
    });
    let join = |one: VirtRange, other: VirtRange| {
        let start = one.start().min(other.start());
        let bytes =
            one.last().max(other.last()).offset_from(start).and_then(|above| above.checked_add(1));
        bytes.and_then(|bytes| VirtRange::new(start, bytes)).unwrap_or(inputs)
    };
    ranges.reduce(join)
}
