//! Reading a live tree: for dumps and walks.

use core::convert::Infallible;

use blockmap_dump::ReadTable;
use blockmap_machine::{Entry, Machine, PhysAddr};

use crate::{Phase, Platform};

/// Reads the tables of a platform: holding one tells that no table is freed meanwhile.
///
/// It takes no lock: entries are read one by one as they are at that moment.
#[derive(Debug)]
pub struct Reader<'p, P: Platform> {
    platform: &'p P,
    phase: Phase,
}

impl<'p, P: Platform> Reader<'p, P> {
    pub(crate) fn new(platform: &'p P) -> Self {
        Self { platform, phase: platform.enter_reader() }
    }

    /// The entry's value now.
    #[must_use]
    pub fn load(&self, table: PhysAddr, index: u16) -> u64 {
        self.platform.machine().load(Entry { table, index })
    }
}

impl<P: Platform> Drop for Reader<'_, P> {
    fn drop(&mut self) {
        self.platform.leave_reader(self.phase);
    }
}

impl<P: Platform> ReadTable for Reader<'_, P> {
    type Error = Infallible;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Infallible> {
        self.platform.machine().read(Entry { table, index: first }, words);
        Ok(())
    }
}
