//! The entrance to the tables, with an account of who held which locks when.

use core::ops::Deref;

use blockmap::Terms;
use blockmap_kernel::entrance::{Entrance, Locks, Pass};
use blockmap_kernel::trace::{Edge, Record, Recording};

use crate::arch::per_cpu;
use crate::console::pause;

/// The entrance. What one CPU stores under a lock is seen by whoever takes it next; a trace says so.
#[derive(Debug)]
pub(super) struct WitnessedEntrance(Entrance);

impl WitnessedEntrance {
    /// Nobody is there, and these terms are in force.
    pub(super) fn new(terms: Terms) -> Self {
        Self(Entrance::new(terms))
    }

    /// Waits until no lock of `locks` is held, and takes them.
    #[inline]
    pub(super) fn enter(&self, recording: &Recording<'_>, locks: Locks) -> Pass {
        let pass = self.0.try_enter(locks).unwrap_or_else(|| self.wait(locks));
        if recording.is_on() {
            witness(recording, Edge::Takes(pass.locks()));
        }
        pass
    }

    /// Lets go of what was taken.
    #[inline]
    pub(super) fn leave(&self, recording: &Recording<'_>, pass: Pass) {
        if recording.is_on() {
            witness(recording, Edge::LetsGo(pass.locks()));
        }
        self.0.leave(pass);
    }

    #[cold]
    #[inline(never)]
    fn wait(&self, locks: Locks) -> Pass {
        per_cpu::this().job.add_wait();
        self.0.enter(locks, pause)
    }
}

/// Readers take no lock.
impl Deref for WitnessedEntrance {
    type Target = Entrance;

    fn deref(&self) -> &Entrance {
        &self.0
    }
}

/// Out of line, so that what is not recorded stays short.
#[cold]
#[inline(never)]
fn witness(recording: &Recording<'_>, edge: Edge) {
    recording.add(Record::Edge(edge));
}
