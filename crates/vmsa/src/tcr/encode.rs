//! From what a register is to say to its value.

use super::place::TreePlace;
use super::{AsidSize, HardwareUpdates, Place, Tcr, TcrError, TopByte, WalkCaching, Walks};
use crate::{Format, Granule, Half, Shareability};

impl Tcr {
    /// The register's value: the only one that [`Tcr::decode`] reads as this.
    ///
    /// # Errors
    /// Says which parts contradict each other, or their place.
    pub const fn encode(self) -> Result<u64, TcrError> {
        let place = Place::of(self.regime);
        let Some(output) = output_field(self.output_bits) else {
            return Err(TcrError::OutputBits);
        };
        let asids = match (self.asids, place.asids) {
            (Some(asids), Some((from, size))) => {
                let size = match asids.size {
                    AsidSize::Eight => 0,
                    AsidSize::Sixteen => 1 << size,
                };
                match asids.from {
                    Half::Lower => size,
                    Half::Upper => size | 1 << from,
                }
            }
            (None, None) => 0,
            (Some(_), None) | (None, Some(_)) => return Err(TcrError::Asids),
        };
        let hardware = match self.hardware {
            HardwareUpdates::None => 0,
            HardwareUpdates::AccessFlag => 1 << place.access_flag,
            HardwareUpdates::AccessFlagAndDirty => 1 << place.access_flag | 1 << place.dirty,
            HardwareUpdates::DirtyAlone => 1 << place.dirty,
        };
        if self.others & place.named(&self) != 0 {
            return Err(TcrError::Others);
        }
        let is_wide = self.is_lpa2();
        let wide = if is_wide { 1 << place.wide } else { 0 };
        let lower = match self.tree(&place.lower, self.lower) {
            Ok(bits) => bits,
            Err(error) => return Err(error),
        };
        let upper = match (&place.upper, self.upper) {
            (Some(place), walks) => match self.tree(place, walks) {
                Ok(bits) => bits,
                Err(error) => return Err(error),
            },
            (None, None) => 0,
            (None, Some(_)) => return Err(TcrError::OtherPlace),
        };
        let fields = output << place.output | asids | hardware | wide | lower | upper;
        Ok(fields | self.others)
    }

    /// Whether some tree asks for DS.
    const fn is_lpa2(&self) -> bool {
        let lower = match &self.lower {
            Some(walks) => matches!(walks.geometry.format(), Format::Lpa2),
            None => false,
        };
        let upper = match &self.upper {
            Some(walks) => matches!(walks.geometry.format(), Format::Lpa2),
            None => false,
        };
        lower || upper
    }

    const fn tree(&self, place: &TreePlace, walks: Option<Walks>) -> Result<u64, TcrError> {
        let Some(walks) = walks else {
            return match place.off {
                Some(bit) => Ok(1 << bit),
                None => Err(TcrError::NoTree),
            };
        };
        if let Err(error) = self.check(place.half, walks) {
            return Err(error);
        }
        #[expect(clippy::as_conversions, reason = "widening; From is not const")]
        let size = (64 - walks.geometry.input_bits()) as u64;
        let shareability = match walks.shareability {
            Shareability::Non => 0b00,
            Shareability::Outer => 0b10,
            Shareability::Inner => 0b11,
        };
        let top_byte = match walks.top_byte {
            TopByte::Checked => 0,
            TopByte::Ignored => 1,
        };
        Ok(size << place.size
            | caching_field(walks.inner) << place.inner
            | caching_field(walks.outer) << place.outer
            | shareability << place.shareability
            | granule_field(place.half, walks.geometry.granule()) << place.granule
            | top_byte << place.top_byte)
    }

    /// Whether a tree is where it belongs, and agrees with what the register says once for both.
    const fn check(&self, half: Half, walks: Walks) -> Result<(), TcrError> {
        let geometry = walks.geometry;
        // Neither type has a const comparison.
        let is_upper = matches!(half, Half::Upper);
        if matches!(geometry.half(), Half::Upper) != is_upper || !self.regime.is(geometry.regime())
        {
            return Err(TcrError::OtherPlace);
        }
        let most = match geometry.format() {
            Format::Base => 48,
            Format::Lpa | Format::Lpa2 => 52,
        };
        let output_bits = if self.output_bits < most { self.output_bits } else { most };
        let agrees = match (geometry.granule(), geometry.format()) {
            (Granule::Kib64, Format::Lpa) => self.output_bits == 52,
            (Granule::Kib64, Format::Base | Format::Lpa2) => self.output_bits != 52,
            (Granule::Kib4 | Granule::Kib16, Format::Lpa2) => true,
            (Granule::Kib4 | Granule::Kib16, Format::Base | Format::Lpa) => !self.is_lpa2(),
        };
        if agrees && geometry.output_bits() == output_bits {
            Ok(())
        } else {
            Err(TcrError::Disagree)
        }
    }
}

const fn output_field(bits: u32) -> Option<u64> {
    match bits {
        32 => Some(0),
        36 => Some(1),
        40 => Some(2),
        42 => Some(3),
        44 => Some(4),
        48 => Some(5),
        52 => Some(6),
        _ => None,
    }
}

/// TG0 and TG1 don't agree on what a value means.
const fn granule_field(half: Half, granule: Granule) -> u64 {
    match (half, granule) {
        (Half::Lower, Granule::Kib4) => 0b00,
        (Half::Lower, Granule::Kib64) | (Half::Upper, Granule::Kib16) => 0b01,
        (Half::Lower, Granule::Kib16) | (Half::Upper, Granule::Kib4) => 0b10,
        (Half::Upper, Granule::Kib64) => 0b11,
    }
}

const fn caching_field(caching: WalkCaching) -> u64 {
    match caching {
        WalkCaching::NonCacheable => 0b00,
        WalkCaching::WriteBack => 0b01,
        WalkCaching::WriteThrough => 0b10,
        WalkCaching::WriteBackReadAllocate => 0b11,
    }
}
