//! The gate to the tables, with an account of who held which locks when.

use core::ops::Deref;

use blockmap::Terms;
use blockmap_kernel::gate::{Gate, Locks, Ticket};
use blockmap_kernel::trace::{Edge, Record, Recording};

use crate::arch::per_cpu;
use crate::console::pause;

/// The gate. What one CPU stores under a lock is seen by whoever takes it next; a trace says so.
#[derive(Debug)]
pub(super) struct WitnessedGate(Gate);

impl WitnessedGate {
    /// Nobody is there, and these terms are in force.
    pub(super) fn new(terms: Terms) -> Self {
        Self(Gate::new(terms))
    }

    /// Waits until no lock of `locks` is held, and takes them.
    #[inline]
    pub(super) fn enter(&self, recording: &Recording<'_>, locks: Locks) -> Ticket {
        let ticket = self.0.try_enter(locks).unwrap_or_else(|| self.wait(locks));
        if recording.is_on() {
            witness(recording, Edge::Takes(ticket.locks()));
        }
        ticket
    }

    /// Lets go of what was taken.
    #[inline]
    pub(super) fn leave(&self, recording: &Recording<'_>, ticket: Ticket) {
        if recording.is_on() {
            witness(recording, Edge::LetsGo(ticket.locks()));
        }
        self.0.leave(ticket);
    }

    #[cold]
    #[inline(never)]
    fn wait(&self, locks: Locks) -> Ticket {
        per_cpu::this().job.add_wait();
        self.0.enter(locks, pause)
    }
}

/// Readers take no lock.
impl Deref for WitnessedGate {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.0
    }
}

/// Out of line, so that what is not recorded stays short.
#[cold]
#[inline(never)]
fn witness(recording: &Recording<'_>, edge: Edge) {
    recording.add(Record::Edge(edge));
}
