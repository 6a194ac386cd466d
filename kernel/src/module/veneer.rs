//! Veneers: a way to functions of the kernel that are too far away for a branch.
//!
//! A branch reaches 128 MiB, and the kernel may be up to 4 GiB away. Behind the module's code there
//! is room for one veneer for each function that it calls: `adrp x16`, `add x16`, `br x16`, which
//! the procedure call standard lets a branch go through.

use blockmap::machine::VirtAddr;

use super::relocate::{Kind, Place};
use super::{ModuleError, RelocationFault};

/// The most functions of the kernel that a module calls.
pub const MOST_IMPORTS: usize = 64;

/// Bytes of a veneer.
const BYTES: u64 = 12;

/// `adrp x16, 0`, `add x16, x16, #0`, `br x16`.
const CODE: [u32; 3] = [0x9000_0010, 0x9100_0210, 0xd61f_0200];

/// The functions of the kernel that a module calls, each once, by their symbols' numbers.
#[derive(Debug)]
pub(super) struct Imports {
    symbols: [u32; MOST_IMPORTS],
    count: usize,
}

impl Imports {
    /// None.
    pub(super) const fn none() -> Self {
        Self { symbols: [0; MOST_IMPORTS], count: 0 }
    }

    /// Adds a function, if it isn't there.
    pub(super) fn add(&mut self, symbol: u32) -> Result<(), ModuleError<'static>> {
        if self.offset(symbol).is_none() {
            *self.symbols.get_mut(self.count).ok_or(ModuleError::TooManyImports)? = symbol;
            self.count += 1;
        }
        Ok(())
    }

    /// Bytes of veneers for all of them.
    pub(super) fn bytes(&self) -> u64 {
        BYTES * u64::try_from(self.count).unwrap_or(0)
    }

    /// How far behind the first veneer that of a function is.
    pub(super) fn offset(&self, symbol: u32) -> Option<u64> {
        let known = self.symbols.iter().take(self.count);
        (0..).zip(known).find(|(_, one)| **one == symbol).map(|(index, _)| index * BYTES)
    }
}

/// Writes a veneer to `target`.
pub(super) fn write(
    target: VirtAddr,
    place: Place,
    memory: &mut [u8],
) -> Result<(), RelocationFault> {
    for (index, word) in (0..).zip(CODE) {
        Place { at: place.at + 4 * index, ..place }.set(word, memory)?;
    }
    let low = Place { at: place.at + 4, ..place };
    Kind::Page.apply(target.value(), place, memory)?;
    Kind::Low12(0).apply(target.value(), low, memory)
}
