//! What a TLB maintenance instruction must remove: its name and operand, read as the manual has it.

use blockmap_machine::{Invalidate, VirtAddr, VirtRange};

use crate::shape::{Format, Granule, Regime, Shape};

/// What one TLBI names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Maintenance {
    /// Which addresses; `None` for a form that names none of this tree's.
    pub reach: Option<Reach>,
    /// The address space whose entries go; `None` for all of them.
    pub asid: Option<u16>,
    /// Which levels.
    pub depth: Depth,
    /// Whose TLBs.
    pub domain: Domain,
    /// Whether only CPUs with range invalidation act on it.
    pub form: Form,
}

/// Which addresses an invalidation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// All.
    Everything,
    /// These.
    Within(VirtRange),
}

/// Which levels an invalidation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Depth {
    /// Leaves and the tables above them.
    All,
    /// Leaves.
    Leaves,
    /// Leaves of tables at this height, and the tables above them.
    AllAbove(u32),
    /// Leaves of tables at this height.
    LeavesAt(u32),
}

/// Whose TLBs an invalidation reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Its own CPU's.
    Local,
    /// Every CPU's.
    Every,
}

/// Which CPUs know an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// All.
    Plain,
    /// Those with FEAT_TLBIRANGE.
    Ranged,
}

/// The letters of a mnemonic.
struct Letters {
    is_ranged: bool,
    is_every_asid: bool,
    is_last_level: bool,
    exception_level: u8,
    domain: Domain,
}

impl Shape {
    /// What `invalidate` names of this tree.
    ///
    /// Source: "TLB maintenance instructions", and the register descriptions of the operands.
    #[must_use]
    pub fn maintenance(self, invalidate: Invalidate) -> Maintenance {
        let mnemonic = invalidate.op.mnemonic();
        let (stem, domain) = match mnemonic.strip_suffix("is") {
            Some(stem) => (stem, Domain::Every),
            None => (mnemonic, Domain::Local),
        };
        let exception_level = stem.bytes().last().map_or(0, |digit| digit.wrapping_sub(b'0'));
        let letters = |stem: &str, is_ranged| Letters {
            is_ranged,
            is_every_asid: stem.starts_with("aa"),
            is_last_level: stem.trim_start_matches('a').starts_with('l'),
            exception_level,
            domain,
        };
        let mut all = Maintenance {
            reach: self.is_of(exception_level).then_some(Reach::Everything),
            asid: None,
            depth: Depth::All,
            domain,
            form: Form::Plain,
        };
        if stem.starts_with("vmall") || stem.starts_with("alle") {
            all
        } else if stem.starts_with("aside") {
            all.asid = Some(asid(invalidate.operand));
            all
        } else if let Some(rest) = stem.strip_prefix("rv") {
            self.by_range(&letters(rest, true), invalidate.operand)
        } else {
            self.by_address(&letters(stem.trim_start_matches('v'), false), invalidate.operand)
        }
    }

    /// Whether the instructions of `exception_level` are about this regime. Those of EL1 are about
    /// EL2&0 where `HCR_EL2.TGE` is set, as it is for a kernel at EL2.
    fn is_of(self, exception_level: u8) -> bool {
        match self.regime {
            Regime::El1 => exception_level == 1,
            Regime::El2 => exception_level == 2,
            Regime::El2Host => matches!(exception_level, 1 | 2),
            Regime::El3 => exception_level == 3,
        }
    }

    fn named(
        self,
        letters: &Letters,
        operand: u64,
        reach: Option<(VirtRange, Depth)>,
    ) -> Maintenance {
        let has_asids = matches!(self.regime, Regime::El1 | Regime::El2Host);
        let reach = reach.filter(|_| self.is_of(letters.exception_level));
        Maintenance {
            reach: reach.map(|(range, _)| Reach::Within(range)),
            asid: (has_asids && !letters.is_every_asid).then(|| asid(operand)),
            depth: reach.map_or(Depth::All, |(_, depth)| depth),
            domain: letters.domain,
            form: if letters.is_ranged { Form::Ranged } else { Form::Plain },
        }
    }

    /// Bits 43 to 0 are bits 55 to 12 of the address; bits 47 to 44 the level hint.
    fn by_address(self, letters: &Letters, operand: u64) -> Maintenance {
        let address = sign_extend(operand << 12, 55) & !(self.span(0) - 1);
        let hint = operand >> 44 & 0xf;
        let (granule, level) = (hint >> 2, hint & 3);
        let depth = match (granule, level) {
            (0, _) => Some(Depth::of(letters, None)),
            // Level 0 has leaves with FEAT_LPA2 and the smallest granule only.
            (_, 0) if granule == self.granule_code() && self.has_leaves(3) => {
                Some(Depth::of(letters, Some(3)))
            }
            (_, 0) => Some(Depth::of(letters, None)),
            _ if granule == self.granule_code() => Some(Depth::of(letters, height_of(level))),
            // A hint for another granule: nothing need be removed.
            _ => None,
        };
        let page = VirtRange::new(VirtAddr::new(address), self.span(0));
        self.named(letters, operand, page.zip(depth))
    }

    /// Base, level hint, count and scale, granule, from bit 0 up.
    fn by_range(self, letters: &Letters, operand: u64) -> Maintenance {
        let unit = if self.format == Format::Lpa2 { 16 } else { self.page_bits() };
        let base = sign_extend((operand & ((1 << 37) - 1)) << unit, unit + 36);
        let (hint, number, scale) = (operand >> 37 & 3, operand >> 39 & 0x1f, operand >> 44 & 3);
        // INVARIANT: scale is at most 3, so the shift is at most 16 above a page's bits.
        let shift = 5 * u32::try_from(scale).unwrap_or(3) + 1 + self.page_bits();
        let range = VirtRange::new(VirtAddr::new(base), (number + 1) << shift);
        let height = height_of(hint);
        // With a hint of a level of blocks, a base that is no multiple of the block makes the
        // range unpredictable: nothing can be relied on.
        let is_usable = height.is_none_or(|height| base & (self.span(height) - 1) == 0);
        let is_ours = operand >> 46 & 3 == self.granule_code() && is_usable;
        let depth = Depth::of(letters, height);
        self.named(letters, operand, range.filter(|_| is_ours).map(|range| (range, depth)))
    }

    /// How operands name the granule.
    fn granule_code(self) -> u64 {
        match self.granule {
            Granule::Kib4 => 1,
            Granule::Kib16 => 2,
            Granule::Kib64 => 3,
        }
    }
}

impl Depth {
    fn of(letters: &Letters, height: Option<u32>) -> Self {
        match (letters.is_last_level, height) {
            (false, None) => Self::All,
            (true, None) => Self::Leaves,
            (false, Some(height)) => Self::AllAbove(height),
            (true, Some(height)) => Self::LeavesAt(height),
        }
    }

    /// Whether leaves of tables at `height` go. A hint that is wrong for a leaf need not remove it.
    #[must_use]
    pub const fn has_leaves(self, height: u32) -> bool {
        match self {
            Self::All | Self::Leaves => true,
            Self::AllAbove(at) | Self::LeavesAt(at) => at == height,
        }
    }

    /// Whether pointers to tables at `height` go.
    #[must_use]
    pub const fn has_pointers_to(self, height: u32) -> bool {
        match self {
            Self::All => true,
            Self::AllAbove(at) => at <= height,
            Self::Leaves | Self::LeavesAt(_) => false,
        }
    }
}

impl Maintenance {
    /// Whether an address of `range` is named.
    #[must_use]
    pub fn touches(&self, range: VirtRange) -> bool {
        match self.reach {
            None => false,
            Some(Reach::Everything) => true,
            Some(Reach::Within(named)) => named.overlaps(range),
        }
    }
}

/// The height of an architectural level, where a hint of 0 is none.
fn height_of(level: u64) -> Option<u32> {
    match level {
        1 => Some(2),
        2 => Some(1),
        3 => Some(0),
        _ => None,
    }
}

fn asid(operand: u64) -> u16 {
    u16::try_from(operand >> 48).unwrap_or(0)
}

/// Copies bit `sign` of `value` to all above it.
const fn sign_extend(value: u64, sign: u32) -> u64 {
    let above = u64::MAX << sign;
    if value >> sign & 1 == 0 { value & !above } else { value | above }
}

#[cfg(test)]
mod tests {
    use blockmap_machine::Tlbi;

    use super::*;

    fn read(op: Tlbi, operand: u64) -> Maintenance {
        Shape::KERNEL_4K_48.maintenance(Invalidate { op, operand })
    }

    #[test]
    fn an_address_form_names_one_page() {
        let by_address = read(Tlbi::Vaale1is, 0x0ff0_0004_0000);
        let page = VirtRange::new(VirtAddr::new(0xffff_0000_4000_0000), 4096);
        assert_eq!(by_address.reach, page.map(Reach::Within));
        assert_eq!((by_address.depth, by_address.asid), (Depth::Leaves, None));
        let with_asid = read(Tlbi::Vae1, 7 << 48 | 0x0ff0_0004_0000);
        assert_eq!((with_asid.asid, with_asid.domain), (Some(7), Domain::Local));
        assert_eq!(with_asid.depth, Depth::All);
    }

    #[test]
    fn hints_name_a_level_and_a_wrong_granule_names_nothing() {
        assert_eq!(read(Tlbi::Vaae1is, 0b0111 << 44).depth, Depth::AllAbove(0));
        assert_eq!(read(Tlbi::Vaale1is, 0b0101 << 44).depth, Depth::LeavesAt(2));
        assert_eq!(read(Tlbi::Vaale1is, 0b1011 << 44).reach, None);
    }

    #[test]
    fn a_range_form_names_its_pages() {
        // One GiB from 0xffff_0000_4000_0000 on: (3 + 1) << 16 pages.
        let base = 0xffff_0000_4000_0000_u64 >> 12 & ((1 << 37) - 1);
        let operand = base | 3 << 39 | 3 << 44 | 1 << 46;
        let ranged = read(Tlbi::Rvaale1is, operand);
        let gib = VirtRange::new(VirtAddr::new(0xffff_0000_4000_0000), 1 << 30);
        assert_eq!((ranged.reach, ranged.form), (gib.map(Reach::Within), Form::Ranged));
        assert_eq!(read(Tlbi::Rvaale1is, operand ^ 3 << 46).reach, None, "another granule");
        assert_eq!(read(Tlbi::Rvaale1is, (operand | 1 << 37) + 1).reach, None, "unaligned");
    }

    #[test]
    fn every_mnemonic_is_read_as_it_is_spelt() {
        for op in Tlbi::ALL {
            let name = op.mnemonic();
            let read = read(*op, 1 << 46);
            assert_eq!(read.domain == Domain::Every, name.ends_with("is"), "{name}");
            assert_eq!(read.form == Form::Ranged, name.starts_with("rv"), "{name}");
            if read.reach.is_some() {
                let is_last_level = name.contains("al") && !name.contains("all");
                assert_eq!(read.depth == Depth::Leaves, is_last_level, "{name}");
            }
            assert_eq!(read.reach.is_none(), !name.contains('1'), "{name}");
        }
    }
}
