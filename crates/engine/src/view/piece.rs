//! A range, in pieces that are contiguous in memory too.

use core::ops::ControlFlow;

use blockmap_machine::{Machine, PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, Kind};

use crate::protect::Asker;
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
    asked: Option<(Change, Asker)>,
    all_allow: bool,
}

impl<'s, 'p, P: Platform> Pieces<'s, 'p, P> {
    pub(super) fn new(space: &'s Space<'p, P>, range: VirtRange) -> Self {
        let start = range.start();
        Self {
            space,
            last: range.last(),
            next: Some((start, space.find(start))),
            asked: None,
            all_allow: true,
        }
    }

    /// From now on looks whether the leaves allow a change, too.
    pub(super) const fn ask(&mut self, asked: Option<(Change, Asker)>) {
        self.asked = asked;
    }

    /// Whether all leaves seen so far allow what was asked for.
    pub(super) const fn all_allow(&self) -> bool {
        self.all_allow
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
        let Some(output) = self.space.output(&place, start) else { return Some(Err(start)) };
        let mut at = start;
        let last = loop {
            // Those that follow it differ in what they lead to, and in nothing else.
            if let Some(asked) = self.asked {
                self.all_allow &= self.space.entry_allows((&place, at), asked);
            }
            let span = self.space.geometry().span_bytes(place.level);
            let count = u64::from(self.followers(place, at));
            let last = at.align_down(span).wrapping_add(span * count - 1);
            if last >= self.last {
                break self.last;
            }
            at = last.wrapping_add(1);
            let next = self.after(place, at);
            let follows = output.wrapping_add(at.value().wrapping_sub(start.value()));
            if self.space.output(&next, at) != Some(follows) {
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

impl<P: Platform> Space<'_, P> {
    /// Tells `each` where the memory is that leaves of `range` show, valid or marked present: in the order of
    /// addresses and in pieces that are as long as can be, until `each` breaks. What is mapped nowhere
    /// is left out.
    ///
    /// Without a lock it is what was there at some time meanwhile, entry by entry.
    pub fn each_piece(
        &self,
        range: VirtRange,
        mut each: impl FnMut(VirtRange, PhysRange) -> ControlFlow<()>,
    ) {
        let _reader = self.reader();
        let mut rest = Some(range).filter(|range| self.geometry().translates(*range));
        while let Some(part) = rest.take() {
            for piece in Pieces::new(self, part) {
                match piece {
                    Ok(Piece { range, memory }) => {
                        if each(range, memory).is_break() {
                            return;
                        }
                    }
                    Err(at) => {
                        let level = self.find(at).level;
                        let next = self.after((level, at), 1, range.last());
                        rest = next.and_then(|next| VirtRange::inclusive(next, range.last()));
                    }
                }
            }
        }
    }

    /// What the leaf at `place` translates `at` to, valid or marked present.
    pub(super) fn output(&self, place: &Place, at: VirtAddr) -> Option<PhysAddr> {
        let geometry = self.geometry();
        let within = at.value() & (geometry.span_bytes(place.level) - 1);
        match place.kind {
            Kind::Leaf | Kind::PresentInvalid => {
                Some(geometry.leaf_output(place.level, place.word).wrapping_add(within))
            }
            Kind::Invalid | Kind::Table | Kind::Reserved => None,
        }
    }
}
