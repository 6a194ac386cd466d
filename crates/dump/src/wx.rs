//! The check that no memory is both writable and executable.

use blockmap_vmsa::machine::VirtRange;

use crate::{ReadTable, Run, Tree, What};

/// Pages that break one rule, and the first stretch of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Finding {
    /// How many pages of the granule.
    pub pages: u64,
    /// The first run of them, with the lowest addresses.
    pub first: Option<VirtRange>,
}

impl Finding {
    pub(crate) fn add(&mut self, range: VirtRange, pages: u64) {
        self.pages = self.pages.saturating_add(pages);
        self.first = self.first.or(Some(range));
    }
}

/// The result of a check of a tree against W^X.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[doc(alias = "ptdump_check_wx")]
pub struct Wx {
    /// Pages that one exception level can store to and execute.
    pub writable_executable: Finding,
    /// Pages whose leaves let the unprivileged level execute: in a kernel's half, none should.
    pub unprivileged_executable: Finding,
    /// Stretches that could not be read, of which nothing is known.
    pub skipped: u64,
}

impl Wx {
    /// Whether the whole tree was read and no page breaks either rule. A tree that user processes
    /// run in has unprivileged-executable pages, and does not pass.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.writable_executable.pages == 0
            && self.unprivileged_executable.pages == 0
            && self.skipped == 0
    }
}

impl<R: ReadTable> Tree<'_, R> {
    /// Checks every leaf against W^X, as Linux's check does at the end of its boot. Present but
    /// invalid leaves count as what they are once they are given back.
    ///
    /// Unlike Linux's, the check takes the limits of table descriptors into account: see
    /// [`RightsPair`](crate::RightsPair).
    #[must_use]
    pub fn wx(&self) -> Wx {
        let mut wx = Wx::default();
        for Run { range, what, .. } in self.runs() {
            let mapped = match what {
                What::Leaves(mapped) => mapped,
                What::Skipped(_) => {
                    wx.skipped += 1;
                    continue;
                }
                What::Gap | What::Reserved(_) => continue,
            };
            let pages = range.bytes() >> self.geometry.granule().page_bits();
            let rights = mapped.rights(self.geometry);
            if rights.writable_and_executable() {
                wx.writable_executable.add(range, pages);
            }
            if rights.unprivileged.executes {
                wx.unprivileged_executable.add(range, pages);
            }
        }
        wx
    }
}
