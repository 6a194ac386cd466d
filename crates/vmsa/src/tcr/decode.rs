//! From a register's value to what it says.

use super::place::{Place, TreePlace};
use super::{AsidControl, AsidSize, HardwareUpdates, Tcr, TcrError, TopByte, WalkCaching, Walks};
use crate::{Format, Geometry, Granule, Half, Regime, Shareability};

impl Tcr {
    /// What the value of `regime`'s register says.
    ///
    /// # Errors
    /// Names the field whose value is reserved, or that a 64-bit descriptor has no form for.
    pub fn decode(regime: Regime, register: u64) -> Result<Self, TcrError> {
        let place = Place::of(regime);
        let output_bits = output_bits(register >> place.output)?;
        let tree = |tree: &TreePlace| {
            let is_off = tree.off.is_some_and(|bit| register >> bit & 1 == 1);
            if is_off {
                return Ok(None);
            }
            let is_wide = register >> place.wide & 1 == 1;
            walks(regime, tree, register, (output_bits, is_wide)).map(Some)
        };
        let asids = place.asids.map(|(from, size)| AsidControl {
            size: if register >> size & 1 == 0 { AsidSize::Eight } else { AsidSize::Sixteen },
            from: if register >> from & 1 == 0 { Half::Lower } else { Half::Upper },
        });
        let hardware = match (register >> place.access_flag & 1, register >> place.dirty & 1) {
            (0, 0) => HardwareUpdates::None,
            (_, 0) => HardwareUpdates::AccessFlag,
            (0, _) => HardwareUpdates::DirtyAlone,
            (_, _) => HardwareUpdates::AccessFlagAndDirty,
        };
        let mut tcr = Self {
            regime,
            lower: tree(&place.lower)?,
            upper: place.upper.as_ref().map_or(Ok(None), tree)?,
            output_bits,
            asids,
            hardware,
            others: 0,
        };
        tcr.others = register & !place.named(&tcr);
        Ok(tcr)
    }
}

fn walks(
    regime: Regime,
    place: &TreePlace,
    register: u64,
    (output_bits, is_wide): (u32, bool),
) -> Result<Walks, TcrError> {
    let half = place.half;
    let granule = granule(half, register >> place.granule).ok_or(TcrError::Granule(half))?;
    let format = match granule {
        Granule::Kib64 if output_bits == 52 => Format::Lpa,
        Granule::Kib4 | Granule::Kib16 if is_wide => Format::Lpa2,
        Granule::Kib4 | Granule::Kib16 | Granule::Kib64 => Format::Base,
    };
    let tree_output_bits = match format {
        Format::Base => output_bits.min(48),
        Format::Lpa | Format::Lpa2 => output_bits,
    };
    let [size, ..] = (register >> place.size & 0x3f).to_le_bytes();
    let input_bits = 64 - u32::from(size);
    let geometry = Geometry::new((regime, half), (granule, format), input_bits, tree_output_bits)
        .map_err(|error| TcrError::Geometry(half, error))?;
    Ok(Walks {
        geometry,
        shareability: match register >> place.shareability & 0b11 {
            0b00 => Shareability::Non,
            0b10 => Shareability::Outer,
            0b11 => Shareability::Inner,
            _ => return Err(TcrError::Shareability(half)),
        },
        inner: caching(register >> place.inner),
        outer: caching(register >> place.outer),
        top_byte: match register >> place.top_byte & 1 {
            0 => TopByte::Checked,
            _ => TopByte::Ignored,
        },
    })
}

/// TG0 and TG1 don't agree on what a value means.
fn granule(half: Half, field: u64) -> Option<Granule> {
    match (half, field & 0b11) {
        (Half::Lower, 0b00) | (Half::Upper, 0b10) => Some(Granule::Kib4),
        (Half::Lower, 0b10) | (Half::Upper, 0b01) => Some(Granule::Kib16),
        (Half::Lower, 0b01) | (Half::Upper, 0b11) => Some(Granule::Kib64),
        (Half::Lower | Half::Upper, _) => None,
    }
}

fn caching(field: u64) -> WalkCaching {
    match field & 0b11 {
        0b00 => WalkCaching::NonCacheable,
        0b01 => WalkCaching::WriteBack,
        0b10 => WalkCaching::WriteThrough,
        _ => WalkCaching::WriteBackReadAllocate,
    }
}

fn output_bits(field: u64) -> Result<u32, TcrError> {
    match field & 0b111 {
        0 => Ok(32),
        1 => Ok(36),
        2 => Ok(40),
        3 => Ok(42),
        4 => Ok(44),
        5 => Ok(48),
        6 => Ok(52),
        _ => Err(TcrError::OutputBits),
    }
}
