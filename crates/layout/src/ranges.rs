//! A list of physical ranges without an allocator: a fixed number of places, filled from the front.

use core::fmt;

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

/// What the places behind the last range hold; nobody reads it.
const UNUSED: PhysRange = match PhysRange::new(PhysAddr::new(0), 1) {
    Some(range) => range,
    None => panic!("one byte from zero is a range"),
};

/// The list has as many ranges as it has places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Up to `N` ranges, in any order until [`Ranges::sort`].
#[derive(Clone)]
pub(crate) struct Ranges<const N: usize> {
    places: [PhysRange; N],
    count: usize,
}

impl<const N: usize> Ranges<N> {
    pub(crate) const fn new() -> Self {
        Self { places: [UNUSED; N], count: 0 }
    }

    pub(crate) fn as_slice(&self) -> &[PhysRange] {
        self.places.get(..self.count).unwrap_or(&[])
    }

    pub(crate) fn push(&mut self, range: PhysRange) -> Result<(), Full> {
        let place = self.places.get_mut(self.count).ok_or(Full)?;
        *place = range;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Puts the ranges into ascending order of their first bytes.
    pub(crate) fn sort(&mut self) {
        if let Some(used) = self.places.get_mut(..self.count) {
            used.sort_unstable();
        }
    }

    /// Replaces each range by what `change` makes of it, and drops those it makes nothing of.
    pub(crate) fn rewrite(&mut self, change: impl Fn(PhysRange) -> Option<PhysRange>) {
        let old_count = core::mem::take(&mut self.count);
        for index in 0..old_count {
            if let Some(changed) = self.places.get(index).copied().and_then(&change) {
                self.push_again(changed);
            }
        }
    }

    /// Makes one range of each group that overlaps or touches. The list must be in order.
    pub(crate) fn merge(&mut self) {
        let old_count = core::mem::take(&mut self.count);
        let mut current: Option<PhysRange> = None;
        for index in 0..old_count {
            let next = self.places.get(index).copied();
            let both = current.zip(next).and_then(|(a, b)| joined(a, b));
            if both.is_none()
                && let Some(done) = current
            {
                self.push_again(done);
            }
            current = both.or(next);
        }
        if let Some(done) = current {
            self.push_again(done);
        }
    }

    /// Pushes one of at most as many ranges as were in the list before: there is room.
    fn push_again(&mut self, range: PhysRange) {
        let pushed = self.push(range);
        debug_assert_eq!(pushed, Ok(()));
    }
}

impl<const N: usize> Default for Ranges<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> PartialEq for Ranges<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<const N: usize> Eq for Ranges<N> {}

impl<const N: usize> fmt::Debug for Ranges<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// One range for two that overlap or touch; `next` doesn't start below `current`.
fn joined(current: PhysRange, next: PhysRange) -> Option<PhysRange> {
    let is_apart = current.last().checked_add(1).is_some_and(|above| above < next.start());
    if is_apart {
        return None;
    }
    PhysRange::inclusive(current.start(), current.last().max(next.last()))
}

/// The whole pages of `page` bytes inside `range`, if there are any.
pub(crate) fn pages_inside(range: PhysRange, page: u64) -> Option<PhysRange> {
    let first = range.start().align_up(page)?;
    let end = match range.last().checked_add(1) {
        Some(end) => end.align_down(page),
        // The range ends with the 64-bit space, where a page ends too.
        None => return PhysRange::inclusive(first, range.last()),
    };
    PhysRange::new(first, end.offset_from(first)?)
}

/// The pages of `page` bytes that `range` touches, up to `highest`, the last byte of a page.
/// `None` where all of the range is above it.
pub(crate) fn pages_touched(range: PhysRange, page: u64, highest: PhysAddr) -> Option<PhysRange> {
    let last = range.last().min(highest);
    let last_of_page = last.align_down(page).checked_add(page.checked_sub(1)?)?;
    PhysRange::inclusive(range.start().align_down(page), last_of_page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, bytes: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), bytes).unwrap()
    }

    fn merged(ranges: &[PhysRange]) -> Ranges<4> {
        let mut list = Ranges::new();
        for range in ranges {
            list.push(*range).unwrap();
        }
        list.sort();
        list.merge();
        list
    }

    #[test]
    fn what_touches_or_overlaps_becomes_one() {
        let list = merged(&[range(8, 8), range(0, 8), range(12, 8), range(21, 1)]);
        assert_eq!(list.as_slice(), [range(0, 20), range(21, 1)]);
        let nested = merged(&[range(0, 100), range(10, 10), range(50, 1)]);
        assert_eq!(nested.as_slice(), [range(0, 100)]);
        let top = merged(&[range(u64::MAX, 1), range(u64::MAX - 9, 10)]);
        assert_eq!(top.as_slice(), [range(u64::MAX - 9, 10)]);
    }

    #[test]
    fn a_full_list_refuses_more() {
        let mut list = Ranges::<1>::new();
        assert_eq!(list.push(range(0, 1)), Ok(()));
        assert_eq!(list.push(range(4, 1)), Err(Full));
        assert_eq!(list.as_slice(), [range(0, 1)]);
    }

    #[test]
    fn pages_are_rounded_inward_and_outward() {
        let highest = PhysAddr::new(0xffff);
        assert_eq!(pages_inside(range(1, 0x1fff), 0x1000), Some(range(0x1000, 0x1000)));
        assert_eq!(pages_inside(range(1, 0x1ffe), 0x1000), None);
        assert_eq!(pages_inside(range(u64::MAX, 1), 0x1000), None);
        let top = range(u64::MAX - 0x1fff, 0x2000);
        assert_eq!(pages_inside(top, 0x1000), Some(top));
        assert_eq!(pages_touched(range(0xfff, 2), 0x1000, highest), Some(range(0, 0x2000)));
        assert_eq!(
            pages_touched(range(0xf001, u64::MAX - 0xf001), 0x1000, highest),
            Some(range(0xf000, 0x1000))
        );
        assert_eq!(pages_touched(range(0x10000, 1), 0x1000, highest), None);
        assert_eq!(pages_touched(range(0, u64::MAX), 0x1000, highest), Some(range(0, 0x10000)));
    }
}
