//! One pass over a program: fast enough for whole boots, and for millions of steps.
//!
//! The judge takes the steps in one order and keeps, instead of states, what every CPU *could* hold:
//! all that the tables say now, and what they said before and no invalidation has surely removed.
//! Bulk effects stay bulk: neighbouring entries that say the same of neighbouring memory are one.
//! Walkers, store buffers and late invalidations are not enumerated but bounded: a store may be
//! read from the moment it is executed, and what it replaced until a barrier has published it; an
//! invalidation removes only what could no longer be read when it was issued, and only once it is
//! complete.
//!
//! A few orders of the steps of several CPUs stand for all. Those that only have walkers, and park,
//! do nothing until a writer waits for them, and so leave the tables as late as they can; or they
//! go first wherever they can, and so come back as early. Of several writers each goes first once.
//! An invalidation counts only against what its CPU knows to be published: what that CPU has done
//! itself, and what locks and counters put before it in every order, not what the order at hand
//! does. Two writers that no lock orders and that change translations of one address, or of one
//! frame, are judged in those orders alone. [`explore`](crate::explore) is the authority, and tests
//! compare the two.

mod achieve;
mod admit;
mod alias;
mod finish;
mod hidden;
mod known;
mod stale;
mod tree;

use std::collections::HashMap;

use blockmap_machine::{Barrier, Event, PhysAddr, VirtAddr, VirtRange};

use crate::coherence;
use crate::maintenance::Maintenance;
use crate::meaning::{Meaning, Translation};
use crate::profile::Synchronisation;
use crate::program::{Context, Cpu, Intent, Meanwhile, Memory, Program, Step, written};
use crate::replay::{First, first_broken_run, leaves, meaning, order, writes};
use crate::verdict::{Effect, Rule, Verdict};
use hidden::{Hidden, Others};
use known::Known;
use stale::Stale;
use tree::{Place, Table};

/// What the judge has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// How many effects: each entry of a bulk effect is one, and each barrier and invalidation.
    pub effects: u64,
    /// What is wrong, in the order in which it was met; of each rule the first verdict.
    pub verdicts: Vec<Verdict>,
}

/// Judges a program.
#[must_use]
pub fn judge(program: &Program) -> Judged {
    let judged = pass(program, First::Writers);
    let with_steps = |cpu: &usize| !program.cpus[*cpu].steps.is_empty();
    let cpus: Vec<usize> = (0..program.cpus.len()).filter(with_steps).collect();
    if cpus.len() < 2 {
        return judged;
    }
    // Each CPU once as early as it can be: the first of all writers has had its turn.
    let each = cpus.into_iter().filter(|cpu| writes(program, *cpu)).skip(1).map(First::This);
    let orders = std::iter::once(First::Others).chain(each);
    let wrong = orders.map(|first| pass(program, first)).find(|judged| !judged.verdicts.is_empty());
    if judged.verdicts.is_empty() { wrong.unwrap_or(judged) } else { judged }
}

fn pass(program: &Program, first: First) -> Judged {
    let mut judge = Judge::new(program);
    let order = order(program, first);
    for (cpu, number) in &order {
        judge.take(*cpu, *number);
    }
    judge.end(&order);
    Judged { effects: judge.effects, verdicts: judge.verdicts }
}

/// One pass.
#[derive(Debug)]
struct Judge<'p> {
    program: &'p Program,
    tables: HashMap<PhysAddr, Table>,
    /// What every address means, as last achieved.
    meaning: Meaning,
    open: Vec<Open>,
    stale: Stale,
    hidden: Hidden,
    known: Known,
    cpus: Vec<CpuNow>,
    /// Memory that some leaf has made executable; more than there is, never less.
    executable: Vec<blockmap_machine::PhysRange>,
    /// Ranges that were mapped anew, and when that was published.
    mapped: Vec<(VirtRange, u64)>,
    /// Steps taken.
    time: u64,
    effects: u64,
    verdicts: Vec<Verdict>,
    at: (usize, usize),
}

/// A piece of an intent that is not achieved.
#[derive(Clone, Copy, Debug)]
struct Open {
    cpu: usize,
    range: VirtRange,
    /// What its first address shall translate to.
    target: Option<Translation>,
    meanwhile: Meanwhile,
    is_new: bool,
}

/// What matters of one CPU.
#[derive(Clone, Debug)]
struct CpuNow {
    context: Context,
    lingering: Option<Context>,
    others: Others,
    /// Whether its TLB may hold what the tables say.
    holds: Holds,
    /// Invalidations that are not complete.
    sent: Vec<Sent>,
    /// All invalidations since its last intent was achieved.
    issued: Vec<Maintenance>,
    /// When it last stored to a table that walkers reach, and last synchronised.
    stored: u64,
    published: u64,
    synchronised: u64,
}

/// Whether a TLB may hold anything of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Something,
    /// The CPU is off the tree, and has emptied its TLB since.
    Nothing,
}

/// An invalidation that is not complete.
#[derive(Clone, Copy, Debug)]
struct Sent {
    names: Maintenance,
    time: u64,
}

impl<'p> Judge<'p> {
    fn new(program: &'p Program) -> Self {
        let cpu = CpuNow {
            context: Context::Live,
            lingering: None,
            others: Others::Nothing,
            holds: Holds::Something,
            sent: Vec::new(),
            issued: Vec::new(),
            stored: 0,
            published: 0,
            synchronised: 0,
        };
        let start = |of: &Cpu| match of.steps.first() {
            Some(Step::Context(Context::Other)) => CpuNow {
                context: Context::Other,
                others: Others::Something,
                holds: Holds::Nothing,
                ..cpu.clone()
            },
            Some(_) | None => cpu.clone(),
        };
        let memory = Memory::after(&program.initially);
        let mut judge = Self {
            program,
            tables: HashMap::new(),
            meaning: meaning(program.shape, &leaves(program.shape, program.root, &memory)),
            open: Vec::new(),
            stale: Stale::default(),
            hidden: Hidden::new(program),
            known: Known::new(program.cpus.len()),
            cpus: program.cpus.iter().map(start).collect(),
            executable: Vec::new(),
            mapped: Vec::new(),
            time: 0,
            effects: 0,
            verdicts: Vec::new(),
            at: (0, 0),
        };
        for entry in memory.entries() {
            let table = judge.tables.entry(entry.table).or_default();
            table.set(entry.index, memory.load(entry));
        }
        let root = Place {
            height: program.shape.top(),
            start: program.shape.inputs().start(),
            allows: crate::rights::Rights::ALL,
            by: None,
        };
        judge.link(program.root, root);
        judge
    }

    /// Takes one step.
    fn take(&mut self, cpu: usize, number: usize) {
        self.time += 1;
        self.at = (cpu, number);
        let step = &self.program.cpus[cpu].steps[number];
        if let Some((touch, range)) = coherence::touch(step) {
            self.touch(cpu, touch, range);
        }
        match step {
            Step::Effect(event) => self.perform(cpu, *event),
            Step::Part(entry, ..) => {
                self.effects += 1;
                if let Some(event) = step.event() {
                    self.store_half(cpu, *entry, event);
                }
            }
            Step::Intend(intent) => self.intend(cpu, *intent),
            Step::Achieved => self.achieve(cpu),
            Step::Free(table) => self.free(*table),
            Step::Use(range) => self.rely(cpu, *range),
            Step::Context(context) => {
                let now = &mut self.cpus[cpu];
                if now.context != *context {
                    now.lingering = Some(now.context);
                    now.context = *context;
                }
                if *context == Context::Live {
                    now.holds = Holds::Something;
                    self.stale.can_be_read_by(cpu);
                    self.meet_again();
                }
                self.check_tree(cpu);
            }
            Step::Code(_) | Step::PastCaches(_) => {}
            Step::Lock { name, .. } | Step::Wait(name, _) => {
                self.known.learn(cpu, self.time, name);
            }
            Step::Unlock(name) => {
                self.stale.release(cpu, self.time);
                self.known.tell(cpu, self.time, name);
            }
            Step::Signal(name) => self.known.tell(cpu, self.time, name),
        }
    }

    fn perform(&mut self, cpu: usize, event: Event) {
        match event {
            Event::Store { .. } | Event::Fill { .. } | Event::Update { .. } => {
                self.effects += written(event).map_or(0, |span| u64::from(span.count));
                self.write(cpu, event);
            }
            Event::Invalidate(invalidate) => {
                self.effects += 1;
                let names = self.program.shape.maintenance(invalidate);
                let now = &mut self.cpus[cpu];
                now.sent.push(Sent { names, time: self.time });
                now.issued.push(names);
            }
            Event::Barrier(barrier) => {
                self.effects += 1;
                self.pass(cpu, barrier);
            }
            Event::Maintain { .. } => self.effects += 1,
        }
    }

    fn pass(&mut self, cpu: usize, barrier: Barrier) {
        self.settle_lines(cpu, barrier);
        let synchronisation = self.program.cpus[cpu].profile.synchronisation;
        match barrier {
            Barrier::Isb => {
                let now = &mut self.cpus[cpu];
                now.lingering = None;
                now.synchronised = self.time;
                self.stale.synchronise(cpu);
                return;
            }
            Barrier::DsbNshst => return,
            Barrier::DsbNsh => {}
            Barrier::DsbIsh | Barrier::DsbIshst => {
                let gone = self.stale.publish(cpu, self.time);
                self.forget_unheld(&gone);
                let dirty = std::mem::take(&mut self.stale.dirty);
                let (done, left): (Vec<_>, Vec<_>) =
                    dirty.into_iter().partition(|(by, _)| *by == cpu);
                self.stale.dirty = left;
                for (_, table) in done {
                    if let Some(table) = self.tables.get_mut(&table) {
                        table.unpublished.retain(|(by, ..)| *by != cpu);
                    }
                }
                let now = &mut self.cpus[cpu];
                now.published = self.time;
                if synchronisation != Synchronisation::Context {
                    now.synchronised = self.time;
                }
            }
        }
        if barrier != Barrier::DsbIshst {
            self.complete(cpu, barrier);
        }
    }

    fn intend(&mut self, cpu: usize, intent: Intent) {
        for piece in self.meaning.pieces(intent.range) {
            let offset = piece.range.start().offset_from(intent.range.start()).unwrap_or(0);
            let target = intent.target.of(piece.translation, offset);
            let is_new = piece.translation.is_none() && target.is_some();
            let meanwhile = intent.meanwhile;
            self.open.push(Open { cpu, range: piece.range, target, meanwhile, is_new });
        }
    }

    /// Judges what the tables are like in the end.
    fn end(&mut self, order: &[(usize, usize)]) {
        let steps: usize = self.program.cpus.iter().map(|cpu| cpu.steps.len()).sum();
        let shape = self.program.shape;
        if steps > order.len() {
            self.find(Rule::NoDeadlock, 0, shape.inputs().start(), "a CPU that waits for ever");
        }
        let mut memory = Memory::default();
        for (table, words) in &self.tables {
            words.copy_to(*table, &mut memory);
        }
        let found = leaves(shape, self.program.root, &memory);
        let made = meaning(shape, &found);
        // What waits for another intent is in the tables already.
        for open in self.open.iter().filter(|open| open.meanwhile == Meanwhile::Later) {
            self.meaning.set(open.range, open.target);
        }
        if made != self.meaning {
            let at = |piece: crate::meaning::Piece| {
                let other = self.meaning.pieces(piece.range);
                other
                    .iter()
                    .map(|piece| piece.range.start())
                    .find(|at| made.get(*at) != self.meaning.get(*at))
            };
            let at = made.pieces(shape.inputs()).into_iter().find_map(at);
            self.find(Rule::MapMeansWhatWasAsked, self.at.0, at.unwrap_or_default(), "another map");
        }
        if let Some((at, what)) = first_broken_run(shape, &memory, &found) {
            self.find(Rule::WholeRunOrNone, self.at.0, at, &what);
        }
    }

    /// Notes a violation, unless the rule has been broken before.
    fn find(&mut self, rule: Rule, cpu: usize, address: VirtAddr, seen: &str) {
        if self.verdicts.iter().any(|verdict| verdict.rule == rule) {
            return;
        }
        let (by, step) = self.at;
        let text = self.program.cpus[by].steps.get(step);
        let text = text.map_or_else(|| "the start".to_owned(), ToString::to_string);
        let effect = Effect { cpu: by, step, text };
        self.verdicts.push(Verdict { rule, cpu, address, effect, seen: vec![seen.to_owned()] });
    }

    /// The CPUs, a bit each, whose TLBs may hold what the tables say.
    fn holders(&self) -> u64 {
        let bit = |(cpu, now): (usize, &CpuNow)| {
            if now.holds == Holds::Something { 1 << cpu } else { 0 }
        };
        self.cpus.iter().enumerate().map(bit).sum()
    }
}

#[cfg(test)]
mod tests;
