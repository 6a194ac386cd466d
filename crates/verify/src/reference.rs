//! The plainest idea of a map: a sorted list of leaves, changed by the book.
//!
//! It knows nothing of tables. What an operation must do to every address, and how large the
//! leaves must be afterwards, is computed here in the most obvious way and compared with what the
//! engine made.

use blockmap::Mapping;
use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, Geometry, LeafSize, Leaves, Level, bits};

/// One leaf, or one contiguous run of leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The first input address.
    pub input: VirtAddr,
    /// What it translates to.
    pub output: PhysAddr,
    /// How large it is, and whether it is a run.
    pub size: LeafSize,
    /// What it grants, as [`Geometry::leaf_meaning`] says it.
    pub meaning: u64,
}

/// A map as a list of leaves, sorted and disjoint.
#[derive(Clone, Debug)]
pub struct Reference {
    geometry: Geometry,
    units: Vec<Unit>,
}

impl Reference {
    /// A map of nothing.
    #[must_use]
    pub const fn new(geometry: Geometry) -> Self {
        Self { geometry, units: Vec::new() }
    }

    /// The shape of the tree.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The leaves in ascending order.
    #[must_use]
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Whether anything in `range` is mapped.
    #[must_use]
    pub fn touches(&self, range: VirtRange) -> bool {
        self.units.iter().any(|unit| unit.range().overlaps(range))
    }

    /// Whether everything in `range` is mapped.
    #[must_use]
    pub fn covers(&self, range: VirtRange) -> bool {
        let mut next = Some(range.start());
        for unit in &self.units {
            if next.is_some_and(|next| unit.range().contains(next)) {
                next = (unit.range().last() < range.last()).then(|| unit.range().end());
            }
        }
        next.is_none()
    }

    /// The meanings of the leaves that `range` touches.
    pub fn meanings(&self, range: VirtRange) -> impl Iterator<Item = u64> {
        let inside = move |unit: &&Unit| unit.range().overlaps(range);
        self.units.iter().filter(inside).map(|unit| unit.meaning)
    }

    /// Adds a mapping of addresses that are not mapped.
    pub fn map(&mut self, mapping: Mapping) {
        let meaning = self.geometry.meaning(mapping.attributes);
        let new = self.cover(mapping.range, mapping.output, (meaning, mapping.leaves));
        self.units.extend(new);
        self.units.sort_by_key(|unit| unit.input);
    }

    /// Removes what `range` maps.
    pub fn unmap(&mut self, range: VirtRange) {
        self.split(range);
        self.units.retain(|unit| !range.contains(unit.input));
    }

    /// Changes what `range` grants.
    pub fn protect(&mut self, range: VirtRange, change: Change) {
        self.split(range);
        let masks = change.masks(self.geometry.regime());
        for unit in self.units.iter_mut().filter(|unit| range.contains(unit.input)) {
            unit.meaning = masks.apply(unit.meaning);
        }
    }

    /// Splits leaves until both ends of `range` lie between two.
    pub fn split(&mut self, range: VirtRange) {
        self.split_at(range.start());
        if range.last() < self.geometry.inputs().1 {
            self.split_at(range.end());
        }
    }

    /// Takes these leaves for what is there now: they must mean the same, whatever their sizes.
    ///
    /// # Panics
    /// If they do not.
    pub fn resize(&mut self, units: Vec<Unit>) {
        assert_eq!(meanings(&units), meanings(&self.units), "(made, expected)");
        self.units = units;
    }

    /// Makes leaves that say the same as large as they may be, up to a slot: leaves first, from the
    /// smallest up, and then runs.
    pub fn collapse(&mut self, range: VirtRange) {
        let slot = self.geometry.root_level().max(Level::L1);
        let inside = |unit: &Unit| range.covers(unit.range());
        for level in [Level::L2, Level::L1].into_iter().filter(|level| *level >= slot) {
            if let Some(size) = self.geometry.leaf_size(level) {
                self.join(size, inside);
            }
        }
        for level in [Level::L2, Level::L3].into_iter().filter(|level| *level >= slot) {
            if let Some(size) = self.geometry.run_size(level) {
                self.join(size, inside);
            }
        }
    }

    /// Makes one leaf or run of `size` of whatever fills its place and says the same, where all of
    /// that is `inside`.
    fn join(&mut self, size: LeafSize, inside: impl Fn(&Unit) -> bool) {
        let units = std::mem::take(&mut self.units);
        let mut rest = units.as_slice();
        while let Some(first) = rest.first() {
            let whole = Unit { size, ..*first };
            let count = filling(whole, rest).filter(|count| {
                let fits = |unit: &Unit| {
                    inside(unit) && (size.run.is_none() || unit.size.level == size.level)
                };
                rest[..*count].iter().all(fits)
            });
            let (taken, unit) = count.map_or((1, *first), |count| (count, whole));
            self.units.push(unit);
            rest = &rest[taken..];
        }
    }

    /// Makes pages of the leaves that `range` touches.
    pub fn repaint(&mut self, range: VirtRange) {
        let units = std::mem::take(&mut self.units);
        for unit in units {
            self.repaint_unit(unit, range);
        }
    }

    /// Adds a leaf or run as it is after a repaint: a leaf that `range` touches becomes a table, and
    /// what of that it does not touch stays in the largest leaves of its level: in runs, where it
    /// touches no part of one.
    fn repaint_unit(&mut self, unit: Unit, range: VirtRange) {
        let level = unit.size.level;
        if !unit.range().overlaps(range) {
            self.units.push(unit);
        } else if unit.size.run.is_some() {
            self.parts(unit, level).for_each(|part| self.repaint_unit(part, range));
        } else if let Some(below) = level.next() {
            let parts: Vec<Unit> = self.parts(unit, below).collect();
            let run = self.geometry.run_size(below).filter(|_| below >= Level::L2);
            let length = run.map_or(1, |run| usize::from(run.entries()));
            for group in parts.chunks(length) {
                let is_spared = group.iter().all(|part| !part.range().overlaps(range));
                match run.filter(|_| is_spared) {
                    Some(size) => self.units.push(Unit { size, ..group[0] }),
                    None if below == Level::L3 => self.units.extend(group),
                    None => group.iter().for_each(|part| self.repaint_unit(*part, range)),
                }
            }
        } else {
            self.units.push(unit);
        }
    }

    /// The leaves of `level` that `unit` could be in the place of.
    fn parts(&self, unit: Unit, level: Level) -> impl Iterator<Item = Unit> + use<> {
        let size = self.geometry.leaf_size(level).unwrap();
        (0..unit.size.bytes() / size.bytes()).map(move |number| {
            let offset = number * size.bytes();
            let input = unit.input.checked_add(offset).unwrap();
            let output = unit.output.checked_add(offset).unwrap();
            Unit { input, output, size, ..unit }
        })
    }

    /// Splits the leaf around `at`: the parts below and from `at` on get the largest leaves that
    /// fit.
    fn split_at(&mut self, at: VirtAddr) {
        let around = |unit: &Unit| unit.range().contains(at) && unit.input != at;
        let Some(position) = self.units.iter().position(around) else { return };
        let unit = self.units[position];
        let below = at.offset_from(unit.input).unwrap();
        let largest = (unit.meaning, Leaves::Largest);
        let lower = VirtRange::new(unit.input, below).unwrap();
        let upper = VirtRange::new(at, unit.size.bytes() - below).unwrap();
        let mut parts = self.cover(lower, unit.output, largest);
        parts.extend(self.cover(upper, unit.output.checked_add(below).unwrap(), largest));
        self.units.splice(position..=position, parts);
    }

    fn cover(
        &self,
        range: VirtRange,
        output: PhysAddr,
        (meaning, leaves): (u64, Leaves),
    ) -> Vec<Unit> {
        let mut units = Vec::new();
        let mut done = 0;
        while done < range.bytes() {
            let input = range.start().checked_add(done).unwrap();
            let output = output.checked_add(done).unwrap();
            let left = range.bytes() - done;
            let size = self.geometry.largest_leaf(input, output, left, leaves).unwrap();
            units.push(Unit { input, output, size, meaning });
            done += size.bytes();
        }
        units
    }
}

/// How many of the first of these leaves fill the place of `whole` and say the same.
fn filling(whole: Unit, units: &[Unit]) -> Option<usize> {
    let bytes = whole.size.bytes();
    let is_aligned = whole.input.is_aligned(bytes) && whole.output.is_aligned(bytes);
    let is_valid = whole.meaning & bits::VALID != 0;
    let (mut done, mut count) = (0, 0);
    while done < bytes && is_aligned && is_valid {
        let unit = units.get(count)?;
        let follows = whole.input.checked_add(done) == Some(unit.input)
            && whole.output.checked_add(done) == Some(unit.output)
            && unit.meaning == whole.meaning;
        if !follows {
            return None;
        }
        done += unit.size.bytes();
        count += 1;
    }
    (done == bytes).then_some(count)
}

/// What each stretch of leaves translates to and grants: first address, bytes, output, meaning.
fn meanings(units: &[Unit]) -> Vec<(VirtAddr, u64, PhysAddr, u64)> {
    let mut all: Vec<(VirtAddr, u64, PhysAddr, u64)> = Vec::new();
    for unit in units {
        let bytes = unit.size.bytes();
        match all.last_mut() {
            Some((input, length, output, meaning))
                if input.checked_add(*length) == Some(unit.input)
                    && output.checked_add(*length) == Some(unit.output)
                    && *meaning == unit.meaning =>
            {
                *length += bytes;
            }
            Some(_) | None => all.push((unit.input, bytes, unit.output, unit.meaning)),
        }
    }
    all
}

impl Unit {
    /// The input addresses.
    #[must_use]
    pub fn range(&self) -> VirtRange {
        VirtRange::new(self.input, self.size.bytes()).unwrap()
    }
}
