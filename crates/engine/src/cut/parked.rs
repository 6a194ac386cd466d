//! Making planned cuts while all other CPUs are parked.

use blockmap_machine::{Barrier, Invalidate, Machine, VirtAddr, VirtRange};
use blockmap_vmsa::{Reach, TlbiForm, bits};

use super::{Cut, Cuts};
use crate::plan::{Parking, Permit};
use crate::switch::{Link, Train, Unit};
use crate::{NotParked, Platform, Space, Switch};

impl<P: Platform> Space<'_, P> {
    /// Links new tables while all other CPUs are parked; `switch` shows how.
    ///
    /// Out of line, to keep the way of systems that never park short.
    #[inline(never)]
    pub(super) fn link_parked(
        &self,
        cuts: &Cuts,
        links: [Option<Link>; 2],
        permit: Permit<'_, P>,
    ) -> Result<(), NotParked> {
        // INVARIANT: the plan was made with leave to park, or else has no cuts.
        let Parking::Allowed(may_park) = permit.parking else { return Ok(()) };
        let start = cuts.start.map(|cut| (cut, self.unit(cut)));
        let is_other = |cut: &Cut| start.is_none_or(|(first, _)| first.span() != cut.span());
        let end = cuts.end.filter(is_other).map(|cut| (cut, self.unit(cut)));
        let units = [start, end];
        let trains = units.map(|unit| unit.map(|(cut, _)| self.train(cut, permit.terms.tlbi)));
        let switch = Switch::units(units.map(|unit| unit.map(|(_, unit)| unit)), links, trains);
        // Before anybody is parked for it, everything it leads to is visible.
        // [publish-after-fill]
        self.machine().barrier(Barrier::DsbIshst);
        let parked = self.platform().quiesce(may_park, &switch);
        if parked.is_err() {
            for (cut, link) in [cuts.start, cuts.end].into_iter().zip(links) {
                let below = cut.and_then(|cut| cut.leaf.level.next());
                if let (Some(below), Some(link)) = (below, link) {
                    let put_back = |table| self.platform().put_back_table(table);
                    self.each_table((below, link.table), &put_back);
                }
            }
        }
        parked
    }

    /// What comes apart where `cut` is made.
    fn unit(&self, cut: Cut) -> Unit {
        Unit { span: cut.span(), valid: cut.leaf.word & bits::VALID, range: self.range_of(cut) }
    }

    /// What the leaf or run that a cut goes through translates.
    fn range_of(&self, cut: Cut) -> Option<VirtRange> {
        let bytes = self.unit_bytes(&cut.leaf);
        VirtRange::new(cut.at.align_down(bytes), bytes)
    }

    /// The invalidation of all that TLBs hold of the leaf or run that a cut goes through.
    fn train(&self, cut: Cut, tlbi: TlbiForm) -> Train {
        let geometry = self.geometry();
        let bytes = geometry.span_bytes(cut.leaf.level);
        let (count, range) = (cut.span().count, self.range_of(cut));
        let start = range.map_or(cut.at, VirtRange::start);
        let by_address = |address: VirtAddr| geometry.invalidate_address(address, Reach::AllLevels);
        let first = by_address(start);
        match (tlbi, count, range) {
            (TlbiForm::Ranged, 2.., Some(run)) => {
                // One instruction covers more than any run.
                let first = geometry.invalidate_range(run, Reach::AllLevels).next();
                Train { first: first.unwrap_or(geometry.invalidate_all()), step: 0, count: 1 }
            }
            (TlbiForm::Ranged | TlbiForm::ByAddress, ..) => {
                let Invalidate { operand, .. } = by_address(start.wrapping_add(bytes));
                Train { first, step: operand.wrapping_sub(first.operand), count }
            }
        }
    }
}
