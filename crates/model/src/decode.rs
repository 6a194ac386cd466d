//! What a 64-bit word says, read as the manual has it and by nothing else of this project's.

use blockmap_machine::PhysAddr;

use crate::rights::Rights;
use crate::shape::{Format, Granule, Regime, Shape};

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

/// A valid leaf with its access flag set.
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
        let (Some(output), true) = (output, word & ACCESSED != 0) else { return Word::Fault };
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
        if word & READ_ONLY != 0 {
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
mod tests {
    use super::*;

    fn leaf(height: u32, word: u64) -> Leaf {
        match Shape::KERNEL_4K_48.decode(height, word) {
            Word::Leaf(leaf) => leaf,
            other @ (Word::Fault | Word::Table { .. }) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_kernel_block_reads_as_written() {
        let block = leaf(2, 0x0060_0000_8000_0701);
        assert_eq!(block.output, PhysAddr::new(0x8000_0000));
        assert_eq!((block.rights.to_string(), block.memory), ("rw-".to_owned(), 0));
        assert!(block.is_global && !block.is_contiguous && block.shareability == 3);
        assert!(leaf(0, 0x0070_0000_8000_0703).is_contiguous);
        assert_eq!(leaf(2, 0x0040_0000_8000_0781).rights.to_string(), "r-x");
    }

    #[test]
    fn what_faults_is_no_leaf() {
        let shape = Shape::KERNEL_4K_48;
        for (height, word) in [
            (0, 0x8000_0702),           // invalid
            (0, 0x8000_0701),           // reserved: a block of level 3
            (3, 0x8000_0701),           // a block of level 0 without 52-bit descriptors
            (1, 0x0060_0000_8000_0301), // access flag clear
        ] {
            assert_eq!(shape.decode(height, word), Word::Fault, "{word:#x} at {height}");
        }
        let small = Shape { output_bits: 36, ..shape };
        assert_eq!(small.decode(2, 0x0060_0010_0000_0701), Word::Fault);
    }

    #[test]
    fn a_table_denies_what_its_bits_say() {
        let shape = Shape::KERNEL_4K_48;
        let word = 0x4000_1003 | TABLE_READ_ONLY | TABLE_PRIVILEGED_NEVER | TABLE_NO_USER;
        let Word::Table { table, allows } = shape.decode(2, word) else { panic!() };
        assert_eq!((table, allows.to_string()), (PhysAddr::new(0x4000_1000), "r--".to_owned()));
    }

    #[test]
    fn high_output_bits_are_found_where_the_format_has_them() {
        let shape = Shape { format: Format::Lpa2, output_bits: 52, ..Shape::KERNEL_4K_48 };
        let Word::Leaf(leaf) = shape.decode(0, 0x0002_0000_0000_0703) else { panic!() };
        assert_eq!(leaf.output, PhysAddr::new(0x000e_0000_0000_0000));
    }
}
