//! One value for each lookup level.

use blockmap_vmsa::Level;

/// One value for each lookup level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct PerLevel<T>([T; 5]);

impl<T: Copy> PerLevel<T> {
    pub(crate) const fn at(&self, level: Level) -> T {
        let [minus1, l0, l1, l2, l3] = self.0;
        match level {
            Level::Minus1 => minus1,
            Level::L0 => l0,
            Level::L1 => l1,
            Level::L2 => l2,
            Level::L3 => l3,
        }
    }

    pub(crate) const fn at_mut(&mut self, level: Level) -> &mut T {
        let [minus1, l0, l1, l2, l3] = &mut self.0;
        match level {
            Level::Minus1 => minus1,
            Level::L0 => l0,
            Level::L1 => l1,
            Level::L2 => l2,
            Level::L3 => l3,
        }
    }
}
