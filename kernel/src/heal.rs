//! What may be alike again: parts of the linear map that somebody gave back, until their leaves are
//! made large again.
//!
//! Making leaves large costs as much as splitting them did, so what is about to be split again is
//! better left alone. A part is *quiet* when nothing in it was given back for [`QUIET_STEPS`] steps.
//! One that never gets there is healed after [`MOST_STEPS`] steps all the same: of a part in which
//! something ends again and again, what has not been split meanwhile is large again.
//!
//! The kernel makes ten steps a second while it waits for somebody to type.
//!
//! Parts are whole slots, because a page that is given back may be the last that a block of a whole
//! slot waits for.

#[cfg(test)]
mod tests;

use blockmap::machine::{VirtAddr, VirtRange};

/// How many parts can wait. Where there would be more, two become one.
pub const ROOM: usize = 16;

/// A part is healed when nothing in it was given back for so many steps.
pub const QUIET_STEPS: u32 = 10;

/// A part is healed when so many steps have passed since something in it was first given back.
pub const MOST_STEPS: u32 = 100;

/// Bytes of a slot: what one step heals at most.
pub const SLOT_BYTES: u64 = 1 << 30;

/// Which parts are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that have been quiet, or have waited, long enough.
    Ripe,
    /// Any.
    All,
}

/// The parts that wait, none of which overlap.
#[derive(Debug, Default)]
pub struct Queue {
    parts: [Option<Part>; ROOM],
}

/// A part that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// Whole slots.
    range: VirtRange,
    /// Steps since something in it was last given back.
    quiet: u32,
    /// Steps since something in it was first given back.
    waited: u32,
}

impl Queue {
    /// Nothing waits.
    #[must_use]
    pub const fn new() -> Self {
        Self { parts: [None; ROOM] }
    }

    /// Something in `range` was given back just now.
    ///
    /// Where nothing has room for another part, the two parts that are nearest to each other become
    /// one, with all that lies between.
    pub fn add(&mut self, range: VirtRange) {
        let mut new = Part { range: slots(range), quiet: 0, waited: 0 };
        for place in &mut self.parts {
            if let Some(part) = place.take_if(|part| part.range.overlaps(new.range)) {
                new = new.and(part);
            }
        }
        while !self.put(new) {
            new = self.join_nearest(new);
        }
    }

    /// A step has passed.
    pub fn step(&mut self) {
        for part in self.parts.iter_mut().flatten() {
            part.quiet = part.quiet.saturating_add(1);
            part.waited = part.waited.saturating_add(1);
        }
    }

    /// Takes a slot out of the part that has waited longest; the rest of the part waits on.
    pub fn take(&mut self, which: Which) -> Option<VirtRange> {
        let is_taken = |part: &Part| match which {
            Which::Ripe => part.quiet >= QUIET_STEPS || part.waited >= MOST_STEPS,
            Which::All => true,
        };
        let taken = self.parts.iter_mut().filter(|place| place.as_ref().is_some_and(is_taken));
        let place = taken.max_by_key(|place| place.as_ref().map(|part| part.waited))?;
        let part = place.take()?;
        let slot = VirtRange::new(part.range.start(), SLOT_BYTES)?;
        let rest = part.range.end().offset_from(slot.end());
        let rest = rest.and_then(|bytes| VirtRange::new(slot.end(), bytes));
        *place = rest.map(|range| Part { range, ..part });
        Some(slot)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// How many slots wait.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.parts.iter().flatten().map(|part| part.range.bytes() / SLOT_BYTES).sum()
    }

    /// Adds a part, if there is room.
    fn put(&mut self, part: Part) -> bool {
        let free = self.parts.iter_mut().find(|place| place.is_none());
        free.map(|place| *place = Some(part)).is_some()
    }

    /// Joins the two parts that are nearest to each other, of a full queue and `new`. Returns the
    /// part that is left to be put.
    fn join_nearest(&mut self, new: Part) -> Part {
        // In ascending order, with no two overlapping, the nearest are neighbours.
        self.parts.sort_unstable_by_key(|place| place.map(|part| part.range.start()));
        let gap = |one: VirtRange, other: VirtRange| {
            let (low, high) = if one.start() < other.start() { (one, other) } else { (other, one) };
            high.start().offset_from(low.end()).unwrap_or(0)
        };
        let to_new = |place: &Option<Part>| place.map(|part| gap(part.range, new.range));
        let nearest_to_new = (0..ROOM).min_by_key(|at| self.parts.get(*at).and_then(to_new));
        let between = |pair: &[Option<Part>]| match pair {
            [Some(one), Some(other)] => Some(gap(one.range, other.range)),
            _ => None,
        };
        let pairs = self.parts.windows(2).enumerate();
        let nearest =
            pairs.min_by_key(|(_, pair)| between(pair)).map(|(at, pair)| (at, between(pair)));
        let new_gap = nearest_to_new.and_then(|at| to_new(self.parts.get(at)?));
        match (nearest, nearest_to_new) {
            (Some((at, pair_gap)), _) if pair_gap < new_gap => {
                let other = self.parts.get_mut(at + 1).and_then(Option::take);
                if let Some(part) = self.parts.get_mut(at).and_then(Option::as_mut) {
                    *part = other.map_or(*part, |other| part.and(other));
                }
                new
            }
            (_, Some(at)) => {
                let other = self.parts.get_mut(at).and_then(Option::take);
                other.map_or(new, |other| new.and(other))
            }
            (_, None) => new,
        }
    }
}

impl Part {
    /// Both, and what lies between.
    fn and(self, other: Self) -> Self {
        let start = self.range.start().min(other.range.start());
        let last = self.range.last().max(other.range.last());
        Self {
            range: VirtRange::inclusive(start, last).unwrap_or(self.range),
            quiet: self.quiet.min(other.quiet),
            waited: self.waited.max(other.waited),
        }
    }
}

/// The slots that `range` touches.
fn slots(range: VirtRange) -> VirtRange {
    let start: VirtAddr = range.start().align_down(SLOT_BYTES);
    let last = range.last().align_down(SLOT_BYTES).wrapping_add(SLOT_BYTES - 1);
    VirtRange::inclusive(start, last).unwrap_or(range)
}
