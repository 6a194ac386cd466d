//! What walkers may fetch: the closure of a TLB over the tables as they are visible.

use blockmap_machine::{Entry, PhysAddr, VirtAddr, VirtRange};

use super::project::Projected;
use super::run::Explorer;
use super::state::{Extent, Item, Kind, Known, Set, State};
use crate::decode::{Leaf, Word};
use crate::meaning::Translation;
use crate::profile::{Forwarding, Runs};
use crate::rights::Rights;

/// What the walkers of one CPU may meet now.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    /// What they may fetch.
    pub(super) items: Set,
    /// The addresses, a bit each, at which a walk from the live root may fault.
    pub(super) faults: u64,
    /// An address whose walk may read what nobody wrote, or a table that was given back.
    pub(super) astray: Option<Astray>,
}

/// A walk that went where it must not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Astray {
    pub(super) address: usize,
    pub(super) entry: Entry,
    pub(super) into: Into,
}

/// Where a walk went.
#[derive(Clone, Copy, Debug)]
pub(super) enum Into {
    /// Into an entry that holds anything.
    Unwritten,
    /// Into a table that was given back.
    Freed,
    /// Into a table that caches may hide.
    Hidden,
    /// Into an entry of which half has been stored.
    Torn,
}

/// Where a walk stands: a table, its height, and what tables above allow.
type Position = (PhysAddr, u32, Rights);

impl Explorer<'_, '_> {
    /// What the walkers of `cpu` may fetch with one more read, given what its TLB holds.
    pub(super) fn reach(&mut self, state: &State, cpu: usize) -> Reach {
        let mut reach = Reach::default();
        for address in 0..self.slice.addresses.len() {
            self.reach_address(state, cpu, address, &mut reach);
        }
        reach
    }

    /// Adds to the TLB of `cpu` all it could fetch, and returns what its walkers may meet.
    pub(super) fn close(&mut self, state: &mut State, cpu: usize) -> Reach {
        let mut all = Reach::default();
        loop {
            let reach = self.reach(state, cpu);
            all.faults |= reach.faults;
            all.astray = all.astray.or(reach.astray);
            let before = state.cpus[cpu].tlb;
            state.cpus[cpu].tlb.join(reach.items);
            if state.cpus[cpu].tlb == before {
                return all;
            }
        }
    }

    fn reach_address(&mut self, state: &State, cpu: usize, address: usize, reach: &mut Reach) {
        let program = self.slice.program;
        let at = self.slice.addresses[address];
        if state.cpus[cpu].is_live() {
            let root = (program.root, program.shape.top(), Rights::ALL);
            self.read(state, cpu, (address, root), reach);
        }
        for number in state.cpus[cpu].tlb.numbers() {
            let Known { item, range, .. } = &self.items[number];
            if let Kind::Pointer { table, allows } = item.kind
                && range.contains(at)
            {
                let position = (table, item.height - 1, allows);
                self.read(state, cpu, (address, position), reach);
            }
        }
    }

    /// One read of a walk of `address` that stands at `position`.
    fn read(
        &mut self,
        state: &State,
        cpu: usize,
        (address, (table, height, allows)): (usize, Position),
        reach: &mut Reach,
    ) {
        let shape = self.slice.program.shape;
        let at = self.slice.addresses[address];
        let entry = Entry { table, index: shape.index(height, at) };
        let astray = |into| Some(Astray { address, entry, into });
        if state.freed.contains(&table) {
            reach.astray = reach.astray.or(astray(Into::Freed));
            return;
        }
        let Some(place) = self.slice.places.get(&entry).copied() else {
            reach.astray = reach.astray.or(astray(Into::Unwritten));
            return;
        };
        if self.slice.is_hidden(state, table) {
            reach.astray = reach.astray.or(astray(Into::Hidden));
            return;
        }
        let is_torn = state.torn.contains(&place);
        let extent = if is_torn { Extent::Half } else { Extent::Whole };
        let mut values = vec![(state.memory[place], extent)];
        if self.slice.program.cpus[cpu].profile.forwarding == Forwarding::ToOwnWalker {
            let own = state.cpus[cpu].buffer.iter().filter(|pending| pending.place == place);
            values.extend(own.map(|pending| (pending.value, pending.extent)));
        }
        for (value, extent) in values {
            match value.map(|word| (word, shape.decode(height, word))) {
                None => reach.astray = reach.astray.or(astray(Into::Unwritten)),
                Some((_, Word::Fault)) => {
                    if state.cpus[cpu].is_live() {
                        reach.faults |= 1 << address;
                    }
                }
                Some(_) if extent == Extent::Half => {
                    reach.astray = reach.astray.or(astray(Into::Torn));
                }
                Some((word, met)) => {
                    let base = at.align_down(shape.span(height));
                    let place = (base, height, table);
                    self.fetch(cpu, place, (word, met, allows), reach);
                }
            }
        }
    }

    /// Adds what a walk fetched.
    fn fetch(
        &mut self,
        cpu: usize,
        (base, height, from): (VirtAddr, u32, PhysAddr),
        (word, met, allows): (u64, Word, Rights),
        reach: &mut Reach,
    ) {
        let item = |kind| Item { base, height, from, kind };
        match met {
            Word::Fault => {}
            Word::Table { table, allows: below } => {
                let allows = allows.and(below);
                self.add(item(Kind::Pointer { table, allows }), reach);
            }
            Word::Leaf(leaf) => {
                self.add(item(Kind::Leaf { word, allows }), reach);
                if leaf.is_contiguous && self.slice.program.cpus[cpu].profile.runs == Runs::Cached {
                    self.add(item(Kind::Run { word, allows }), reach);
                }
            }
        }
    }

    fn add(&mut self, item: Item, reach: &mut Reach) {
        if let Some(number) = self.number(item) {
            reach.items.insert(number);
        }
    }

    /// The number of an item, new if it has none; `None` if there are too many.
    fn number(&mut self, item: Item) -> Option<usize> {
        if let Some(number) = self.numbers.get(&item) {
            return Some(*number);
        }
        if self.items.len() == Set::SIZE {
            self.is_full = true;
            return None;
        }
        self.numbers.insert(item, self.items.len());
        self.items.push(known(self.slice, item));
        Some(self.items.len() - 1)
    }
}

/// What is asked of an item again and again.
fn known(slice: &Projected<'_>, item: Item) -> Known {
    let shape = slice.program.shape;
    let leaf_of = |word| match shape.decode(item.height, word) {
        Word::Leaf(leaf) => Some(leaf),
        Word::Fault | Word::Table { .. } => None,
    };
    let (leaf, bytes, allows) = match item.kind {
        Kind::Pointer { allows, .. } => (None, shape.span(item.height), allows),
        Kind::Leaf { word, allows } => (leaf_of(word), shape.span(item.height), allows),
        Kind::Run { word, allows } => (leaf_of(word), shape.run_span(item.height), allows),
    };
    let one = VirtRange::new(item.base, 1);
    let range = VirtRange::new(item.base.align_down(bytes), bytes).or(one);
    let translation = |at: &VirtAddr| {
        let leaf = leaf.filter(|_| range.is_some_and(|range| range.contains(*at)))?;
        Some(translation(leaf, bytes, allows, *at))
    };
    let translations = slice.addresses.iter().map(translation).collect();
    // INVARIANT: one byte from any base is a range unless the base is the last of all.
    let range = range.unwrap_or(shape.inputs());
    Known { item, range, leaf, translations }
}

/// What a leaf that speaks for `bytes` bytes translates an address to.
pub(crate) fn translation(leaf: Leaf, bytes: u64, allows: Rights, at: VirtAddr) -> Translation {
    let within = at.value() & (bytes - 1);
    Translation {
        output: leaf.output.align_down(bytes).wrapping_add(within),
        rights: leaf.rights.and(allows),
        memory: leaf.memory,
    }
}
