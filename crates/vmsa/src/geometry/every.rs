//! Every geometry there is, for those who loop over them.

use super::{Format, Geometry};
use crate::{Granule, Half, Regime};

impl Geometry {
    /// Every geometry: some six thousand, by regime, half, granule, format, input and output size.
    pub fn every() -> impl Iterator<Item = Self> {
        Regime::ALL.into_iter().flat_map(|regime| {
            [Half::Lower, Half::Upper].into_iter().flat_map(move |half| {
                Granule::ALL.into_iter().flat_map(move |granule| {
                    Format::ALL
                        .into_iter()
                        .flat_map(move |format| of_sizes((regime, half), (granule, format)))
                })
            })
        })
    }
}

fn of_sizes(place: (Regime, Half), tables: (Granule, Format)) -> impl Iterator<Item = Geometry> {
    (25..=52).flat_map(move |input_bits| {
        Geometry::OUTPUT_BITS.into_iter().filter_map(move |output_bits| {
            Geometry::new(place, tables, input_bits, output_bits).ok()
        })
    })
}
