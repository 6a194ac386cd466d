//! What memory is for, and what the linear map's leaves grant for that.

use blockmap_vmsa::cpu::Mte;
use blockmap_vmsa::{Access, Attributes, Mair, MemoryIndex, Shareability};

use crate::rodata::Rodata;

/// What memory in the linear map is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Memory to hand out, or reserved by firmware.
    Ram,
    /// The alias of the kernel image's text and rodata.
    ImageReadOnly,
    /// The alias of the rest of the kernel image.
    ImageData,
}

/// What the linear map's leaves grant, besides what each piece of memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    /// Whether the alias of the image's text and rodata is read-only.
    pub rodata: Rodata,
    /// The type of memory that is written through this map: Normal-Tagged where the CPU has MTE.
    pub writable: MemoryIndex,
    /// The type of memory that is not, and has no tags: Normal.
    pub read_only: MemoryIndex,
}

impl Paint {
    /// What a kernel's linear map grants with the memory types of [`Mair::for_kernel`].
    ///
    /// The two types are both write-back in all caches, so that an alias of either type is coherent
    /// with one of the other.
    #[must_use]
    pub const fn of_kernel(rodata: Rodata, mte: Mte) -> Self {
        Self { rodata, writable: Mair::ram(mte), read_only: Mair::NORMAL }
    }

    /// What a leaf for `purpose` grants. Nothing in the linear map is executable.
    #[must_use]
    pub const fn attributes(self, purpose: Purpose) -> Attributes {
        let (memory, access) = match (purpose, self.rodata) {
            (Purpose::ImageReadOnly, Rodata::On) => (self.read_only, Access::ReadOnly),
            (Purpose::ImageReadOnly, Rodata::NoAlias | Rodata::Off)
            | (Purpose::Ram | Purpose::ImageData, _) => (self.writable, Access::ReadWrite),
        };
        Attributes { memory, shareability: Shareability::Inner, access }
    }
}
