//! The walk of an address in the report of an exception: no lock is taken, and no table read that
//! the CPU can't read.

use core::sync::atomic::{AtomicU64, Ordering};

use blockmap::dump::{ReadTable, Tree};
use blockmap::machine::{PhysAddr, VirtAddr};
use blockmap::vmsa::{Geometry, Mair};
use blockmap_hw::{Translated, Window, translate};
use thiserror::Error;

use crate::arch::report;
use crate::console::println;

static ROOT: AtomicU64 = AtomicU64::new(0);
static OFFSET: AtomicU64 = AtomicU64::new(0);

/// Has reports walk the tree under `root`, whose tables the linear map shows `offset` above their
/// memory.
pub(super) fn install(root: PhysAddr, offset: u64) {
    ROOT.store(root.value(), Ordering::Relaxed);
    OFFSET.store(offset, Ordering::Relaxed);
    report::set_walk_hook(print_walk);
}

fn print_walk(address: VirtAddr) {
    let tables = Guarded { window: Window::Linear { offset: OFFSET.load(Ordering::Relaxed) } };
    let root = PhysAddr::new(ROOT.load(Ordering::Relaxed));
    let tree = Tree::new(Geometry::KERNEL_4K_48, root, &tables);
    println!("{}", tree.walk(address).described(Mair::KERNEL));
}

/// Tables in the linear map, each word of which is read only if the CPU can.
struct Guarded {
    window: Window,
}

/// A table that can't be read.
#[derive(Debug, Error)]
#[error("this CPU can't read the table")]
struct Unreadable;

impl ReadTable for Guarded {
    type Error = Unreadable;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Unreadable> {
        let start = self.window.address(table).wrapping_add(u64::from(first) * 8);
        for (index, word) in (0..).zip(words) {
            let address = start.wrapping_add(index * 8);
            let Translated::To(_) = translate(address) else { return Err(Unreadable) };
            let number = usize::try_from(address.value()).map_err(|_| Unreadable)?;
            let pointer = core::ptr::with_exposed_provenance::<u64>(number);
            // SAFETY: the CPU has just translated the address for a load; entries are aligned.
            *word = unsafe { pointer.read_volatile() };
        }
        Ok(())
    }
}
