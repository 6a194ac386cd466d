//! Making leaves smaller where every CPU changes sizes quietly: in place, and nobody is parked.

use blockmap_machine::{Barrier, Entry, Event, Machine, PhysAddr};
use blockmap_vmsa::bits;

use crate::repaint::renew::{Old, Renewal};
use crate::repaint::{Job, Slots};
use crate::{Platform, Space};

/// Tables that are filled before they are published, all by one barrier.
const MOST: usize = 32;

/// Tables that are filled and not linked, and the live entries that they will replace.
struct Unlinked {
    links: [Option<(Entry, PhysAddr)>; MOST],
    count: usize,
}

impl<P: Platform> Space<'_, P> {
    /// How many tables [`Space::split_live`] takes.
    pub(super) fn cost_live(&self, job: Job<'_>, slots: Slots) -> u32 {
        self.old_concerned(job, slots).map(|old| self.cost_of_live(job, old)).sum()
    }

    fn cost_of_live(&self, job: Job<'_>, old: Old) -> u32 {
        match self.renewal(job, old) {
            None | Some(Renewal::Leaf(_)) => 0,
            Some(Renewal::Split(below)) => self.cost_of_split(job, (below, old.at)),
            Some(Renewal::Table(below, table)) if self.is_done(job, (below, table)) => 0,
            Some(Renewal::Table(below, table)) => {
                self.cost_live(job, self.every_entry((below, table), old.at))
            }
        }
    }

    /// Splits leaves and takes runs apart until none is too large.
    pub(super) fn split_live(&self, job: Job<'_>, slots: Slots) {
        let mut unlinked = Unlinked { links: [None; MOST], count: 0 };
        self.split_entries(job, slots, &mut unlinked);
        self.link_all(&mut unlinked);
    }

    fn split_entries(&self, job: Job<'_>, slots: Slots, unlinked: &mut Unlinked) {
        for old in self.old_concerned(job, slots) {
            self.split_entry(job, old, unlinked);
        }
    }

    fn split_entry(&self, job: Job<'_>, old: Old, unlinked: &mut Unlinked) {
        let geometry = self.geometry();
        match self.renewal(job, old) {
            None => {}
            Some(Renewal::Leaf(_)) => self.leave_run_of(old),
            Some(Renewal::Split(below)) => {
                if old.word & bits::CONTIGUOUS != 0 {
                    self.leave_run_of(old);
                }
                let output = geometry.leaf_output(old.level, old.word);
                let meaning = geometry.leaf_meaning(old.word);
                let new = self.build_of_leaf(job, (below, old.at), (output, meaning));
                self.add(unlinked, old.entry, new);
            }
            Some(Renewal::Table(below, child)) if self.is_done(job, (below, child)) => {}
            Some(Renewal::Table(below, child)) => {
                self.split_entries(job, self.every_entry((below, child), old.at), unlinked);
            }
        }
    }

    /// Takes the run apart that an entry is in, unless an earlier entry of it has done so.
    fn leave_run_of(&self, Old { level, entry, .. }: Old) {
        // What was read of the entry may be from before.
        if self.machine().load(entry) & bits::CONTIGUOUS == 0 {
            return;
        }
        let Some(run) = self.geometry().run_size(level) else { return };
        let first = entry.index - entry.index % run.entries();
        let span = Entry { table: entry.table, index: first }.span(run.entries());
        self.machine().perform(Event::Update { span, clear: bits::CONTIGUOUS, set: 0 });
    }

    fn add(&self, unlinked: &mut Unlinked, entry: Entry, table: PhysAddr) {
        if unlinked.count == MOST {
            self.link_all(unlinked);
        }
        if let Some(place) = unlinked.links.get_mut(unlinked.count) {
            *place = Some((entry, table));
            unlinked.count += 1;
        }
    }

    /// Publishes the tables, and links them. [publish-after-fill]
    fn link_all(&self, unlinked: &mut Unlinked) {
        if unlinked.count == 0 {
            return;
        }
        self.machine().barrier(Barrier::DsbIshst);
        for (entry, table) in unlinked.links.into_iter().flatten() {
            self.machine().store(entry, self.geometry().table_word(table));
        }
        *unlinked = Unlinked { links: [None; MOST], count: 0 };
    }
}
