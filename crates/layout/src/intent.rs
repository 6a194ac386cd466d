//! What each piece of memory is for in the linear map, and so what its leaves grant.

use core::iter::Peekable;

use blockmap_vmsa::machine::PhysRange;
use blockmap_vmsa::{Attributes, Leaves};

use crate::memory::{MappedMemory, MemoryMap};
use crate::paint::{Paint, Purpose};
use crate::parts::Part;

/// A range of memory to map, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Which memory: whole pages of it.
    pub range: PhysRange,
    /// What it is for.
    pub purpose: Purpose,
    /// What its leaves grant.
    pub attributes: Attributes,
}

/// All memory that is mapped, ascending and disjoint, cut where the purpose changes.
#[derive(Clone, Debug)]
pub struct Intents<'m> {
    paint: Paint,
    memory: MappedMemory<'m>,
    rest: Option<PhysRange>,
    parts: &'m [Option<Part>],
}

impl<'m> Intents<'m> {
    pub(crate) fn new(memory: &'m MemoryMap, paint: Paint) -> Self {
        Self { paint, memory: memory.mapped(), rest: None, parts: memory.parts() }
    }

    /// Takes the start of `whole`, up to where `part` ends or starts, and keeps the rest.
    fn take_up_to(&mut self, whole: PhysRange, part: Option<Part>) -> (PhysRange, Purpose) {
        let (last, purpose) = match part {
            Some((range, purpose)) if range.contains(whole.start()) => (range.last(), purpose),
            Some((range, _)) => {
                // INVARIANT: the part starts above `whole`, so not at zero.
                let below = range.start().checked_sub(1).unwrap_or(whole.last());
                (below, Purpose::Ram)
            }
            None => (whole.last(), Purpose::Ram),
        };
        match PhysRange::inclusive(whole.start(), last.min(whole.last())) {
            Some(taken) => {
                self.rest = taken
                    .last()
                    .checked_add(1)
                    .and_then(|above| PhysRange::inclusive(above, whole.last()));
                (taken, purpose)
            }
            None => (whole, purpose),
        }
    }
}

impl Iterator for Intents<'_> {
    type Item = Intent;

    fn next(&mut self) -> Option<Intent> {
        let whole = self.rest.take().or_else(|| self.memory.next())?;
        while let Some((part, later)) = self.parts.split_first()
            && part.is_none_or(|(range, _)| range.last() < whole.start())
        {
            self.parts = later;
        }
        let part = self.parts.first().copied().flatten();
        let (range, purpose) = self.take_up_to(whole, part);
        Some(Intent { range, purpose, attributes: self.paint.attributes(purpose) })
    }
}

/// Memory in one piece whose leaves grant the same, whatever it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Which memory: whole pages of it.
    pub range: PhysRange,
    /// What its leaves grant.
    pub attributes: Attributes,
    /// Which leaves it is mapped with.
    pub leaves: Leaves,
}

impl Stretch {
    /// The part up to the next end of `pages`, which is in pages itself, and what is left.
    fn cut(self, pages: PhysRange) -> (Self, Option<Self>) {
        let Self { range, .. } = self;
        let (last, leaves) = if pages.contains(range.start()) {
            (pages.last().min(range.last()), Leaves::Pages)
        } else if range.contains(pages.start()) {
            // INVARIANT: the pages start above the range, so not at zero.
            (pages.start().checked_sub(1).unwrap_or(range.last()), self.leaves)
        } else {
            return (self, None);
        };
        let part = |first, last| PhysRange::inclusive(first, last);
        let rest = last.checked_add(1).and_then(|above| part(above, range.last()));
        let taken = part(range.start(), last).unwrap_or(range);
        (Self { range: taken, leaves, ..self }, rest.map(|range| Self { range, ..self }))
    }
}

/// All memory that is mapped, ascending and disjoint, in the longest pieces that grant the same in
/// the same leaves.
#[derive(Clone, Debug)]
pub struct Stretches<'m> {
    intents: Peekable<Intents<'m>>,
    leaves: Leaves,
    /// What is in pages, whatever the rest is in.
    pages: Option<PhysRange>,
    rest: Option<Stretch>,
}

impl<'m> Stretches<'m> {
    pub(crate) fn new(
        (memory, paint): (&'m MemoryMap, Paint),
        (leaves, pages): (Leaves, Option<PhysRange>),
    ) -> Self {
        Self { intents: Intents::new(memory, paint).peekable(), leaves, pages, rest: None }
    }

    /// The longest piece that grants the same.
    fn longest(&mut self) -> Option<Stretch> {
        let Intent { mut range, purpose: _, attributes } = self.intents.next()?;
        while let Some(next) = self
            .intents
            .next_if(|next| next.attributes == attributes && next.range.start() == range.end())
        {
            let Some(both) = PhysRange::inclusive(range.start(), next.range.last()) else {
                break;
            };
            range = both;
        }
        Some(Stretch { range, attributes, leaves: self.leaves })
    }
}

impl Iterator for Stretches<'_> {
    type Item = Stretch;

    fn next(&mut self) -> Option<Stretch> {
        let whole = self.rest.take().or_else(|| self.longest())?;
        let Some(pages) = self.pages else { return Some(whole) };
        let (part, rest) = whole.cut(pages);
        self.rest = rest;
        Some(part)
    }
}
