//! Making a planned repaint: filling, parking once, giving back.

use core::cell::Cell;

use blockmap_machine::{Barrier, Entry, Invalidate, Machine, PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::{LeafSize, Level, Reach, TlbiForm, bits};

use super::renew::{Old, Renewal};
use super::survey::Survey;
use super::{Job, Repainting, STAGES, Slots};
use crate::cut::used_run;
use crate::fill::Progression;
use crate::plan::{Parking, Permit};
use crate::switch::{Exchange, Train};
use crate::{NotParked, Platform, Space, Switch};

impl<P: Platform> Space<'_, P> {
    /// Performs a checked repaint. Returns how many tables were given back; of the tables set aside,
    /// those in `left` are not taken when it fails.
    ///
    /// Owners give memory back without the slots' locks. A table that was to stay because of what
    /// somebody owned there may be nobody's by now, and then never becomes somebody's while the locks
    /// are held: what is beside that is exchanged with its slot, whose tables were set aside too.
    ///
    /// # Errors
    /// A CPU did not come to be parked: what is stored by that parking was not, and what was filled for
    /// it is set aside again, as is all for the parkings after it.
    pub(crate) fn commit_repaint(
        &self,
        repainting: Repainting<'_>,
        permit: Permit<'_, P>,
        left: &mut u32,
    ) -> Result<u32, NotParked> {
        let Repainting { job, slots, apart } = repainting;
        let mut freed = 0;
        let Some((all, count)) = apart else {
            return slots.map_or(Ok(0), |slots| self.exchange(job, slots, permit, None));
        };
        for _ in 0..count {
            let Some(slots) = self.next_apart(job, all) else { break };
            freed += self.exchange(job, slots, permit, Some(left))?;
        }
        // What changes still is in tables that stay nobody's.
        if let Some(slots) = self.narrow(job, all, &mut Survey::default()) {
            freed += self.exchange(job, slots, permit, Some(left))?;
        }
        if *left > 0 {
            self.platform().unreserve(*left);
        }
        Ok(freed)
    }

    /// Exchanges entries of one table, with all other CPUs parked. Returns how many tables below them
    /// were given back. Those that it took are counted off `left`, if anybody asks.
    fn exchange(
        &self,
        job: Job<'_>,
        slots: Slots,
        permit: Permit<'_, P>,
        left: Option<&mut u32>,
    ) -> Result<u32, NotParked> {
        // INVARIANT: a repaint is planned with leave to park.
        let Parking::Allowed(may_park) = permit.parking else { return Ok(0) };
        let stages = self.stage(slots, |old| self.renew(job, old));
        let [_, after] = stages;
        let taken = left.as_ref().map_or(0, |_| STAGES + self.built(slots, stages));
        let exchange = Exchange { live: slots.span, after, range: self.slots_range(slots) };
        let switch = Switch::exchange(exchange, self.trains(slots, permit.terms.tlbi));
        let freed = self.switch_over(slots, stages, may_park, &switch)?;
        if let Some(left) = left {
            *left = left.saturating_sub(taken);
        }
        Ok(freed)
    }

    /// Makes the switch, and gives back the tables that then lead nowhere. Returns how many of those
    /// were there before.
    pub(crate) fn switch_over(
        &self,
        slots: Slots,
        [before, after]: [PhysAddr; 2],
        may_park: &P::MayPark,
        switch: &Switch,
    ) -> Result<u32, NotParked> {
        // Before anybody is parked for it, everything it leads to is visible.
        // [publish-after-fill]
        self.machine().barrier(Barrier::DsbIshst);
        let parked = self.platform().quiesce(may_park, switch);
        let (gone, stays) = match parked {
            Ok(()) => (before, after),
            Err(_) => (after, before),
        };
        if parked.is_ok() {
            self.platform().wait_for_readers();
        }
        let freed = Cell::new(0);
        let give_back = |table| {
            freed.set(freed.get() + 1);
            match parked {
                Ok(()) => self.platform().free_table(table),
                Err(_) => self.platform().put_back_table(table),
            }
        };
        for index in slots.span.first..slots.span.first + slots.span.count {
            let word = |table| self.machine().load(Entry { table, index });
            self.only_below(slots.level, (word(gone), word(stays)), &give_back);
        }
        let freed = freed.get();
        // Nobody but this CPU ever knew of these two.
        give_back(before);
        give_back(after);
        parked.map(|()| freed)
    }

    /// How many tables are below what slots will be, and not below what they were.
    fn built(&self, slots: Slots, [before, after]: [PhysAddr; 2]) -> u32 {
        let built = Cell::new(0);
        for index in slots.span.first..slots.span.first + slots.span.count {
            let word = |table| self.machine().load(Entry { table, index });
            let count = |_| built.set(built.get() + 1);
            self.only_below(slots.level, (word(after), word(before)), &count);
        }
        built.get()
    }

    /// Makes tables that hold what the slots that change were, and what `renew` makes of them.
    pub(crate) fn stage(&self, slots: Slots, renew: impl Fn(Old) -> Option<u64>) -> [PhysAddr; 2] {
        let stages = [(), ()].map(|()| self.platform().take_table());
        let [before, after] = stages;
        let end = slots.span.first + slots.span.count;
        for table in stages {
            self.fill_empty(table, (slots.span.first, end));
        }
        for old in self.old_slots(slots) {
            if let Some(word) = renew(old) {
                let index = old.entry.index;
                self.machine().store(Entry { table: before, index }, old.word);
                self.machine().store(Entry { table: after, index }, word);
            }
        }
        stages
    }

    /// Makes what an entry becomes; `None` if it stays.
    fn renew(&self, job: Job<'_>, old: Old) -> Option<u64> {
        let geometry = self.geometry();
        match self.renewal(job, old)? {
            Renewal::Leaf(word) => Some(word),
            Renewal::Split(below) => {
                let output = geometry.leaf_output(old.level, old.word);
                let meaning = geometry.leaf_meaning(old.word);
                let table = self.build_of_leaf(job, (below, old.at), (output, meaning));
                Some(geometry.table_word(table))
            }
            Renewal::Table(below, table) => {
                if !self.is_replaced(job, (below, table), old.at) {
                    return None;
                }
                let new = self.platform().take_table();
                let olds = self.old_entries((below, table), old.at);
                let words =
                    olds.map(|old| (old.entry.index, self.renew(job, old).unwrap_or(old.word)));
                self.fill_words(new, words);
                Some(geometry.table_word(new))
            }
        }
    }

    /// Makes the tables, the topmost of `level`, of a leaf that maps `output` from `at` on.
    pub(crate) fn build_of_leaf(
        &self,
        job: Job<'_>,
        (level, at): (Level, VirtAddr),
        (output, meaning): (PhysAddr, u64),
    ) -> PhysAddr {
        let geometry = self.geometry();
        let (entries, span) = (geometry.entries(level), geometry.span_bytes(level));
        let table = self.platform().take_table();
        let Some(below) = level.next() else {
            self.fill_pages(job, Progression { table, level, output }, at, meaning);
            return table;
        };
        let word = |index: u16| {
            let offset = span * u64::from(index);
            let (at, output) = (at.wrapping_add(offset), output.wrapping_add(offset));
            if !VirtRange::new(at, span).is_some_and(|part| job.spares(part)) {
                let table = self.build_of_leaf(job, (below, at), (output, meaning));
                return geometry.table_word(table);
            }
            match used_run(geometry, level).filter(|run| job.spares_run(at, *run)) {
                Some(_) => geometry.leaf_word(level, output, meaning) | bits::CONTIGUOUS,
                None => geometry.leaf_word(level, output, meaning),
            }
        };
        self.fill_words(table, (0..entries).map(|index| (index, word(index))));
        table
    }

    /// Fills a table of pages, which translates from `at` on: in runs where those are small enough.
    fn fill_pages(&self, job: Job<'_>, pages: Progression, at: VirtAddr, meaning: u64) {
        let geometry = self.geometry();
        let entries = geometry.entries(pages.level);
        let run = used_run(geometry, pages.level);
        let table = VirtRange::new(at, geometry.page_bytes() * u64::from(entries));
        if run.zip(table).is_none_or(|(run, table)| job.spares_no_run(table, run)) {
            self.fill_leaves(pages, (0, entries), meaning);
            return;
        }
        let in_run = |first: u16| {
            let at = at.wrapping_add(geometry.page_bytes() * u64::from(first));
            run.is_some_and(|run| job.spares_run(at, run))
        };
        let step = run.map_or(entries, LeafSize::entries);
        let mut first = 0;
        while first < entries {
            let is_in_run = in_run(first);
            let mut end = first + step;
            while end < entries && in_run(end) == is_in_run {
                end += step;
            }
            let run_bit = if is_in_run { bits::CONTIGUOUS } else { 0 };
            self.fill_leaves(pages, (first, end), meaning | run_bit);
            first = end;
        }
    }

    /// What the slots translate.
    fn slots_range(&self, slots: Slots) -> Option<VirtRange> {
        let bytes = self.geometry().span_bytes(slots.level) * u64::from(slots.span.count);
        VirtRange::new(slots.start, bytes)
    }

    /// The invalidation of all that TLBs hold of the slots: up to two of ranges, else everything.
    /// All CPUs but one hold nothing, so what is flushed beyond the slots is one CPU's.
    fn trains(&self, slots: Slots, tlbi: TlbiForm) -> [Option<Train>; 2] {
        let geometry = self.geometry();
        let once = |first: Invalidate| Train { first, step: 0, count: 1 };
        let mut ranges = match (tlbi, self.slots_range(slots)) {
            (TlbiForm::Ranged, Some(range)) => {
                Some(geometry.invalidate_range(range, Reach::AllLevels))
            }
            (TlbiForm::Ranged, None) | (TlbiForm::ByAddress, _) => None,
        };
        let mut next = || ranges.as_mut().and_then(Iterator::next).map(once);
        match (next(), next(), next()) {
            (Some(first), second, None) => [Some(first), second],
            (None, ..) | (.., Some(_)) => [Some(once(geometry.invalidate_all())), None],
        }
    }
}
