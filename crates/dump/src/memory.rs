//! Names of memory types, as Linux's dump writes them.

use core::fmt;

use blockmap_vmsa::mair::{Allocate, Caching, Device, MemoryType};

/// Write-through in every cache, allocated by loads and stores.
const WRITE_THROUGH: MemoryType = MemoryType::Normal {
    outer: Caching::WriteThrough(Allocate::Always),
    inner: Caching::WriteThrough(Allocate::Always),
};

/// The name of a memory type: Linux's word where it has one, else its byte of `MAIR_ELx`.
#[derive(Clone, Copy)]
pub(crate) struct MemoryName(pub(crate) MemoryType);

impl fmt::Display for MemoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            MemoryType::Device(Device::NGnRnE) => "DEVICE/nGnRnE",
            MemoryType::Device(Device::NGnRE) => "DEVICE/nGnRE",
            MemoryType::Device(Device::NGRE) => "DEVICE/nGRE",
            MemoryType::Device(Device::GRE) => "DEVICE/GRE",
            MemoryType::NON_CACHEABLE => "MEM/NORMAL-NC",
            WRITE_THROUGH => "MEM/NORMAL-WT",
            MemoryType::NormalTagged => "MEM/NORMAL-TAGGED",
            MemoryType::WRITE_BACK => "MEM/NORMAL",
            MemoryType::Normal { .. }
            | MemoryType::DeviceNoXs(_)
            | MemoryType::NonCacheableNoXs
            | MemoryType::WriteThroughNoXs
            | MemoryType::Reserved(_) => return write!(f, "MAIR/{:#04x}", self.0.byte()),
        })
    }
}
