//! What Linux calls its code and data: the symbols that its image has in memory (kallsyms).

mod tables;

use std::fmt;

use blockmap_vmsa::machine::{PhysAddr, VirtAddr};
use thiserror::Error;

use super::VmCoreInfo;
use crate::{PhysicalMemory, ReadError};
use tables::{Names, Tables};

/// Names without a meaning to people that are passed over at most, on the way to one with.
const MOST_PASSED: usize = 4096;

/// Why there are no symbols.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SymbolsError {
    /// The kernel does not say where its symbols are.
    #[error(
        "VMCOREINFO has no {0}: Linux says where its symbols are from 6.0 on, with CONFIG_KALLSYMS"
    )]
    Unsaid(&'static str),
    /// The source does not have them.
    #[error("they are not in the source: {0}; a snapshot has them if it was made with --symbols")]
    Unreadable(#[from] ReadError),
    /// What is there is something else.
    #[error("what stands in their place are no symbols: {0}")]
    Broken(&'static str),
}

/// The symbols of a kernel's image; none of modules.
///
/// They are Linux's, which sorts them by their addresses.
#[derive(Clone, Debug)]
pub struct Symbols {
    tables: Tables,
    /// In ascending order.
    addresses: Vec<u64>,
    names: Names,
    /// The image's input over its output addresses.
    offset: u64,
}

/// A place in a kernel's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The symbol that the place belongs to: the last one at or before it.
    pub name: String,
    /// How many bytes behind that it is.
    pub offset: u64,
}

/// `name`, or `name+0x10`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            0 => f.write_str(&self.name),
            offset => write!(f, "{}+{offset:#x}", self.name),
        }
    }
}

impl Symbols {
    /// Reads the symbols of the kernel that wrote down `linux`.
    pub(crate) fn read(
        memory: &dyn PhysicalMemory,
        linux: &VmCoreInfo,
    ) -> Result<Self, SymbolsError> {
        let tables = Tables::read(memory, linux)?;
        let addresses = tables.addresses();
        if !addresses.is_sorted() {
            return Err(SymbolsError::Broken("their addresses are in no order"));
        }
        let names = tables.names()?;
        let offset = linux.number("kimage_voffset");
        let offset = offset.ok_or(SymbolsError::Unsaid("NUMBER(kimage_voffset)"))?;
        Ok(Self { tables, addresses, names, offset })
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.addresses.len()
    }

    /// What the image has at `address`; nothing where that is outside of it.
    ///
    /// Of several names for one address it is that of a global symbol if there is one, and never
    /// one that only marks where code and data begin (`$x`).
    #[must_use]
    pub fn at(&self, address: VirtAddr) -> Option<Place> {
        let after = self.addresses.partition_point(|start| *start <= address.value());
        // The last symbol is the image's end.
        let known = self.addresses.get(..after).filter(|known| known.len() < self.count())?;
        let mut best: Option<(u8, String, u64)> = None;
        for (index, start) in known.iter().enumerate().rev().take(MOST_PASSED) {
            if best.as_ref().is_some_and(|(_, _, found)| found != start) {
                break;
            }
            let (kind, name) = self.name(index);
            let Some(rank) = rank(kind, &name) else { continue };
            // The kernel's own search takes the first of those that are alike.
            if best.as_ref().is_none_or(|(known, _, _)| rank >= *known) {
                best = Some((rank, name, *start));
            }
        }
        let (_, name, start) = best?;
        Some(Place { name, offset: address.value() - start })
    }

    /// What the image has in memory at `output`, by whatever address it is reached.
    #[must_use]
    pub fn in_memory(&self, output: PhysAddr) -> Option<Place> {
        self.at(VirtAddr::new(output.value().wrapping_add(self.offset)))
    }

    /// Where the first symbol is that has this name or, as compilers do for what is local to a
    /// function, the name with a full stop and a number.
    pub(crate) fn find(&self, name: &str) -> Option<VirtAddr> {
        let is_it = |index: &usize| self.tables.spells(&self.names, *index, name);
        let index = (0..self.count()).find(is_it)?;
        self.addresses.get(index).copied().map(VirtAddr::new)
    }

    /// Where an address of the image is in memory.
    pub(crate) const fn image_address(&self, address: VirtAddr) -> PhysAddr {
        PhysAddr::new(address.value().wrapping_sub(self.offset))
    }

    /// The memory that the symbols were read from.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = (PhysAddr, &[u8])> {
        self.tables.stretches()
    }

    /// The letter of a symbol's kind, and its name.
    fn name(&self, index: usize) -> (char, String) {
        self.tables.name(&self.names, index)
    }
}

/// How good a name is for people; none for a mark.
fn rank(kind: char, name: &str) -> Option<u8> {
    let is_second = name.starts_with("__pi_");
    match (name.is_empty() || name.starts_with('$'), kind.is_ascii_uppercase()) {
        (true, _) => None,
        (false, false) => Some(u8::from(!is_second)),
        (false, true) => Some(2 + u8::from(!is_second)),
    }
}

#[cfg(test)]
mod tests;
