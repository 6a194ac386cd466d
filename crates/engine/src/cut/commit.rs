//! Making planned cuts: filling new tables, publishing them, linking them.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

use blockmap_layout::Strategy;
use blockmap_machine::{Barrier, Entry, Event, Machine, PhysAddr, Span, VirtAddr};
use blockmap_vmsa::{Level, bits};

use super::{Cut, Cuts, Run, used_run};
use crate::fill::Progression;
use crate::plan::Permit;
use crate::space::Place;
use crate::switch::Link;
use crate::{NotParked, Platform, Space};

impl<P: Platform> Space<'_, P> {
    /// Makes the cuts: fills, publishes, links. Returns a table of pages that was linked, and an
    /// address it translates, if there is one at the start, or else at the end.
    ///
    /// # Errors
    /// A CPU had to be parked and did not come: nothing was linked, and what was filled is set aside
    /// again.
    #[inline]
    pub(crate) fn commit_cuts(
        &self,
        cuts: &Cuts,
        permit: Permit<'_, P>,
    ) -> Result<Option<(PhysAddr, VirtAddr)>, NotParked> {
        if cuts.is_empty() {
            return Ok(None);
        }
        let [start, end] = self.prepare_both(cuts);
        let links = [start, end].map(|made| made.map(|(link, _)| link));
        match permit.terms.strategy {
            Strategy::Live | Strategy::Pages => self.link_live(cuts, &links),
            Strategy::Quiesce => self.link_parked(cuts, links, permit)?,
        }
        let first = match (start, end) {
            (Some((_, place)), _) => cuts.start.as_ref().map(|cut| (place, cut.at)),
            (None, Some((_, place))) => cuts.end.as_ref().map(|cut| (place, cut.at)),
            (None, None) => None,
        };
        let pages = first.filter(|(place, _)| place.level == Level::L3);
        Ok(pages.map(|(place, at)| (place.entry.table, at)))
    }

    /// Fills the tables of both cuts: where they go through the same leaf, once.
    #[inline]
    fn prepare_both(&self, cuts: &Cuts) -> [Option<(Link, Place)>; 2] {
        let start = cuts.start.as_ref().and_then(|cut| self.prepare(cut));
        let end = match (&start, &cuts.start, &cuts.end) {
            (Some((link, place)), Some(first), Some(cut)) if link.entry == cut.leaf.entry => {
                if !self.is_cut_by(place, first.at, cut.at)
                    && let Some(below) = cut.leaf.level.next()
                {
                    self.cut_unlinked((below, link.table), cut.at);
                }
                None
            }
            (_, _, Some(cut)) => self.prepare(cut),
            (_, _, None) => None,
        };
        [start, end]
    }

    /// Links new tables while every CPU uses the leaves they replace: no entry becomes invalid in
    /// between. [mapped-stays-mapped]
    #[inline]
    fn link_live(&self, cuts: &Cuts, links: &[Option<Link>; 2]) {
        self.leave_runs(cuts);
        // A walker may follow a table entry the moment it is stored: what it leads to must be
        // visible first. [publish-after-fill] And no entry of a run may change in another way
        // while a neighbour still says that it is in the run. [run-changes-whole]
        self.machine().barrier(Barrier::DsbIshst);
        for link in links.iter().flatten() {
            self.machine().store(link.entry, link.word);
        }
    }

    /// Whether cutting at `at`, which made `place`, has cut at `end` too: in its table of pages,
    /// where `end` lies between two runs, or in the run that came apart.
    #[inline]
    fn is_cut_by(&self, place: &Place, at: VirtAddr, end: VirtAddr) -> bool {
        let Some(run) = used_run(self.geometry(), Level::L3) else { return false };
        let differ = at.value() ^ end.value();
        let is_same_table = differ < self.geometry().span_bytes(Level::L2);
        let is_same_run = differ < run.bytes() && !at.is_aligned(run.bytes());
        place.level == Level::L3 && is_same_table && (is_same_run || end.is_aligned(run.bytes()))
    }

    /// Takes apart the contiguous runs that the cuts go through, each once.
    #[inline]
    fn leave_runs(&self, cuts: &Cuts) {
        let first = cuts.start.as_ref().and_then(|cut| self.leave_run(cut));
        let is_done = |entry: Entry| {
            first.is_some_and(|span| {
                span.table == entry.table && entry.index.wrapping_sub(span.first) < span.count
            })
        };
        if let Some(cut) = cuts.end.as_ref().filter(|cut| !is_done(cut.leaf.entry)) {
            self.leave_run(cut);
        }
    }

    #[inline]
    pub(super) fn leave_run(&self, cut: &Cut) -> Option<Span> {
        let Run::Of(_) = cut.run else { return None };
        let span = cut.span();
        self.machine().perform(Event::Update { span, clear: bits::CONTIGUOUS, set: 0 });
        Some(span)
    }

    /// Fills the tables that replace the leaf a cut goes through; `None` if the cut lies between
    /// two leaves of a run.
    #[inline]
    pub(super) fn prepare(&self, cut: &Cut) -> Option<(Link, Place)> {
        if cut.at.is_aligned(self.geometry().span_bytes(cut.leaf.level)) {
            return None;
        }
        let (table, place) = self.build(&cut.leaf, cut.at)?;
        let word = self.geometry().table_word(table);
        Some((Link { entry: cut.leaf.entry, table, word }, place))
    }

    /// Fills tables that translate as `leaf` does, in leaves as large as can be with `at` between
    /// two of them. Returns the topmost, and where the walk of `at` ends in them.
    fn build(&self, leaf: &Place, at: VirtAddr) -> Option<(PhysAddr, Place)> {
        // Each level by itself: of a geometry that is constant a few instructions are left of it.
        let built = self.build_below(None, leaf, (Level::L0, at));
        let built = self.build_below(built, leaf, (Level::L1, at));
        let built = self.build_below(built, leaf, (Level::L2, at));
        self.build_below(built, leaf, (Level::L3, at))
    }

    /// Adds the table at `level` to those that were built in the place of `leaf`, unless `at` lies between
    /// two leaves already, or `leaf` is no larger.
    #[inline(always)]
    fn build_below(
        &self,
        built: Option<(PhysAddr, Place)>,
        leaf: &Place,
        (level, at): (Level, VirtAddr),
    ) -> Option<(PhysAddr, Place)> {
        let geometry = self.geometry();
        let above = match &built {
            _ if level <= leaf.level => return built,
            Some((_, place)) if at.is_aligned(geometry.span_bytes(place.level)) => return built,
            Some((_, place)) => place,
            None => leaf,
        };
        let table = self.platform().take_table();
        let word = self.fill_children(table, level, above, at);
        if built.is_some() {
            self.machine().store(above.entry, geometry.table_word(table));
        }
        let entry = Entry { table, index: geometry.index(level, at) };
        let place = Place { level, entry, word, kind: geometry.kind(level, word) };
        Some((built.map_or(table, |(top, _)| top), place))
    }

    /// Makes a cut in tables that nothing points to yet.
    fn cut_unlinked(&self, (level, table): (Level, PhysAddr), at: VirtAddr) {
        let place = self.find_below(level, table, at);
        let Some(cut) = self.cut(&place, at) else { return };
        self.leave_run(&cut);
        if let Some((link, _)) = self.prepare(&cut) {
            self.machine().store(link.entry, link.word);
        }
    }

    /// Fills `table`, of `level`, with the leaves that `leaf` becomes: in contiguous runs, but for
    /// the run that `at` lies within. Returns the word of the leaf that `at` lies in.
    ///
    /// They lead where `leaf` leads, grant what it grants, and have its memory type.
    /// [output-as-intended] [rights-as-intended] [type-as-intended]
    #[inline(always)]
    fn fill_children(&self, table: PhysAddr, level: Level, leaf: &Place, at: VirtAddr) -> u64 {
        let geometry = self.geometry();
        let output = geometry.leaf_output(leaf.level, leaf.word);
        let meaning = geometry.leaf_meaning(leaf.word);
        let entries = geometry.granule().entries();
        let index = geometry.index(level, at);
        let leaves = Progression { table, level, output };
        let run = used_run(geometry, level);
        let contiguous = if run.is_some() { bits::CONTIGUOUS } else { 0 };
        self.fill_leaves(leaves, (0, entries), meaning | contiguous);
        let cut = run.filter(|run| !at.is_aligned(run.bytes()));
        if let Some(run) = cut {
            // Nothing points here yet: the run is filled twice, which is less work than to fill what is
            // before it, the run, and what is behind it.
            let first = index - index % run.entries();
            self.fill_leaves(leaves, (first, first + run.entries()), meaning);
        }
        let bytes = geometry.span_bytes(level) * u64::from(index);
        let word = geometry.leaf_word(level, output.wrapping_add(bytes), meaning);
        if cut.is_some() { word } else { word | contiguous }
    }
}
