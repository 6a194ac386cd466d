//! What caches may hide: instructions that were stored as data, and tables written past the caches.

use std::collections::BTreeSet;

use blockmap_machine::{Barrier, CacheOp, Event, PhysAddr, PhysRange};

use crate::program::{Program, Step};

/// What caches have of some memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lines {
    /// What everybody else sees.
    Coherent,
    /// New instructions, in data caches alone.
    Stored,
    /// The same, and this CPU is cleaning them.
    Cleaning(usize),
    /// New instructions are in memory; instruction caches may have the old.
    Cleaned,
    /// The same, and this CPU is invalidating those.
    Renewing(usize),
    /// Anything, from before: it may be written back at any moment.
    Unknown,
    /// The same, and this CPU is invalidating it.
    Dropping(usize),
    /// Nothing that would be written back.
    Dropped,
    /// Perhaps lines from before what was stored past them, which hide it.
    Hiding,
    /// The same, and this CPU is invalidating them.
    Uncovering(usize),
    /// Lines that may have been written back over what was stored.
    Overwriting,
}

/// What is done to the caches' view of some memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Instructions are stored to it.
    Code,
    /// It is stored to past the caches.
    PastCaches,
    /// It is maintained.
    Maintain(CacheOp),
}

impl Lines {
    /// The same after `cpu` did something to the memory.
    pub(crate) fn after(self, cpu: usize, touch: Touch) -> Self {
        match (touch, self) {
            (Touch::Code, _) => Self::Stored,
            (Touch::PastCaches, Self::Dropped | Self::Hiding | Self::Coherent) => Self::Hiding,
            (Touch::PastCaches, _) => Self::Overwriting,
            (Touch::Maintain(CacheOp::DcCvau | CacheOp::DcCivac), Self::Stored) => {
                Self::Cleaning(cpu)
            }
            (Touch::Maintain(CacheOp::IcIvau), Self::Cleaned) => Self::Renewing(cpu),
            (Touch::Maintain(CacheOp::DcIvac), Self::Unknown) => Self::Dropping(cpu),
            (Touch::Maintain(CacheOp::DcIvac), Self::Hiding) => Self::Uncovering(cpu),
            (Touch::Maintain(_), lines) => lines,
        }
    }

    /// The same after a barrier of `cpu`.
    ///
    /// Source: "Ordering of data and instruction cache maintenance instructions".
    pub(crate) fn after_barrier(self, cpu: usize, barrier: Barrier) -> Self {
        let (by, after) = match self {
            Self::Cleaning(by) => (by, Self::Cleaned),
            Self::Dropping(by) => (by, Self::Dropped),
            Self::Renewing(by) | Self::Uncovering(by) => (by, Self::Coherent),
            Self::Coherent
            | Self::Stored
            | Self::Cleaned
            | Self::Unknown
            | Self::Dropped
            | Self::Hiding
            | Self::Overwriting => return self,
        };
        if by == cpu && barrier == Barrier::DsbIsh { after } else { self }
    }

    /// Whether a fetch of instructions from the memory may find others than were stored.
    pub(crate) const fn hide_code(self) -> bool {
        matches!(self, Self::Stored | Self::Cleaning(_) | Self::Cleaned | Self::Renewing(_))
    }

    /// Whether a walk that reads the memory may find something else than was stored.
    pub(crate) const fn hide_tables(self) -> bool {
        matches!(
            self,
            Self::Unknown
                | Self::Dropping(_)
                | Self::Hiding
                | Self::Uncovering(_)
                | Self::Overwriting
        )
    }
}

/// Memory of which caches may have something else, in the pieces that steps tell apart, each with
/// what caches have of it before the first step.
pub(crate) fn pieces(program: &Program) -> Vec<(PhysRange, Lines)> {
    let mut named = Vec::new();
    let mut ends = BTreeSet::new();
    for step in program.cpus.iter().flat_map(|cpu| &cpu.steps) {
        let Some((touch, range)) = touch(step) else { continue };
        match touch {
            Touch::Code => named.push((range, Lines::Coherent)),
            Touch::PastCaches => named.push((range, Lines::Unknown)),
            Touch::Maintain(_) => {}
        }
        ends.extend([range.start(), range.end()]);
    }
    let ends: Vec<PhysAddr> = ends.into_iter().collect();
    let piece = |pair: &[PhysAddr]| {
        let range = PhysRange::new(pair[0], pair[1].offset_from(pair[0])?)?;
        let lines = named.iter().filter(|(named, _)| named.covers(range)).map(|(_, lines)| *lines);
        let lines: Vec<Lines> = lines.collect();
        let first = if lines.contains(&Lines::Unknown) { Some(Lines::Unknown) } else { None };
        Some((range, first.or(lines.first().copied())?))
    };
    ends.windows(2).filter_map(piece).collect()
}

/// What a step does to which memory, if it is about caches.
pub(crate) const fn touch(step: &Step) -> Option<(Touch, PhysRange)> {
    if let Step::Code(range) = step {
        Some((Touch::Code, *range))
    } else if let Step::PastCaches(range) = step {
        Some((Touch::PastCaches, *range))
    } else if let Step::Effect(Event::Maintain { op, range }) = step {
        Some((Touch::Maintain(*op), *range))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::read;

    #[test]
    fn memory_is_cut_where_steps_tell_it_apart() {
        let program = read("cpu 0:\ncode 0x1000+0x3000\ndc cvau 0x2000+0x8000").unwrap();
        let pieces = pieces(&program);
        let starts: Vec<u64> = pieces.iter().map(|(range, _)| range.start().value()).collect();
        assert_eq!(starts, [0x1000, 0x2000]);
    }

    #[test]
    fn instructions_are_cleaned_before_the_old_ones_are_invalidated() {
        let clean = Touch::Maintain(CacheOp::DcCvau);
        let renew = Touch::Maintain(CacheOp::IcIvau);
        let stored = Lines::Coherent.after(0, Touch::Code);
        assert!(stored.after(0, renew).after_barrier(0, Barrier::DsbIsh).hide_code());
        let cleaned = stored.after(0, clean).after_barrier(0, Barrier::DsbIsh);
        assert!(cleaned.hide_code());
        assert!(cleaned.after(0, renew).after_barrier(1, Barrier::DsbIsh).hide_code());
        assert!(!cleaned.after(0, renew).after_barrier(0, Barrier::DsbIsh).hide_code());
    }
}
