//! A program as a few addresses see it: the entries on their paths, and what concerns those.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use blockmap_machine::{Barrier, Entry, Event, PhysAddr, PhysRange, VirtAddr, VirtRange};

use super::state::State;
use crate::coherence::{self, Lines, Touch};
use crate::maintenance::{Domain, Maintenance};
use crate::program::{Intent, Memory, Program, Step, Write, write_to, written};
use crate::shape::HIGHEST;

/// What of a step concerns the slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Write {
        place: usize,
        write: Write,
    },
    Dsb(Barrier),
    Isb,
    Invalidate(usize),
    Intend(Intent),
    Achieved,
    Free(PhysAddr),
    /// The addresses, a bit each.
    Use(u64),
    /// Which, and how often it must have been let go of before.
    Lock(usize, u32),
    Unlock(usize),
    Signal(usize),
    Wait(usize, u32),
    Context(crate::program::Context),
    /// Half a store.
    Part {
        place: usize,
        write: Write,
    },
    /// Something that concerns caches, and the pieces of memory it is done to.
    Lines(Touch, Vec<usize>),
}

/// An invalidation of the program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Issued {
    pub(super) cpu: usize,
    pub(super) step: usize,
    pub(super) names: Maintenance,
}

/// A program as a few addresses see it.
#[derive(Debug)]
pub(super) struct Projected<'p> {
    pub(super) program: &'p Program,
    pub(super) addresses: Vec<VirtAddr>,
    /// The entries that a walk of one of the addresses may read.
    pub(super) places: HashMap<Entry, usize>,
    pub(super) initial: Vec<Option<u64>>,
    /// The table that each place is in.
    pub(super) tables: Vec<PhysAddr>,
    /// Of each CPU, the steps' numbers and what they do to the slice.
    pub(super) ops: Vec<Vec<(usize, Op)>>,
    pub(super) issued: Vec<Issued>,
    pub(super) names: usize,
    /// Memory of which caches may have something else, and what they have at first.
    pub(super) lines: Vec<(PhysRange, Lines)>,
}

impl<'p> Projected<'p> {
    pub(super) fn new(program: &'p Program, addresses: &[VirtAddr]) -> Self {
        let shape = program.shape;
        let mut indices = BTreeSet::new();
        for address in addresses {
            indices.extend((0..=shape.top().min(HIGHEST)).map(|h| shape.index(h, *address)));
        }
        let mut projected = Self {
            program,
            addresses: addresses.to_vec(),
            places: HashMap::new(),
            initial: Vec::new(),
            tables: Vec::new(),
            ops: Vec::new(),
            issued: Vec::new(),
            names: 0,
            lines: coherence::pieces(program),
        };
        let initially = project_initial(program, &indices);
        let shared = shared_locks(program);
        let mut names = HashMap::new();
        for (cpu, steps) in program.cpus.iter().enumerate() {
            let mut ops = Vec::new();
            for (number, step) in steps.steps.iter().enumerate() {
                projected.take(&mut ops, (cpu, number), step, (&indices, &shared, &mut names));
            }
            projected.ops.push(ops);
        }
        projected.names = names.len();
        for entry in initially.entries() {
            projected.place(entry);
        }
        projected.initial = vec![None; projected.places.len()];
        for (entry, place) in &projected.places {
            projected.initial[*place] = initially.load(*entry);
        }
        projected
    }

    /// The number of an entry, new if it has none.
    fn place(&mut self, entry: Entry) -> usize {
        if let Some(place) = self.places.get(&entry) {
            return *place;
        }
        self.tables.push(entry.table);
        self.places.insert(entry, self.tables.len() - 1);
        self.tables.len() - 1
    }

    fn take<'s>(
        &mut self,
        ops: &mut Vec<(usize, Op)>,
        (cpu, number): (usize, usize),
        step: &'s Step,
        (indices, shared, names): (&BTreeSet<u16>, &BTreeSet<&str>, &mut HashMap<&'s str, usize>),
    ) {
        let mut name = |name: &'s str| {
            let fresh = names.len();
            *names.entry(name).or_insert(fresh)
        };
        let op = match step {
            Step::Effect(event) => {
                self.take_lines(ops, number, step);
                self.take_event(ops, (cpu, number), *event, indices);
                return;
            }
            Step::Intend(intent) => Op::Intend(*intent),
            Step::Achieved => Op::Achieved,
            Step::Free(table) => Op::Free(*table),
            Step::Use(range) => Op::Use(self.bits(*range)),
            // Nobody else waits for it.
            Step::Lock { name: lock, .. } | Step::Unlock(lock) if !shared.contains(&**lock) => {
                return;
            }
            Step::Lock { name: lock, turn } => Op::Lock(name(lock), turn.unwrap_or(0)),
            Step::Unlock(lock) => Op::Unlock(name(lock)),
            Step::Signal(counter) => Op::Signal(name(counter)),
            Step::Wait(counter, count) => Op::Wait(name(counter), *count),
            Step::Context(context) => Op::Context(*context),
            Step::Part(entry, ..) => {
                self.take_part(ops, number, (*entry, step), indices);
                return;
            }
            Step::Code(_) | Step::PastCaches(_) => {
                self.take_lines(ops, number, step);
                return;
            }
        };
        let is_elsewhere = step.range().is_some_and(|range| self.bits(range) == 0);
        if !is_elsewhere {
            ops.push((number, op));
        }
    }

    fn take_event(
        &mut self,
        ops: &mut Vec<(usize, Op)>,
        (cpu, number): (usize, usize),
        event: Event,
        indices: &BTreeSet<u16>,
    ) {
        match event {
            Event::Store { .. } | Event::Fill { .. } | Event::Update { .. } => {
                let Some(span) = written(event) else { return };
                let end = span.first.saturating_add(span.count);
                for index in indices.range(span.first..end) {
                    if let Some(write) = write_to(event, *index) {
                        let place = self.place(Entry { table: span.table, index: *index });
                        ops.push((number, Op::Write { place, write }));
                    }
                }
            }
            Event::Barrier(Barrier::Isb) => ops.push((number, Op::Isb)),
            Event::Barrier(barrier) => ops.push((number, Op::Dsb(barrier))),
            Event::Invalidate(invalidate) => {
                let names = self.program.shape.maintenance(invalidate);
                if self.concerns(names) && !self.repeats(ops, names) {
                    self.issued.push(Issued { cpu, step: number, names });
                    ops.push((number, Op::Invalidate(self.issued.len() - 1)));
                }
            }
            Event::Maintain { .. } => {}
        }
    }

    fn take_part(
        &mut self,
        ops: &mut Vec<(usize, Op)>,
        number: usize,
        (entry, step): (Entry, &Step),
        indices: &BTreeSet<u16>,
    ) {
        let write = step.event().and_then(|event| write_to(event, entry.index));
        if let Some(write) = write.filter(|_| indices.contains(&entry.index)) {
            let place = self.place(entry);
            ops.push((number, Op::Part { place, write }));
        }
    }

    fn take_lines(&mut self, ops: &mut Vec<(usize, Op)>, number: usize, step: &Step) {
        let Some((touch, range)) = coherence::touch(step) else { return };
        let pieces = (0..).zip(&self.lines).filter(|(_, (piece, _))| range.covers(*piece));
        let pieces: Vec<usize> = pieces.map(|(piece, _)| piece).collect();
        if !pieces.is_empty() {
            ops.push((number, Op::Lines(touch, pieces)));
        }
    }

    /// The addresses in `range`, a bit each.
    pub(super) fn bits(&self, range: VirtRange) -> u64 {
        let bit = |(number, address): (usize, &VirtAddr)| {
            if range.contains(*address) { 1 << number } else { 0 }
        };
        self.addresses.iter().enumerate().map(bit).sum()
    }

    /// Whether an invalidation can reach anything on the paths of the addresses.
    fn concerns(&self, names: Maintenance) -> bool {
        let shape = self.program.shape;
        let bytes = shape.span(shape.top());
        self.addresses.iter().any(|address| {
            VirtRange::new(address.align_down(bytes), bytes)
                .is_some_and(|range| names.touches(range))
        })
    }

    /// Whether the CPU's last steps already are an invalidation that does the same to the slice.
    fn repeats(&self, ops: &[(usize, Op)], names: Maintenance) -> bool {
        let before = ops.iter().rev().map_while(|(_, op)| {
            let Op::Invalidate(issued) = op else { return None };
            Some(self.issued[*issued].names)
        });
        before.into_iter().any(|other| {
            (other.asid, other.depth, other.domain, other.form)
                == (names.asid, names.depth, names.domain, names.form)
                && self.reached(other) == self.reached(names)
        })
    }

    /// Which of the spans and runs around the addresses an invalidation touches, from the page up.
    fn reached(&self, names: Maintenance) -> Vec<bool> {
        let shape = self.program.shape;
        let mut reached = Vec::new();
        for address in &self.addresses {
            for height in 0..=shape.top() {
                for bytes in [shape.span(height), shape.run_span(height)] {
                    let range = VirtRange::new(address.align_down(bytes), bytes);
                    reached.push(range.is_some_and(|range| names.touches(range)));
                }
            }
        }
        reached
    }

    /// Whether caches may hide what was stored to a table.
    pub(super) fn is_hidden(&self, state: &State, table: PhysAddr) -> bool {
        self.lines_of(state, table).any(Lines::hide_tables)
    }

    /// What caches have of the memory of a page.
    pub(super) fn lines_of(&self, state: &State, page: PhysAddr) -> impl Iterator<Item = Lines> {
        let page = PhysRange::new(page, self.program.shape.span(0));
        let pieces = self.lines.iter().zip(state.lines.clone());
        let is_of = move |piece: PhysRange| page.is_some_and(|page| page.overlaps(piece));
        pieces.filter(move |((piece, _), _)| is_of(*piece)).map(|(_, lines)| lines)
    }

    /// The CPUs, a bit each, whose TLBs an invalidation is sent to.
    pub(super) fn targets(&self, issued: Issued) -> u64 {
        match issued.names.domain {
            Domain::Local => 1 << issued.cpu,
            Domain::Every => u64::MAX >> (64 - self.program.cpus.len()),
        }
    }
}

/// The locks that more than one CPU takes: one that only one CPU takes holds nobody up.
fn shared_locks(program: &Program) -> BTreeSet<&str> {
    let mut takers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut shared = BTreeSet::new();
    for (number, cpu) in program.cpus.iter().enumerate() {
        for step in &cpu.steps {
            if let Step::Lock { name, .. } = step
                && *takers.entry(name).or_insert(number) != number
            {
                shared.insert(&**name);
            }
        }
    }
    shared
}

/// Memory before the first step, of the entries with these indices.
fn project_initial(program: &Program, indices: &BTreeSet<u16>) -> Memory {
    let mut memory = Memory::default();
    for event in &program.initially {
        let Some(span) = written(*event) else { continue };
        let end = span.first.saturating_add(span.count);
        for index in indices.range(span.first..end) {
            if let Some(write) = write_to(*event, *index) {
                memory.write(Entry { table: span.table, index: *index }, write);
            }
        }
    }
    memory
}
