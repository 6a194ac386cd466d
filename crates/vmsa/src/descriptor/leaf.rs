//! Block and page descriptors.

use blockmap_machine::PhysAddr;

use super::{
    AccessFlag, Asids, Bit, BlockCaching, BranchTargets, Contiguity, DirtyTracking, Execution,
    OutputSpace, Sharing, Stores, Unprivileged, Validity,
};
use crate::{Format, Geometry, Level, MemoryIndex, bits};

const IGNORED: u64 = 1 << 63;
const HARDWARE_SHIFT: u32 = 59;
const SOFTWARE_SHIFT: u32 = 55;

/// A block or page descriptor, decoded.
///
/// Source: "VMSAv8-64 Block descriptor and Page descriptor", "Attribute fields in VMSAv8-64
/// Block and Page descriptors".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// Whether a walk may use it.
    pub validity: Validity,
    /// The first byte it maps.
    pub output: PhysAddr,
    /// AttrIndx: the memory type.
    pub memory: MemoryIndex,
    /// SH: the shareability.
    pub sharing: Sharing,
    /// NS: the physical address space of the output address.
    pub space: OutputSpace,
    /// AP\[2\]: stores.
    pub stores: Stores,
    /// AP\[1\]: the unprivileged level.
    pub unprivileged: Unprivileged,
    /// UXN and PXN, or XN.
    pub execution: Execution,
    /// GP: guarded page.
    pub branches: BranchTargets,
    /// AF: the access flag.
    pub accessed: AccessFlag,
    /// DBM: the dirty bit modifier.
    pub dirty: DirtyTracking,
    /// nG. A regime without ASIDs has no such field (at EL3 its bit is NSE with FEAT_RME, and left
    /// in `residue`), nor has a leaf that is present but invalid: [`Asids::Every`].
    pub asids: Asids,
    /// The Contiguous bit; [`Contiguity::Single`] at levels without runs.
    pub contiguity: Contiguity,
    /// nT of a block; [`BlockCaching::Usual`] of a page.
    pub caching: BlockCaching,
    /// Bits 58:55, which hardware leaves to software: 0 to 15.
    pub software: u8,
    /// Bits 62:59: page-based hardware attributes where `TCR_ELx.HWUn` enable them, otherwise
    /// ignored: 0 to 15.
    pub hardware: u8,
    /// Bit 63, which hardware ignores.
    pub ignored: Bit,
    /// Every bit that is RES0 at this level of this geometry, where it is in the word. Zero in
    /// a proper descriptor.
    pub residue: u64,
}

impl Geometry {
    pub(super) const fn decode_leaf(self, level: Level, word: u64) -> Leaf {
        let validity = Validity::of(word, bits::VALID);
        let known = self.leaf_bits(level, validity);
        // Bits that are RES0 here are nothing but residue.
        let named = word & known;
        Leaf {
            validity,
            output: self.leaf_output(level, word),
            memory: MemoryIndex::of_leaf(word),
            sharing: match self.format() {
                Format::Lpa2 => Sharing::ByControl,
                Format::Base | Format::Lpa => Sharing::of(word),
            },
            space: OutputSpace::of(word, bits::NON_SECURE),
            stores: Stores::of(word, bits::READ_ONLY),
            unprivileged: Unprivileged::of(word, bits::UNPRIVILEGED),
            execution: Execution::of(self.regime(), word, bits::UXN, bits::PXN),
            branches: BranchTargets::of(word, bits::GUARDED),
            accessed: AccessFlag::of(word, bits::ACCESSED),
            dirty: DirtyTracking::of(word, bits::DIRTY_MODIFIER),
            asids: match validity {
                Validity::Valid => Asids::of(named, bits::NOT_GLOBAL),
                Validity::PresentInvalid => Asids::Every,
            },
            contiguity: Contiguity::of(named, bits::CONTIGUOUS),
            caching: match level {
                Level::L3 => BlockCaching::Usual,
                Level::Minus1 | Level::L0 | Level::L1 | Level::L2 => {
                    BlockCaching::of(word, bits::NO_TRANSLATION)
                }
            },
            software: four_bits(word, SOFTWARE_SHIFT),
            hardware: four_bits(word, HARDWARE_SHIFT),
            ignored: Bit::of(word, IGNORED),
            residue: word & !known,
        }
    }

    /// The word of `leaf`, if every field of it has room; otherwise some word.
    pub(super) fn encode_leaf(self, level: Level, leaf: Leaf) -> u64 {
        let mark = match leaf.validity {
            Validity::Valid => 0,
            Validity::PresentInvalid => bits::PRESENT,
        };
        let meaning = leaf.validity.bits(bits::VALID)
            | mark
            | u64::from(leaf.memory.value()) << 2
            | leaf.space.bits(bits::NON_SECURE)
            | leaf.unprivileged.bits(bits::UNPRIVILEGED)
            | leaf.stores.bits(bits::READ_ONLY)
            | leaf.sharing.bits()
            | leaf.accessed.bits(bits::ACCESSED)
            | leaf.asids.bits(bits::NOT_GLOBAL)
            | leaf.caching.bits(bits::NO_TRANSLATION)
            | leaf.branches.bits(bits::GUARDED)
            | leaf.dirty.bits(bits::DIRTY_MODIFIER)
            | leaf.contiguity.bits(bits::CONTIGUOUS)
            | leaf.execution.bits(self.regime(), bits::UXN, bits::PXN)
            | u64::from(leaf.software) << SOFTWARE_SHIFT
            | u64::from(leaf.hardware) << HARDWARE_SHIFT
            | leaf.ignored.bits(IGNORED)
            | leaf.residue;
        self.leaf_word(level, leaf.output, meaning)
    }

    /// The bits of a leaf at `level` that are not RES0.
    const fn leaf_bits(self, level: Level, validity: Validity) -> u64 {
        // Type and validity, AttrIndx, NS, AP, bits 9:8 (SH or address) and AF.
        let low = (1 << 11) - 1;
        let not_global = match validity {
            Validity::PresentInvalid => bits::PRESENT,
            Validity::Valid if self.regime().has_unprivileged() => bits::NOT_GLOBAL,
            Validity::Valid => 0,
        };
        let no_translation = match level {
            Level::L3 => 0,
            Level::Minus1 | Level::L0 | Level::L1 | Level::L2 => bits::NO_TRANSLATION,
        };
        let contiguous = match self.run_entries(level) {
            Some(_) => bits::CONTIGUOUS,
            None => 0,
        };
        let privileged = if self.regime().has_unprivileged() { bits::PXN } else { 0 };
        let high = !((1 << SOFTWARE_SHIFT) - 1);
        let attributes = bits::GUARDED | bits::DIRTY_MODIFIER | contiguous | privileged | bits::UXN;
        low | not_global
            | self.address_mask(self.span_bits(level))
            | no_translation
            | attributes
            | high
    }
}

const fn four_bits(word: u64, shift: u32) -> u8 {
    let [low, ..] = (word >> shift & 0xf).to_le_bytes();
    low
}
