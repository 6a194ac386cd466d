//! Several writers on one tree, one at a time: what each does is written down with the locks that
//! order them, and a plan says at which of its steps a writer is interrupted by another.
//!
//! A writer is the shipped engine on a thread of its own. It stops before every load, effect, lock
//! and reservation, where the plan may let another go on: so whatever the engine reads may have
//! been changed meanwhile by whoever may change it, and the same plan gives the same run.

mod edges;
mod scopes;
mod system;
mod writer;

use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex};
use std::thread;

use blockmap::{Scope, Space, Terms};
use blockmap_machine::{Event, PhysAddr};
use blockmap_model::profile::Profile;
use blockmap_model::program::{Program, Step};
use blockmap_vmsa::Geometry;

use crate::shape::shape;
pub use scopes::{Loads, Watch};
use system::System;
pub use writer::Writer;

/// When a writer that could go on is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupts {
    /// Never: another goes on only when one is done or has to wait.
    Never,
    /// The writer of this number, before the step of this number, once.
    Once(usize, u64),
    /// Whoever, before one in so many steps, drawn from this seed.
    Random(u64, u64),
}

/// A system of several CPUs.
#[derive(Debug)]
pub struct Crew {
    geometry: Geometry,
    terms: Terms,
    system: Mutex<System>,
    moved: Condvar,
}

/// What a CPU has done, as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    Step(Step),
    Lock(Scope),
    Unlock(Scope),
    /// A table was taken that had been given back so often before.
    Taken(PhysAddr, u32),
    Freed(PhysAddr),
}

/// What a writer does with the tree.
pub type Job<'j> = Box<dyn FnOnce(&Space<'_, Writer<'_>>) + Send + 'j>;

impl Crew {
    /// A system of `cpus` CPUs that has so many tables.
    #[must_use]
    pub fn new(geometry: Geometry, terms: Terms, cpus: usize, tables: u32) -> Self {
        let system = Mutex::new(System::new(geometry, cpus, tables));
        Self { geometry, terms, system, moved: Condvar::new() }
    }

    /// The root table, the first of all.
    #[must_use]
    pub fn root(&self) -> PhysAddr {
        System::BASE
    }

    /// One CPU, which is alone until [`Crew::work`].
    #[must_use]
    pub const fn writer(&self, cpu: usize) -> Writer<'_> {
        Writer { crew: self, cpu }
    }

    /// Makes what was done so far the state before the first step, and plans the interrupts.
    pub fn begin(&self, interrupts: Interrupts) {
        let mut system = self.system.lock().unwrap();
        let notes: Vec<(u64, Noted)> = system.notes.iter_mut().flat_map(std::mem::take).collect();
        let effects = notes.into_iter().filter_map(|(_, noted)| match noted {
            Noted::Step(step) => step.event(),
            Noted::Lock(_) | Noted::Unlock(_) | Noted::Taken(..) | Noted::Freed(_) => None,
        });
        let writes: Vec<Event> =
            effects.filter(|event| blockmap_model::program::written(*event).is_some()).collect();
        system.initially.extend(writes);
        system.freed.clear();
        system.plan(interrupts);
    }

    /// Lets each CPU do its job, all at once, one step at a time.
    ///
    /// # Panics
    /// When one of them does, or all wait for each other.
    pub fn work(&self, jobs: Vec<Job<'_>>) {
        self.system.lock().unwrap().open(jobs.len());
        thread::scope(|scope| {
            let threads: Vec<_> = jobs
                .into_iter()
                .enumerate()
                .map(|(cpu, job)| scope.spawn(move || self.take_part(cpu, job)))
                .collect();
            let failed = threads.into_iter().filter_map(|thread| thread.join().err()).last();
            if let Some(failed) = failed {
                resume_unwind(failed);
            }
        });
    }

    fn take_part(&self, cpu: usize, job: Job<'_>) {
        let _leave = Leave(self, cpu);
        let writer = self.writer(cpu);
        writer.wait_for_turn();
        job(&Space::new(&writer, self.root()));
    }

    /// What was done since [`Crew::begin`], on CPUs of these profiles: those that are more than the
    /// crew's only have walkers.
    #[must_use]
    pub fn program(&self, profiles: &[Profile]) -> Program {
        let system = self.system.lock().unwrap();
        let mut program =
            Program::new(shape(self.geometry), self.root(), Profile::QUIET, profiles.len());
        program.initially.clone_from(&system.initially);
        for (cpu, profile) in program.cpus.iter_mut().zip(profiles) {
            cpu.profile = *profile;
        }
        for (cpu, steps) in program.cpus.iter_mut().zip(edges::steps(&system.notes)) {
            cpu.steps = steps;
        }
        program
    }

    /// How often the loads of each kind were made.
    #[must_use]
    pub fn loads(&self) -> Loads {
        self.system.lock().unwrap().loads
    }

    /// How many steps at which it can be interrupted a CPU has taken since [`Crew::begin`].
    #[must_use]
    pub fn points(&self, cpu: usize) -> u64 {
        self.system.lock().unwrap().points[cpu]
    }
}

/// Hands on the turn when a writer is done, or has failed.
struct Leave<'c>(&'c Crew, usize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        // A writer that failed may have done so while it held the system.
        let system = self.0.system.lock();
        let mut system = system.unwrap_or_else(std::sync::PoisonError::into_inner);
        system.leave(self.1, thread::panicking());
        self.0.moved.notify_all();
    }
}
