//! Programs drawn from a seed: some operations, on some geometry, on CPUs of some kinds, done by the
//! shipped engine and written down for the model.

mod intent;
pub mod search;
mod shrink;

use std::fmt;
use std::sync::Mutex;

use blockmap::host::MAY_PARK;
use blockmap::{Space, Strategy, Terms};
use blockmap_machine::VirtRange;
use blockmap_model::profile::{
    Forwarding, Invalidation, Profile, Runs, Several, SizeChange, Synchronisation, WalkCache,
};
use blockmap_model::program::{Aliases, Program};
use blockmap_vmsa::{Access, Change, Geometry, Leaves, TlbiForm};

use crate::crew::{Crew, Interrupts, Loads, Writer};
use crate::draw::Draw;
use crate::program::{Action, LARGEST, Step, geometries, perform, place};
use crate::reference::Reference;
use crate::tree::Tree;
pub use shrink::shrunk;

/// How large programs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How many operations come before what is judged.
    pub before: usize,
    /// How many operations there are at most.
    pub operations: usize,
    /// How many CPUs write at most.
    pub writers: usize,
    /// How many tables there are.
    pub tables: u32,
}

impl Size {
    /// Few operations: for the explorer.
    pub const SHORT: Self = Self { before: 3, operations: 4, writers: 3, tables: 40 };
    /// Many operations of one CPU: for the judge.
    pub const LONG: Self = Self { before: 0, operations: 400, writers: 1, tables: 400 };
}

/// What is done, and where.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The addresses.
    pub range: VirtRange,
    /// What.
    pub action: Action,
}

/// A drawn program, before it has run.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// What it was drawn from.
    pub seed: u64,
    /// The shape of the tree.
    pub geometry: Geometry,
    /// What the engine is told of the CPUs.
    pub terms: Terms,
    /// What the CPUs are; the first ones write.
    pub profiles: Vec<Profile>,
    /// Whether mappings of one frame differ in rights.
    pub aliases: Aliases,
    /// What is done before.
    pub before: Vec<Operation>,
    /// Who does what.
    pub operations: Vec<(usize, Operation)>,
    /// When who is interrupted.
    pub interrupts: Interrupts,
    /// The reservation of table memory that fails, and how many after it.
    pub failing: (u32, u32),
    /// How many tables there are.
    pub tables: u32,
}

/// What a drawn program became when it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// For the model.
    pub program: Program,
    /// How many operations were done; the others were refused.
    pub done: usize,
    /// What was read that others could have changed.
    pub loads: Loads,
    /// At how many of its steps the first CPU could have been interrupted.
    pub points: u64,
}

impl Drawn {
    /// The program of a seed.
    #[must_use]
    pub fn new(seed: u64, size: Size) -> Self {
        let mut draw = Draw::new(seed);
        let strategy = draw.one(&[Strategy::Live, Strategy::Live, Strategy::Live, Strategy::Pages]);
        let tlbi = draw.one(&[TlbiForm::Ranged, TlbiForm::ByAddress]);
        let terms = Terms { strategy, tlbi };
        let cpus = 2 + draw.index(2);
        let writers = 1 + draw.index(size.writers.min(cpus));
        let aliases = draw.one(&[Aliases::Apart, Aliases::Mixed]);
        let first = Step { action: whole(&mut draw), ..WHOLE };
        let others = draw.index(size.before + 1);
        let mut all = vec![first];
        for _ in 0..others + size.operations {
            let step = drawn_step(&mut draw, aliases, &all);
            all.push(step);
        }
        let geometry = draw.one(&geometries());
        let window = draw.number();
        let operation = |step: Step| {
            let range = place(geometry, window, &step)?;
            Some(Operation { range, action: step.action })
        };
        let operations = all.split_off(1 + others).into_iter().filter_map(operation);
        let operations = (0..writers).cycle().zip(operations).collect();
        Self {
            seed,
            geometry,
            terms,
            profiles: (0..cpus).map(|_| profile(&mut draw, terms)).collect(),
            aliases,
            before: all.into_iter().filter_map(operation).collect(),
            operations,
            interrupts: Interrupts::Random(draw.number(), 2 + draw.below(30)),
            failing: (draw.one(&[u32::MAX, 0, 1, 2]), 1 + u32::try_from(draw.below(3)).unwrap()),
            tables: size.tables,
        }
    }

    /// Runs the program on the engine, and compares with the plain list of leaves.
    ///
    /// # Panics
    /// Where the two differ, where an operation that was refused had effects, or used what it has
    /// no lock for.
    #[must_use]
    pub fn run(&self) -> Run {
        let crew = Crew::new(self.geometry, self.terms, self.profiles.len(), self.tables);
        let reference = Mutex::new(Reference::new(self.geometry));
        let alone = crew.writer(0);
        let space = Space::new(&alone, crew.root());
        for operation in &self.before {
            perform_noted(&space, &reference, *operation);
        }
        crew.begin(self.interrupts);
        alone.fail(self.failing.0..self.failing.0.saturating_add(self.failing.1));
        let done = Mutex::new(0);
        let job = |cpu: usize| -> crate::crew::Job<'_> {
            let (done, reference) = (&done, &reference);
            Box::new(move |space: &Space<'_, Writer<'_>>| {
                for (_, operation) in self.operations.iter().filter(|(writer, _)| *writer == cpu) {
                    let is_done = perform_noted(space, reference, *operation);
                    *done.lock().unwrap() += usize::from(is_done);
                }
            })
        };
        let writers = self.operations.iter().map(|(cpu, _)| cpu + 1).max().unwrap_or(0);
        if writers == 1 {
            job(0)(&space);
        } else {
            crew.work((0..writers).map(job).collect());
        }
        let (loads, points) = (crew.loads(), crew.points(0));
        compare(&space, &reference.lock().unwrap());
        let mut program = crew.program(&self.profiles);
        program.aliases = self.aliases;
        let done = *done.lock().unwrap();
        Run { program, done, loads, points }
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, geometry, terms, aliases, interrupts, failing, .. } = self;
        writeln!(
            f,
            "# seed {seed}: {geometry:?}, {terms:?}, {aliases:?}, {interrupts:?}, {failing:?}"
        )?;
        for Operation { range, action } in &self.before {
            writeln!(f, "# before: {range} {action:?}")?;
        }
        for (cpu, Operation { range, action }) in &self.operations {
            writeln!(f, "# CPU {cpu}: {range} {action:?}")?;
        }
        Ok(())
    }
}

/// Performs an operation, and writes down what it was meant to do.
fn perform_noted(
    space: &Space<'_, Writer<'_>>,
    reference: &Mutex<Reference>,
    Operation { range, action }: Operation,
) -> bool {
    let writer = space.platform();
    let mark = writer.mark();
    let is_done = perform((space, &MAY_PARK), reference, range, action);
    let meant = is_done.then(|| intent::all(&reference.lock().unwrap(), range, action));
    writer.finish(mark, meant.as_deref());
    is_done
}

/// Compares the tree with the plain list of leaves.
fn compare(space: &Space<'_, Writer<'_>>, reference: &Reference) {
    let tree = Tree::read(space);
    assert_eq!(tree.units, reference.units(), "(made, expected)");
    assert_eq!(tree.odd_entries, []);
    assert_eq!(tree.empty_tables, []);
    assert_eq!(tree.tables.len(), space.platform().tables(), "a table was lost");
}

/// A step over the whole window.
const WHOLE: Step =
    Step { action: Action::Split, place: 0, length: 3, grain: LARGEST, length_grain: LARGEST };

/// What is done first: nearly always the window is mapped.
fn whole(draw: &mut Draw) -> Action {
    let access = draw.one(&[Access::ReadWrite, Access::ReadWrite, Access::ReadOnly]);
    let map = Action::Map { leaves: Leaves::Largest, access, skew: 0, skew_grain: 0 };
    draw.one(&[map, map, map, map, Action::Unmap])
}

/// A step somewhere, or where an earlier one was.
fn drawn_step(draw: &mut Draw, aliases: Aliases, earlier: &[Step]) -> Step {
    let action = action(draw, aliases);
    if draw.below(3) == 0 {
        return Step { action, ..draw.one(earlier) };
    }
    let length = 1 + draw.below(40);
    let grain = draw.index(8);
    Step {
        action,
        place: draw.number(),
        length: if length > 20 { 1 } else { length },
        grain,
        length_grain: draw.index(grain + 1),
    }
}

fn action(draw: &mut Draw, aliases: Aliases) -> Action {
    match draw.below(10) {
        0..=1 => Action::Map {
            leaves: draw.one(&[Leaves::Largest, Leaves::Largest, Leaves::Pages]),
            access: draw.one(&[Access::ReadWrite, Access::ReadOnly, Access::ReadExecute]),
            skew: if aliases == Aliases::Apart { 0 } else { draw.below(4) },
            skew_grain: draw.index(8),
        },
        2 => Action::Unmap,
        3..=7 => Action::Protect(draw.one(&Change::ALL)),
        _ => Action::Split,
    }
}

/// A CPU that the terms are right for.
fn profile(draw: &mut Draw, terms: Terms) -> Profile {
    let sizes = [SizeChange::Quiet, SizeChange::MayAbort, SizeChange::NeedsBreak];
    let size_change = match terms.strategy {
        Strategy::Live => SizeChange::Quiet,
        Strategy::Quiesce | Strategy::Pages => draw.one(&sizes),
    };
    let invalidation = match terms.tlbi {
        TlbiForm::Ranged => Invalidation::Ranged,
        TlbiForm::ByAddress => draw.one(&[Invalidation::Ranged, Invalidation::ByAddress]),
    };
    Profile {
        size_change,
        synchronisation: draw.one(&[
            Synchronisation::Context,
            Synchronisation::Ets2,
            Synchronisation::Ets3,
        ]),
        walk_cache: draw.one(&[WalkCache::ByInput, WalkCache::ByPlace]),
        invalidation,
        runs: draw.one(&[Runs::Cached, Runs::Cached, Runs::Ignored]),
        several: Several::AllRemoved,
        forwarding: draw.one(&[Forwarding::None, Forwarding::ToOwnWalker]),
    }
}
