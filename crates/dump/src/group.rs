//! Whether leaves with the contiguous bit form the runs that they claim to.

use blockmap_vmsa::{
    LeafSize, bits,
    machine::{PhysAddr, VirtAddr, VirtRange},
};

use crate::{Mapped, per_level::PerLevel};

/// What was found among the leaves with the contiguous bit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GroupCount {
    /// Groups that are what they claim, and valid.
    pub(crate) sound: PerLevel<u64>,
    /// Groups that are not what they claim.
    pub(crate) misprogrammed: u64,
}

/// A group of which some leaves were seen.
#[derive(Clone, Copy, Debug)]
struct Group {
    size: LeafSize,
    start: VirtAddr,
    /// Where the group leads, if all its leaves are like the first that was seen.
    output: Option<PhysAddr>,
    meaning: u64,
    seen_bytes: u64,
    is_uniform: bool,
}

/// Puts groups together from the leaves, which come in the order of their addresses.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    open: Option<Group>,
    count: GroupCount,
}

impl Groups {
    /// Adds the leaves at `range`, which say the same, with or without the contiguous bit. `size`
    /// is that of a contiguous run at their level.
    pub(crate) fn add(&mut self, size: Option<LeafSize>, range: VirtRange, mapped: Mapped) {
        if !mapped.is_contiguous() {
            return;
        }
        let Some(size) = size else {
            // Where there are no runs, the bit makes a promise that nothing can keep.
            self.count.misprogrammed += 1;
            return;
        };
        let (mut start, mut left, mut output) = (range.start(), range.bytes(), mapped.output);
        while left > 0 {
            let into_group = start.value() % size.bytes();
            let whole = left - left % size.bytes();
            let bytes = if into_group == 0 && whole > 0 {
                self.close();
                if output.is_aligned(size.bytes()) {
                    self.add_sound(size, mapped.meaning, whole / size.bytes());
                } else {
                    self.count.misprogrammed += whole / size.bytes();
                }
                whole
            } else {
                let bytes = left.min(size.bytes() - into_group);
                self.add_part(size, (start, bytes), Mapped { output, ..mapped });
                bytes
            };
            left -= bytes;
            start = start.wrapping_add(bytes);
            output = output.wrapping_add(bytes);
        }
    }

    /// What was found among all that was added.
    pub(crate) fn finish(mut self) -> GroupCount {
        self.close();
        self.count
    }

    /// Adds leaves of one group, but not the whole group.
    fn add_part(&mut self, size: LeafSize, (start, bytes): (VirtAddr, u64), mapped: Mapped) {
        let base = start.align_down(size.bytes());
        let into_group = start.value() % size.bytes();
        let output = mapped.output.checked_sub(into_group);
        let is_same = |open: &Group| open.size == size && open.start == base;
        if !self.open.as_ref().is_some_and(is_same) {
            self.close();
        }
        let group = self.open.get_or_insert(Group {
            size,
            start: base,
            output,
            meaning: mapped.meaning,
            seen_bytes: 0,
            is_uniform: true,
        });
        group.is_uniform &=
            group.output == output && settled(group.meaning) == settled(mapped.meaning);
        group.seen_bytes += bytes;
    }

    /// Counts the group at hand, of which no more leaves will come.
    fn close(&mut self) {
        let Some(group) = self.open.take() else {
            return;
        };
        let is_aligned = |output: PhysAddr| output.is_aligned(group.size.bytes());
        let is_sound = group.is_uniform
            && group.seen_bytes == group.size.bytes()
            && group.output.is_some_and(is_aligned);
        if is_sound {
            self.add_sound(group.size, group.meaning, 1);
        } else {
            self.count.misprogrammed += 1;
        }
    }

    /// Counts groups that are what they claim. Invalid ones are nobody's run: no TLB holds them.
    fn add_sound(&mut self, size: LeafSize, meaning: u64, groups: u64) {
        if meaning & bits::VALID != 0 {
            *self.count.sound.at_mut(size.level) += groups;
        }
    }
}

/// What has to be equal in all leaves of a group: hardware sets the access flag and, where the
/// dirty bit modifier allows it, clears AP\[2\], in whichever leaf it comes through.
const fn settled(meaning: u64) -> u64 {
    let by_hardware = if meaning & bits::DIRTY_MODIFIER == 0 {
        bits::ACCESSED
    } else {
        bits::ACCESSED | bits::READ_ONLY
    };
    meaning & !by_hardware
}
