//! Which addresses are worth exploring, alone or together.

use std::collections::{BTreeMap, BTreeSet};

use blockmap_machine::{Entry, Event, PhysAddr, Span, VirtAddr, VirtRange};

use super::Slices;
use crate::decode::Word;
use crate::maintenance::{Maintenance, Reach};
use crate::program::{Memory, Program, Step, Target, each_write, written};
use crate::replay::{First, leaves, meaning, order};

/// Where a table stands: its height, and the first address it translates.
type Position = (u32, VirtAddr);

/// The groups of addresses to explore.
pub(super) fn slices(program: &Program, which: Slices) -> Vec<Vec<VirtAddr>> {
    let positions = positions(program);
    let mut alone = BTreeSet::new();
    for span in spans(program) {
        for (height, start) in positions.get(&span.table).into_iter().flatten() {
            let bytes = program.shape.span(*height);
            let at = |index: u16| start.wrapping_add(u64::from(index) * bytes);
            let end = span.first.saturating_add(span.count);
            match which {
                Slices::Each | Slices::Pairs => alone.extend((span.first..end).map(at)),
                Slices::Edges | Slices::Whole => {
                    alone.extend([at(span.first), at(end - 1)]);
                }
            }
        }
    }
    add_freed(program, &positions, &mut alone);
    add_edges(program, &mut alone);
    if alone.is_empty() {
        alone.insert(program.shape.inputs().start());
    }
    if which == Slices::Whole {
        return vec![alone.into_iter().collect()];
    }
    let mut groups: BTreeSet<Vec<VirtAddr>> = alone.iter().map(|at| vec![*at]).collect();
    add_aliases(program, &alone, &mut groups);
    add_pairs(program, &positions, which, &mut groups);
    groups.into_iter().collect()
}

/// The entries that each effect writes.
fn spans(program: &Program) -> impl Iterator<Item = Span> {
    let steps = program.cpus.iter().flat_map(|cpu| &cpu.steps);
    steps.filter_map(Step::event).filter_map(written)
}

/// The ranges that steps name.
fn ranges(program: &Program) -> impl Iterator<Item = VirtRange> {
    let steps = program.cpus.iter().flat_map(|cpu| &cpu.steps);
    steps.filter_map(Step::range)
}

/// The ranges that invalidations name; those that are alike and follow each other count as one.
fn invalidated(program: &Program) -> Vec<VirtRange> {
    let mut all: Vec<(VirtRange, Maintenance)> = Vec::new();
    for step in program.cpus.iter().flat_map(|cpu| &cpu.steps) {
        let Some(Event::Invalidate(invalidate)) = step.event() else { continue };
        let names = program.shape.maintenance(invalidate);
        let Some(Reach::Within(range)) = names.reach else { continue };
        let alike = Maintenance { reach: None, ..names };
        let before =
            all.last().filter(|(before, other)| before.end() == range.start() && *other == alike);
        let both = before
            .and_then(|(before, _)| VirtRange::new(before.start(), before.bytes() + range.bytes()));
        if both.is_some() {
            all.pop();
        }
        all.push((both.unwrap_or(range), alike));
    }
    all.into_iter().map(|(range, _)| range).collect()
}

/// Adds the first and last pages of every range that is named, and the pages beside them.
fn add_edges(program: &Program, alone: &mut BTreeSet<VirtAddr>) {
    let page = program.shape.span(0);
    let inputs = program.shape.inputs();
    for range in ranges(program).chain(invalidated(program)) {
        let last = range.last().align_down(page);
        let beside = [range.start().checked_sub(page), last.checked_add(page)];
        alone.extend([range.start(), last]);
        alone.extend(beside.into_iter().flatten());
    }
    alone.retain(|at| inputs.contains(*at));
}

/// Adds the first and the last page that each table translates which is given back: nothing need
/// have been written for it to be in use.
fn add_freed(
    program: &Program,
    positions: &BTreeMap<PhysAddr, BTreeSet<Position>>,
    alone: &mut BTreeSet<VirtAddr>,
) {
    for step in program.cpus.iter().flat_map(|cpu| &cpu.steps) {
        let Step::Free(table) = step else { continue };
        for (height, start) in positions.get(table).into_iter().flatten() {
            let entries = u64::from(program.shape.entries(*height));
            let bytes = entries * program.shape.span(*height);
            alone.extend([*start, start.wrapping_add(bytes - program.shape.span(0))]);
        }
    }
}

/// Every place in the tree that each table ever has, as the CPUs take their steps one by one.
fn positions(program: &Program) -> BTreeMap<PhysAddr, BTreeSet<Position>> {
    let mut memory = Memory::after(&program.initially);
    let mut positions = BTreeMap::new();
    let root = (program.shape.top(), program.shape.inputs().start());
    place(program, &memory, (program.root, root), &mut positions);
    for (cpu, at) in order(program, First::Writers) {
        if let Some(event) = program.cpus[cpu].steps[at].event() {
            memory.perform(event);
            follow(program, &memory, event, &mut positions);
        }
    }
    positions
}

/// Finds the tables that an effect has linked.
fn follow(
    program: &Program,
    memory: &Memory,
    event: Event,
    positions: &mut BTreeMap<PhysAddr, BTreeSet<Position>>,
) {
    let mut linked = Vec::new();
    each_write(event, |entry, _| {
        for (height, start) in positions.get(&entry.table).into_iter().flatten() {
            linked.extend(child(program, memory, entry, (*height, *start)));
        }
    });
    for (table, position) in linked {
        place(program, memory, (table, position), positions);
    }
}

/// The table that an entry leads to, and where that puts it.
fn child(
    program: &Program,
    memory: &Memory,
    entry: Entry,
    (height, start): Position,
) -> Option<(PhysAddr, Position)> {
    let at = start.wrapping_add(u64::from(entry.index) * program.shape.span(height));
    match program.shape.decode(height, memory.load(entry)?) {
        Word::Table { table, .. } => Some((table, (height.checked_sub(1)?, at))),
        Word::Leaf(_) | Word::Fault => None,
    }
}

/// Gives a table, and all below it, a place.
fn place(
    program: &Program,
    memory: &Memory,
    (table, position): (PhysAddr, Position),
    positions: &mut BTreeMap<PhysAddr, BTreeSet<Position>>,
) {
    positions.entry(table).or_default().insert(position);
    for index in 0..program.shape.entries(position.0) {
        let entry = Entry { table, index: u16::try_from(index).unwrap_or(u16::MAX) };
        if let Some(below) = child(program, memory, entry, position) {
            place(program, memory, below, positions);
        }
    }
}

/// Adds each address whose rights change together with every other address of the same memory.
fn add_aliases(
    program: &Program,
    alone: &BTreeSet<VirtAddr>,
    groups: &mut BTreeSet<Vec<VirtAddr>>,
) {
    let memory = Memory::after(&program.initially);
    let mut all = meaning(program.shape, &leaves(program.shape, program.root, &memory));
    let mut changed = Vec::new();
    for step in program.cpus.iter().flat_map(|cpu| &cpu.steps) {
        if let Step::Intend(intent) = step {
            changed.push(intent.range);
            if let Target::Mapped(translation) = intent.target {
                all.set(intent.range, Some(translation));
            }
        }
    }
    for at in alone.iter().filter(|at| changed.iter().any(|range| range.contains(**at))) {
        let Some(translation) = all.get(*at) else { continue };
        for piece in all.mapped() {
            let offset = piece.translation.and_then(|to| translation.output.offset_from(to.output));
            let other = offset.filter(|offset| *offset < piece.range.bytes());
            if let Some(other) = other.map(|offset| piece.range.start().wrapping_add(offset))
                && other != *at
            {
                groups.insert(vec![*at, other]);
            }
        }
    }
}

/// Adds pairs of entries of each contiguous run that an effect touches: every pair if all are asked
/// for, otherwise pairs of the first and last of those entries that each effect treats alike.
fn add_pairs(
    program: &Program,
    positions: &BTreeMap<PhysAddr, BTreeSet<Position>>,
    which: Slices,
    groups: &mut BTreeSet<Vec<VirtAddr>>,
) {
    let shape = program.shape;
    let mut runs: BTreeMap<(VirtAddr, u32), bool> = BTreeMap::new();
    let mut edges: Vec<(VirtAddr, VirtAddr)> =
        ranges(program).map(|range| (range.start(), range.last())).collect();
    for span in spans(program) {
        for (height, start) in positions.get(&span.table).into_iter().flatten() {
            let bytes = shape.span(*height);
            let first = start.wrapping_add(u64::from(span.first) * bytes);
            let last = first.wrapping_add(u64::from(span.count) * bytes - 1);
            edges.push((first, last));
            let run = shape.run_span(*height);
            let mut at = Some(first.align_down(run)).filter(|_| run > bytes);
            while let Some(group) = at.filter(|at| *at <= last) {
                runs.entry((group, *height)).or_insert(which == Slices::Pairs);
                at = group.checked_add(run);
            }
        }
    }
    for ((group, height), is_every) in runs {
        let (run, bytes) = (shape.run_span(height), shape.span(height));
        let starts_inside = |at: VirtAddr| {
            let within = at.value().wrapping_sub(group.value());
            within > 0 && within < run
        };
        let ends = edges.iter().flat_map(|(first, last)| [*first, last.wrapping_add(1)]);
        let cuts: BTreeSet<VirtAddr> = ends.filter(|at| starts_inside(*at)).collect();
        let member = |number: u64| group.wrapping_add(number * bytes);
        let is_edge = |at: VirtAddr| {
            let above = at.wrapping_add(bytes);
            at == group
                || above == group.wrapping_add(run)
                || cuts.contains(&at)
                || cuts.contains(&above)
        };
        let members: Vec<VirtAddr> = (0..shape.run_entries(height))
            .map(member)
            .filter(|at| is_every || is_edge(*at))
            .collect();
        for (number, one) in members.iter().enumerate() {
            groups.extend(members[..number].iter().map(|other| vec![*other, *one]));
        }
    }
}
