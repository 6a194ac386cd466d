//! The engine on its platform for hosts, to be counted.

use std::cell::Cell;

use blockmap::dump::Mapped;
use blockmap::host::{Host, MAY_PARK};
use blockmap::machine::{Event, PhysAddr, VirtAddr, VirtRange};
use blockmap::vmsa::{Access, Attributes, Change, Leaves, MemoryIndex, Shareability, bits};
use blockmap::{Collapsed, Mapping, Space};

use crate::platform::Known;
use crate::subject::{Part, Refused, Subject, Tree};

/// Where memory starts, and where it appears.
const MEMORY: PhysAddr = PhysAddr::new(1 << 40);
const LINEAR: VirtAddr = VirtAddr::new(0xffff_0000_0000_0000);

/// The engine.
#[derive(Debug)]
pub struct Engine;

/// A tree of the engine's.
#[derive(Debug)]
pub struct EngineTree<'m> {
    space: Space<'m, Known<'m>>,
}

impl Subject for Engine {
    const NAME: &'static str = "blockmap";
    type Tree<'m> = EngineTree<'m>;

    fn with_tree<R>(tables: usize, work: impl FnOnce(&mut EngineTree<'_>) -> R) -> R {
        let geometry = Known::GEOMETRY;
        let words = vec![Cell::new(0); tables * usize::from(geometry.granule().entries())];
        let ignore = |_: &Event| ();
        let host = Host::new(geometry, &words, &ignore);
        let root = host.new_root().unwrap_or(Host::BASE);
        let host = Known::new(host);
        work(&mut EngineTree { space: Space::new(&host, root) })
    }
}

/// Where a part of memory appears.
///
/// # Errors
/// The part is empty, or ends beyond all addresses.
pub fn range(part: Part) -> Result<VirtRange, Refused> {
    let range = VirtRange::new(LINEAR.wrapping_add(part.first), part.bytes);
    range.ok_or_else(|| Refused(format!("{part:?} is no range")))
}

impl<'m> EngineTree<'m> {
    /// The space.
    #[must_use]
    pub const fn space(&self) -> &Space<'m, Known<'m>> {
        &self.space
    }

    /// How many tables there are.
    #[must_use]
    pub fn tables(&self) -> u32 {
        self.space.platform().host().tables_in_use()
    }

    /// Makes memory read-write again.
    ///
    /// # Errors
    /// Why it did not.
    pub fn read_write(&mut self, part: Part) -> Result<(), Refused> {
        self.protect(part, Change::ReadWrite)
    }

    /// Makes all leaves as large as they can be.
    ///
    /// # Errors
    /// Why it did not.
    pub fn fold(&mut self, part: Part) -> Result<Collapsed, Refused> {
        self.space.collapse(range(part)?, &MAY_PARK).map_err(|why| Refused(why.to_string()))
    }

    /// Makes pages of all leaves.
    ///
    /// # Errors
    /// Why it did not.
    pub fn repaint(&mut self, part: Part) -> Result<(), Refused> {
        let done = self.space.repaint(range(part)?, &[], &MAY_PARK);
        done.map_err(|why| Refused(why.to_string()))
    }

    fn protect(&mut self, part: Part, change: Change) -> Result<(), Refused> {
        let done = self.space.protect(range(part)?, change, &MAY_PARK);
        done.map_err(|why| Refused(why.to_string()))
    }
}

impl Tree for EngineTree<'_> {
    fn map(&mut self, part: Part, leaves: Leaves) -> Result<(), Refused> {
        let memory = MemoryIndex::new(0).ok_or_else(|| Refused("no memory type".to_owned()))?;
        let mapping = Mapping {
            range: range(part)?,
            output: MEMORY.wrapping_add(part.first),
            attributes: Attributes {
                memory,
                shareability: Shareability::Inner,
                access: Access::ReadWrite,
            },
            leaves,
        };
        self.space.map(mapping).map_err(|why| Refused(why.to_string()))
    }

    fn read_only(&mut self, part: Part) -> Result<(), Refused> {
        self.protect(part, Change::ReadOnly)
    }

    #[expect(clippy::inline_always, reason = "as those of other libraries are")]
    #[inline(always)]
    fn translate(&self, offset: u64) -> Option<u64> {
        let output = self.space.translate(LINEAR.wrapping_add(offset))?;
        Some(output.value().wrapping_sub(MEMORY.value()))
    }

    fn is_writable(&self, offset: u64) -> bool {
        let reader = self.space.reader();
        let tree = blockmap::dump::Tree::new(Known::GEOMETRY, self.space.root(), &reader);
        let walk = tree.walk(LINEAR.wrapping_add(offset));
        let leaf = walk.output().and(walk.last());
        leaf.is_some_and(|leaf| leaf.word & bits::READ_ONLY == 0)
    }

    fn mapped_bytes(&self) -> u64 {
        let reader = self.space.reader();
        let tree = blockmap::dump::Tree::new(Known::GEOMETRY, self.space.root(), &reader);
        let leaves = tree.runs().filter(|run| run.mapped().is_some_and(Mapped::is_valid));
        leaves.map(|run| run.range.bytes()).sum()
    }
}
