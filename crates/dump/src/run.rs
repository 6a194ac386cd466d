//! Runs: neighbouring entries of one level that say the same, as one.

use blockmap_vmsa::{
    Geometry, Kind, Level, bits,
    machine::{PhysAddr, PhysRange, VirtRange},
};

use crate::{
    Entries, Entry, Found, Limits, ReadTable, RightsPair, Skipped, Tree, per_level::PerLevel,
};

/// What a run's leaves say, and where the first one leads; each next one leads to the bytes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapped {
    /// A leaf's word without its address and without the bit that tells a page from a block: as
    /// [`Geometry::leaf_meaning`], but with the contiguous bit kept.
    pub meaning: u64,
    /// The first output address.
    pub output: PhysAddr,
    /// What the tables above take away.
    pub limits: Limits,
}

impl Mapped {
    /// What a leaf at `level` with `word` says, below tables with `limits`.
    #[must_use]
    pub const fn of(geometry: Geometry, level: Level, word: u64, limits: Limits) -> Self {
        Self {
            meaning: geometry.leaf_meaning(word) | word & bits::CONTIGUOUS,
            output: geometry.leaf_output(level, word),
            limits,
        }
    }

    /// Whether the leaves are valid; if not, they are present but invalid.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.meaning & bits::VALID != 0
    }

    /// Whether the leaves carry the contiguous bit.
    #[must_use]
    pub const fn is_contiguous(self) -> bool {
        self.meaning & bits::CONTIGUOUS != 0
    }

    /// What the leaves grant; when they are present but invalid, what they would grant.
    #[must_use]
    pub const fn rights(self, geometry: Geometry) -> RightsPair {
        RightsPair::of(geometry, self.meaning, self.limits)
    }
}

/// What a run of entries is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<E> {
    /// Invalid entries: nothing is mapped.
    Gap,
    /// Leaves, valid or present but invalid.
    Leaves(Mapped),
    /// Entries that hold an encoding no walk accepts, all with this word.
    Reserved(u64),
    /// Entries that could not be read.
    Skipped(Skipped<E>),
}

/// Neighbouring entries of one level that say the same. Two runs side by side differ.
///
/// Every address of the tree's half, or of the part of it that was asked for, is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<E> {
    /// The addresses translated through the entries.
    pub range: VirtRange,
    /// The level of the tables that hold the entries: for a gap, the level of the hole; for what
    /// was skipped, that of the table left out.
    pub level: Level,
    /// What the entries are.
    pub what: What<E>,
}

impl<E> Run<E> {
    /// How many entries the run has in a tree of `geometry`.
    #[must_use]
    pub const fn count(&self, geometry: Geometry) -> u64 {
        self.range.bytes() >> geometry.span_bits(self.level)
    }

    /// What the leaves say, if the run is one of leaves.
    #[must_use]
    pub const fn mapped(&self) -> Option<Mapped> {
        match &self.what {
            What::Leaves(mapped) => Some(*mapped),
            What::Gap | What::Reserved(_) | What::Skipped(_) => None,
        }
    }

    /// The output addresses, if the run is one of leaves. A run whose outputs wrap around the end
    /// of the 64-bit space has none; no geometry's leaves reach that far.
    #[must_use]
    pub const fn output(&self) -> Option<PhysRange> {
        match &self.what {
            What::Leaves(mapped) => PhysRange::new(mapped.output, self.range.bytes()),
            What::Gap | What::Reserved(_) | What::Skipped(_) => None,
        }
    }

    /// Adds `next` at this run's end if both say the same.
    fn absorb(&mut self, next: &Self) -> bool {
        let (range, bytes) = (self.range, self.range.bytes());
        let goes_on = match (&self.what, &next.what) {
            (What::Gap, What::Gap) => true,
            (What::Leaves(held), What::Leaves(more)) => {
                let expected = held.output.checked_add(bytes);
                held.meaning == more.meaning
                    && held.limits == more.limits
                    && expected == Some(more.output)
            }
            (What::Reserved(held), What::Reserved(more)) => held == more,
            (What::Gap | What::Leaves(_) | What::Reserved(_) | What::Skipped(_), _) => false,
        };
        let whole = match bytes.checked_add(next.range.bytes()) {
            Some(sum) => VirtRange::new(range.start(), sum),
            None => None,
        };
        match whole {
            Some(whole) if goes_on && self.level == next.level => {
                self.range = whole;
                true
            }
            Some(_) | None => false,
        }
    }
}

/// The iterator over a tree's runs. See [`Tree::runs`].
#[derive(Debug)]
pub struct Runs<'r, R: ReadTable> {
    geometry: Geometry,
    entries: Entries<'r, R>,
    held: Option<Run<R::Error>>,
    tables: PerLevel<u64>,
}

impl<'r, R: ReadTable> Tree<'r, R> {
    /// The runs of the tree, in the order of the addresses. A run of leaves goes on as long as
    /// what they say stays the same and their output addresses follow each other.
    #[must_use]
    pub fn runs(&self) -> Runs<'r, R> {
        let entries = self.entries();
        let mut tables = PerLevel::default();
        *tables.at_mut(self.geometry.root_level()) = u64::from(entries.is_open());
        Runs { geometry: self.geometry, entries, held: None, tables }
    }

    /// The runs of leaves, valid or not, that lead to any byte of `output`: all its aliases in
    /// this tree.
    pub fn mappings_of(&self, output: PhysRange) -> impl Iterator<Item = Run<R::Error>> {
        self.runs().filter(move |run| run.output().is_some_and(|own| own.overlaps(output)))
    }
}

/// The run that an entry is by itself; none for one that leads to a table.
pub(crate) fn run_of<E>(geometry: Geometry, entry: Entry<E>) -> Option<Run<E>> {
    let what = match entry.found {
        Found::Skipped(skipped) => What::Skipped(skipped),
        Found::Word { word, kind } => match kind {
            Kind::Table => return None,
            Kind::Invalid => What::Gap,
            Kind::Reserved => What::Reserved(word),
            Kind::Leaf | Kind::PresentInvalid => {
                What::Leaves(Mapped::of(geometry, entry.level, word, entry.limits))
            }
        },
    };
    Some(Run { range: entry.range, level: entry.level, what })
}

impl<R: ReadTable> Runs<'_, R> {
    /// Adds to a run of one entry, whose word this is, what follows it among the words at hand.
    fn lengthen(&mut self, run: &mut Run<R::Error>, word: u64) {
        let span = self.geometry.span_bits(run.level);
        let step = match &run.what {
            What::Leaves(_) => 1 << span,
            What::Gap | What::Reserved(_) => 0,
            What::Skipped(_) => return,
        };
        let more = self.entries.pass_over(word, step);
        // The entries are in one table, and no table translates so much that this overflows.
        let bytes = run.range.bytes().saturating_add(more << span);
        run.range = VirtRange::new(run.range.start(), bytes).unwrap_or(run.range);
    }

    /// How many tables of each level were entered so far.
    pub(crate) const fn tables(&self) -> PerLevel<u64> {
        self.tables
    }
}

impl<R: ReadTable> Iterator for Runs<'_, R> {
    type Item = Run<R::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(entry) = self.entries.next() {
            let level = entry.level;
            let word = match &entry.found {
                Found::Word { word, .. } => Some(*word),
                Found::Skipped(_) => None,
            };
            let Some(mut run) = run_of(self.geometry, entry) else {
                if let Some(below) = level.next() {
                    *self.tables.at_mut(below) += 1;
                }
                continue;
            };
            if let Some(word) = word {
                self.lengthen(&mut run, word);
            }
            if self.held.as_mut().is_some_and(|held| held.absorb(&run)) {
                continue;
            }
            if let Some(done) = self.held.replace(run) {
                return Some(done);
            }
        }
        self.held.take()
    }
}
