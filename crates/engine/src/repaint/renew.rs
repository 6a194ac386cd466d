//! What becomes of each old entry in a repaint, and how many tables that takes.

use blockmap_machine::{Entry, Machine, Pattern, PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, Level, bits};

use super::{Job, Slots};
use crate::{Platform, Space};

/// An entry as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Old {
    pub(crate) level: Level,
    pub(crate) index: u16,
    /// The first address it translates.
    pub(crate) at: VirtAddr,
    pub(crate) word: u64,
}

/// What an entry that does not stay becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Renewal {
    /// The same leaf, out of its run.
    Leaf(u64),
    /// A table of this level over what the leaf was.
    Split(Level),
    /// A table of this level in the place of this one, if anything in that changes.
    Table(Level, PhysAddr),
}

impl<P: Platform> Space<'_, P> {
    /// What an entry becomes; `None` if it stays.
    pub(crate) fn renewal(&self, job: Job<'_>, old: Old) -> Option<Renewal> {
        let Old { level, at, word, .. } = old;
        let geometry = self.geometry();
        let is_spared = job.spares(VirtRange::new(at, geometry.span_bytes(level))?);
        match (geometry.kind(level, word), level.next()) {
            (Kind::Invalid | Kind::Reserved, _) | (Kind::Table, None) => None,
            (Kind::Table, Some(below)) => {
                (!is_spared).then(|| Renewal::Table(below, geometry.table_address(word)))
            }
            (Kind::Leaf | Kind::PresentInvalid, Some(below)) if !is_spared => {
                Some(Renewal::Split(below))
            }
            (Kind::Leaf | Kind::PresentInvalid, _) => {
                let is_in_run = word & bits::CONTIGUOUS != 0;
                let run = geometry.run_size(level).filter(|_| is_in_run)?;
                (!job.spares_run(at, run)).then_some(Renewal::Leaf(word & !bits::CONTIGUOUS))
            }
        }
    }

    /// The entries of a table, of `level`, that translates from `at` on.
    pub(crate) fn old_entries(
        &self,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
    ) -> impl Iterator<Item = Old> {
        let span = self.geometry().span_bytes(level);
        (0..self.geometry().entries(level)).map(move |index| {
            let word = self.machine().load(Entry { table, index });
            Old { level, index, at: at.wrapping_add(span * u64::from(index)), word }
        })
    }

    /// The slots as they are.
    pub(crate) fn old_slots(&self, slots: Slots) -> impl Iterator<Item = Old> {
        let Slots { level, span, start } = slots;
        let bytes = self.geometry().span_bytes(level);
        (0..span.count).map(move |number| {
            let index = span.first + number;
            let word = self.machine().load(Entry { table: span.table, index });
            Old { level, index, at: start.wrapping_add(bytes * u64::from(number)), word }
        })
    }

    /// How many tables it takes to replace slots; `None` if all stay.
    pub(crate) fn cost_of_slots(&self, job: Job<'_>, slots: Slots) -> Option<u32> {
        let costs = self.old_slots(slots).filter_map(|old| self.cost(job, old));
        costs.reduce(u32::saturating_add)
    }

    /// The slots from the first to the last that does not stay, and how many tables it takes to
    /// replace those that don't; `None` if all stay. What is stored while others are parked is as
    /// long as these are many. Fails at an address that is stuck.
    pub(super) fn changing(
        &self,
        job: Job<'_>,
        slots: Slots,
    ) -> Result<Option<(Slots, u32)>, VirtAddr> {
        let mut found: Option<(Slots, u32)> = None;
        for old in self.old_slots(slots) {
            if let Some(at) = self.stuck_slot(job, old) {
                return Err(at);
            }
            let Some(cost) = self.cost(job, old) else { continue };
            let span = Entry { table: slots.span.table, index: old.index }.span(1);
            let alone = (Slots { span, start: old.at, ..slots }, 0);
            let (mut changing, before) = found.unwrap_or(alone);
            changing.span.count = old.index - changing.span.first + 1;
            found = Some((changing, before.saturating_add(cost)));
        }
        Ok(found)
    }

    /// How many tables it takes to replace an entry; `None` if it stays.
    fn cost(&self, job: Job<'_>, old: Old) -> Option<u32> {
        match self.renewal(job, old)? {
            Renewal::Leaf(_) => Some(0),
            Renewal::Split(below) => Some(self.cost_of_split(job, (below, old.at))),
            Renewal::Table(below, table) => self.cost_of_table(job, (below, table), old.at),
        }
    }

    /// How many tables it takes to replace a table; `None` if it stays.
    pub(crate) fn cost_of_table(
        &self,
        job: Job<'_>,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
    ) -> Option<u32> {
        if level == Level::L3 && self.all_lack((level, table), bits::CONTIGUOUS)
            || self.has_held((level, table))
        {
            return None;
        }
        let entries = self.old_entries((level, table), at);
        let below = entries.filter_map(|old| self.cost(job, old)).reduce(u32::saturating_add)?;
        Some(below.saturating_add(1))
    }

    /// Whether a table holds leaves that somebody owns. Their owner stores to them without a lock, so
    /// the table must stay. A pointer has other meanings for that bit.
    fn has_held(&self, (level, table): (Level, PhysAddr)) -> bool {
        let geometry = self.geometry();
        !self.all_lack((level, table), bits::HELD)
            && self.old_entries((level, table), VirtAddr::new(0)).any(|old| {
                let is_leaf =
                    matches!(geometry.kind(level, old.word), Kind::Leaf | Kind::PresentInvalid);
                is_leaf && old.word & bits::HELD != 0
            })
    }

    fn all_lack(&self, (level, table): (Level, PhysAddr), bit: u64) -> bool {
        let entries = self.geometry().entries(level);
        let pattern = Pattern { mask: bit, value: 0 };
        self.machine().scan(Entry { table, index: 0 }.span(entries), pattern) == entries
    }

    /// An address at which an entry of these slots should be replaced, and must stay because of what
    /// else is in its table, or because it is somebody's.
    ///
    /// Where there is none when it is planned, there is none when it is done: leaves become
    /// somebody's under the slot's lock alone.
    pub(crate) fn stuck_in(&self, job: Job<'_>, slots: Slots) -> Option<VirtAddr> {
        self.old_slots(slots).find_map(|old| self.stuck_slot(job, old))
    }

    fn stuck_slot(&self, job: Job<'_>, old: Old) -> Option<VirtAddr> {
        match self.renewal(job, old)? {
            Renewal::Table(below, table) => self.stuck(job, (below, table), old.at),
            Renewal::Leaf(_) | Renewal::Split(_) => (old.word & bits::HELD != 0).then_some(old.at),
        }
    }

    fn stuck(
        &self,
        job: Job<'_>,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
    ) -> Option<VirtAddr> {
        // Of most tables of pages nothing changes, and they are not looked into.
        if level == Level::L3 && self.all_lack((level, table), bits::CONTIGUOUS) {
            return None;
        }
        let is_stuck = self.has_held((level, table));
        self.old_entries((level, table), at).find_map(|old| match self.renewal(job, old)? {
            Renewal::Table(below, table) => self.stuck(job, (below, table), old.at),
            Renewal::Leaf(_) | Renewal::Split(_) => is_stuck.then_some(old.at),
        })
    }

    /// How many tables a leaf becomes, the topmost of `level`.
    pub(crate) fn cost_of_split(&self, job: Job<'_>, (level, at): (Level, VirtAddr)) -> u32 {
        let Some(below) = level.next() else { return 1 };
        let span = self.geometry().span_bytes(level);
        let parts = (0..u64::from(self.geometry().entries(level)))
            .filter_map(|index| VirtRange::new(at.wrapping_add(span * index), span));
        let split = parts.filter(|part| !job.spares(*part));
        let tables = split.map(|part| self.cost_of_split(job, (below, part.start())));
        tables.fold(1, u32::saturating_add)
    }
}
