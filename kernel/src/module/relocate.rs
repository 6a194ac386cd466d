//! Relocations: what a word or an instruction becomes once it is known where everything is.
//!
//! Source: *ELF for the Arm 64-bit Architecture*, "Static AArch64 relocations".

use blockmap::machine::VirtAddr;
use elf::abi;

use super::RelocationFault;

/// A word of a module that will be at `base`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) base: VirtAddr,
    /// Its offset from there.
    pub(super) at: u64,
}

/// What a relocation changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// 64 bits of data: the address.
    Absolute64,
    /// 64 bits of data: the distance.
    Relative64,
    /// 32 bits of data: the distance.
    Relative32,
    /// `adrp`: the distance of pages.
    Page,
    /// `adr`: the distance.
    Near,
    /// The low twelve bits of the address, as `add` and loads and stores of so many times two bytes
    /// have them.
    Low12(u32),
    /// `b` and `bl`.
    Branch26,
    /// `cbz`, `b.cond`, and a load of what is near.
    Branch19,
    /// `tbz`.
    Branch14,
}

impl Kind {
    /// The kind of a type; nothing is to be done for `None`.
    pub(super) const fn of(kind: u32) -> Result<Option<Self>, RelocationFault> {
        Ok(Some(match kind {
            abi::R_AARCH64_NONE => return Ok(None),
            abi::R_AARCH64_ABS64 => Self::Absolute64,
            abi::R_AARCH64_PREL64 => Self::Relative64,
            abi::R_AARCH64_PREL32 => Self::Relative32,
            abi::R_AARCH64_ADR_PREL_PG_HI21 => Self::Page,
            abi::R_AARCH64_ADR_PREL_LO21 => Self::Near,
            abi::R_AARCH64_ADD_ABS_LO12_NC | abi::R_AARCH64_LDST8_ABS_LO12_NC => Self::Low12(0),
            abi::R_AARCH64_LDST16_ABS_LO12_NC => Self::Low12(1),
            abi::R_AARCH64_LDST32_ABS_LO12_NC => Self::Low12(2),
            abi::R_AARCH64_LDST64_ABS_LO12_NC => Self::Low12(3),
            abi::R_AARCH64_LDST128_ABS_LO12_NC => Self::Low12(4),
            abi::R_AARCH64_CALL26 | abi::R_AARCH64_JUMP26 => Self::Branch26,
            abi::R_AARCH64_CONDBR19 | abi::R_AARCH64_LD_PREL_LO19 => Self::Branch19,
            abi::R_AARCH64_TSTBR14 => Self::Branch14,
            unknown => return Err(RelocationFault::Type(unknown)),
        }))
    }

    /// Bytes of what is changed.
    pub(super) const fn bytes(self) -> u64 {
        match self {
            Self::Absolute64 | Self::Relative64 => 8,
            Self::Relative32
            | Self::Page
            | Self::Near
            | Self::Low12(_)
            | Self::Branch26
            | Self::Branch19
            | Self::Branch14 => 4,
        }
    }

    /// Has `place` in `memory` say `target`.
    pub(super) fn apply(
        self,
        target: u64,
        place: Place,
        memory: &mut [u8],
    ) -> Result<(), RelocationFault> {
        let here = place.base.wrapping_add(place.at).value();
        let distance = target.wrapping_sub(here).cast_signed();
        match self {
            Self::Absolute64 => return place.store(target.to_le_bytes(), memory),
            Self::Relative64 => return place.store(distance.to_le_bytes(), memory),
            Self::Relative32 => {
                let near = i32::try_from(distance);
                let near = near.map_err(|_| RelocationFault::TooFar(target))?;
                return place.store(near.to_le_bytes(), memory);
            }
            Self::Page
            | Self::Near
            | Self::Low12(_)
            | Self::Branch26
            | Self::Branch19
            | Self::Branch14 => {}
        }
        if !here.is_multiple_of(4) {
            return Err(RelocationFault::Unaligned(here));
        }
        let word = place.word(memory)?;
        let word = match self {
            Self::Page => {
                let pages = (target >> 12).wrapping_sub(here >> 12).cast_signed();
                adr(word, field(pages, 21, target)?)
            }
            Self::Near => adr(word, field(distance, 21, target)?),
            Self::Low12(scale) => low12(word, target, scale)?,
            Self::Branch26 => branch(word, (distance, target), (26, 0))?,
            Self::Branch19 => branch(word, (distance, target), (19, 5))?,
            Self::Branch14 => branch(word, (distance, target), (14, 5))?,
            Self::Absolute64 | Self::Relative64 | Self::Relative32 => word,
        };
        place.set(word, memory)
    }
}

impl Place {
    /// Stores an instruction.
    pub(super) fn set(self, word: u32, memory: &mut [u8]) -> Result<(), RelocationFault> {
        self.store(word.to_le_bytes(), memory)
    }

    fn word(self, memory: &mut [u8]) -> Result<u32, RelocationFault> {
        self.bytes(memory).copied().map(u32::from_le_bytes)
    }

    fn store<const N: usize>(
        self,
        bytes: [u8; N],
        memory: &mut [u8],
    ) -> Result<(), RelocationFault> {
        *self.bytes(memory)? = bytes;
        Ok(())
    }

    fn bytes<const N: usize>(self, memory: &mut [u8]) -> Result<&mut [u8; N], RelocationFault> {
        let start = usize::try_from(self.at).unwrap_or(usize::MAX);
        let bytes = memory.get_mut(start..).and_then(|rest| rest.first_chunk_mut());
        bytes.ok_or(RelocationFault::Outside(self.at))
    }
}

/// `number` as so many bits of an instruction, if they hold it.
fn field(number: i64, bits: u32, target: u64) -> Result<u32, RelocationFault> {
    let half = 1_i64 << (bits - 1);
    if !(-half..half).contains(&number) {
        return Err(RelocationFault::TooFar(target));
    }
    let mask = (1_u64 << bits) - 1;
    u32::try_from(number.cast_unsigned() & mask).map_err(|_| RelocationFault::TooFar(target))
}

/// `adr` and `adrp` have the low two bits of their number apart.
const fn adr(word: u32, number: u32) -> u32 {
    word & 0x9f00_001f | (number & 0b11) << 29 | (number >> 2) << 5
}

fn low12(word: u32, target: u64, scale: u32) -> Result<u32, RelocationFault> {
    let low = target & 0xfff;
    if low & ((1 << scale) - 1) != 0 {
        return Err(RelocationFault::Misaligned(target));
    }
    let number = u32::try_from(low >> scale).map_err(|_| RelocationFault::TooFar(target))?;
    Ok(word & !(0xfff << 10) | number << 10)
}

fn branch(
    word: u32,
    (distance, target): (i64, u64),
    (bits, shift): (u32, u32),
) -> Result<u32, RelocationFault> {
    if distance & 0b11 != 0 {
        return Err(RelocationFault::Misaligned(target));
    }
    let mask = ((1 << bits) - 1) << shift;
    Ok(word & !mask | field(distance >> 2, bits, target)? << shift)
}
