//! The search: every state that can be reached, once.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use blockmap_machine::Entry;

use super::close::{Reach, translation};
use super::project::Projected;
use super::state::{Item, Known, Others, State};
use super::{ExploreError, Options, Tlb};
use crate::decode::Word;
use crate::meaning::Translation;
use crate::program::Context;
use crate::rights::Rights;
use crate::verdict::{Effect, Verdict};

/// What was found in one slice. Verdicts come with how many steps had been taken.
#[derive(Debug, Default)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) transitions: usize,
    pub(super) verdicts: Vec<((usize, usize), Verdict)>,
}

/// The search of one slice.
#[derive(Debug)]
pub(super) struct Explorer<'p, 's> {
    pub(super) slice: &'s Projected<'p>,
    pub(super) items: Vec<Known>,
    pub(super) numbers: HashMap<Item, usize>,
    /// Whether there were more items than a set holds.
    pub(super) is_full: bool,
    pub(super) tlb: Tlb,
    pub(super) verdicts: Vec<((usize, usize), Verdict)>,
}

/// What was done last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) cpu: usize,
    pub(super) step: usize,
    pub(super) moment: Moment,
}

/// What the last transition says that must hold now, beyond what must hold always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Any,
    /// What the CPU intended is in force.
    Achieved,
    /// A table has been given back: its number among the operation's is its address.
    Freed(blockmap_machine::PhysAddr),
    /// The CPU relies on these addresses.
    Used(u64),
    /// A store that was made from an entry replaced it after hardware had changed it.
    Lost,
}

/// Explores one slice.
pub(super) fn run(slice: &Projected<'_>, options: Options) -> Result<Explored, ExploreError> {
    let at = slice.addresses.first().copied().unwrap_or_default();
    let mut search = Explorer {
        slice,
        items: Vec::new(),
        numbers: HashMap::new(),
        is_full: false,
        tlb: options.tlb,
        verdicts: Vec::new(),
    };
    let mut explored = Explored::default();
    let mut visited = HashSet::new();
    let mut waiting = Vec::new();
    let mut first = State::new(slice, initial_meanings(slice));
    let start = Cause { cpu: 0, step: 0, moment: Moment::Any };
    if search.settle(&mut first, start) {
        visited.insert(fingerprint(&first));
        waiting.push((first, start));
    }
    while let Some((state, cause)) = waiting.pop() {
        explored.states += 1;
        if explored.states > options.most_states {
            return Err(ExploreError::TooManyStates(at));
        }
        let mut next = search.changes(&state);
        if next.is_empty() {
            search.check_stuck(&state, cause);
        }
        if options.tlb == Tlb::Subsets {
            search.fetches(&state, cause, &mut next);
        }
        for (mut state, cause) in next {
            explored.transitions += 1;
            if search.settle(&mut state, cause) && visited.insert(fingerprint(&state)) {
                waiting.push((state, cause));
            }
        }
        if search.is_full {
            return Err(ExploreError::TooManyTranslations(at));
        }
    }
    explored.verdicts = search.verdicts;
    Ok(explored)
}

impl Explorer<'_, '_> {
    /// Lets walkers fetch, and checks the state; says whether it is worth going on from.
    fn settle(&mut self, state: &mut State, cause: Cause) -> bool {
        let mut reaches = Vec::with_capacity(state.cpus.len());
        for cpu in 0..state.cpus.len() {
            if state.cpus[cpu].uses(Context::Other) {
                state.cpus[cpu].others = Others::Something;
            }
            let reach = match self.tlb {
                Tlb::Collecting => self.close(state, cpu),
                Tlb::Subsets => self.reach(state, cpu),
            };
            state.cpus[cpu].remembered |= reach.faults;
            reaches.push(reach);
        }
        self.check(state, &reaches, cause)
    }

    /// The states in which a TLB has taken in or thrown out one item.
    fn fetches(&mut self, state: &State, cause: Cause, next: &mut Vec<(State, Cause)>) {
        let cause = Cause { moment: Moment::Any, ..cause };
        for cpu in 0..state.cpus.len() {
            let Reach { items, .. } = self.reach(state, cpu);
            for number in items.numbers() {
                let mut after = state.clone();
                if after.cpus[cpu].tlb.insert(number) {
                    next.push((after, cause));
                }
            }
            for number in state.cpus[cpu].tlb.numbers() {
                let mut after = state.clone();
                after.cpus[cpu].tlb.remove(number);
                next.push((after, cause));
            }
        }
    }

    /// Keeps a verdict with how far the program had come.
    pub(super) fn record(&mut self, state: &State, cause: Cause, mut verdict: Verdict) {
        let rank = (state.cpus.iter().map(|cpu| cpu.next).sum(), cause.step);
        let step = self.slice.program.cpus[cause.cpu].steps.get(cause.step);
        let text = step.map_or_else(|| "the start".to_owned(), ToString::to_string);
        verdict.effect = Effect { cpu: cause.cpu, step: cause.step, text };
        super::keep_first(&mut self.verdicts, rank, verdict);
    }
}

/// Two hashes of a state side by side: that two of a million states have the same is less likely
/// than one in 10^26.
fn fingerprint(state: &State) -> (u64, u64) {
    let hash = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        state.hash(&mut hasher);
        hasher.finish()
    };
    (hash(0), hash(1))
}

/// What the tables make of each address before the first step.
fn initial_meanings(slice: &Projected<'_>) -> Vec<Option<Translation>> {
    let load = |entry: Entry| slice.initial[*slice.places.get(&entry)?];
    slice.addresses.iter().map(|at| walk(slice, *at, load)).collect()
}

/// What a walk of `at` ends with when entries hold what `load` says.
pub(super) fn walk(
    slice: &Projected<'_>,
    at: blockmap_machine::VirtAddr,
    load: impl Fn(Entry) -> Option<u64>,
) -> Option<Translation> {
    let shape = slice.program.shape;
    let (mut table, mut height, mut allows) = (slice.program.root, shape.top(), Rights::ALL);
    loop {
        let word = load(Entry { table, index: shape.index(height, at) })?;
        match shape.decode(height, word) {
            Word::Fault => return None,
            Word::Leaf(leaf) => return Some(translation(leaf, shape.span(height), allows, at)),
            Word::Table { table: below, allows: also } => {
                table = below;
                allows = allows.and(also);
                height = height.checked_sub(1)?;
            }
        }
    }
}
