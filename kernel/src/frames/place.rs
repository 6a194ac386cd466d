//! Finding room in memory before there is an allocator: for the allocator's own states, at least.

use blockmap::machine::PhysRange;

/// The first `bytes` bytes at a multiple of `alignment` (a power of two) in one of the `free`
/// ranges; `None` when there is no such room.
#[must_use]
pub fn place(
    (bytes, alignment): (u64, u64),
    mut free: impl Iterator<Item = PhysRange>,
) -> Option<PhysRange> {
    alignment.is_power_of_two().then_some(())?;
    free.find_map(|range| {
        let room = PhysRange::new(range.start().align_up(alignment)?, bytes)?;
        range.covers(room).then_some(room)
    })
}

#[cfg(test)]
mod tests {
    use blockmap::machine::PhysAddr;

    use super::*;

    fn range(start: u64, bytes: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), bytes).unwrap()
    }

    #[test]
    fn room_is_the_first_that_fits_at_the_alignment() {
        let free = [range(0x4000_1234, 0x2000), range(0x4010_0000, 0x10_0000)];
        let place = |bytes, alignment| place((bytes, alignment), free.into_iter());
        assert_eq!(place(0x1000, 0x1000), Some(range(0x4000_2000, 0x1000)));
        assert_eq!(place(0x2000, 0x1000), Some(range(0x4010_0000, 0x2000)));
        assert_eq!(place(0x1000, 0x8_0000), Some(range(0x4010_0000, 0x1000)));
        assert_eq!(place(0x10_0001, 1), None);
        assert_eq!(place(0, 0x1000), None);
        assert_eq!(place(0x1000, 3), None);
    }
}
