//! Cuts of many ranges: their tables counted once, and published together.

use blockmap_machine::{Barrier, Machine, VirtAddr, VirtRange};
use blockmap_vmsa::Level;

use super::{Cut, Cuts};
use crate::switch::Link;
use crate::{Platform, Space};

/// Tables that are filled before they are published, all by one barrier.
const BATCH: usize = 32;

/// How many tables the cuts of many ranges take: exactly, when they come in ascending order, or else
/// at least.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    tables: u32,
    /// Where the last table that was counted starts, by the levels below it.
    last: [Option<VirtAddr>; 5],
}

impl Count {
    /// Counts the tables of some cuts too.
    pub(crate) fn add<P: Platform>(&mut self, space: &Space<'_, P>, cuts: &Cuts) {
        for cut in cuts.both() {
            let below = cut.leaf.level.levels_below();
            for depth in 1..=space.depth(cut) {
                let Some(above) = Level::with_levels_below(below - depth + 1) else { continue };
                let start = cut.at.align_down(space.geometry().span_bytes(above));
                let number = usize::try_from(below - depth).unwrap_or(0);
                if let Some(last) = self.last.get_mut(number)
                    && last.replace(start) != Some(start)
                {
                    self.tables += 1;
                }
            }
        }
    }

    /// All of them.
    pub(crate) const fn sum(self) -> u32 {
        self.tables
    }
}

/// Tables that are filled and not linked, and the live entries that they will replace.
#[derive(Debug, Default)]
pub(crate) struct PendingCuts {
    links: [Option<Link>; BATCH],
    count: usize,
    /// Whether anything was done since the last barrier.
    is_open: bool,
    /// Tables that were taken since the beginning.
    taken: u32,
}

impl PendingCuts {
    /// How many tables were taken.
    pub(crate) const fn taken(&self) -> u32 {
        self.taken
    }
}

impl<P: Platform> Space<'_, P> {
    /// Makes the cuts of `range`, live: they are made when they are linked.
    pub(crate) fn cut_into(&self, pending: &mut PendingCuts, range: VirtRange) {
        // A cut may have linked what the other was found in.
        for number in 0..2 {
            let cuts = self.find_cuts(range).1;
            let cut = if number == 0 { &cuts.start } else { &cuts.end };
            if let Some(cut) = cut {
                self.add_cut(pending, cut);
            }
        }
    }

    fn add_cut(&self, pending: &mut PendingCuts, cut: &Cut) {
        let earlier = pending.links.iter().flatten().find(|link| link.entry == cut.leaf.entry);
        if let (Some(link), Some(below)) = (earlier, cut.leaf.level.next()) {
            let place = self.find_below(below, link.table, cut.at);
            if let Some(cut) = self.cut(&place, cut.at) {
                self.leave_run(&cut);
                pending.taken += self.depth(&cut);
                if let Some((link, _)) = self.prepare(&cut) {
                    self.machine().store(link.entry, link.word);
                }
            }
            return;
        }
        if pending.count == BATCH {
            self.link_cuts(pending);
        }
        self.leave_run(cut);
        pending.is_open = true;
        pending.taken += self.depth(cut);
        if let Some((link, _)) = self.prepare(cut)
            && let Some(place) = pending.links.get_mut(pending.count)
        {
            *place = Some(link);
            pending.count += 1;
        }
    }

    /// Publishes the tables of cuts, and what left its run, and links them. [publish-after-fill]
    /// [run-changes-whole]
    pub(crate) fn link_cuts(&self, pending: &mut PendingCuts) {
        if !pending.is_open {
            return;
        }
        self.machine().barrier(Barrier::DsbIshst);
        for link in pending.links.iter_mut().filter_map(Option::take) {
            self.machine().store(link.entry, link.word);
        }
        pending.count = 0;
        pending.is_open = false;
    }
}
