//! Making leaves larger where every CPU changes sizes quietly, a bounded number of tables at a time.

use core::cell::Cell;

use blockmap_layout::Strategy;
use blockmap_machine::{Entry, Event, Machine, PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, Level, Reach, bits};

use super::{CollapseError, Collapsed};
use crate::complete::Extent;
use crate::cut::used_run;
use crate::plan::{Hold, Parking, slot_level};
use crate::repaint::renew::Old;
use crate::space::Place;
use crate::{Platform, Root, Space, Terms};

/// How many tables one step gives back at most: each step locks, invalidates and waits once.
const TABLES_A_STEP: usize = 32;

/// What one step replaces: tables that are unlinked, and maybe still walked.
struct Step {
    part: VirtRange,
    tables: [Option<(Level, PhysAddr)>; TABLES_A_STEP],
    count: usize,
    /// The addresses of the first and the last leaf that took a table's place.
    first: Option<VirtAddr>,
    last: VirtAddr,
}

impl Step {
    const fn of(part: VirtRange) -> Self {
        Self { part, tables: [None; TABLES_A_STEP], count: 0, first: None, last: part.start() }
    }

    /// Keeps the table in the place of which a leaf now translates `range`; tells whether there was
    /// room.
    fn replaces(&mut self, table: (Level, PhysAddr), range: VirtRange) -> bool {
        let Some(place) = self.tables.get_mut(self.count) else { return false };
        *place = Some(table);
        self.count += 1;
        self.first.get_or_insert(range.start());
        self.last = range.last();
        true
    }

    const fn is_full(&self) -> bool {
        self.count == TABLES_A_STEP
    }

    /// All that it changed, and what lies between.
    fn range(&self) -> Option<VirtRange> {
        VirtRange::inclusive(self.first?, self.last)
    }

    /// What is left for the next step, if this one found more than it may do.
    fn rest(&self) -> Option<VirtRange> {
        let next = self.last.checked_add(1).filter(|_| self.is_full())?;
        VirtRange::new(next, self.part.end().offset_from(next)?)
    }
}

impl<P: Platform> Space<'_, P> {
    /// Collapses as much of `rest` as lies in its first slot, step by step. Returns which part that
    /// is; `None` if sizes are not to change live any more.
    pub(super) fn collapse_live(
        &self,
        rest: VirtRange,
    ) -> Result<(Option<VirtRange>, Collapsed), CollapseError> {
        let bytes = self.geometry().span_bytes(slot_level(self.geometry()));
        let last = rest.start().align_down(bytes).wrapping_add(bytes - 1).min(rest.last());
        let part = VirtRange::inclusive(rest.start(), last).unwrap_or(rest);
        let mut done = Collapsed::default();
        let mut rest = part;
        loop {
            let hold = Hold::new(self, part, Root::Changes, Parking::Never);
            let terms = hold.permit.terms;
            match terms.strategy {
                Strategy::Live => {}
                Strategy::Quiesce | Strategy::Pages => return Ok((None, done)),
            }
            let Some(slot) = self.slot(part) else { return Ok((Some(part), done)) };
            let mut step = Step::of(rest);
            done.tables += self.replace_tables(slot, &mut step, terms);
            let Some(next) = step.rest() else {
                // The entry may be a block by now.
                done.runs += self.slot(part).map_or(0, |slot| self.join_runs(slot, part));
                return Ok((Some(part), done));
            };
            rest = next;
        }
    }

    /// Puts the slots of `range` themselves in contiguous runs, where slots may be. Returns how many
    /// runs were made.
    pub(super) fn join_slots(&self, range: VirtRange) -> u32 {
        let geometry = self.geometry();
        if used_run(geometry, slot_level(geometry)).is_none() {
            return 0;
        }
        let mut joined = 0;
        let mut rest = Some(range);
        while let Some(part) = rest.and_then(|rest| self.in_slot_table(rest)) {
            let hold = Hold::new(self, part, Root::Changes, Parking::Never);
            if let (Strategy::Live, Ok(Some(slots))) =
                (hold.permit.terms.strategy, self.slots(part))
            {
                let olds = self.old_slots(slots);
                let join = |Old { level, entry, at, .. }: Old| {
                    self.join_run((level, entry.table), entry.index, at, part)
                };
                joined += olds.map(join).sum::<u32>();
            }
            let left = range.last().offset_from(part.last());
            rest = left.and_then(|bytes| VirtRange::new(part.end(), bytes));
        }
        joined
    }

    /// The entry of the slot that `part` lies in, if there is a table that holds it.
    fn slot(&self, part: VirtRange) -> Option<Place> {
        let slots = self.slots(part).ok().flatten()?;
        let old: Old = self.old_slots(slots).next()?;
        Some(self.place(old))
    }

    /// Replaces tables below `place`, the entry of a slot, by blocks, as many as a step may.
    fn replace_tables(&self, place: Place, step: &mut Step, terms: Terms) -> u32 {
        let span = self.geometry().span_bytes(place.level);
        let start = step.part.start().align_down(span);
        self.collapse_entry(place, start, step);
        let Some(range) = step.range() else { return 0 };
        // Leaves of every size may be in TLBs, and pointers to the tables that go.
        // [all-levels-before-free]
        let pages = Extent::Every(self.geometry().page_bytes());
        self.complete(range, Reach::AllLevels, pages, terms);
        self.platform().wait_for_readers();
        let freed = Cell::new(0);
        let give_back = |table| {
            freed.set(freed.get() + 1);
            self.platform().free_table(table);
        };
        for table in step.tables.into_iter().flatten() {
            self.each_table(table, &give_back);
        }
        freed.get()
    }

    /// Replaces the table that `place` points to by a leaf, or those below it.
    fn collapse_entry(&self, place: Place, start: VirtAddr, step: &mut Step) {
        let geometry = self.geometry();
        let span = VirtRange::new(start, geometry.span_bytes(place.level));
        let (Kind::Table, Some(below), Some(range)) = (place.kind, place.level.next(), span) else {
            return;
        };
        // What can't be one leaf is not looked at as if it could: that reads all that is below.
        let may_collapse = step.part.covers(range) && self.may_resize(range);
        let leaf = if may_collapse { self.could_be(place) } else { None };
        let table = geometry.table_address(place.word);
        match leaf {
            Some(leaf) => {
                if step.replaces((below, table), range) {
                    let word = geometry.leaf_word(place.level, leaf.output, leaf.meaning);
                    self.machine().store(place.entry, word);
                }
            }
            None if below == Level::L3 => {}
            None => {
                for (_, at) in self.entries_in(below, start, step.part) {
                    if step.is_full() {
                        return;
                    }
                    self.collapse_entry(self.look(below, table, at), at, step);
                }
            }
        }
    }

    /// Puts leaves in `part` below `place`, the entry of a slot, in contiguous runs. Returns how many
    /// runs were made.
    fn join_runs(&self, place: Place, part: VirtRange) -> u32 {
        let geometry = self.geometry();
        let (Kind::Table, Some(level)) = (place.kind, place.level.next()) else { return 0 };
        let table = geometry.table_address(place.word);
        let start = part.start().align_down(geometry.span_bytes(place.level));
        let below = |at| {
            let range = VirtRange::new(at, geometry.span_bytes(level));
            let part = range.and_then(|range| part.intersection(range)).unwrap_or(part);
            self.join_runs(self.look(level, table, at), part)
        };
        let entries = self.entries_in(level, start, part);
        let joined = entries.map(|(index, at)| self.join_run((level, table), index, at, part));
        let joined: u32 = joined.sum();
        match level {
            Level::L3 => joined,
            Level::Minus1 | Level::L0 | Level::L1 | Level::L2 => {
                joined + self.entries_in(level, start, part).map(|(_, at)| below(at)).sum::<u32>()
            }
        }
    }

    /// Makes a contiguous run of the entries from `index` on, which translate from `at` on, if they
    /// may be one and all are in `part`. Returns how many runs that is.
    fn join_run(
        &self,
        (level, table): (Level, PhysAddr),
        index: u16,
        at: VirtAddr,
        part: VirtRange,
    ) -> u32 {
        let Some(run) = used_run(self.geometry(), level) else { return 0 };
        let whole = VirtRange::new(at, run.bytes());
        let fits = whole.is_some_and(|whole| part.covers(whole) && self.may_resize(whole));
        let is_first = index.is_multiple_of(run.entries());
        if !is_first || !fits || !self.may_be_run((level, table), index, run.entries()) {
            return 0;
        }
        let span = Entry { table, index }.span(run.entries());
        self.machine().perform(Event::Update { span, clear: 0, set: bits::CONTIGUOUS });
        1
    }

    /// The entries of a table of `level`, which translates from `start` on, that translate any of
    /// `part`: each with its first address.
    fn entries_in(
        &self,
        level: Level,
        start: VirtAddr,
        part: VirtRange,
    ) -> impl Iterator<Item = (u16, VirtAddr)> + use<P> {
        let span = self.geometry().span_bytes(level);
        (0..self.geometry().granule().entries()).filter_map(move |index| {
            let at = start.wrapping_add(span * u64::from(index));
            VirtRange::new(at, span).filter(|range| part.overlaps(*range)).map(|_| (index, at))
        })
    }
}
