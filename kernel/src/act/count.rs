//! `count on|off`: what commands that change the tables cost.

use blockmap_hw::Reading;
use blockmap_kernel::monitor::Power;

use super::{Monitor, say};
use crate::console::println;
use crate::tally::Tally;
use crate::{count, cpus};

impl Monitor<'_> {
    pub(super) fn count(&self, what: Power) {
        match what {
            Power::On => {
                let ticks = self.painted.ticks;
                println!("the linear map was painted in {ticks} ticks");
                if let Some(tally) = self.painted.effects {
                    println!("painting it: {tally}");
                }
                say(count::begin());
            }
            Power::Off => {
                count::end();
                println!("done");
            }
        }
    }

    /// Does `what`, and says what it cost if that is asked for: cycles, instructions and ticks; or effects
    /// while these are recorded, which takes cycles of its own.
    pub(super) fn counted<T>(&self, what: impl FnOnce() -> T) -> T {
        if !count::is_on() {
            return what();
        }
        let recording = self.system.recording();
        let parkings = cpus::parkings().count;
        let known = recording.records().count();
        let begun = count::read();
        let result = what();
        let ended = count::read();
        if recording.is_on() {
            println!("effects: {}", Tally::after(known, recording));
            if recording.dropped() > 0 {
                println!("effects: and what found no room in the trace");
            }
        } else {
            let Reading { cycles, instructions, ticks } = count::passed(begun, ended);
            println!("cycles: {cycles}");
            if let Some(instructions) = instructions {
                println!("instructions: {instructions}; ticks: {ticks}");
            }
            let after = cpus::parkings();
            if after.count != parkings {
                println!("cycles with all others parked: {}", after.cycles);
            }
        }
        result
    }
}
