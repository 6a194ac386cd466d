//! `vmap`, `vunmap`, `setmem`, `areas`: memory in areas of its own.

use blockmap::vmsa::Leaves;
use blockmap_kernel::areas::{Area, Stage};
use blockmap_kernel::frames::FRAME_BYTES;

use super::Monitor;
use crate::console::println;

impl Monitor<'_> {
    pub(super) fn vmap(&self, pages: u64, leaves: Leaves) {
        let bytes = pages.saturating_mul(FRAME_BYTES);
        match self.counted(|| self.system.vmap(bytes, leaves)) {
            Ok(area) => println!("{area}"),
            Err(error) => println!("refused: {error}"),
        }
    }

    /// A line for each area.
    pub(super) fn areas(&self) {
        let mut number = 0;
        // What is printed is printed without the lock: the console may wait for somebody.
        while let Some(Area { range, stage }) = self.system.area(number) {
            let says = match stage {
                Stage::Taken => "its owner's",
                Stage::Settled => "mapped",
                Stage::Retired => "freed, waits for a purge",
            };
            println!("{range}: {says}");
            number += 1;
        }
        println!("{number} areas");
    }
}
