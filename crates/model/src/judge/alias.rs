//! One frame through two addresses: never writable through one and executable through the other.

use blockmap_machine::{PhysRange, VirtAddr, VirtRange};

use super::Judge;
use super::stale::OldKind;
use crate::decode::{Leaf, Word};
use crate::meaning::Translation;
use crate::program::Aliases;
use crate::rights::Rights;
use crate::verdict::Rule;

impl Judge<'_> {
    /// Leaves that walkers can meet from now on.
    pub(super) fn note_alias(&mut self, range: VirtRange, leaf: Leaf, rights: Rights) {
        if self.program.aliases == Aliases::Mixed || !(rights.executes() || rights.writes()) {
            return;
        }
        let Some(output) = PhysRange::new(leaf.output, range.bytes()) else { return };
        if rights.executes() {
            if rights.writes() {
                let seen = "a leaf that is writable and executable";
                self.find(Rule::NarrowThenWiden, self.holder(), range.start(), seen);
            }
            if !self.executable.iter().any(|known| known.covers(output)) {
                self.executable.push(output);
            }
            self.check_alias((range, output), Rights::writes);
        } else if self.executable.iter().any(|known| known.overlaps(output)) {
            self.check_alias((range, output), Rights::executes);
        }
    }

    /// Looks for another way to the same memory that grants what it must not.
    fn check_alias(&mut self, (range, output): (VirtRange, PhysRange), grants: fn(Rights) -> bool) {
        if let Some((at, to)) = self.other_way(output, grants) {
            let seen = format!("{to} at {at}");
            self.find(Rule::NarrowThenWiden, self.holder(), range.start(), &seen);
        }
    }

    /// A translation to some memory that walkers can meet, or TLBs may hold, and that grants this.
    pub(super) fn other_way(
        &self,
        output: PhysRange,
        grants: fn(Rights) -> bool,
    ) -> Option<(VirtRange, Translation)> {
        let open = self.open.iter().filter_map(|open| Some((open.range, open.target?)));
        let mapped =
            self.meaning.mapped().filter_map(|piece| Some((piece.range, piece.translation?)));
        let aliases: Vec<VirtRange> =
            mapped.chain(open).filter_map(|(range, to)| part(range, to, output)).collect();
        let current = aliases.into_iter().flat_map(|alias| self.current(alias));
        let mut found: Vec<(VirtRange, Translation)> = current
            .map(|(range, _, leaf, rights)| {
                (range, Translation { output: leaf.output, rights, memory: leaf.memory })
            })
            .collect();
        // What a TLB has lost, accesses that are under way may still use.
        let pipeline = self.stale.pipeline.iter().map(|(_, old)| old);
        for old in self.stale.all().map(|(_, old)| old).chain(pipeline) {
            if let OldKind::Leaves { word, allows } = old.kind
                && let Word::Leaf(leaf) = self.program.shape.decode(old.height, word)
            {
                let rights = leaf.rights.and(allows);
                let to = Translation { output: leaf.output, rights, memory: leaf.memory };
                found.push((old.range, to));
            }
        }
        found.into_iter().find(|(at, to)| grants(to.rights) && part(*at, *to, output).is_some())
    }

    /// The leaves that the tables have in a range, each as far as it goes.
    pub(super) fn current(&self, range: VirtRange) -> Vec<(VirtRange, u32, Leaf, Rights)> {
        let mut found = Vec::new();
        let mut next = Some(range.start());
        while let Some(at) = next.filter(|at| *at <= range.last()) {
            let (bytes, height, leaf) = self.walk(at);
            let start = at.align_down(bytes);
            if let (Some((leaf, rights)), Some(range)) = (leaf, VirtRange::new(start, bytes)) {
                found.push((range, height, leaf, rights));
            }
            next = start.checked_add(bytes);
        }
        found
    }

    /// How far the entry at which a walk of `at` ends reaches, its height, and its leaf.
    pub(super) fn walk(&self, at: VirtAddr) -> (u64, u32, Option<(Leaf, Rights)>) {
        let shape = self.program.shape;
        let (mut table, mut height, mut allows) = (self.program.root, shape.top(), Rights::ALL);
        loop {
            let index = shape.index(height, at);
            let word = self.tables.get(&table).and_then(|table| table.get(index));
            match (word.map(|word| shape.decode(height, word)), height.checked_sub(1)) {
                (Some(Word::Table { table: below, allows: also }), Some(lower)) => {
                    (table, height, allows) = (below, lower, allows.and(also));
                }
                (Some(Word::Leaf(leaf)), _) => {
                    let rights = leaf.rights.and(allows);
                    return (shape.span(height), height, Some((leaf, rights)));
                }
                _ => return (shape.span(height), height, None),
            }
        }
    }
}

/// The addresses of `range` that translate into `output`.
fn part(range: VirtRange, to: Translation, output: PhysRange) -> Option<VirtRange> {
    let all = PhysRange::new(to.output, range.bytes())?;
    let both = all.intersection(output)?;
    let offset = both.start().offset_from(to.output)?;
    VirtRange::new(range.start().checked_add(offset)?, both.bytes())
}
