//! `referee` and `conflict`: what the referee below the kernel saw, and what it does to it.

use core::fmt;

use blockmap::machine::VirtAddr;
use blockmap_hw::Window;
use blockmap_kernel::monitor::Referee;

use super::{Monitor, say};
use crate::arch::conflict::recovered;
use crate::console::println;
use crate::referee::{self, CallError, Tally};

impl Monitor<'_> {
    pub(super) fn referee(&self, what: Referee<'_>) {
        let tally = match referee::tally() {
            Ok(tally) => tally,
            Err(error) => return say::<CallError>(Err(error)),
        };
        let text = SeenText { tally, window: self.system.window() };
        match what {
            Referee::Tally => println!("{tally}; recovered from: {}", recovered()),
            Referee::Dump(None) => println!("{text}"),
            Referee::Dump(Some(name)) => say(self.dump_to(name, &text)),
        }
    }
}

pub(super) fn conflict(address: VirtAddr, times: u64) {
    say(referee::conflict(address, times));
}

/// All that the referee has seen, as lines of a trace, in the order in which it was done; a line says
/// where that goes on with another CPU's.
struct SeenText {
    tally: Tally,
    /// How its memory is reached.
    window: Window,
}

impl fmt::Display for SeenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# blockmap referee")?;
        let Tally { kept, dropped, .. } = self.tally;
        writeln!(f, "# kept: {kept}; dropped after that: {dropped}")?;
        let mut last = 0;
        for (cpu, seen) in referee::account(self.window, kept) {
            if cpu != last {
                writeln!(f, "cpu {cpu}:")?;
                last = cpu;
            }
            writeln!(f, "{seen}")?;
        }
        write!(f, "# end")
    }
}
