//! Size changes while other CPUs are parked.

use blockmap::machine::{Machine, PhysRange};
use blockmap::{Alone, NotParked, Switch};
use blockmap_kernel::frames::FRAME_BYTES;
use blockmap_kernel::trace::Record;

use super::pinned::Pinned;
use super::system::System;
use crate::cpus::{self, MayPark};
use crate::run::Account;

impl System<'_> {
    /// Makes `switch` with all others parked. If this CPU is not quiet, it breaks what it changes,
    /// and reaches the tables through pinned windows meanwhile if they lie in what is broken.
    ///
    /// Between the break and the end it touches nothing but the image and the zone: its code and
    /// stack, the switch, which lies on that stack, and the trace. Neither is ever the range of a
    /// change.
    pub(super) fn switch(&self, may_park: &MayPark, switch: &Switch) -> Result<(), NotParked> {
        self.recording().add(Record::Aside);
        let result = self.switch_alone(may_park, switch);
        self.recording().add(Record::Back);
        result
    }

    fn switch_alone(&self, may_park: &MayPark, switch: &Switch) -> Result<(), NotParked> {
        let own = cpus::size_change(cpus::own(), &self.policy().overrides).0;
        if let Some(root) = switch.outside() {
            return self.exchange_root(may_park, root);
        }
        match switch.alone(own) {
            Alone::Direct | Alone::Outside => {
                let change = |(): &(), account| match account {
                    Account::Kept => switch.perform(self.recorded(), Alone::Direct),
                    Account::Off => switch.perform(self.recorded().silent(), Alone::Direct),
                };
                cpus::with_others_parked(may_park, || (), change)
            }
            Alone::Break if !self.breaks_its_tables(switch) => {
                let change = |(): &(), account| match account {
                    Account::Kept => self.break_recorded(self.recorded(), switch),
                    Account::Off => switch.perform(self.recorded().silent(), Alone::Break),
                };
                cpus::with_others_parked(may_park, || (), change)
            }
            Alone::Break => {
                let place = (self.window_table(), self.leaf_asids());
                let pin = || Pinned::new(self.recorded(), place, switch);
                let change = |pinned: &Pinned<'_>, account| match account {
                    Account::Kept => self.break_recorded(pinned, switch),
                    Account::Off => switch.perform(&pinned.silent(), Alone::Break),
                };
                cpus::with_others_parked(may_park, pin, change)
            }
        }
    }

    /// Breaks what changes and makes it anew, with an account of it. It means the same before and
    /// after, and nobody is there to use it.
    fn break_recorded(&self, machine: &impl Machine, switch: &Switch) {
        let reader = self.space().reader();
        let tree = self.tree(&reader);
        switch.ranges().for_each(|range| self.recording().intend_same(tree, range));
        switch.perform(machine, Alone::Break);
        self.recording().add(Record::Achieved);
    }

    /// Whether the linear map shows a table of `switch` where nothing can be reached while it is
    /// made.
    fn breaks_its_tables(&self, switch: &Switch) -> bool {
        let views = || switch.tables().map(|table| PhysRange::new(table, FRAME_BYTES));
        views().any(|frame| match frame.and_then(|frame| self.linear_range(frame)) {
            Some(view) => switch.ranges().any(|range| range.overlaps(view)),
            None => true,
        })
    }
}
