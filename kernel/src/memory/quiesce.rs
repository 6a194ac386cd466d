//! Size changes while other CPUs are parked.

use blockmap::machine::PhysRange;
use blockmap::{Alone, NotParked, Switch};
use blockmap_kernel::frames::FRAME_BYTES;

use super::pinned::Pinned;
use super::system::System;
use crate::cpus::{self, MayPark};

impl System<'_> {
    /// Makes `switch` with all others parked. If this CPU is not quiet, it breaks what it changes,
    /// and reaches the tables through pinned windows meanwhile if they lie in what is broken.
    ///
    /// Between the break and the end it touches nothing but the image and the zone: its code and
    /// stack, the switch, which lies on that stack, and the trace. Neither is ever the range of a
    /// change.
    pub(super) fn switch(&self, may_park: &MayPark, switch: &Switch) -> Result<(), NotParked> {
        let own = cpus::size_change(cpus::own(), &self.policy().overrides).0;
        match switch.alone(own) {
            Alone::Direct => {
                let change = |(): &()| switch.perform(self.recorded(), Alone::Direct);
                cpus::with_others_parked(may_park, || (), change)
            }
            Alone::Break if !self.breaks_its_tables(switch) => {
                let change = |(): &()| switch.perform(self.recorded(), Alone::Break);
                cpus::with_others_parked(may_park, || (), change)
            }
            Alone::Break => {
                let pin = || Pinned::new(self.recorded(), self.window_table(), switch);
                let change = |pinned: &Pinned<'_>| switch.perform(pinned, Alone::Break);
                cpus::with_others_parked(may_park, pin, change)
            }
        }
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
