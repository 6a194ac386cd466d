//! The end of every change: publish the stores, invalidate what TLBs may hold, wait for both.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

use blockmap_machine::{Barrier, Machine, VirtAddr, VirtRange};
use blockmap_vmsa::{Reach, TlbiForm};

use crate::{Platform, Space, Terms};

/// Above this many invalidations by address, one of everything is made instead.
///
/// Only for systems where some CPU lacks range invalidation: with it, a range takes a handful.
/// An invalidation by address is broadcast and acknowledged each by itself; refilling a TLB costs
/// about one walk for each of its entries that is used again. Cores of this architecture hold 1024
/// to 2048 entries at their second level, of which the kernel's are a part, and a broadcast
/// invalidation costs about as much as ten walks that hit the caches.
pub const MOST_INVALIDATIONS_BY_ADDRESS: u64 = 128;

/// What invalidations by address have to name in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Its start: the range is one leaf, or lies in one.
    OneLeaf,
    /// Every leaf that the tables have in it now.
    Leaves,
    /// Every multiple of so many bytes: the leaves are gone, and none was smaller.
    Every(u64),
}

impl<P: Platform> Space<'_, P> {
    /// Makes a change that TLBs may hold the old state of take effect on every CPU.
    ///
    /// ```text
    /// dsb ishst       walkers see the new entries
    /// tlbi …          TLBs lose the old ones
    /// dsb ish         all of them have
    /// isb             this CPU's later instructions too
    /// ```
    /// [stale-until-invalidated] [invalidate-after-publish] [complete-after-invalidate]
    /// [synchronise-after-invalidate]
    #[inline(always)]
    pub(crate) fn complete(&self, range: VirtRange, reach: Reach, extent: Extent, terms: Terms) {
        self.complete_by(|| self.invalidate(range, reach, extent, terms));
    }

    #[inline(always)]
    pub(crate) fn complete_by(&self, invalidate: impl FnOnce()) {
        let machine = self.machine();
        machine.barrier(Barrier::DsbIshst);
        invalidate();
        machine.barrier(Barrier::DsbIsh);
        machine.barrier(Barrier::Isb);
    }

    /// As [`Space::complete`], of the leaves of any number of ranges: as many invalidations as ranges,
    /// or more where they are made by address; one of everything where these would be more than
    /// [`MOST_INVALIDATIONS_BY_ADDRESS`].
    pub(crate) fn complete_each<R: Iterator<Item = VirtRange>>(
        &self,
        ranges: impl Fn() -> R,
        terms: Terms,
    ) {
        let are_many = self.are_many(&ranges, terms);
        self.complete_by(|| {
            if are_many {
                self.machine().invalidate(self.geometry().invalidate_all());
                return;
            }
            let reach = Reach::LastLevel;
            for range in ranges() {
                let by_one = match terms.tlbi {
                    TlbiForm::Ranged => self.geometry().invalidate_range_by_one(range, reach),
                    TlbiForm::ByAddress => None,
                };
                match by_one {
                    Some(invalidate) => self.machine().invalidate(invalidate),
                    None => self.invalidate_leaves(range, reach, Extent::Leaves, terms),
                }
            }
        });
    }

    /// Whether the leaves of ranges take more than [`MOST_INVALIDATIONS_BY_ADDRESS`] invalidations.
    fn are_many<R: Iterator<Item = VirtRange>>(
        &self,
        ranges: &impl Fn() -> R,
        terms: Terms,
    ) -> bool {
        let most = usize::try_from(MOST_INVALIDATIONS_BY_ADDRESS).unwrap_or(usize::MAX);
        if terms.tlbi == TlbiForm::Ranged && ranges().size_hint().1.is_some_and(|had| had <= most) {
            return false;
        }
        let mut count = 0;
        for range in ranges() {
            count += match terms.tlbi {
                TlbiForm::Ranged => 1,
                TlbiForm::ByAddress => self.each_address(range, Extent::Leaves, |_| ()),
            };
            if count > MOST_INVALIDATIONS_BY_ADDRESS {
                return true;
            }
        }
        false
    }

    /// Makes entries that were invalid, and so in no TLB, usable by this CPU's next instruction.
    /// [invalid-is-never-cached] [synchronise-after-publish]
    #[inline]
    pub(crate) fn complete_new(&self) {
        self.machine().barrier(Barrier::DsbIshst);
        self.machine().barrier(Barrier::Isb);
    }

    /// Invalidates what TLBs hold of `range`: no level hint, because leaves that were larger once
    /// may linger. [no-ttl-across-sizes] By address, it is taken to remove those too, read as
    /// docs/caveats.md says. [several-sizes-need-everything]
    #[inline(always)]
    pub(crate) fn invalidate(&self, range: VirtRange, reach: Reach, extent: Extent, terms: Terms) {
        match extent {
            Extent::OneLeaf => {
                let invalidate = self.geometry().invalidate_address(range.start(), reach);
                self.machine().invalidate(invalidate);
            }
            Extent::Leaves | Extent::Every(_) => {
                self.invalidate_leaves(range, reach, extent, terms);
            }
        }
    }

    #[inline(never)]
    fn invalidate_leaves(&self, range: VirtRange, reach: Reach, extent: Extent, terms: Terms) {
        let geometry = self.geometry();
        let machine = self.machine();
        match (terms.tlbi, extent) {
            (TlbiForm::Ranged, _) => {
                for invalidate in geometry.invalidate_range(range, reach) {
                    machine.invalidate(invalidate);
                }
            }
            (TlbiForm::ByAddress, _) => {
                if self.each_address(range, extent, |_| ()) > MOST_INVALIDATIONS_BY_ADDRESS {
                    machine.invalidate(geometry.invalidate_all());
                } else {
                    self.each_address(range, extent, |address| {
                        machine.invalidate(geometry.invalidate_address(address, reach));
                    });
                }
            }
        }
    }

    /// Calls `each` with an address in every leaf of `range`, and stops early when there are more
    /// than [`MOST_INVALIDATIONS_BY_ADDRESS`]. Returns how many there were so far.
    fn each_address(&self, range: VirtRange, extent: Extent, each: impl Fn(VirtAddr)) -> u64 {
        let mut count = 0;
        let mut next = Some(range.start());
        while let Some(address) = next
            && range.contains(address)
            && count <= MOST_INVALIDATIONS_BY_ADDRESS
        {
            each(address);
            count += 1;
            let bytes = match extent {
                Extent::OneLeaf => range.bytes(),
                Extent::Leaves => self.geometry().span_bytes(self.find(address).level),
                Extent::Every(bytes) => bytes,
            };
            next = address.align_down(bytes).checked_add(bytes);
        }
        count
    }
}
