//! `heal`, `repaint`: leaves that were made small are made large again, or all are made small.

use blockmap::Collapsed;
use blockmap::vmsa::Leaves;
use blockmap_hw::{frequency_hz, ticks};
use blockmap_kernel::cmdline::AutoHeal;
use blockmap_kernel::monitor::Heal;

use super::{Monitor, say};
use crate::console::{self, println};

impl Monitor<'_> {
    /// Heals what waits for it, or everything, and says what came of it.
    pub(super) fn heal(&self, what: Heal) {
        let result = self.counted(|| match what {
            Heal::Queued => self.system.heal(),
            Heal::All => self.system.heal_all(),
        });
        match result {
            Ok(Collapsed { tables, runs }) => {
                println!("healed: {tables} tables given back, {runs} runs made");
            }
            Err(error) => println!("refused: {error}"),
        }
    }

    /// Makes all leaves of the linear map pages, or as large as they can be.
    pub(super) fn repaint(&self, leaves: Leaves) {
        match leaves {
            Leaves::Pages => say(self.counted(|| self.system.repaint_pages())),
            Leaves::Largest => say(self.counted(|| self.system.repaint_blocks())),
        }
    }

    /// Waits so long as one waits for a key.
    pub(super) fn idle(&self, seconds: u64) {
        let (begun, limit) = (ticks(), frequency_hz().saturating_mul(seconds));
        while ticks().wrapping_sub(begun) < limit {
            self.rest();
        }
        println!("done");
    }

    /// Nothing is to be done at this moment: the map heals, unless it is not to by itself.
    pub(crate) fn rest(&self) {
        match self.command_line.options().heal {
            AutoHeal::On => self.system.heal_a_step(),
            AutoHeal::Off => {}
        }
        console::pause();
    }

    /// What came of healing so far, for `stat`.
    pub(super) fn healed(&self) {
        let healed = self.system.healed();
        println!(
            "healed so far: {} tables given back, {} runs made; slots that wait: {}",
            healed.tables, healed.runs, healed.waiting
        );
    }
}
