//! What can be wrong with a device tree.

use blockmap::layout::AddError;
use dtoolkit::error::FdtParseError;
use thiserror::Error;

use super::{MOST_BYTES, Path};

/// Why a device tree does not say what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TreeError<'a> {
    /// Fewer bytes than a tree's header has.
    #[error("a device tree of {0} bytes has no header")]
    NoHeader(usize),
    /// The blob starts with something else.
    #[error("no device tree: it starts with {0:#010x}, not 0xd00dfeed")]
    Magic(u32),
    /// The header says more bytes than [`MOST_BYTES`].
    #[error("a device tree of {0} bytes, where {MOST_BYTES} are the most")]
    TooLarge(u32),
    /// The blob ends before the tree does.
    #[error("the device tree says it has {says} bytes, but there are {had}")]
    CutOff {
        /// Bytes, as the header says.
        says: usize,
        /// Bytes there are.
        had: usize,
    },
    /// The blob is not made as a tree is made.
    #[error("malformed device tree: {0}")]
    Malformed(FdtParseError),
    /// A range of the memory reservation block can't be added to the memory map.
    #[error("device tree's memory reservation block: {0}")]
    Reservation(AddError),
    /// A node does not say what it has to.
    #[error("{node}: {fault}")]
    Node {
        /// The node.
        node: Path<'a>,
        /// What is wrong with it.
        fault: NodeFault,
    },
}

/// What is wrong with a node of a device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NodeFault {
    /// The node needs a property that is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A property's value is not what it has to be.
    #[error("{property} is not {expected}")]
    Value {
        /// The property.
        property: &'static str,
        /// What its value has to be.
        expected: &'static str,
    },
    /// A property's length is no multiple of its entries'.
    #[error("{property} has {bytes} bytes, which are not entries of {entry}")]
    Length {
        /// The property.
        property: &'static str,
        /// Its length.
        bytes: usize,
        /// The length of one entry, in bytes.
        entry: usize,
    },
    /// Addresses or sizes have more cells than a number of 64 bits, or too few.
    #[error("{0} is {1}, where 1 or 2 is needed")]
    Cells(&'static str, u32),
    /// A bus above the device does not say where its addresses are.
    #[error("no ranges of the buses above it lead to address {0:#x}")]
    Unreachable(u64),
    /// A range can't be added to the memory map.
    #[error("{0}")]
    Range(AddError),
}
