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
//! Leaves that are held stay as they are, and so does what the platform keeps the sizes of.

mod commit;
mod uniform;

use blockmap_layout::Strategy;
use blockmap_machine::{VirtAddr, VirtRange};
use blockmap_vmsa::Kind;
use thiserror::Error;

use self::commit::Step;
use crate::cut::{NoSizeChange, SizeChangeRefused};
use crate::plan::{Hold, Parking, slot_level};
use crate::space::Place;
use crate::{NotParked, Platform, RangeError, Root, Space};

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
}

/// What collapsing a range came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collapsed {
    /// Tables that were given back.
    pub tables: u32,
    /// Contiguous runs that were made.
    pub runs: u32,
}

/// How many tables one step gives back at most: each step locks, invalidates and waits once.
const TABLES_A_STEP: usize = 32;

impl<P: Platform> Space<'_, P> {
    /// Makes the leaves of `range` as large as what they say allows, without ever changing what
    /// that is: pages become runs, runs blocks, blocks runs of blocks and larger blocks. Tables that
    /// are not needed any more are given back once every reader has left.
    ///
    /// It works slot by slot, and in steps that each give back up to 32 tables, with one
    /// invalidation each; between two steps it holds nothing. A leaf that is only in part in
    /// `range`, one that is invalid and one that is held stay as they are.
    ///
    /// # Errors
    /// See [`CollapseError`].
    pub fn collapse(
        &self,
        range: VirtRange,
        may_park: &P::MayPark,
    ) -> Result<Collapsed, CollapseError> {
        self.check(range)?;
        let slot_bytes = self.geometry().span_bytes(slot_level(self.geometry()));
        let mut done = Collapsed::default();
        let mut next = Some(range.start());
        while let Some(at) = next {
            let last = at.align_down(slot_bytes).wrapping_add(slot_bytes - 1).min(range.last());
            if let Some(part) = VirtRange::inclusive(at, last) {
                let more = self.collapse_slot(part, may_park)?;
                done.tables += more.tables;
                done.runs += more.runs;
            }
            next = last.checked_add(1).filter(|next| *next <= range.last());
        }
        Ok(done)
    }

    /// Collapses `part`, which lies in one slot, step by step.
    fn collapse_slot(
        &self,
        part: VirtRange,
        may_park: &P::MayPark,
    ) -> Result<Collapsed, CollapseError> {
        let mut done = Collapsed::default();
        let mut rest = part;
        loop {
            let hold = Hold::new(self, part, Root::Changes, Parking::Allowed(may_park));
            let terms = hold.permit.terms;
            match terms.strategy {
                Strategy::Live => {}
                strategy @ (Strategy::Quiesce | Strategy::Pages) => {
                    let why = NoSizeChange::Strategy(strategy);
                    return Err(SizeChangeRefused { address: part.start(), why }.into());
                }
            }
            let Some(place) = self.slot_entry(part.start()) else { return Ok(done) };
            let mut step = Step::of(rest);
            done.tables += self.replace_tables(place, &mut step, terms);
            let Some(next) = step.rest() else {
                // The entry may be a block by now.
                done.runs +=
                    self.slot_entry(part.start()).map_or(0, |now| self.join_runs(now, part));
                return Ok(done);
            };
            rest = next;
        }
    }

    /// The entry of the slot of `address`, if there is a table that holds it.
    fn slot_entry(&self, address: VirtAddr) -> Option<Place> {
        let slot_level = slot_level(self.geometry());
        let (mut level, mut table) = (self.geometry().root_level(), self.root());
        while level < slot_level {
            let place = self.look(level, table, address);
            let (Kind::Table, Some(below)) = (place.kind, level.next()) else { return None };
            (level, table) = (below, self.geometry().table_address(place.word));
        }
        Some(self.look(level, table, address))
    }
}
