//! Making global leaves belong to one ASID: all of a tree's, at once.
//!
//! A kernel that hides its map from programs can't leave it in TLBs, so its leaves must not be
//! global. The bit is in every leaf, those included that the kernel itself runs on. So a second tree
//! is filled below the same root while everybody runs, and the entries of the root are exchanged
//! while nobody walks at all:
//!
//! ```text timeline: make non-global
//! 1. fill   level 3 tables             everybody walks: the old tables
//! 2. fill   level 2 and 1 tables       everybody walks: the old tables
//! 3. store  aside, old and new entries everybody walks: the old tables
//! 4. dsb ishst                         all others are parked after it, and hold nothing
//! 5. store  root entries -> level 1    nobody walks: this CPU is off the tables, and holds nothing
//! 6. dsb ishst                         this CPU walks again: the new tables
//! 7. isb                               all others return after it
//! ```
//!
//! No leaf that a walker can meet changes, so nothing of it is a question of what may change
//! without a break, and no TLB ever holds a global leaf beside one that is not. [break-before-make]
//! Leaves of a contiguous run are copied like any others, so a run stays one. [run-changes-whole]
//!
//! All slots and the root are locked meanwhile, as in a repaint.

use blockmap_machine::{Entry, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, bits};
use thiserror::Error;

use crate::plan::{Hold, Parking, Permit, Work};
use crate::repaint::renew::Old;
use crate::repaint::{STAGES, Slots};
use crate::switch::Exchange;
use crate::{NotParked, OutOfTables, Plan, Platform, Root, Space, Switch};

/// Why leaves are still global. The tables are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NonGlobalError {
    /// The regime has no ASIDs, and so no such leaves.
    #[error("the leaves of this regime belong to no ASID")]
    NoAsids,
    /// The leaf at this address is somebody's carve, whose owner stores there without a lock.
    #[error("the leaf at {0} belongs to a carve: restore that first")]
    Held(VirtAddr),
    /// All other CPUs had to be parked, and one did not come.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Not enough table memory.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

impl<P: Platform> Space<'_, P> {
    /// Makes every valid leaf of the tree belong to the current ASID, with all other CPUs parked
    /// once. What an address translates to does not change, nor does any size.
    ///
    /// Leaves that are made valid later are the platform's to say ([`Platform::asids`]): it says so
    /// before this is called, so that none is missed.
    ///
    /// # Errors
    /// See [`NonGlobalError`]; the tables are as they were.
    #[doc(alias = "kpti_install_ng_mappings")]
    pub fn make_non_global(&self, may_park: &P::MayPark) -> Result<(), NonGlobalError> {
        Ok(self.carry_out(|| self.plan_make_non_global(may_park))??)
    }

    /// Plans to [`Space::make_non_global`]: locks and checks, and changes nothing.
    ///
    /// # Errors
    /// See [`NonGlobalError`].
    pub fn plan_make_non_global<'s>(
        &'s self,
        may_park: &'s P::MayPark,
    ) -> Result<Plan<'s, P>, NonGlobalError> {
        let geometry = self.geometry();
        if !geometry.regime().has_unprivileged() {
            return Err(NonGlobalError::NoAsids);
        }
        let (first, last) = geometry.inputs();
        let Some(all) = VirtRange::inclusive(first, last) else { unreachable!("an empty half") };
        // Old tables are given back with the locks held: this is no reader of them.
        let hold = Hold::new(self, all, Root::Changes, Parking::Allowed(may_park));
        let mut tables = None;
        for old in self.old_slots(self.root_entries()) {
            if let Some(more) = self.global_below(old)? {
                tables = Some(tables.map_or(more, |tables: u32| tables.saturating_add(more)));
            }
        }
        let tables = tables.map_or(0, |tables| tables.saturating_add(STAGES));
        Ok(Plan::new(hold, Work::NonGlobal, tables))
    }

    /// Performs a checked change.
    ///
    /// # Errors
    /// A CPU did not come to be parked: nothing was linked, and what was filled is set aside again.
    pub(crate) fn commit_make_non_global(&self, permit: Permit<'_, P>) -> Result<(), NotParked> {
        // INVARIANT: it is planned with leave to park.
        let Parking::Allowed(may_park) = permit.parking else { return Ok(()) };
        let entries = self.root_entries();
        let stages = self.stage(entries, |old| self.non_global(old));
        let [_, after] = stages;
        let exchange = Exchange { live: entries.span, after, range: None };
        self.switch_over(entries, stages, may_park, &Switch::root(exchange))?;
        Ok(())
    }

    /// All entries of the root.
    fn root_entries(&self) -> Slots {
        let geometry = self.geometry();
        let level = geometry.root_level();
        let span = Entry { table: self.root(), index: 0 }.span(geometry.entries(level));
        Slots { level, span, start: geometry.inputs().0 }
    }

    /// How many tables it takes to replace an entry; `None` if nothing below it is global.
    fn global_below(&self, old: Old) -> Result<Option<u32>, NonGlobalError> {
        let geometry = self.geometry();
        match (geometry.kind(old.level, old.word), old.level.next()) {
            (Kind::Leaf | Kind::PresentInvalid, _) if old.word & bits::HELD != 0 => {
                Err(NonGlobalError::Held(old.at))
            }
            (Kind::Leaf, _) => Ok(is_global(old.word).then_some(0)),
            (Kind::Table, Some(below)) => {
                let table = (below, geometry.table_address(old.word));
                let mut tables = None;
                for old in self.old_entries(table, old.at) {
                    if let Some(more) = self.global_below(old)? {
                        tables = Some(tables.unwrap_or(1_u32).saturating_add(more));
                    }
                }
                Ok(tables)
            }
            (Kind::Invalid | Kind::PresentInvalid | Kind::Reserved | Kind::Table, _) => Ok(None),
        }
    }

    /// Whether anything below an entry is global, or the entry itself.
    fn has_global(&self, old: Old) -> bool {
        let geometry = self.geometry();
        match (geometry.kind(old.level, old.word), old.level.next()) {
            (Kind::Leaf, _) => is_global(old.word),
            (Kind::Table, Some(below)) => {
                let table = (below, geometry.table_address(old.word));
                self.old_entries(table, old.at).any(|old| self.has_global(old))
            }
            (Kind::Invalid | Kind::PresentInvalid | Kind::Reserved | Kind::Table, _) => false,
        }
    }

    /// Makes what an entry becomes; `None` if it stays.
    fn non_global(&self, old: Old) -> Option<u64> {
        let geometry = self.geometry();
        match (geometry.kind(old.level, old.word), old.level.next()) {
            (Kind::Leaf, _) => is_global(old.word).then_some(old.word | bits::NOT_GLOBAL),
            (Kind::Table, Some(below)) if self.has_global(old) => {
                let new = self.platform().take_table();
                let olds = self.old_entries((below, geometry.table_address(old.word)), old.at);
                let words =
                    olds.map(|old| (old.entry.index, self.non_global(old).unwrap_or(old.word)));
                self.fill_words(new, words);
                Some(geometry.with_table(old.word, new))
            }
            (Kind::Invalid | Kind::PresentInvalid | Kind::Reserved | Kind::Table, _) => None,
        }
    }
}

/// Whether a valid leaf is in TLBs whatever the ASID.
const fn is_global(word: u64) -> bool {
    word & bits::NOT_GLOBAL == 0
}
