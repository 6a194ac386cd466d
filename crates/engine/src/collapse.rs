//! Collapsing: leaves that say the same become the larger leaf that they are parts of.
//!
//! ```text timeline: collapse
//! 1. store  blocks over table entries  a walker sees: the small leaves, or the blocks
//! 2. dsb ishst                         a walker sees: the blocks
//! 3. tlbi   the range, all levels      a TLB holds: small leaves, blocks, and pointers to tables
//! 4. dsb ish                           a TLB holds: the blocks
//! 5. isb                               the tables go once every reader has left
//! 6. update runs, contiguous           a walker sees: the blocks, or the runs
//! ```
//!
//! It is splitting backwards: small leaves and block translate every address alike, so it does not
//! matter which of them a walker meets. [size-change-is-quiet] What takes the invalidation is the
//! memory of the tables: before it is used for anything else, no TLB may hold what was made of
//! their entries, and no walker may be in them. [all-levels-before-free] [free-after-invalidate]
//!
//! Entries are put in a contiguous run, by one effect, when all of them are leaves for every walker.
//! [run-changes-whole]
//!
//! Where sizes can't change live, it is done as a repaint is: what stays is filled anew, the entries of
//! slots are exchanged while all other CPUs are parked, and what they led to is given back. First
//! tables become leaves, and then leaves are put in runs: each by one parking, if there is anything
//! to do.
//!
//! Leaves that are held stay as they are, and so does what the platform keeps the sizes of.

mod live;
mod parked;
mod uniform;

use blockmap_layout::Strategy;
use blockmap_machine::VirtRange;
use thiserror::Error;

use crate::cut::SizeChangeRefused;
use crate::{NotParked, OutOfTables, Platform, RangeError, Refusal, Space};

/// Why nothing more was collapsed. What was collapsed before stays so: it is no change of meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CollapseError {
    /// The range is no range of these tables.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The strategy in force does not allow live leaves to change their sizes.
    #[error(transparent)]
    SizeChange(#[from] SizeChangeRefused),
    /// A CPU did not come to be parked.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Where CPUs are parked, tables that stay are filled anew, and there was no memory for that.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

/// What collapsing a range came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collapsed {
    /// By how many tables the tree is smaller.
    pub tables: u32,
    /// Contiguous runs that were made.
    pub runs: u32,
}

impl Collapsed {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            tables: self.tables.saturating_add(other.tables),
            runs: self.runs.saturating_add(other.runs),
        }
    }
}

impl<P: Platform> Space<'_, P> {
    /// Makes the leaves of `range` as large as what they say allows, without ever changing what
    /// that is: pages become runs, runs blocks, blocks runs of blocks and larger blocks. Tables that
    /// are not needed any more are given back once every reader has left.
    ///
    /// Under [`Strategy::Live`] it works slot by slot, and in steps that each give back up to 32
    /// tables, with one invalidation each; between two steps it holds nothing. Under
    /// [`Strategy::Quiesce`] the slots of a table are done together, with all other CPUs parked once or
    /// twice, and once more for each table with leaves of a carve beside which something changes:
    /// it is bounded by the range. A leaf that is only in part in `range`, one that is invalid and one
    /// that is held stay as they are.
    ///
    /// # Errors
    /// See [`CollapseError`].
    pub fn collapse(
        &self,
        range: VirtRange,
        may_park: &P::MayPark,
    ) -> Result<Collapsed, CollapseError> {
        self.check(range)?;
        let mut done = Collapsed::default();
        let mut next = Some(range.start());
        while let Some(at) = next {
            let Some(rest) = VirtRange::inclusive(at, range.last()) else { break };
            // It may have changed since, and what is done says under which it was done.
            let (part, more) = match self.platform().terms().strategy {
                Strategy::Live => self.collapse_live(rest)?,
                Strategy::Quiesce | Strategy::Pages => self.collapse_parked(rest, may_park)?,
            };
            done = done.and(more);
            next = part.map_or(Some(at), |part| {
                part.last().checked_add(1).filter(|next| *next <= range.last())
            });
        }
        done.runs += self.join_slots(range);
        Ok(done)
    }

    /// Whether the platform lets the leaves of `range` become larger. Where tables lie they may:
    /// tables are read and written through any leaves.
    pub(crate) fn may_resize(&self, range: VirtRange) -> bool {
        match self.platform().refusal(range) {
            None | Some(Refusal::Tables | Refusal::ImageAlias) => true,
            Some(Refusal::ImageZone) => false,
        }
    }
}
