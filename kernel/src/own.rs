//! The memory that a kernel itself runs on, which nobody may change through its alias.

use blockmap::machine::{PhysAddr, PhysRange};

/// What a kernel runs on: most questions are of other memory, and are answered by one comparison.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    parts: [PhysRange; 3],
    /// The largest stretch of memory that no part lies in; `None` if there is none.
    clear: Option<PhysRange>,
}

impl Own {
    /// These parts, the image first, of memory that is in `banks`.
    #[must_use]
    pub fn new(parts: [PhysRange; 3], banks: &[PhysRange]) -> Self {
        let mut sorted = parts;
        sorted.sort_unstable_by_key(|part| part.start());
        let lowest = banks.iter().map(|bank| bank.start()).min().unwrap_or_default();
        let end = banks.iter().map(|bank| bank.last().wrapping_add(1)).max().unwrap_or_default();
        let mut clear = Stretch { from: lowest, largest: None };
        for part in sorted {
            clear.ends_before(part.start());
            clear.from = clear.from.max(part.last().wrapping_add(1));
        }
        clear.ends_before(end);
        Self { parts, clear: clear.largest }
    }

    /// Where the kernel's image is.
    #[must_use]
    pub const fn image(&self) -> PhysRange {
        let [image, _, _] = self.parts;
        image
    }

    /// Whether the kernel runs on some of `memory`.
    #[inline]
    #[must_use]
    pub fn overlaps(&self, memory: PhysRange) -> bool {
        if self.clear.is_some_and(|clear| clear.covers(memory)) {
            return false;
        }
        self.parts.iter().any(|part| part.overlaps(memory))
    }
}

/// What is clear from `from` on, and the largest that was before.
struct Stretch {
    from: PhysAddr,
    largest: Option<PhysRange>,
}

impl Stretch {
    fn ends_before(&mut self, end: PhysAddr) {
        let bytes = end.offset_from(self.from).unwrap_or(0);
        if self.largest.is_none_or(|largest| largest.bytes() < bytes) {
            self.largest = PhysRange::new(self.from, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, bytes: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), bytes).unwrap()
    }

    #[test]
    fn exactly_what_touches_a_part_overlaps() {
        let banks = [range(0x9000, 0x7000), range(0x1000, 0x6000)];
        let places = [0x1000, 0x2000, 0x4000, 0x7000, 0xd000, 0xf000];
        let parts = places.map(|start| range(start, 0x1000));
        let sizes = [0x1000, 0x2000, 0x3000].map(|bytes| range(0x5000, bytes));
        for one in parts {
            for other in parts {
                for third in sizes {
                    let own = Own::new([one, other, third], &banks);
                    for (start, bytes) in (0..0x18).flat_map(|at| [1, 3, 5].map(|n| (at, n))) {
                        let memory = range(start << 12, bytes << 12);
                        let expected = [one, other, third].iter().any(|own| own.overlaps(memory));
                        assert_eq!(own.overlaps(memory), expected, "{memory} and {own:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_stretch_between_is_clear() {
        let [image, tree, zone] =
            [range(0x4020_0000, 0x10_0000), range(0x4800_0000, 0x1000), range(0x7ff0_0000, 0x1000)];
        let own = Own::new([zone, image, tree], &[range(0x4000_0000, 0x4000_0000)]);
        let clear = own.clear.unwrap();
        assert_eq!((clear.start(), clear.end()), (tree.end(), zone.start()));
    }
}
