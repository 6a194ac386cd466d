//! Sizes as people write them: a whole number of the largest unit that divides them.

use core::fmt;

/// A number of bytes as a whole number of the largest unit that divides it.
///
/// ```
/// # use blockmap_dump::Size;
/// assert_eq!(Size::of(32 << 20).to_string(), "32M");
/// assert_eq!(Size::of((1 << 30) - (4 << 10)).to_string(), "1048572K");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// How many.
    pub number: u64,
    /// Of what: `K` is 1024 bytes, `M` 1024 of those, and so on up to `E`. `B` are bytes.
    pub unit: char,
}

impl Size {
    /// The size of `bytes` bytes.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let units = [(60, 'E'), (50, 'P'), (40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
        let (shift, unit) = units
            .into_iter()
            .find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift)
            .unwrap_or((0, 'B'));
        Self { number: bytes >> shift, unit }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.unit)
    }
}
