//! `cycles`: all owners at random.

use super::Monitor;
use crate::console::println;
use crate::owners::cycles::{self, Outcome};

impl Monitor<'_> {
    /// Has all owners take, use and give back memory, and says what came of it.
    pub(super) fn cycles(&self, steps: u64, seed: u64) {
        let Outcome { taken, used, given, refused, wrong } =
            cycles::run(self.system, self.archive, (steps, seed));
        println!(
            "taken {taken} times, used {used}, given back {given}, refused {refused}; \
             {wrong} of them wrong"
        );
    }
}
