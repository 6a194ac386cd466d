//! Size changes while other CPUs are parked.

use blockmap::{Alone, NotParked, Switch};

use super::pinned::Pinned;
use super::system::System;
use crate::cpus::{self, MayPark};

impl System<'_> {
    /// Makes `switch` with all others parked. If this CPU is not quiet, it breaks what it changes,
    /// and reaches the tables through pinned windows meanwhile: they may lie in what is broken.
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
            Alone::Break => {
                let pin = || Pinned::new(self.recorded(), self.window_table(), switch);
                let change = |pinned: &Pinned<'_>| switch.perform(pinned, Alone::Break);
                cpus::with_others_parked(may_park, pin, change)
            }
        }
    }
}
