//! The geometry that a text is of: it names levels and sizes, and the rest follows.

use blockmap_vmsa::{Format, Geometry, Granule, Half, Regime, machine::VirtRange};

use super::line::{Line, Named, What};
use crate::FormatError;

/// The sizes of input addresses that kernels are built with, the usual ones first.
const INPUT_BITS: [u32; 7] = [48, 52, 39, 47, 42, 36, 37];

/// The geometry in which every line is one of whole entries of its level. Where several are, it
/// is that of the largest granule, and of the input size at whose end the text begins.
pub(super) fn geometry(lines: &[Line]) -> Result<Geometry, FormatError> {
    let (first, last) = match (lines.first(), lines.last()) {
        (Some(first), Some(last)) => (first.range, last.range),
        _ => return Err(FormatError::Short("first line of addresses")),
    };
    let half = if first.start().value() >> 63 == 0 { Half::Lower } else { Half::Upper };
    let shares = lines.iter().any(|line| match line.what {
        What::Leaves { bits, .. } => bits & 0b11 << 8 != 0,
        What::Gap | What::Word(_) | What::Unread => false,
    });
    let begins = |geometry: Geometry| match half {
        Half::Upper => geometry.inputs().0 == first.start(),
        Half::Lower => geometry.inputs().1 == last.last(),
    };
    let mut candidates = Vec::new();
    for granule in [Granule::Kib64, Granule::Kib16, Granule::Kib4] {
        for input_bits in INPUT_BITS {
            let candidate = of((half, granule), input_bits, shares);
            candidates.extend(candidate.filter(|geometry| fits(lines, *geometry)));
        }
    }
    let whole = candidates.iter().copied().find(|geometry| begins(*geometry));
    whole.or(candidates.first().copied()).ok_or(FormatError::Unsupported(
        "its lines are no whole entries of any granule: was it cut or edited?",
    ))
}

fn of((half, granule): (Half, Granule), input_bits: u32, shares: bool) -> Option<Geometry> {
    let (format, output_bits) = match granule {
        Granule::Kib64 if input_bits > 48 => (Format::Lpa, 52),
        Granule::Kib4 | Granule::Kib16 if input_bits > 48 => (Format::Lpa2, 52),
        Granule::Kib4 | Granule::Kib16 if !shares => (Format::Lpa2, 52),
        Granule::Kib4 | Granule::Kib16 | Granule::Kib64 => (Format::Base, 48),
    };
    let regime = Regime::El1And0;
    Geometry::new((regime, half), (granule, format), input_bits, output_bits).ok()
}

/// Whether each line is one of whole entries at its level.
fn fits(lines: &[Line], geometry: Geometry) -> bool {
    lines.iter().all(|line| {
        let level = line.level.of(geometry);
        // The root is always called PGD.
        let is_named = match line.level {
            Named::Root => true,
            Named::Is(level) => level > geometry.root_level(),
        };
        let is_leaf = matches!(line.what, What::Leaves { .. });
        is_named
            && geometry.translates(line.range)
            && is_whole(line.range, geometry.span_bytes(level))
            && (!is_leaf || geometry.allows_leaf(level))
    })
}

fn is_whole(range: VirtRange, span: u64) -> bool {
    range.start().is_aligned(span) && range.bytes().is_multiple_of(span)
}
