//! How much a repaint comes to: which entries change, and how many tables that takes.

use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, Level};

use super::renew::{Old, Renewal};
use super::{Aim, Job, Repainting, STAGES, Slots};
use crate::cut::used_run;
use crate::{Platform, Space};

/// What a repaint comes to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Survey {
    /// The slots that change are among these.
    slots: Option<Slots>,
    /// All slots that were looked at.
    looked_at: Option<Slots>,
    /// In how many tables that stay something changes.
    apart: u32,
    /// How many tables it takes.
    pub(crate) tables: u32,
    /// How many tables what is apart takes.
    tables_apart: u32,
    /// How many tables have leaves of owners below them that keep leaves from becoming larger: whoever
    /// gives one back has the table be another one, which takes at most one for it.
    spare: u32,
    /// How many contiguous runs are made.
    pub(crate) runs: u32,
    /// An entry that should change and is somebody's.
    held: Option<VirtAddr>,
}

impl Survey {
    /// Whether nothing changes.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.slots.is_none() && self.apart == 0
    }

    /// What is to be done.
    pub(crate) const fn repainting<'k>(&self, job: Job<'k>) -> Repainting<'k> {
        let apart = match self.looked_at {
            Some(slots) if !self.is_nothing() && (self.apart > 0 || self.spare > 0) => {
                Some((slots, self.apart))
            }
            Some(_) | None => None,
        };
        Repainting { job, slots: self.slots, apart }
    }

    /// How many of the tables it takes become part of the tree.
    pub(crate) const fn built(&self) -> u32 {
        let stages = if self.is_nothing() { 0 } else { self.apart + 1 };
        let spare = if self.is_nothing() { 0 } else { self.spare };
        self.tables.saturating_sub(stages.saturating_mul(STAGES)).saturating_sub(spare)
    }
}

impl<P: Platform> Space<'_, P> {
    /// Looks at all that a job may change in these slots. Fails at the address of a leaf that should
    /// change and is somebody's.
    ///
    /// What it finds stays true while the slots are locked: leaves become somebody's under the lock
    /// alone.
    pub(crate) fn survey(&self, job: Job<'_>, slots: Option<Slots>) -> Result<Survey, VirtAddr> {
        let mut survey = Survey { looked_at: slots, ..Survey::default() };
        if let Some(slots) = slots {
            survey.slots = self.narrow(job, slots, &mut survey);
        }
        // What is apart may have to be exchanged with its slot after all: as many tables lie above it
        // as stages were counted for it.
        if !survey.is_nothing() {
            survey.tables = survey.tables.saturating_add(STAGES).saturating_add(survey.spare);
        }
        survey.tables = survey.tables.saturating_add(survey.tables_apart);
        survey.held.map_or(Ok(survey), Err)
    }

    /// The part of `slots` from the first to the last that does not stay; `None` if all do. What is
    /// stored while others are parked is as long as these are many.
    pub(super) fn narrow(&self, job: Job<'_>, slots: Slots, survey: &mut Survey) -> Option<Slots> {
        let mut found: Option<Slots> = None;
        for old in self.old_concerned(job, slots) {
            let Some(cost) = self.cost(job, old, survey) else { continue };
            survey.tables = survey.tables.saturating_add(cost);
            let mut changing =
                found.unwrap_or(Slots { span: old.entry.span(1), start: old.at, ..slots });
            changing.span.count = old.entry.index - changing.span.first + 1;
            found = Some(changing);
        }
        found
    }

    /// How many tables it takes to replace an entry; `None` if it stays.
    fn cost(&self, job: Job<'_>, old: Old, survey: &mut Survey) -> Option<u32> {
        if self.is_in_pages(job, old) {
            return None;
        }
        let renewal = self.renewal(job, old)?;
        if self.is_held(old) {
            survey.held.get_or_insert(old.at);
        }
        match renewal {
            Renewal::Leaf(_) => {
                survey.runs += u32::from(self.ends_run(old));
                Some(0)
            }
            Renewal::Split(below) => Some(self.cost_of_split(job, (below, old.at))),
            Renewal::Table(below, table) => self.cost_of_table(job, (below, table), old.at, survey),
        }
    }

    /// How many tables it takes to replace a table; `None` if it stays.
    fn cost_of_table(
        &self,
        job: Job<'_>,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
        survey: &mut Survey,
    ) -> Option<u32> {
        let may_differ = match job.aim {
            Aim::Bytes(_) => false,
            Aim::Leaves | Aim::Runs => self.has_held_below((level, table), at),
        };
        survey.spare += u32::from(may_differ);
        if self.is_done(job, (level, table)) {
            return None;
        }
        let mut cost: Option<u32> = None;
        for old in self.old_concerned(job, self.every_entry((level, table), at)) {
            if let Some(more) = self.cost(job, old, survey) {
                cost = Some(cost.unwrap_or(0).saturating_add(more));
            }
        }
        let cost = cost?;
        if self.has_held((level, table)) {
            survey.apart += 1;
            survey.tables_apart = survey.tables_apart.saturating_add(cost.saturating_add(STAGES));
            return None;
        }
        Some(cost.saturating_add(1))
    }

    /// Whether somebody owns anything in a table, of `level`, or below it.
    fn has_held_below(&self, (level, table): (Level, PhysAddr), at: VirtAddr) -> bool {
        let below = |old: Old| match (self.geometry().kind(old.level, old.word), level.next()) {
            (Kind::Table, Some(below)) => {
                let table = self.geometry().table_address(old.word);
                self.has_held_below((below, table), old.at)
            }
            (Kind::Leaf | Kind::PresentInvalid | Kind::Invalid | Kind::Reserved, _)
            | (Kind::Table, None) => false,
        };
        self.has_held((level, table))
            || (level != Level::L3 && self.old_entries((level, table), at).any(below))
    }

    /// How many tables a leaf becomes, the topmost of `level`.
    pub(crate) fn cost_of_split(&self, job: Job<'_>, (level, at): (Level, VirtAddr)) -> u32 {
        let Some(below) = level.next() else { return 1 };
        let span = self.geometry().span_bytes(level);
        let entries = u64::from(self.geometry().entries(level));
        if VirtRange::new(at, span * entries).is_some_and(|table| job.spares_nothing(table)) {
            return self.cost_by_size(job.grain(), level);
        }
        let parts =
            (0..entries).filter_map(|index| VirtRange::new(at.wrapping_add(span * index), span));
        let split = parts.filter(|part| !job.spares(*part));
        let tables = split.map(|part| self.cost_of_split(job, (below, part.start())));
        tables.fold(1, u32::saturating_add)
    }

    /// How many tables a leaf becomes, the topmost of `level`, where size alone decides.
    fn cost_by_size(&self, grain: u64, level: Level) -> u32 {
        match level.next() {
            Some(below) if self.geometry().span_bytes(level) > grain => {
                let parts = u32::from(self.geometry().entries(level));
                self.cost_by_size(grain, below).saturating_mul(parts).saturating_add(1)
            }
            Some(_) | None => 1,
        }
    }

    /// Whether a table is replaced: something in it changes, and nobody owns anything there.
    pub(super) fn is_replaced(
        &self,
        job: Job<'_>,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
    ) -> bool {
        !self.has_held((level, table)) && self.changes(job, (level, table), at)
    }

    /// Whether an entry of a table changes.
    fn changes(&self, job: Job<'_>, (level, table): (Level, PhysAddr), at: VirtAddr) -> bool {
        !self.is_done(job, (level, table))
            && self.old_concerned(job, self.every_entry((level, table), at)).any(|old| {
                match self.renewal(job, old) {
                    None => false,
                    Some(Renewal::Leaf(_) | Renewal::Split(_)) => true,
                    Some(Renewal::Table(below, table)) => {
                        self.is_replaced(job, (below, table), old.at)
                    }
                }
            })
    }

    /// The entries that change in the first table below `slots` that stays although something in it
    /// changes.
    pub(super) fn next_apart(&self, job: Job<'_>, slots: Slots) -> Option<Slots> {
        self.old_concerned(job, slots).find_map(|old| {
            let Renewal::Table(level, table) = self.renewal(job, old)? else { return None };
            let all = self.every_entry((level, table), old.at);
            if self.has_held((level, table)) && self.changes(job, (level, table), old.at) {
                return self.narrow(job, all, &mut Survey::default());
            }
            self.next_apart(job, all)
        })
    }

    /// Whether an entry is the last of a run, were it in one.
    fn ends_run(&self, old: Old) -> bool {
        used_run(self.geometry(), old.level)
            .is_some_and(|run| (old.entry.index + 1).is_multiple_of(run.entries()))
    }
}
