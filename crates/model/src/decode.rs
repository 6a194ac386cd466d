//! What a 64-bit word says, read as the manual has it and by nothing else of this project's.

use blockmap_machine::PhysAddr;

use crate::rights::Rights;
use crate::shape::{Format, Granule, Regime, Shape, Updates};

/// A descriptor's meaning to a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// The walk ends with a fault, and no TLB keeps the word. [invalid-is-never-cached]
    Fault,
    /// The walk goes on in another table.
    Table {
        /// Its first byte.
        table: PhysAddr,
        /// What leaves below may still grant.
        allows: Rights,
    },
    /// The walk ends with a translation.
    Leaf(Leaf),
}

/// A valid leaf with its access flag set, or one that hardware will set it of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// The output address of its first byte.
    pub output: PhysAddr,
    /// Whether it says that its run translates as one.
    pub is_contiguous: bool,
    /// What it grants, tables above not asked.
    pub rights: Rights,
    /// The index into the memory attribute register.
    pub memory: u8,
    /// The shareability field; zero where the descriptor has none.
    pub shareability: u8,
    /// Whether it is the same in every address space.
    pub is_global: bool,
}

const VALID: u64 = 1;
const TABLE_OR_PAGE: u64 = 1 << 1;
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const ACCESSED: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const DIRTY_BIT_MODIFIER: u64 = 1 << 51;
const CONTIGUOUS: u64 = 1 << 52;
const PRIVILEGED_NEVER: u64 = 1 << 53;
const NEVER: u64 = 1 << 54;
const TABLE_PRIVILEGED_NEVER: u64 = 1 << 59;
const TABLE_NEVER: u64 = 1 << 60;
const TABLE_NO_USER: u64 = 1 << 61;
const TABLE_READ_ONLY: u64 = 1 << 62;

impl Shape {
    /// What `word` means in a table at `height`.
    ///
    /// Source: "Translation table descriptor formats"; a word that leads to a Translation, Access
    /// flag or Address size fault is [`Word::Fault`].
    #[must_use]
    pub fn decode(self, height: u32, word: u64) -> Word {
        if word & VALID == 0 {
            return Word::Fault;
        }
        match (word & TABLE_OR_PAGE != 0, height) {
            (true, 1..) => self.table(word),
            (true, 0) => self.leaf(height, word),
            (false, 1..) if self.has_leaves(height) => self.leaf(height, word),
            (false, _) => Word::Fault,
        }
    }

    fn table(self, word: u64) -> Word {
        let Some(table) = self.output(self.page_bits(), word) else { return Word::Fault };
        let mut allows = Rights::ALL;
        let mut deny = |bit, rights| {
            if word & bit != 0 {
                allows = allows.without(rights);
            }
        };
        deny(TABLE_READ_ONLY, Rights::WRITES);
        match self.regime {
            Regime::El1 | Regime::El2Host => {
                deny(TABLE_NO_USER, Rights::USER);
                deny(TABLE_NEVER, Rights::USER_EXECUTES);
                deny(TABLE_PRIVILEGED_NEVER, Rights::EXECUTES);
            }
            Regime::El2 | Regime::El3 => deny(TABLE_NEVER, Rights::EXECUTES),
        }
        Word::Table { table, allows }
    }

    fn leaf(self, height: u32, word: u64) -> Word {
        let output = self.output(self.span_bits(height), word);
        let has_access = word & ACCESSED != 0 || self.updates == Updates::ByHardware;
        let (Some(output), true) = (output, has_access) else { return Word::Fault };
        let field = |shift: u32, mask: u64| u8::try_from(word >> shift & mask).unwrap_or(0);
        Word::Leaf(Leaf {
            output,
            is_contiguous: word & CONTIGUOUS != 0 && self.run_entries(height) > 1,
            rights: self.rights(word),
            memory: field(2, 7),
            shareability: if self.format == Format::Lpa2 { 0 } else { field(8, 3) },
            is_global: word & NOT_GLOBAL == 0,
        })
    }

    /// Source: "Stage 1 data accesses permissions" and "Instruction execution permissions".
    fn rights(self, word: u64) -> Rights {
        let mut rights = Rights::ALL;
        let turns_writable = self.updates == Updates::ByHardware && word & DIRTY_BIT_MODIFIER != 0;
        if word & READ_ONLY != 0 && !turns_writable {
            rights = rights.without(Rights::WRITES);
        }
        match self.regime {
            Regime::El1 | Regime::El2Host => {
                if word & NEVER != 0 {
                    rights = rights.without(Rights::USER_EXECUTES);
                }
                if word & USER == 0 {
                    // Execution at the unprivileged level does not need its read permission.
                    let executes = rights.and(Rights::USER_EXECUTES);
                    rights = Rights::ALL.without(Rights::USER).and(rights).or(executes);
                }
                if word & PRIVILEGED_NEVER != 0 || rights.user_writes() {
                    rights = rights.without(Rights::EXECUTES);
                }
                rights
            }
            Regime::El2 | Regime::El3 => {
                let never = if word & NEVER != 0 { Rights::EXECUTES } else { Rights::USER };
                rights.without(Rights::USER).without(never)
            }
        }
    }

    /// What hardware may make of `word` in a table at `height` by itself.
    ///
    /// Source: "Hardware management of the Access flag and dirty state".
    #[must_use]
    pub fn updated(self, height: u32, word: u64) -> Option<u64> {
        if self.updates == Updates::BySoftware
            || !matches!(self.decode(height, word), Word::Leaf(_))
        {
            return None;
        }
        let dirty = if word & DIRTY_BIT_MODIFIER == 0 { 0 } else { READ_ONLY };
        let updated = (word | ACCESSED) & !dirty;
        (updated != word).then_some(updated)
    }

    /// The output address in `word`, of something of 2^`bits` bytes; `None` beyond the output size.
    fn output(self, bits: u32, word: u64) -> Option<PhysAddr> {
        let field = |high: u32, low: u32| word & ((1 << (high + 1)) - (1 << low));
        let output = match (self.format, self.granule) {
            (Format::Lpa2, Granule::Kib4 | Granule::Kib16) => {
                field(49, bits) | (word >> 8 & 3) << 50
            }
            (Format::Lpa, Granule::Kib64) => field(47, bits) | (word >> 12 & 0xf) << 48,
            (Format::Base | Format::Lpa | Format::Lpa2, _) => field(47, bits),
        };
        (output >> self.output_bits == 0).then(|| PhysAddr::new(output))
    }
}

#[cfg(test)]
mod tests;
