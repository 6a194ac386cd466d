//! Names of memory types, as Linux's dump writes them.

use core::fmt;

/// The name of one attribute of `MAIR_ELx`: Linux's word where it has one, else the byte.
///
/// Source: "MAIR_EL1, Memory Attribute Indirection Register".
#[derive(Clone, Copy)]
pub(crate) struct MemoryName(u8);

impl MemoryName {
    /// The name of what a leaf with `word` selects in the register value `mair`.
    pub(crate) const fn selected(mair: u64, word: u64) -> Self {
        let index = word >> 2 & 0b111;
        let [byte, ..] = (mair >> (8 * index)).to_le_bytes();
        Self(byte)
    }
}

impl fmt::Display for MemoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0x00 => "DEVICE/nGnRnE",
            0x04 => "DEVICE/nGnRE",
            0x08 => "DEVICE/nGRE",
            0x0c => "DEVICE/GRE",
            0x44 => "MEM/NORMAL-NC",
            0xbb => "MEM/NORMAL-WT",
            0xf0 => "MEM/NORMAL-TAGGED",
            0xff => "MEM/NORMAL",
            other => return write!(f, "MAIR/{other:#04x}"),
        })
    }
}
