//! The linear map before anything is written: which leaf goes where, and how many tables it takes.

use blockmap_vmsa::machine::{PhysAddr, PhysRange, VirtAddr};
use blockmap_vmsa::{Geometry, LeafSize, Leaves, Level};

use crate::count::{LeafCounts, TableCounts};
use crate::intent::{Intents, Stretch, Stretches};
use crate::linear::LinearMap;
use crate::memory::MemoryMap;
use crate::paint::Paint;
use crate::piece::Piece;

/// How a [`MemoryMap`] is mapped linearly: nothing of it is stored, everything is worked out from
/// the map on each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearPlan<'m> {
    memory: &'m MemoryMap,
    paint: Paint,
    leaves: Leaves,
    pages: Option<PhysRange>,
}

impl<'m> LinearPlan<'m> {
    /// A plan of all mapped memory of `memory`, with what `paint` says, in `leaves`.
    #[must_use]
    pub const fn new(memory: &'m MemoryMap, paint: Paint, leaves: Leaves) -> Self {
        Self { memory, paint, leaves, pages: None }
    }

    /// The same plan, but for whole pages of memory that are mapped as pages, so that each can change
    /// its rights at any time: a guard pool that comes early.
    #[must_use]
    #[doc(alias = "arm64_kfence_map_pool")]
    pub const fn with_pages(self, pages: Option<PhysRange>) -> Self {
        Self { pages, ..self }
    }

    /// The memory that is mapped.
    #[must_use]
    pub const fn memory(&self) -> &'m MemoryMap {
        self.memory
    }

    /// What the leaves grant.
    #[must_use]
    pub const fn paint(&self) -> Paint {
        self.paint
    }

    /// Which leaves are used, but where pages are asked for.
    #[must_use]
    pub const fn leaves(&self) -> Leaves {
        self.leaves
    }

    /// What each range of memory is for, in ascending order.
    #[must_use]
    pub fn intents(&self) -> Intents<'m> {
        Intents::new(self.memory, self.paint)
    }

    /// The longest ranges of memory that grant the same in the same leaves, in ascending order: each
    /// is one mapping.
    #[must_use]
    pub fn stretches(&self) -> Stretches<'m> {
        Stretches::new((self.memory, self.paint), (self.leaves, self.pages))
    }

    /// The leaves, in ascending order of addresses.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'m> {
        Pieces {
            geometry: self.memory.geometry(),
            linear: self.memory.linear(),
            stretches: self.stretches(),
            rest: None,
        }
    }

    /// How many leaves of each size there are.
    #[must_use]
    pub fn leaf_counts(&self) -> LeafCounts {
        let mut counts = LeafCounts::default();
        self.pieces().for_each(|piece| counts.add(&piece));
        counts
    }

    /// How many tables the linear map needs below the root table, exactly: pieces that are close
    /// share them, and nothing else has memory in the linear map's half.
    #[must_use]
    pub fn table_counts(&self) -> TableCounts {
        let mut counts = TableCounts::new(self.memory.geometry());
        self.pieces().for_each(|piece| counts.add(&piece));
        counts
    }
}

/// The leaves of a [`LinearPlan`], equal neighbours together. See [`LinearPlan::pieces`].
#[derive(Clone, Debug)]
pub struct Pieces<'m> {
    geometry: Geometry,
    linear: LinearMap,
    stretches: Stretches<'m>,
    rest: Option<Stretch>,
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let Stretch { range, attributes, leaves } =
            self.rest.take().or_else(|| self.stretches.next())?;
        let (output, bytes_left) = (range.start(), range.bytes());
        let input = self.linear.input(output)?;
        let size = self.geometry.largest_leaf(input, output, bytes_left, leaves)?;
        let count = self.count_of((size, leaves), (input, output), bytes_left)?;
        let bytes = count.checked_mul(size.bytes())?;
        self.rest = output
            .checked_add(bytes)
            .zip(bytes_left.checked_sub(bytes))
            .and_then(|(above, bytes)| PhysRange::new(above, bytes))
            .map(|range| Stretch { range, attributes, leaves });
        Some(Piece { input, output, size, count, attributes })
    }
}

impl Pieces<'_> {
    /// How many leaves of `size`, the largest that fits at a place, follow each other from there
    /// on before a larger one fits, or nothing is left.
    fn count_of(
        &self,
        (size, leaves): (LeafSize, Leaves),
        (input, output): (VirtAddr, PhysAddr),
        bytes_left: u64,
    ) -> Option<u64> {
        let bytes = match larger(self.geometry, size, leaves) {
            Some(larger) if are_congruent(input, output, larger) => {
                // Where the next larger leaf does not fit, none that is larger still does. If it
                // stands at its boundary and was not chosen, something else forbids it.
                // A boundary at the end of the 64-bit space is none.
                let boundary = input.align_up(larger.bytes()).and_then(|at| at.offset_from(input));
                let left = |boundary| bytes_left.checked_sub(boundary);
                match boundary.and_then(|boundary| left(boundary).zip(Some(boundary))) {
                    Some((left, boundary)) if boundary != 0 && left >= larger.bytes() => boundary,
                    Some(_) | None => bytes_left,
                }
            }
            Some(_) | None => bytes_left,
        };
        bytes.checked_div(size.bytes())
    }
}

/// Whether both addresses lie equally far above a multiple of `size`.
fn are_congruent(input: VirtAddr, output: PhysAddr, size: LeafSize) -> bool {
    PhysAddr::new(input.value() ^ output.value()).is_aligned(size.bytes())
}

/// The next larger of the sizes that `leaves` allows.
fn larger(geometry: Geometry, size: LeafSize, leaves: Leaves) -> Option<LeafSize> {
    match leaves {
        Leaves::Largest => {}
        Leaves::Pages => return None,
    }
    let run = match (size.run, size.level) {
        (None, Level::L2 | Level::L3) => geometry.run_size(size.level),
        (None, Level::Minus1 | Level::L0 | Level::L1) | (Some(_), _) => None,
    };
    run.or_else(|| {
        let mut above = Level::ALL.into_iter().rev();
        above.find_map(|level| geometry.leaf_size(level).filter(|_| level < size.level))
    })
}
