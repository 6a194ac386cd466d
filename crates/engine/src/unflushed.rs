//! Taking rights away from memory without telling TLBs at once.
//!
//! ```text timeline: invalid, flushed later
//! 1. update entries, invalid   a walker sees: the old leaves, or nothing
//! 2. dsb ishst                 a walker sees: nothing; a TLB may hold the old leaves
//! 3. dsb ishst
//! 4. tlbi   each range         a TLB holds: the old leaves, or nothing
//! 5. dsb ish                   a TLB holds: nothing
//! 6. isb
//! ```
//!
//! The first two steps are made for each range, the others once for as many as there are.

use blockmap_machine::{Barrier, Machine, VirtRange};
use blockmap_vmsa::Change;

use crate::plan::{Hold, Parking};
use crate::protect::Asker;
use crate::{Platform, ProtectError, Root, Space};

/// Memory that was made invalid and that TLBs may still translate as before: holding one tells that
/// nobody may rely on its being out of reach before [`Space::flush`].
#[derive(Debug)]
#[must_use = "what is not flushed may still be accessed"]
pub struct Unflushed {
    range: VirtRange,
}

impl Unflushed {
    /// The addresses.
    #[must_use]
    pub const fn range(&self) -> VirtRange {
        self.range
    }
}

impl<P: Platform> Space<'_, P> {
    /// Makes the leaves of `range` invalid, whose ends lie between two leaves: they remember what they
    /// were, and TLBs are not told before [`Space::flush`].
    ///
    /// # Errors
    /// See [`ProtectError`]; the tables are as they were.
    #[doc(alias = "set_direct_map_invalid_noflush")]
    pub fn invalidate_unflushed(&self, range: VirtRange) -> Result<Unflushed, ProtectError> {
        self.check(range)?;
        let hold = Hold::new(self, range, Root::Untouched, Parking::Never);
        if let Some(why) = self.platform().refusal(range) {
            return Err(ProtectError::Refused { range, why });
        }
        self.find_cuts(range).1.check(&hold.permit)?;
        let first = self.find(range.start());
        self.check_leaves(range, &first, (Change::Invalid, Asker::Anybody))?;
        self.update_range(range, Change::Invalid.masks(self.geometry().regime()));
        // Whoever flushes may be another CPU.
        self.machine().barrier(Barrier::DsbIshst);
        Ok(Unflushed { range })
    }

    /// Has every TLB forget what these ranges were, by one operation.
    pub fn flush(&self, unflushed: &mut [Option<Unflushed>]) {
        let all = || unflushed.iter().flatten().map(Unflushed::range);
        let Some(first) = all().map(VirtRange::start).min() else { return };
        let last = all().map(VirtRange::last).max().unwrap_or(first);
        let Some(hull) = VirtRange::inclusive(first, last) else { return };
        let hold = Hold::new(self, hull, Root::Untouched, Parking::Never);
        self.complete_each(all, hold.permit.terms);
        drop(hold);
        unflushed.fill_with(|| None);
    }
}
