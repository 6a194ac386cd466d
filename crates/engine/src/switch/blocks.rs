//! Leaves that come apart while all other CPUs are parked, and are in no run: what is stored then is known
//! to the last word.

use blockmap_machine::{Barrier, Entry, Event, Invalidate, Machine, PhysAddr, VirtRange};
use blockmap_vmsa::bits;

use super::{Alone, Link, Train, Unit};

/// Up to two leaves that are in no run, with all that is stored and lost for each: nothing is looked
/// for while CPUs are parked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    first: Block,
    second: Option<Block>,
}

/// A leaf that is in no run, and the pointer that takes its place.
#[derive(Clone, Copy, Debug)]
struct Block {
    entry: Entry,
    word: u64,
    /// Of all that TLBs hold of it.
    invalidate: Invalidate,
    range: Option<VirtRange>,
}

impl Blocks {
    /// `None` if some of it is a run.
    #[inline]
    pub(super) fn of(
        [start, end]: &[Option<Unit>; 2],
        [start_link, end_link]: &[Option<Link>; 2],
        [start_train, end_train]: &[Option<Train>; 2],
    ) -> Option<Self> {
        let is_of_blocks = |unit: &Option<Unit>, link: &Option<Link>| match (unit, link) {
            (None, None) => true,
            (Some(unit), Some(link)) => unit.span == link.entry.span(1),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_of_blocks(start, start_link) || !is_of_blocks(end, end_link) {
            return None;
        }
        let end = Block::of(end.as_ref(), end_link.as_ref(), end_train.as_ref());
        match (Block::of(start.as_ref(), start_link.as_ref(), start_train.as_ref()), end) {
            (Some(first), second) => Some(Self { first, second }),
            (None, Some(first)) => Some(Self { first, second: None }),
            (None, None) => None,
        }
    }

    /// The tables whose entries are stored.
    pub(super) fn tables(&self) -> (Option<PhysAddr>, Option<PhysAddr>) {
        let Self { first, second } = self;
        (Some(first.entry.table), second.as_ref().map(|block| block.entry.table))
    }

    /// What the leaves translate.
    pub(super) fn ranges(&self) -> [Option<VirtRange>; 2] {
        let Self { first, second } = self;
        [first.range, second.as_ref().and_then(|block| block.range)]
    }

    /// Makes the change, as [`super::Switch::perform`] does.
    #[inline]
    pub(super) fn perform<M: Machine>(&self, machine: &M, alone: Alone) {
        match alone {
            Alone::Break => {
                self.each(|block| block.make_invalid(machine));
                self.invalidate(machine);
                self.each(|block| machine.store(block.entry, block.word));
                machine.barrier(Barrier::DsbIshst);
                machine.barrier(Barrier::Isb);
            }
            Alone::Direct | Alone::Outside => {
                self.each(|block| machine.store(block.entry, block.word));
                self.invalidate(machine);
            }
        }
    }

    /// Makes TLBs lose what they hold of the leaves. [invalidate-after-publish]
    /// [complete-after-invalidate]
    #[inline]
    fn invalidate<M: Machine>(&self, machine: &M) {
        machine.barrier(Barrier::DsbIshst);
        self.each(|block| machine.invalidate(block.invalidate));
        machine.barrier(Barrier::DsbIsh);
        machine.barrier(Barrier::Isb);
    }

    #[inline]
    fn each(&self, what: impl Fn(&Block)) {
        what(&self.first);
        if let Some(second) = &self.second {
            what(second);
        }
    }
}

impl Block {
    #[inline]
    fn of(unit: Option<&Unit>, link: Option<&Link>, train: Option<&Train>) -> Option<Self> {
        let Link { entry, word, .. } = *link?;
        let range = unit?.range;
        Some(Self { entry, word, invalidate: train?.first, range })
    }

    #[inline]
    fn make_invalid<M: Machine>(&self, machine: &M) {
        let span = self.entry.span(1);
        machine.perform(Event::Update { span, clear: bits::VALID, set: 0 });
    }
}
