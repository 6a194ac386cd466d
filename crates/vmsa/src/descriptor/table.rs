//! Table descriptors.

use blockmap_machine::PhysAddr;

use super::{AccessFlag, Execution, OutputSpace, Stores, Unprivileged};
use crate::{Geometry, bits};

const NS_TABLE: u64 = 1 << 63;
const AP_TABLE_NO_STORES: u64 = 1 << 62;
const AP_TABLE_NO_UNPRIVILEGED: u64 = 1 << 61;
/// UXNTable; XNTable in a regime with a single exception level.
const UXN_TABLE: u64 = 1 << 60;
const PXN_TABLE: u64 = 1 << 59;
/// Bits 58:51, 11 and 7:2; with two more where no address is in bits 9:8.
const IGNORED: u64 = 0xff << 51 | 1 << 11 | 0x3f << 2;

/// A table descriptor, decoded. What it denies, it denies to every leaf below it; what it allows,
/// a leaf may still deny.
///
/// Source: "VMSAv8-64 Table descriptor", "Attribute fields in VMSAv8-64 Table descriptors".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    /// The first byte of the table it leads to.
    pub next: PhysAddr,
    /// NSTable: the address space of that table and of all below it.
    pub space: OutputSpace,
    /// APTable\[1\]: stores.
    pub stores: Stores,
    /// APTable\[0\], whose bit denies; [`Unprivileged::Allowed`] in a regime with a single level,
    /// where it is RES0.
    pub unprivileged: Unprivileged,
    /// UXNTable and PXNTable, or XNTable.
    pub execution: Execution,
    /// AF, with FEAT_HAFT; hardware without it ignores the bit.
    pub accessed: AccessFlag,
    /// Every other bit that hardware ignores, where it is in the word: of 58:51, 11, 7:2, and 9:8
    /// without LPA2.
    pub ignored: u64,
    /// Every bit that is RES0 in this geometry, where it is in the word. Zero in a proper
    /// descriptor.
    pub residue: u64,
}

impl Geometry {
    pub(super) const fn decode_table(self, word: u64) -> Table {
        let address = self.table_address_bits();
        let controls = self.table_control_bits();
        let ignored = self.table_ignored_bits();
        let known = bits::VALID | bits::TABLE_OR_PAGE | bits::ACCESSED;
        Table {
            next: self.table_address(word),
            space: OutputSpace::of(word, NS_TABLE),
            stores: Stores::of(word, AP_TABLE_NO_STORES),
            unprivileged: Unprivileged::of(!(word & controls), AP_TABLE_NO_UNPRIVILEGED),
            execution: Execution::of(self.regime(), word, UXN_TABLE, PXN_TABLE),
            accessed: AccessFlag::of(word, bits::ACCESSED),
            ignored: word & ignored,
            residue: word & !(known | address | controls | ignored),
        }
    }

    /// The word of `table`, if every field of it has room; otherwise some word.
    pub(super) const fn encode_table(self, table: Table) -> u64 {
        self.table_word(table.next)
            | table.space.bits(NS_TABLE)
            | table.stores.bits(AP_TABLE_NO_STORES)
            | !table.unprivileged.bits(AP_TABLE_NO_UNPRIVILEGED) & AP_TABLE_NO_UNPRIVILEGED
            | table.execution.bits(self.regime(), UXN_TABLE, PXN_TABLE)
            | table.accessed.bits(bits::ACCESSED)
            | table.ignored
            | table.residue
    }

    const fn table_address_bits(self) -> u64 {
        self.address_mask(self.granule().page_bits())
    }

    const fn table_control_bits(self) -> u64 {
        let two_levels =
            if self.regime().has_unprivileged() { AP_TABLE_NO_UNPRIVILEGED | PXN_TABLE } else { 0 };
        NS_TABLE | AP_TABLE_NO_STORES | UXN_TABLE | two_levels
    }

    const fn table_ignored_bits(self) -> u64 {
        (IGNORED | 0b11 << 8) & !self.table_address_bits()
    }
}
