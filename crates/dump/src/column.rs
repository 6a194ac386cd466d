//! The attribute columns of Linux's dump, and its names of levels.

use core::fmt;

use blockmap_vmsa::{Geometry, Level, Mair, MemoryIndex, bits};

use crate::memory::MemoryName;

/// Linux's name of the tables at `level`: the root is the PGD wherever it is, and levels that the
/// geometry doesn't have are not named.
#[must_use]
#[doc(alias = "pg_level")]
pub fn level_name(geometry: Geometry, level: Level) -> &'static str {
    if level == geometry.root_level() {
        return "PGD";
    }
    match level {
        Level::Minus1 => "PGD",
        Level::L0 => "P4D",
        Level::L1 => "PUD",
        Level::L2 => "PMD",
        Level::L3 => "PTE",
    }
}

/// A column: what is printed when the bits under `mask` are `value`, and when they are not.
struct Column {
    mask: u64,
    value: u64,
    set: &'static str,
    clear: &'static str,
}

const fn column(mask: u64, value: u64, set: &'static str, clear: &'static str) -> Column {
    Column { mask, value, set, clear }
}

/// The bits of a memory index.
const MEMORY: u64 = 0b111 << 2;

/// SH. With LPA2 the bits are the address's, of which a leaf's meaning has nothing.
const SHAREABILITY: u64 = 0b11 << 8;

/// The columns before the memory type, from the left.
///
/// A column that `geometry` has no bit for has an empty mask and a value that never compares
/// equal, so that it stays blank: with LPA2, bits 9:8 are the address's and shareability is the
/// TCR's; with a single exception level there is no EL0 access, and one execute-never bit.
const fn columns(geometry: Geometry) -> [Column; 11] {
    let has_unprivileged = geometry.regime().has_unprivileged();
    let never = bits::privileged_execute_never(geometry.regime());
    let user = if has_unprivileged { bits::UNPRIVILEGED } else { 0 };
    let user_never = if has_unprivileged { bits::UXN } else { 0 };
    [
        column(bits::VALID, 0, "F", " "),
        column(user, bits::UNPRIVILEGED, "USR", "   "),
        column(bits::READ_ONLY, bits::READ_ONLY, "ro", "RW"),
        column(never, never, "NX", "x "),
        column(SHAREABILITY, SHAREABILITY, "SHD", "   "),
        column(bits::ACCESSED, bits::ACCESSED, "AF", "  "),
        column(bits::NOT_GLOBAL, bits::NOT_GLOBAL, "NG", "  "),
        column(bits::CONTIGUOUS, bits::CONTIGUOUS, "CON", "   "),
        column(bits::TABLE_OR_PAGE, 0, "BLK", "   "),
        column(user_never, bits::UXN, "UXN", "   "),
        column(bits::GUARDED, bits::GUARDED, "GP", "  "),
    ]
}

/// A leaf's word, of which only the bits that have a column count: two leaves with equal ones are
/// on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown(u64);

impl Shown {
    /// What of a leaf at `level` is shown, of which `meaning` is all but the address.
    pub(crate) fn of(geometry: Geometry, level: Level, meaning: u64) -> Self {
        let mask = columns(geometry).iter().fold(MEMORY, |mask, column| mask | column.mask);
        let page = match level {
            Level::L3 => bits::TABLE_OR_PAGE,
            Level::L2 | Level::L1 | Level::L0 | Level::Minus1 => 0,
        };
        Self((meaning | page) & mask)
    }

    /// Writes the columns, each after a space, with the memory type that `mair` gives its index.
    pub(crate) fn write(
        self,
        geometry: Geometry,
        mair: Mair,
        out: &mut dyn fmt::Write,
    ) -> fmt::Result {
        for column in columns(geometry) {
            let is_set = self.0 & column.mask == column.value;
            write!(out, " {}", if is_set { column.set } else { column.clear })?;
        }
        let [index, ..] = (self.0 >> 2 & 0b111).to_le_bytes();
        match MemoryIndex::new(index) {
            Some(index) => write!(out, " {}", MemoryName(mair.memory_type(index))),
            None => Ok(()),
        }
    }
}
