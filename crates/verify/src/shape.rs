//! The shape of a tree, from the engine's words into the model's.

use blockmap_model::shape as model;
use blockmap_vmsa::{Format, Geometry, Granule, Half, Regime};

/// The same shape in the model's words.
#[must_use]
pub fn shape(geometry: Geometry) -> model::Shape {
    model::Shape {
        granule: match geometry.granule() {
            Granule::Kib4 => model::Granule::Kib4,
            Granule::Kib16 => model::Granule::Kib16,
            Granule::Kib64 => model::Granule::Kib64,
        },
        format: match geometry.format() {
            Format::Base => model::Format::Base,
            Format::Lpa => model::Format::Lpa,
            Format::Lpa2 => model::Format::Lpa2,
        },
        input_bits: geometry.input_bits(),
        output_bits: geometry.output_bits(),
        regime: match geometry.regime() {
            Regime::El1And0 => model::Regime::El1,
            Regime::El2 => model::Regime::El2,
            Regime::El2And0 => model::Regime::El2Host,
            Regime::El3 => model::Regime::El3,
        },
        updates: model::Updates::BySoftware,
        half: match geometry.half() {
            Half::Lower => model::Half::Lower,
            Half::Upper => model::Half::Upper,
        },
    }
}
