//! A range, in pieces that are contiguous in memory too.
#![expect(
    clippy::inline_always,
    reason = "of a level that is constant nothing is left but a shift or a mask"
)]

use core::ops::ControlFlow;

use blockmap_machine::{Entry, Machine, Pattern, PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap_vmsa::{Change, Kind, Level};

use crate::protect::Asker;
use crate::space::Place;
use crate::{Platform, Space};

/// Addresses and the memory that they show, byte by byte in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) range: VirtRange,
    pub(super) memory: PhysRange,
}

/// A leaf, or what else a walk ended at.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The first address of it that belongs to the range.
    at: VirtAddr,
    table: PhysAddr,
    word: u64,
    level: Level,
    /// What it translates that address to, valid or marked present.
    output: Option<PhysAddr>,
}

/// The pieces of a range from its start up, each as long as can be: valid leaves, and those marked
/// present. Where nothing is mapped it is that address, and the end.
#[derive(Debug)]
pub(super) struct Pieces<'s, 'p, P: Platform> {
    space: &'s Space<'p, P>,
    last: VirtAddr,
    /// What comes next, if anything does.
    next: Seen,
    is_over: bool,
    asked: Option<(Change, Asker)>,
    /// The leaves that were found to allow it.
    allowed: Option<(Level, Pattern)>,
    all_allow: bool,
}

impl<'s, 'p, P: Platform> Pieces<'s, 'p, P> {
    pub(super) fn new(space: &'s Space<'p, P>, range: VirtRange) -> Self {
        let next = space.seen(range.start(), space.find(range.start()));
        let last = range.last();
        Self { space, last, next, is_over: false, asked: None, allowed: None, all_allow: true }
    }

    /// From now on looks whether the leaves allow a change, too.
    pub(super) const fn ask(&mut self, asked: Option<(Change, Asker)>) {
        self.asked = asked;
    }

    /// Whether all leaves seen so far allow what was asked for.
    pub(super) const fn all_allow(&self) -> bool {
        self.all_allow
    }

    /// Sees whether a leaf allows what was asked for. Those like one that was found to allow it do.
    #[inline(always)]
    fn ask_leaf(&mut self, leaf: Seen) {
        let is_like =
            |(level, like): (Level, Pattern)| level == leaf.level && like.matches(leaf.word);
        if self.asked.is_some() && !self.allowed.is_some_and(is_like) {
            self.ask_first_of(leaf.level, (leaf.at, leaf.table), leaf.word);
        }
    }

    #[inline(never)]
    fn ask_first_of(&mut self, level: Level, (at, table): (VirtAddr, PhysAddr), word: u64) {
        let geometry = self.space.geometry();
        let entry = Entry { table, index: geometry.index(level, at) };
        let place = Place { level, entry, word, kind: geometry.kind(level, word) };
        let pattern = self.asked.and_then(|asked| self.space.allowed_as((&place, at), asked));
        self.allowed = pattern.map(|pattern| (level, pattern));
        self.all_allow &= pattern.is_some();
    }

    /// How many leaves from this one on are alike and show memory without a gap.
    #[inline(always)]
    fn followers(&self, leaf: Seen) -> u16 {
        let span = self.space.span_up_to((leaf.level, leaf.table), leaf.at, self.last);
        if span.count == 1 {
            return 1;
        }
        let step = self.space.geometry().span_bytes(leaf.level);
        // Without a lock the entry may be another by now.
        self.space.machine().climb(span, leaf.word, step).max(1)
    }

    /// What is at `at`, the first address above leaves in a table of `level`.
    #[inline(always)]
    fn after(&self, (level, table): (Level, PhysAddr), at: VirtAddr) -> Seen {
        let place = match self.space.geometry().index(level, at) {
            0 => self.space.find(at),
            _ => self.space.find_below(level, table, at),
        };
        self.space.seen(at, place)
    }

    /// Goes on from the next leaf, of `level`, in the piece that shows memory so far above addresses: as
    /// far as leaves are of this level. Where the piece ends, its last address.
    #[inline(always)]
    fn extend(&mut self, level: Level, above: u64) -> Option<VirtAddr> {
        let mut leaf = Seen { level, ..self.next };
        loop {
            // Those that follow it differ in what they lead to, and in nothing else.
            self.ask_leaf(leaf);
            let span = self.space.geometry().span_bytes(level);
            let count = u64::from(self.followers(leaf));
            let last = leaf.at.align_down(span).wrapping_add(span * count - 1);
            if last >= self.last {
                self.is_over = true;
                return Some(self.last);
            }
            let next = self.after((level, leaf.table), last.wrapping_add(1));
            let follows = PhysAddr::new(next.at.value().wrapping_add(above));
            if next.output != Some(follows) {
                self.next = next;
                return Some(last);
            }
            if next.level != level {
                self.next = next;
                return None;
            }
            leaf = Seen { level, ..next };
        }
    }
}

impl<P: Platform> Pieces<'_, '_, P> {
    /// The next piece, or the address where nothing is mapped.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> Option<Result<Piece, VirtAddr>> {
        if self.is_over {
            return None;
        }
        let start = self.next.at;
        let Some(output) = self.next.output else {
            self.is_over = true;
            return Some(Err(start));
        };
        let above = output.value().wrapping_sub(start.value());
        let last = loop {
            // Of a level that is constant little is left of what is done with each leaf.
            let end = match self.next.level {
                Level::L3 => self.extend(Level::L3, above),
                Level::L2 => self.extend(Level::L2, above),
                upper @ (Level::Minus1 | Level::L0 | Level::L1) => self.extend(upper, above),
            };
            if let Some(last) = end {
                break last;
            }
        };
        let range = VirtRange::inclusive(start, last)?;
        let memory = PhysRange::new(output, range.bytes())?;
        Some(Ok(Piece { range, memory }))
    }
}

impl<P: Platform> Iterator for Pieces<'_, '_, P> {
    type Item = Result<Piece, VirtAddr>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance()
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

    /// What a walk of `at` ended at.
    #[inline(always)]
    fn seen(&self, at: VirtAddr, place: Place) -> Seen {
        let Place { level, entry, word, .. } = place;
        Seen { at, table: entry.table, word, level, output: self.output(&place, at) }
    }

    /// What the leaf at `place` translates `at` to, valid or marked present.
    #[inline(always)]
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
