//! `vmap`, `vunmap`, `setmem`, `areas`: memory in areas of its own.

use blockmap::vmsa::Leaves;
use blockmap_kernel::areas::{Area, Stage};
use blockmap_kernel::frames::FRAME_BYTES;

use blockmap::Unflushed;
use blockmap::machine::VirtRange;
use blockmap_kernel::monitor::Direct;

use super::{Monitor, say};
use crate::console::println;
use crate::lock::Lock;

/// Parts of the linear map that TLBs are told of by `purge`.
static LATER: Lock<[Option<Unflushed>; 8]> = Lock::new([const { None }; 8]);

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

    /// Changes a part of the linear map, and says whether its first page is there.
    pub(super) fn direct(&self, what: Direct, part: VirtRange) {
        let system = self.system;
        say(self.counted(|| match what {
            Direct::Invalid => system.direct_map_invalid(part),
            Direct::Default => system.direct_map_default(part),
            Direct::Valid => system.direct_map_valid(part),
            Direct::Later => {
                if LATER.lock().iter().all(Option::is_some) {
                    self.flush();
                }
                let unflushed = system.direct_map_unflushed(part)?;
                if let Some(place) = LATER.lock().iter_mut().find(|place| place.is_none()) {
                    *place = Some(unflushed);
                }
                Ok(())
            }
        }));
        let is_there = if system.is_present(part.start()) { "present" } else { "not present" };
        println!("{}: {is_there}", part.start());
    }

    /// Tells TLBs what waits: parts of the linear map, and areas that were freed.
    pub(super) fn purge(&self) {
        let areas = self.counted(|| {
            self.flush();
            self.system.purge()
        });
        println!("{areas} areas");
    }

    fn flush(&self) {
        let mut later = core::mem::replace(&mut *LATER.lock(), [const { None }; 8]);
        if later.iter().any(Option::is_some) {
            self.system.direct_map_flush(&mut later);
        }
    }
}
