//! A TLB of two levels, driven by addresses: it tells how many of them it translates.
//!
//! An entry is of one of the sizes that its level holds: the largest that is not above the leaf's,
//! a contiguous run being one leaf. What is larger is broken into entries of that size, each made
//! when it is asked for. Within a set the least recently used entry goes; the manuals do not say
//! which does.

/// What a level of a core's TLB is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many sets there are: one where every entry may hold any address.
    pub sets: u64,
    /// How many entries a set has.
    pub ways: usize,
    /// The sizes of memory that an entry may stand for, in bytes, ascending.
    pub sizes: &'static [u64],
    /// Whether an entry for a page may also stand for its neighbours.
    pub neighbours: Neighbours,
}

/// What becomes of pages beside each other that say the same of memory beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbours {
    /// Each has its entry.
    Apart,
    /// Four, of which the first is at a multiple of four, share one.
    FourShare,
}

/// A core's TLBs for loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    /// Its name.
    pub name: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// The level that is asked first.
    pub first: Shape,
    /// The level that is asked when the first has nothing.
    pub second: Shape,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The cores whose reach is asked for.
pub const CORES: [Core; 2] = [
    Core {
        name: "Cortex-A76",
        source: "Arm Cortex-A76 Core Technical Reference Manual, *TLB organization* and *L2 TLB \
                 format* (coalesced entries)",
        first: Shape {
            sets: 1,
            ways: 48,
            sizes: &[4 * KIB, 16 * KIB, 64 * KIB, 2 * MIB, 512 * MIB],
            neighbours: Neighbours::Apart,
        },
        second: Shape {
            sets: 256,
            ways: 5,
            sizes: &[4 * KIB, 16 * KIB, 64 * KIB, 2 * MIB, 32 * MIB, 512 * MIB, GIB],
            neighbours: Neighbours::FourShare,
        },
    },
    Core {
        name: "Cortex-A72",
        source: "Arm Cortex-A72 MPCore Processor Technical Reference Manual, *L1 data TLB* and \
                 *L2 TLB*",
        first: Shape {
            sets: 1,
            ways: 32,
            sizes: &[4 * KIB, 64 * KIB, MIB],
            neighbours: Neighbours::Apart,
        },
        second: Shape {
            sets: 256,
            ways: 4,
            sizes: &[4 * KIB, 64 * KIB, MIB, 2 * MIB, 16 * MIB, 512 * MIB, GIB],
            neighbours: Neighbours::Apart,
        },
    },
];

/// The leaf that translates an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// How much it translates, with all of its contiguous run.
    pub bytes: u64,
    /// Whether the three other pages of its four are pages that say the same.
    pub four_alike: bool,
}

/// Where an address was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// In the first level.
    First,
    /// In the second level only.
    Second,
    /// Nowhere: it took a walk.
    Walk,
}

/// The memory that an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag {
    number: u64,
    bytes: u64,
}

/// One level and what it holds: of each set the most recently used first.
#[derive(Clone, Debug)]
struct Level {
    shape: Shape,
    sets: Vec<Vec<Tag>>,
}

/// A core's TLBs, and what they hold.
#[derive(Clone, Debug)]
pub struct Tlb {
    first: Level,
    second: Level,
}

impl Level {
    fn new(shape: Shape) -> Self {
        let sets = (0..shape.sets).map(|_| Vec::with_capacity(shape.ways)).collect();
        Self { shape, sets }
    }

    /// What an entry for `address` stands for when it is made of `leaf`.
    fn tag(&self, address: u64, leaf: Leaf) -> Tag {
        let page = self.shape.sizes.first().copied().unwrap_or(4 * KIB);
        let fits = self.shape.sizes.iter().rev().find(|size| **size <= leaf.bytes);
        let bytes = match (fits.copied().unwrap_or(page), self.shape.neighbours) {
            (bytes, Neighbours::FourShare) if bytes == page && leaf.four_alike => 4 * page,
            (bytes, Neighbours::FourShare | Neighbours::Apart) => bytes,
        };
        Tag { number: address / bytes, bytes }
    }

    /// Whether there is an entry like `tag`; there is one now, the most recently used.
    fn take(&mut self, tag: Tag) -> bool {
        let set = usize::try_from(tag.number % self.shape.sets).unwrap_or(0);
        let Some(set) = self.sets.get_mut(set) else { return false };
        let held = set.iter().position(|entry| *entry == tag);
        match held {
            Some(place) => {
                set.remove(place);
            }
            None => set.truncate(self.shape.ways - 1),
        }
        set.insert(0, tag);
        held.is_some()
    }
}

impl Tlb {
    /// The TLBs of `core`, empty.
    #[must_use]
    pub fn new(core: Core) -> Self {
        Self { first: Level::new(core.first), second: Level::new(core.second) }
    }

    /// Translates `address`, which `leaf` does in the tables.
    pub fn access(&mut self, address: u64, leaf: Leaf) -> Found {
        let first = self.first.tag(address, leaf);
        if self.first.take(first) {
            return Found::First;
        }
        let second = self.second.tag(address, leaf);
        if self.second.take(second) { Found::Second } else { Found::Walk }
    }
}

#[cfg(test)]
mod tests;
