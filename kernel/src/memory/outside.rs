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
use crate::arch::{identity_window, room};
use crate::cpus::{self, MayPark};
use crate::run::Account;

/// The root and what becomes of it, in the identity map. There is one under the parking lock.
struct Windows<'a>(&'a Recorded<'a>);

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
        let open = || Windows::open(self.recorded(), [live.table, after]);
        let exchange = |windows: &Windows<'_>, _: Account| {
            windows.exchange((live, after));
            // Before anybody else can park others: another table maps the pinned windows now.
            if let Some(table) = pinned::level3_table(self.recorded(), self.root()) {
                self.set_window_table(table);
            }
        };
        cpus::with_others_parked(may_park, open, exchange)
    }
}

impl<'a> Windows<'a> {
    fn open(cpu: &'a Recorded<'a>, tables: [PhysAddr; identity_window::COUNT]) -> Self {
        for (number, table) in tables.into_iter().enumerate() {
            // SAFETY: the locks of all slots are held, and the parking lock; what is stored there is
            // what the engine asked for.
            unsafe { identity_window::point(number, Some(table)) };
        }
        // They were invalid and nothing of them is in a TLB. [invalid-is-never-cached]
        cpu.perform(Event::Barrier(Barrier::DsbIshst));
        cpu.perform(Event::Barrier(Barrier::Isb));
        Self(cpu)
    }

    /// What is done there can't be recorded meanwhile: it is said before.
    fn exchange(&self, (live, after): (Span, PhysAddr)) {
        let recording = self.0.recording();
        if recording.is_on() {
            recording.add(Record::Edge(Edge::StepsOut));
            for index in live.first..live.first + live.count {
                let value = self.0.load(Entry { table: after, index });
                if value != 0 {
                    let entry = Entry { table: live.table, index };
                    recording.add(Record::Event(Event::Store { entry, value }));
                }
            }
            recording.add(Record::Event(Event::Barrier(Barrier::DsbIshst)));
            recording.add(Record::Edge(Edge::StepsIn));
        }
        let first = u64::from(live.first) * 8;
        let [live_at, after_at] =
            [0, 1].map(|window| identity_window::address(window).wrapping_add(first));
        // SAFETY: all others are parked and exceptions masked, for this is called in their absence;
        // the windows show both tables, whose locks are held. The new entries lead to copies of what
        // the old ones lead to.
        unsafe { room::exchange(live_at, after_at, live.count) };
    }
}

impl Drop for Windows<'_> {
    /// Everybody runs again. Whoever was in the identity map may have got the pages into its TLB.
    fn drop(&mut self) {
        for number in 0..identity_window::COUNT {
            // SAFETY: nothing is done there any more.
            unsafe { identity_window::point(number, None) };
        }
        self.0.perform(Event::Barrier(Barrier::DsbIshst));
        for number in 0..identity_window::COUNT {
            let address = identity_window::address(number);
            let geometry = identity_window::GEOMETRY;
            let invalidate = geometry.invalidate_address(address, Reach::LastLevel);
            self.0.perform(Event::Invalidate(invalidate));
        }
        self.0.perform(Event::Barrier(Barrier::DsbIsh));
        self.0.perform(Event::Barrier(Barrier::Isb));
    }
}
