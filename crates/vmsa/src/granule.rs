//! The three sizes a page, and so a table, can have.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

/// The translation granule: the size of a page and of a full translation table.
///
/// Source: "Translation granules".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "PAGE_SIZE")]
pub enum Granule {
    /// 4 KiB pages, 512 entries a table.
    Kib4,
    /// 16 KiB pages, 2048 entries a table.
    Kib16,
    /// 64 KiB pages, 8192 entries a table.
    Kib64,
}

impl Granule {
    /// All three, from the smallest.
    pub const ALL: [Self; 3] = [Self::Kib4, Self::Kib16, Self::Kib64];

    /// Bits of an address that a page passes through untranslated: log2 of the page's bytes.
    #[inline(always)]
    #[must_use]
    #[doc(alias = "PAGE_SHIFT")]
    pub const fn page_bits(self) -> u32 {
        match self {
            Self::Kib4 => 12,
            Self::Kib16 => 14,
            Self::Kib64 => 16,
        }
    }

    /// Bytes of a page, and of a full table.
    #[inline(always)]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self.page_bits()
    }

    /// Bits of an address that one full table resolves: log2 of its entries.
    #[inline(always)]
    #[must_use]
    pub const fn index_bits(self) -> u32 {
        self.page_bits() - 3
    }

    /// Entries of a full table.
    #[inline(always)]
    #[must_use]
    #[doc(alias = "PTRS_PER_PTE")]
    pub const fn entries(self) -> u16 {
        1 << self.index_bits()
    }
}
