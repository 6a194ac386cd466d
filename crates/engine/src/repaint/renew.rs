//! What becomes of each old entry in a repaint.

use blockmap_machine::{Entry, Machine, Pattern, PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, LeafSize, Level, bits};

use super::{Aim, Job, Slots};
use crate::cut::used_run;
use crate::space::Place;
use crate::{Platform, Space};

/// An entry as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Old {
    pub(crate) level: Level,
    pub(crate) entry: Entry,
    /// The first address it translates.
    pub(crate) at: VirtAddr,
    pub(crate) word: u64,
}

/// What an entry that does not stay becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Renewal {
    /// This leaf: in or out of a run, or in the place of a table.
    Leaf(u64),
    /// A table of this level over what the leaf was.
    Split(Level),
    /// A table of this level in the place of this one, if anything in that changes.
    Table(Level, PhysAddr),
}

impl<P: Platform> Space<'_, P> {
    /// What an entry becomes; `None` if it stays.
    pub(crate) fn renewal(&self, job: Job<'_>, old: Old) -> Option<Renewal> {
        let range = VirtRange::new(old.at, self.geometry().span_bytes(old.level))?;
        match job.aim {
            Aim::Bytes(_) => self.smaller(job, old, range),
            Aim::Leaves | Aim::Runs if !job.range.overlaps(range) => None,
            Aim::Leaves => self.larger(job, old, range),
            Aim::Runs => self.in_run(job, old),
        }
    }

    fn smaller(&self, job: Job<'_>, old: Old, range: VirtRange) -> Option<Renewal> {
        let Old { level, at, word, .. } = old;
        let geometry = self.geometry();
        let is_spared = job.spares(range);
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

    fn larger(&self, job: Job<'_>, old: Old, range: VirtRange) -> Option<Renewal> {
        let Old { level, word, .. } = old;
        let geometry = self.geometry();
        let place = self.place(old);
        let (Kind::Table, Some(below)) = (place.kind, level.next()) else { return None };
        let may_collapse = job.range.covers(range) && self.may_resize(range);
        let leaf = if may_collapse { self.could_be(place) } else { None };
        match leaf {
            Some(leaf) => Some(Renewal::Leaf(geometry.leaf_word(level, leaf.output, leaf.meaning))),
            None if below == Level::L3 => None,
            None => Some(Renewal::Table(below, geometry.table_address(word))),
        }
    }

    fn in_run(&self, job: Job<'_>, old: Old) -> Option<Renewal> {
        let Old { level, entry, at, word } = old;
        let geometry = self.geometry();
        match (geometry.kind(level, word), level.next()) {
            (Kind::Table, Some(below)) => Some(Renewal::Table(below, geometry.table_address(word))),
            (Kind::Leaf, _) if word & (bits::CONTIGUOUS | bits::HELD) == 0 => {
                let run = used_run(geometry, level)?;
                let whole = VirtRange::new(at.align_down(run.bytes()), run.bytes())?;
                let index = entry.index - entry.index % run.entries();
                let joins = job.range.covers(whole)
                    && self.may_be_run((level, entry.table), index, run.entries())
                    && self.may_resize(whole);
                joins.then_some(Renewal::Leaf(word | bits::CONTIGUOUS))
            }
            (
                Kind::Leaf | Kind::PresentInvalid | Kind::Invalid | Kind::Reserved | Kind::Table,
                _,
            ) => None,
        }
    }

    /// Where a walk meets an entry.
    pub(crate) fn place(&self, old: Old) -> Place {
        let Old { level, entry, word, .. } = old;
        Place { level, entry, word, kind: self.geometry().kind(level, word) }
    }

    /// The entries of a table, of `level`, that translates from `at` on.
    pub(crate) fn old_entries(
        &self,
        (level, table): (Level, PhysAddr),
        at: VirtAddr,
    ) -> impl Iterator<Item = Old> {
        self.old_slots(self.every_entry((level, table), at))
    }

    /// All entries of a table, of `level`, that translates from `at` on.
    pub(crate) fn every_entry(&self, (level, table): (Level, PhysAddr), at: VirtAddr) -> Slots {
        let span = Entry { table, index: 0 }.span(self.geometry().entries(level));
        Slots { level, span, start: at }
    }

    /// Those of these entries that a job may change: the others stay, whatever they are.
    pub(crate) fn old_concerned(&self, job: Job<'_>, slots: Slots) -> impl Iterator<Item = Old> {
        self.old_slots(self.concerned(job, slots))
    }

    /// Those of these entries that are in a job's range, or in a run with one that is.
    fn concerned(&self, job: Job<'_>, slots: Slots) -> Slots {
        let geometry = self.geometry();
        let bytes = geometry.span_bytes(slots.level);
        let unit = geometry.run_size(slots.level).map_or(bytes, LeafSize::bytes);
        let (start, last) = (job.range.start().align_down(unit), job.range.last());
        let before = start.offset_from(slots.start).map_or(0, |offset| offset / bytes);
        let end =
            last.offset_from(slots.start).map_or(0, |offset| (offset | (unit - 1)) / bytes + 1);
        let count = end.min(u64::from(slots.span.count)).saturating_sub(before);
        // INVARIANT: both are less than the entries of a table, or nothing is left.
        let number = |entries| u16::try_from(entries).unwrap_or(0);
        let first = Entry { table: slots.span.table, index: slots.span.first + number(before) };
        let start = slots.start.wrapping_add(bytes * before);
        Slots { span: first.span(number(count)), start, ..slots }
    }

    /// These entries as they are.
    pub(crate) fn old_slots(&self, slots: Slots) -> impl Iterator<Item = Old> {
        let Slots { level, span, start } = slots;
        let bytes = self.geometry().span_bytes(level);
        (0..span.count).map(move |number| {
            let entry = Entry { table: span.table, index: span.first + number };
            let word = self.machine().load(entry);
            Old { level, entry, at: start.wrapping_add(bytes * u64::from(number)), word }
        })
    }

    /// Whether nothing in a table of pages can change, whatever is in it: known without looking at
    /// its entries one by one.
    pub(crate) fn is_done(&self, job: Job<'_>, (level, table): (Level, PhysAddr)) -> bool {
        let run = |value| Pattern { mask: bits::CONTIGUOUS, value };
        match (level, job.aim) {
            (Level::L3, Aim::Bytes(_)) => self.all_match((level, table), run(0)),
            (Level::L3, Aim::Leaves) => true,
            (Level::L3, Aim::Runs) => self.all_match((level, table), run(bits::CONTIGUOUS)),
            (Level::Minus1 | Level::L0 | Level::L1 | Level::L2, _) => false,
        }
    }

    /// Whether an entry in a job's range leads to a table of pages that [stays](Space::is_done), where
    /// leaves become smaller. Most tables do where most is in pages: it is asked before all else.
    #[inline]
    pub(super) fn is_in_pages(&self, job: Job<'_>, old: Old) -> bool {
        let geometry = self.geometry();
        old.level == Level::L2
            && matches!(job.aim, Aim::Bytes(_))
            && job.range.contains(old.at)
            && geometry.kind(old.level, old.word) == Kind::Table
            && self.is_done(job, (Level::L3, geometry.table_address(old.word)))
    }

    /// Whether a table holds leaves that somebody owns. Their owner stores to them without a lock, so
    /// the table must stay. A pointer has other meanings for that bit.
    pub(super) fn has_held(&self, (level, table): (Level, PhysAddr)) -> bool {
        !self.all_match((level, table), Pattern { mask: bits::HELD, value: 0 })
            && self.old_entries((level, table), VirtAddr::new(0)).any(|old| self.is_held(old))
    }

    /// Whether an entry is a leaf that somebody owns.
    pub(super) fn is_held(&self, old: Old) -> bool {
        let kind = self.geometry().kind(old.level, old.word);
        matches!(kind, Kind::Leaf | Kind::PresentInvalid) && old.word & bits::HELD != 0
    }

    fn all_match(&self, (level, table): (Level, PhysAddr), pattern: Pattern) -> bool {
        let entries = self.geometry().entries(level);
        self.machine().scan(Entry { table, index: 0 }.span(entries), pattern) == entries
    }
}
