//! The slots' locks, with an account of who held which when.

use blockmap::Scope;
use blockmap_kernel::locks::SlotLocks;
use blockmap_kernel::trace::{Edge, Record, Recording};

use crate::arch::per_cpu;
use crate::console::pause;

/// The locks of all slots. What one CPU stores under a lock is seen by whoever takes it next; a
/// trace says so.
#[derive(Debug)]
pub(super) struct WitnessedLocks(SlotLocks);

impl WitnessedLocks {
    /// No lock is held.
    pub(super) fn new() -> Self {
        Self(SlotLocks::new())
    }

    /// Waits until no lock of `scope` is held, and takes them.
    #[inline]
    pub(super) fn lock(&self, recording: &Recording<'_>, scope: Scope) {
        if !self.0.try_lock(scope) {
            self.wait((scope, scope));
        }
        if recording.is_on() {
            witness(recording, Edge::Takes(SlotLocks::of_both((scope, scope))));
        }
    }

    /// The same for the locks of two scopes.
    #[inline]
    pub(super) fn lock_both(&self, recording: &Recording<'_>, scopes: (Scope, Scope)) {
        if !self.0.try_lock_both(scopes) {
            self.wait(scopes);
        }
        if recording.is_on() {
            witness(recording, Edge::Takes(SlotLocks::of_both(scopes)));
        }
    }

    /// Lets go of the locks of `scope`.
    #[inline]
    pub(super) fn unlock(&self, recording: &Recording<'_>, scope: Scope) {
        if recording.is_on() {
            witness(recording, Edge::LetsGo(SlotLocks::of_both((scope, scope))));
        }
        self.0.unlock(scope);
    }

    /// Lets go of the locks of two scopes.
    #[inline]
    pub(super) fn unlock_both(&self, recording: &Recording<'_>, scopes: (Scope, Scope)) {
        if recording.is_on() {
            witness(recording, Edge::LetsGo(SlotLocks::of_both(scopes)));
        }
        self.0.unlock_both(scopes);
    }

    #[cold]
    #[inline(never)]
    fn wait(&self, scopes: (Scope, Scope)) {
        per_cpu::this().job.add_wait();
        self.0.lock_both(scopes, pause);
    }
}

/// Out of line, so that what is not recorded stays short.
#[cold]
#[inline(never)]
fn witness(recording: &Recording<'_>, edge: Edge) {
    recording.add(Record::Edge(edge));
}
