//! A range, in pieces that are contiguous in memory too.

use blockmap_machine::{Machine, PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap_vmsa::Kind;

use crate::space::Place;
use crate::{Platform, Space};

/// Addresses and the memory that they show, byte by byte in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) range: VirtRange,
    pub(super) memory: PhysRange,
}

/// The pieces of a range from its start up, each as long as can be: valid leaves, and those marked
/// present. Where nothing is mapped it is that address, and the end.
#[derive(Debug)]
pub(super) struct Pieces<'s, 'p, P: Platform> {
    space: &'s Space<'p, P>,
    last: VirtAddr,
    next: Option<(VirtAddr, Place)>,
}

impl<'s, 'p, P: Platform> Pieces<'s, 'p, P> {
    pub(super) fn new(space: &'s Space<'p, P>, range: VirtRange) -> Self {
        let start = range.start();
        Self { space, last: range.last(), next: Some((start, space.find(start))) }
    }

    /// What a leaf translates `at` to.
    fn output(&self, place: Place, at: VirtAddr) -> Option<PhysAddr> {
        let geometry = self.space.geometry();
        let within = at.value() & (geometry.span_bytes(place.level) - 1);
        match place.kind {
            Kind::Leaf | Kind::PresentInvalid => {
                Some(geometry.leaf_output(place.level, place.word).wrapping_add(within))
            }
            Kind::Invalid | Kind::Table | Kind::Reserved => None,
        }
    }

    /// How many leaves from `place` on, which translates `at`, are alike and show memory without a gap.
    fn followers(&self, place: Place, at: VirtAddr) -> u16 {
        let span = self.space.span_up_to(place.table(), at, self.last);
        if span.count == 1 {
            return 1;
        }
        let step = self.space.geometry().span_bytes(place.level);
        // Without a lock the entry may be another by now.
        self.space.machine().climb(span, place.word, step).max(1)
    }

    /// The leaf of the first address above that of `place`.
    fn after(&self, place: Place, at: VirtAddr) -> Place {
        match self.space.geometry().index(place.level, at) {
            0 => self.space.find(at),
            _ => self.space.find_below(place.level, place.entry.table, at),
        }
    }
}

impl<P: Platform> Iterator for Pieces<'_, '_, P> {
    type Item = Result<Piece, VirtAddr>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, mut place) = self.next.take()?;
        let Some(output) = self.output(place, start) else { return Some(Err(start)) };
        let mut at = start;
        let last = loop {
            let span = self.space.geometry().span_bytes(place.level);
            let count = u64::from(self.followers(place, at));
            let last = at.align_down(span).wrapping_add(span * count - 1);
            if last >= self.last {
                break self.last;
            }
            at = last.wrapping_add(1);
            let next = self.after(place, at);
            let follows = output.wrapping_add(at.value().wrapping_sub(start.value()));
            if self.output(next, at) != Some(follows) {
                self.next = Some((at, next));
                break last;
            }
            place = next;
        };
        let range = VirtRange::inclusive(start, last)?;
        let memory = PhysRange::new(output, range.bytes())?;
        Some(Ok(Piece { range, memory }))
    }
}
