//! What a TLB maintenance instruction says, read back from it.

use blockmap_machine::{Invalidate, Tlbi, VirtAddr, VirtRange};

use super::{Asid, Reach, Scope};
use crate::{Format, Granule, Level};

/// The exception level in an instruction's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlbiFamily {
    /// EL1&0; EL2&0 where `HCR_EL2.E2H` and `HCR_EL2.TGE` are set.
    E1,
    /// EL2, or EL2&0 where `HCR_EL2.E2H` is set.
    E2,
    /// EL3.
    E3,
}

/// A TLB maintenance instruction, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Invalidation {
    /// Whose regime.
    pub family: TlbiFamily,
    /// Whose TLBs.
    pub scope: Scope,
    /// Which entries.
    pub target: Target,
}

/// Which entries an invalidation removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// All of the regime.
    Everything,
    /// Those of an ASID made from leaves that are not global.
    Asid(Asid),
    /// Those on the walk of an address.
    Address(AddressTarget),
    /// Those on the walks of a range.
    Range(RangeTarget),
}

/// The operand of a by-address form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressTarget {
    /// Which levels.
    pub reach: Reach,
    /// The ASID; `None` in forms for every ASID and at EL3. The EL2 forms have one, which is RES0
    /// unless `HCR_EL2.E2H` is set.
    pub asid: Option<Asid>,
    /// The level hint.
    pub hint: Hint,
    /// The 4 KiB page, with bit 55 of the address repeated above it.
    pub address: VirtAddr,
}

/// The operand of a range form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RangeTarget {
    /// Which levels.
    pub reach: Reach,
    /// As in [`AddressTarget`].
    pub asid: Option<Asid>,
    /// The granule; `None` is the reserved encoding, for which nothing need be removed.
    pub granule: Option<Granule>,
    /// SCALE, 0 to 3.
    pub scale: u8,
    /// NUM, 0 to 31.
    pub num: u8,
    /// The level of the leaves; `None` for any.
    pub hint: Option<Level>,
    /// BaseADDR, a 37-bit field. [`RangeTarget::covered`] says which addresses it means.
    pub base: u64,
}

/// The TTL field of a by-address form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// The leaf may be at any level.
    Any,
    /// The leaf is at this level of tables with this granule.
    Leaf(Granule, Level),
    /// 16 or 64 KiB at level 0: reserved, as [`Hint::Any`].
    Reserved(Granule),
}

impl RangeTarget {
    /// The addresses that are covered where descriptors have this format; `None` when the granule
    /// is reserved or the range wraps.
    #[must_use]
    pub fn covered(self, format: Format) -> Option<VirtRange> {
        let granule = self.granule?;
        let base_bit = match format {
            Format::Lpa2 => 16,
            Format::Base | Format::Lpa => granule.page_bits(),
        };
        // The base's top bit is the highest one that a half's addresses differ in.
        let base = sign_extended(self.base << base_bit, base_bit + 36);
        let units = u64::from(self.num) + 1;
        let bytes = units << (5 * u32::from(self.scale) + 1 + granule.page_bits());
        VirtRange::new(VirtAddr::new(base), bytes)
    }
}

/// What an instruction says. Bits of the operand that its form has no field for are left out.
///
/// Source: "TLB maintenance instructions".
#[must_use]
pub fn decode(instruction: Invalidate) -> Invalidation {
    let Name { family, scope, shape } = name(instruction.op);
    let word = instruction.operand;
    let target = match shape {
        Shape::Everything => Target::Everything,
        Shape::Asid => Target::Asid(asid(word)),
        Shape::Address(reach, asids) => Target::Address(AddressTarget {
            reach,
            asid: asids.of(word),
            hint: address_hint(word),
            address: VirtAddr::new(sign_extended((word & ((1 << 44) - 1)) << 12, 55)),
        }),
        Shape::Range(reach, asids) => Target::Range(RangeTarget {
            reach,
            asid: asids.of(word),
            granule: granule(word >> 46),
            scale: low_byte(word >> 44 & 0b11),
            num: low_byte(word >> 39 & 0x1f),
            hint: match word >> 37 & 0b11 {
                0 => None,
                field => Some(level(field)),
            },
            base: word & ((1 << 37) - 1),
        }),
    };
    Invalidation { family, scope, target }
}

/// What an instruction's name says.
struct Name {
    family: TlbiFamily,
    scope: Scope,
    shape: Shape,
}

enum Shape {
    Everything,
    Asid,
    Address(Reach, Asids),
    Range(Reach, Asids),
}

enum Asids {
    One,
    Every,
}

impl Asids {
    fn of(&self, word: u64) -> Option<Asid> {
        match self {
            Self::One => Some(asid(word)),
            Self::Every => None,
        }
    }
}

fn name(op: Tlbi) -> Name {
    use Asids::{Every, One};
    use Reach::{AllLevels, LastLevel};
    use Scope::{EveryCpu, ThisCpu};
    use TlbiFamily::{E1, E2, E3};
    let (family, scope, shape) = match op {
        Tlbi::Vmalle1 => (E1, ThisCpu, Shape::Everything),
        Tlbi::Vmalle1is => (E1, EveryCpu, Shape::Everything),
        Tlbi::Vae1 => (E1, ThisCpu, Shape::Address(AllLevels, One)),
        Tlbi::Vae1is => (E1, EveryCpu, Shape::Address(AllLevels, One)),
        Tlbi::Aside1 => (E1, ThisCpu, Shape::Asid),
        Tlbi::Aside1is => (E1, EveryCpu, Shape::Asid),
        Tlbi::Vaae1 => (E1, ThisCpu, Shape::Address(AllLevels, Every)),
        Tlbi::Vaae1is => (E1, EveryCpu, Shape::Address(AllLevels, Every)),
        Tlbi::Vale1 => (E1, ThisCpu, Shape::Address(LastLevel, One)),
        Tlbi::Vale1is => (E1, EveryCpu, Shape::Address(LastLevel, One)),
        Tlbi::Vaale1 => (E1, ThisCpu, Shape::Address(LastLevel, Every)),
        Tlbi::Vaale1is => (E1, EveryCpu, Shape::Address(LastLevel, Every)),
        Tlbi::Rvae1 => (E1, ThisCpu, Shape::Range(AllLevels, One)),
        Tlbi::Rvae1is => (E1, EveryCpu, Shape::Range(AllLevels, One)),
        Tlbi::Rvaae1 => (E1, ThisCpu, Shape::Range(AllLevels, Every)),
        Tlbi::Rvaae1is => (E1, EveryCpu, Shape::Range(AllLevels, Every)),
        Tlbi::Rvale1 => (E1, ThisCpu, Shape::Range(LastLevel, One)),
        Tlbi::Rvale1is => (E1, EveryCpu, Shape::Range(LastLevel, One)),
        Tlbi::Rvaale1 => (E1, ThisCpu, Shape::Range(LastLevel, Every)),
        Tlbi::Rvaale1is => (E1, EveryCpu, Shape::Range(LastLevel, Every)),
        Tlbi::Alle2 => (E2, ThisCpu, Shape::Everything),
        Tlbi::Alle2is => (E2, EveryCpu, Shape::Everything),
        Tlbi::Vae2 => (E2, ThisCpu, Shape::Address(AllLevels, One)),
        Tlbi::Vae2is => (E2, EveryCpu, Shape::Address(AllLevels, One)),
        Tlbi::Vale2 => (E2, ThisCpu, Shape::Address(LastLevel, One)),
        Tlbi::Vale2is => (E2, EveryCpu, Shape::Address(LastLevel, One)),
        Tlbi::Rvae2 => (E2, ThisCpu, Shape::Range(AllLevels, One)),
        Tlbi::Rvae2is => (E2, EveryCpu, Shape::Range(AllLevels, One)),
        Tlbi::Rvale2 => (E2, ThisCpu, Shape::Range(LastLevel, One)),
        Tlbi::Rvale2is => (E2, EveryCpu, Shape::Range(LastLevel, One)),
        Tlbi::Alle3 => (E3, ThisCpu, Shape::Everything),
        Tlbi::Alle3is => (E3, EveryCpu, Shape::Everything),
        Tlbi::Vae3 => (E3, ThisCpu, Shape::Address(AllLevels, Every)),
        Tlbi::Vae3is => (E3, EveryCpu, Shape::Address(AllLevels, Every)),
        Tlbi::Vale3 => (E3, ThisCpu, Shape::Address(LastLevel, Every)),
        Tlbi::Vale3is => (E3, EveryCpu, Shape::Address(LastLevel, Every)),
        Tlbi::Rvae3 => (E3, ThisCpu, Shape::Range(AllLevels, Every)),
        Tlbi::Rvae3is => (E3, EveryCpu, Shape::Range(AllLevels, Every)),
        Tlbi::Rvale3 => (E3, ThisCpu, Shape::Range(LastLevel, Every)),
        Tlbi::Rvale3is => (E3, EveryCpu, Shape::Range(LastLevel, Every)),
    };
    Name { family, scope, shape }
}

fn asid(word: u64) -> Asid {
    let [.., low, high] = word.to_le_bytes();
    Asid::new(u16::from_le_bytes([low, high]))
}

fn address_hint(word: u64) -> Hint {
    match (granule(word >> 46), word >> 44 & 0b11) {
        (None, _) => Hint::Any,
        (Some(granule @ (Granule::Kib16 | Granule::Kib64)), 0) => Hint::Reserved(granule),
        (Some(granule), field) => Hint::Leaf(granule, level(field)),
    }
}

fn granule(field: u64) -> Option<Granule> {
    match field & 0b11 {
        0b01 => Some(Granule::Kib4),
        0b10 => Some(Granule::Kib16),
        0b11 => Some(Granule::Kib64),
        _ => None,
    }
}

fn level(field: u64) -> Level {
    match field & 0b11 {
        0 => Level::L0,
        1 => Level::L1,
        2 => Level::L2,
        _ => Level::L3,
    }
}

fn low_byte(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low
}

/// `value` with the bits above `top` made equal to it.
fn sign_extended(value: u64, top: u32) -> u64 {
    let above = !((1 << top) - 1);
    if value >> top & 1 == 0 { value & !above } else { value | above }
}
