//! Input taken apart: numbers, choices, geometries. Where it ends, everything is zero.

use blockmap::vmsa::{Format, Geometry, Granule, Half, Regime};

/// What is left of the input.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    pub(crate) fn word(&mut self) -> u64 {
        let bytes = [(); 8].map(|()| self.byte());
        u64::from_le_bytes(bytes)
    }

    /// One of `choices`, of which there is at least one.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// A geometry, if the input happens to say one.
    pub(crate) fn geometry(&mut self) -> Option<Geometry> {
        let regime = self.one_of(&Regime::ALL);
        let half = self.one_of(&[Half::Upper, Half::Lower]);
        let granule = self.one_of(&[Granule::Kib4, Granule::Kib16, Granule::Kib64]);
        let format = self.one_of(&[Format::Base, Format::Lpa, Format::Lpa2]);
        let input_bits = 25 + u32::from(self.byte() % 28);
        let output_bits = self.one_of(&Geometry::OUTPUT_BITS);
        Geometry::new((regime, half), (granule, format), input_bits, output_bits).ok()
    }
}
