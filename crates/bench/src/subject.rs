//! What a library must do to be counted: the engine and its peers, behind one trait.

use blockmap::vmsa::Leaves;

/// A page.
pub const PAGE: u64 = 4096;
/// A block of level 2.
pub const MIB2: u64 = 2 << 20;
/// A block of level 1.
pub const GIB: u64 = 1 << 30;

/// Bytes of memory that follow each other. Offsets count from the start of memory, which appears
/// at a multiple of 1 GiB and is one: where that is, is each library's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The offset of the first byte.
    pub first: u64,
    /// How many bytes: whole pages.
    pub bytes: u64,
}

impl Part {
    /// The offset after the last byte.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.first + self.bytes
    }
}

/// A library has no operation for this, or refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// A table tree of some library, with nothing mapped at first.
pub trait Tree {
    /// Maps memory, read-write and not executable, at its place.
    ///
    /// # Errors
    /// Why it did not.
    fn map(&mut self, part: Part, leaves: Leaves) -> Result<(), Refused>;

    /// Makes mapped memory read-only, whatever leaves it is in.
    ///
    /// # Errors
    /// Why it did not.
    fn read_only(&mut self, part: Part) -> Result<(), Refused>;

    /// The offset of what the address of `offset` translates to.
    fn translate(&self, offset: u64) -> Option<u64>;

    /// Whether the memory at `offset` is mapped, and can be written.
    fn is_writable(&self, offset: u64) -> bool;

    /// How many bytes valid leaves map: visits each once.
    fn mapped_bytes(&self) -> u64;
}

/// A library.
pub trait Subject {
    /// Its name, and its version if it is another's.
    const NAME: &'static str;

    /// Its tree; it may borrow the memory of its tables.
    type Tree<'m>: Tree;

    /// Has `work` done on a new tree that has memory for `tables` tables.
    fn with_tree<R>(tables: usize, work: impl FnOnce(&mut Self::Tree<'_>) -> R) -> R;
}
