//! Descriptors, field by field: every 64-bit word, at every level, is exactly one of four kinds,
//! and no bit of it is lost.
//!
//! Changes to live tables work on words ([`Geometry::kind`] and its relatives, which this agrees
//! with); this is for everyone who wants to see or say all that a word says.
//!
//! | bits | of a leaf | of a table |
//! |---|---|---|
//! | 63 | [`Leaf::ignored`] | [`Table::space`] (NSTable) |
//! | 62:59 | [`Leaf::hardware`] (PBHA) | [`Table::stores`], [`Table::unprivileged`] (APTable), [`Table::execution`] (UXNTable or XNTable, PXNTable) |
//! | 58:55 | [`Leaf::software`] | [`Table::ignored`] |
//! | 54:53 | [`Leaf::execution`] (UXN or XN, PXN) | [`Table::ignored`] |
//! | 52, 51 | [`Leaf::contiguity`], [`Leaf::dirty`] (DBM) | [`Table::ignored`] |
//! | 50 | [`Leaf::branches`] (GP) | RES0 |
//! | 49:12 | [`Leaf::output`]; 16 of a block: [`Leaf::caching`] (nT) | [`Table::next`] |
//! | 11, 10 | [`Leaf::asids`] (nG), [`Leaf::accessed`] (AF) | ignored, [`Table::accessed`] |
//! | 9:8 | [`Leaf::sharing`] (SH); with LPA2 of the address | ignored; with LPA2 of the address |
//! | 7:6 | [`Leaf::stores`], [`Leaf::unprivileged`] (AP) | [`Table::ignored`] |
//! | 5, 4:2 | [`Leaf::space`] (NS), [`Leaf::memory`] (AttrIndx) | [`Table::ignored`] |
//! | 1, 0 | block, page or table; [`Leaf::validity`] | 1, 1 |
//!
//! Source: "VMSAv8-64 descriptor formats", stage 1.

mod field;
mod leaf;
mod table;

pub use field::{
    AccessFlag, Asids, Bit, BlockCaching, BranchTargets, Contiguity, DirtyTracking, Execution,
    OutputSpace, Sharing, Stores, Unprivileged, Validity,
};
pub use leaf::Leaf;
pub use table::Table;

use crate::{Geometry, Kind, Level};

/// A descriptor, decoded. Every 64-bit word is exactly one of these at a given level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Descriptor {
    /// Bit 0 clear, and not marked present: the walk faults here. The other 63 bits are
    /// software's; the word is kept.
    Invalid(u64),
    /// Leads to a table one level down.
    Table(Table),
    /// Maps memory, or would if it were valid: a page at level 3, a block above it.
    Leaf(Leaf),
    /// Bit 0 set and bit 1 clear where no block may be: the walk faults. The word is kept.
    Reserved(u64),
}

impl Geometry {
    /// What `word` says at `level`.
    #[must_use]
    pub const fn decode(self, level: Level, word: u64) -> Descriptor {
        match self.kind(level, word) {
            Kind::Invalid => Descriptor::Invalid(word),
            Kind::Table => Descriptor::Table(self.decode_table(word)),
            Kind::Leaf | Kind::PresentInvalid => Descriptor::Leaf(self.decode_leaf(level, word)),
            Kind::Reserved => Descriptor::Reserved(word),
        }
    }

    /// The word that says `descriptor` at `level`: the only one for which [`Geometry::decode`]
    /// gives it back.
    ///
    /// `None` when there is no such word: the level has no such descriptors, an address is not
    /// aligned or out of reach, or a field has a value that this geometry has no room for.
    #[must_use]
    pub fn encode(self, level: Level, descriptor: Descriptor) -> Option<u64> {
        let word = match descriptor {
            Descriptor::Invalid(word) | Descriptor::Reserved(word) => word,
            Descriptor::Table(table) => self.encode_table(table),
            Descriptor::Leaf(leaf) => self.encode_leaf(level, leaf),
        };
        (self.decode(level, word) == descriptor).then_some(word)
    }
}

#[cfg(test)]
mod tests;
