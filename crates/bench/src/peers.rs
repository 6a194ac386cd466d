//! Other libraries for the same tables. None of them invalidates or waits for anything here: what is
//! counted of them is the tables alone, while the engine plans, reserves and reports effects too.

mod aarch64_paging;
mod frames;
pub mod generic;
pub mod multiarch;

pub use aarch64_paging::AarchPaging;
pub use generic::Generic;
pub use multiarch::Multiarch;

/// Where memory starts, and, moved by [`LINEAR`], where it appears.
const MEMORY: u64 = 1 << 40;
const LINEAR: u64 = 0xffff_0000_0000_0000;

/// A number as these libraries take addresses; they and this program are of 64 bits.
fn word(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A number as this program takes addresses.
fn number(word: usize) -> u64 {
    u64::try_from(word).unwrap_or(u64::MAX)
}

/// Bits of descriptors, for the two libraries that have none for this machine to run on.
mod bits {
    pub(super) const VALID: u64 = 1;
    pub(super) const TABLE_OR_PAGE: u64 = 1 << 1;
    pub(super) const READ_ONLY: u64 = 1 << 7;
    pub(super) const INNER_SHAREABLE: u64 = 0b11 << 8;
    pub(super) const ACCESSED: u64 = 1 << 10;
    pub(super) const NEVER_EXECUTE: u64 = 0b11 << 53;
    pub(super) const OUTPUT: u64 = 0x0000_ffff_ffff_f000;
    pub(super) const DATA: u64 = VALID | INNER_SHAREABLE | ACCESSED | NEVER_EXECUTE;
}
