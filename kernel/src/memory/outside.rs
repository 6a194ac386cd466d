//! Changes of the root, made while no CPU at all walks the kernel's tables: the one that makes them
//! is in the identity map, as the parked ones are, and reaches the root there.

use blockmap::machine::{Barrier, Entry, Event, Machine, PhysAddr, Span};
use blockmap::vmsa::Reach;
use blockmap::vmsa::descriptor::Asids;
use blockmap::{NonGlobalError, NotParked};
use blockmap_kernel::trace::{Edge, Record};
use thiserror::Error;

use super::pinned;
use super::recorded::Recorded;
use super::system::System;
use crate::arch::{ground, identity_window, room};
use crate::cpus::{self, MayPark};
use crate::run::Account;

/// The root, shown in the identity map, and what becomes of its entries, listed on the ground. There is
/// one under the parking lock.
struct Prepared<'a> {
    cpu: &'a Recorded<'a>,
    live: Span,
    after: PhysAddr,
    /// How many entries are listed.
    count: u64,
    /// The table that maps the pinned windows afterwards, if it is another.
    window_table: Option<PhysAddr>,
}

/// Why the kernel's leaves are still global. The map is as it was.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum KptiError {
    /// They are not.
    #[error("no leaf is global already")]
    Done,
    /// The engine refused.
    #[error(transparent)]
    Map(#[from] NonGlobalError),
}

impl System<'_> {
    /// Makes all leaves of the kernel's map belong to one ASID, now and later: what Linux does where
    /// programs must not find the kernel in TLBs.
    ///
    /// # Errors
    /// See [`KptiError`].
    pub(crate) fn make_non_global(&self) -> Result<(), KptiError> {
        match self.leaf_asids() {
            Asids::One => return Err(KptiError::Done),
            Asids::Every => {}
        }
        self.recording().note("leaves of one ASID instead of global ones");
        // What is mapped from here on is made so; what was mapped before is found by the change.
        self.set_leaf_asids(Asids::One);
        if let Err(error) = self.space().make_non_global(&Self::may_park()) {
            self.set_leaf_asids(Asids::Every);
            return Err(error.into());
        }
        Ok(())
    }

    /// Stores what `after` holds over the entries of the root, with all others parked.
    pub(super) fn exchange_root(
        &self,
        may_park: &MayPark,
        (live, after): (Span, PhysAddr),
    ) -> Result<(), NotParked> {
        let prepare = || Prepared::new(self.recorded(), (live, after));
        let exchange = |prepared: &Prepared<'_>, account| {
            if account == Account::Kept {
                prepared.record();
            }
            prepared.exchange();
            // Before anybody else can park others: another table maps the pinned windows now.
            if let Some(table) = prepared.window_table {
                self.set_window_table(table);
            }
        };
        cpus::with_others_parked(may_park, prepare, exchange)
    }
}

impl<'a> Prepared<'a> {
    fn new(cpu: &'a Recorded<'a>, (live, after): (Span, PhysAddr)) -> Self {
        let new = |index| cpu.load(Entry { table: after, index });
        let indices = live.first..live.first + live.count;
        let changes = indices.map(|index| (index, new(index))).filter(|(_, word)| *word != 0);
        let count = ground::list_changes(changes);
        let window_table = pinned::level3_below(cpu, new(pinned::root_index()));
        // SAFETY: the locks of all slots are held, and the parking lock; what is stored there is
        // what the engine asked for.
        unsafe { identity_window::point(Some(live.table)) };
        // It was invalid and nothing of it is in a TLB. [invalid-is-never-cached]
        cpu.perform(Event::Barrier(Barrier::DsbIshst));
        cpu.perform(Event::Barrier(Barrier::Isb));
        Self { cpu, live, after, count, window_table }
    }

    /// What is done there can't be recorded meanwhile: it is said before.
    #[cold]
    fn record(&self) {
        let Self { cpu, live, after, .. } = self;
        let recording = cpu.recording();
        recording.add(Record::Edge(Edge::StepsOut));
        for index in live.first..live.first + live.count {
            let value = cpu.load(Entry { table: *after, index });
            if value != 0 {
                let entry = Entry { table: live.table, index };
                recording.add(Record::Event(Event::Store { entry, value }));
            }
        }
        recording.add(Record::Event(Event::Barrier(Barrier::DsbIshst)));
        recording.add(Record::Edge(Edge::StepsIn));
    }

    fn exchange(&self) {
        if self.count > 0 {
            // SAFETY: all others are parked and exceptions masked, for this is called in their
            // absence; the window shows the root, whose locks are held. The new entries lead to
            // copies of what the old ones lead to.
            unsafe { room::exchange(identity_window::address(), self.count) };
        }
    }
}

impl Drop for Prepared<'_> {
    /// Everybody runs again. Whoever was in the identity map may have got the page into its TLB.
    fn drop(&mut self) {
        // SAFETY: nothing is done there any more.
        unsafe { identity_window::point(None) };
        let geometry = identity_window::GEOMETRY;
        let invalidate = geometry.invalidate_address(identity_window::address(), Reach::LastLevel);
        self.cpu.perform(Event::Barrier(Barrier::DsbIshst));
        self.cpu.perform(Event::Invalidate(invalidate));
        self.cpu.perform(Event::Barrier(Barrier::DsbIsh));
        self.cpu.perform(Event::Barrier(Barrier::Isb));
    }
}
