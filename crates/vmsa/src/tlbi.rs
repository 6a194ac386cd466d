//! TLB maintenance: which instruction, and what its operand says.
//!
//! The operand of a by-address form holds the ASID in bits 63:48, the TTL hint in 47:44 and input
//! address bits 55:12 in 43:0. That of a range form is in [`RangeInvalidations`]' module.
//!
//! EL2&0 uses the EL1 mnemonics: where `HCR_EL2.E2H` and `HCR_EL2.TGE` are set, as a kernel at
//! EL2 sets them, they act on EL2&0. The EL2 mnemonics would as well, but none of them reaches an
//! address in every ASID.
//!
//! Source: "TLB maintenance instructions", "TLBI VAE1, TLBI VAE1NXS" and its relatives.
#![expect(
    clippy::inline_always,
    reason = "of a geometry that is constant nothing is left but a shift or a mask"
)]

mod decode;
mod range;

use blockmap_machine::{Invalidate, Tlbi, VirtAddr};

pub use decode::{AddressTarget, Hint, Invalidation, RangeTarget, Target, TlbiFamily, decode};
pub use range::RangeInvalidations;

use crate::{Format, Geometry, Granule, Level, Regime};

/// Which instructions invalidate a range of addresses: what every CPU that takes part has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlbiForm {
    /// One instruction an address.
    ByAddress,
    /// FEAT_TLBIRANGE: one instruction for up to two million pages. A CPU without it need not act
    /// on another's broadcast of one, so all must have it. [range-form-needs-every-cpu]
    Ranged,
}

/// Which entries of a walk an invalidation removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Those made from leaves. Enough where no table was unlinked.
    LastLevel,
    /// Those made from tables as well. [all-levels-before-free]
    AllLevels,
}

/// Whose TLBs an invalidation reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The CPU that executes it: completed by `dsb nsh`.
    ThisCpu,
    /// Every CPU of the inner shareable domain: completed by `dsb ish`.
    EveryCpu,
}

/// An address space identifier. Where `TCR_ELx.AS` is clear, its upper eight bits must be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asid(u16);

impl Asid {
    /// The identifier with this value.
    #[inline(always)]
    #[must_use]
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// The identifier as a number.
    #[inline(always)]
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// The identifier where every operand has it.
    #[inline(always)]
    const fn field(asid: Option<Self>) -> u64 {
        match asid {
            #[expect(clippy::as_conversions, reason = "widening; From is not const")]
            Some(asid) => (asid.0 as u64) << 48,
            None => 0,
        }
    }
}

/// What an invalidation by address or range is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Whose TLBs.
    pub scope: Scope,
    /// Which levels.
    pub reach: Reach,
    /// The ASID of the entries, or every ASID. Copies of table entries belong to an ASID whatever
    /// the leaves below them say, so a kernel's own need `None`. [tables-are-never-global]
    ///
    /// Regimes without ASIDs take no notice.
    pub asid: Option<Asid>,
    /// The level at which the addresses' leaves are, if it is certain: an entry of another level
    /// need not be removed, so it must be `None` wherever sizes may have changed.
    /// [no-ttl-across-sizes]
    pub hint: Option<Level>,
}

impl Operation {
    /// Every CPU, every ASID, no hint: right whatever the entries were. [invalidate-every-cpu]
    /// [invalidate-every-asid]
    #[inline(always)]
    #[must_use]
    pub const fn broadcast(reach: Reach) -> Self {
        Self { scope: Scope::EveryCpu, reach, asid: None, hint: None }
    }
}

impl Geometry {
    /// Removes everything of this regime, on every CPU.
    #[inline(always)]
    #[must_use]
    pub const fn invalidate_all(self) -> Invalidate {
        self.invalidation_of_all(Scope::EveryCpu)
    }

    /// Removes what was made of the entries on the walk of `address`, in every ASID where the
    /// regime has them, on every CPU. It carries no level hint.
    #[inline(always)]
    #[must_use]
    pub const fn invalidate_address(self, address: VirtAddr, reach: Reach) -> Invalidate {
        self.invalidation_of_address(address, Operation::broadcast(reach))
    }

    /// Removes everything of this regime, in `scope`.
    #[inline(always)]
    #[must_use]
    pub const fn invalidation_of_all(self, scope: Scope) -> Invalidate {
        let op = match (self.regime(), scope) {
            (Regime::El1And0 | Regime::El2And0, Scope::ThisCpu) => Tlbi::Vmalle1,
            (Regime::El1And0 | Regime::El2And0, Scope::EveryCpu) => Tlbi::Vmalle1is,
            (Regime::El2, Scope::ThisCpu) => Tlbi::Alle2,
            (Regime::El2, Scope::EveryCpu) => Tlbi::Alle2is,
            (Regime::El3, Scope::ThisCpu) => Tlbi::Alle3,
            (Regime::El3, Scope::EveryCpu) => Tlbi::Alle3is,
        };
        Invalidate { op, operand: 0 }
    }

    /// Removes the entries of one ASID that were made of leaves which are not global, in `scope`;
    /// `None` in a regime without ASIDs.
    #[inline(always)]
    #[must_use]
    pub const fn invalidation_of_asid(self, asid: Asid, scope: Scope) -> Option<Invalidate> {
        if !self.regime().has_unprivileged() {
            return None;
        }
        Some(Invalidate {
            op: match scope {
                Scope::ThisCpu => Tlbi::Aside1,
                Scope::EveryCpu => Tlbi::Aside1is,
            },
            operand: Asid::field(Some(asid)),
        })
    }

    /// Removes what was made of the entries on the walk of `address`.
    #[inline(always)]
    #[must_use]
    pub const fn invalidation_of_address(
        self,
        address: VirtAddr,
        operation: Operation,
    ) -> Invalidate {
        let hint = match operation.hint {
            Some(level) => self.ttl(level) << 44,
            None => 0,
        };
        let page = address.value() >> 12 & ((1 << 44) - 1);
        Invalidate {
            op: self.address_op(operation),
            operand: self.asid_field(operation) | hint | page,
        }
    }

    /// The ASID field of an operand: zero in a regime that has none, where it is RES0.
    #[inline(always)]
    const fn asid_field(self, operation: Operation) -> u64 {
        if self.regime().has_unprivileged() { Asid::field(operation.asid) } else { 0 }
    }

    /// The four bits of the TTL hint for leaves at `level`: none where no leaf can be.
    ///
    /// Source: "TTL" in "TLBI VAE1, TLBI VAE1NXS".
    #[inline(always)]
    const fn ttl(self, level: Level) -> u64 {
        if self.leaf_size(level).is_none() {
            return 0;
        }
        self.tg() << 2 | level_field(level)
    }

    /// The two bits that name the granule, in TTL and in TG alike.
    #[inline(always)]
    const fn tg(self) -> u64 {
        match self.granule() {
            Granule::Kib4 => 0b01,
            Granule::Kib16 => 0b10,
            Granule::Kib64 => 0b11,
        }
    }

    #[inline(always)]
    const fn address_op(self, operation: Operation) -> Tlbi {
        use Reach::{AllLevels, LastLevel};
        use Scope::{EveryCpu, ThisCpu};
        let every_asid = operation.asid.is_none();
        match (self.regime(), operation.reach, operation.scope) {
            (Regime::El1And0 | Regime::El2And0, reach, scope) => match (every_asid, reach, scope) {
                (false, AllLevels, ThisCpu) => Tlbi::Vae1,
                (false, AllLevels, EveryCpu) => Tlbi::Vae1is,
                (false, LastLevel, ThisCpu) => Tlbi::Vale1,
                (false, LastLevel, EveryCpu) => Tlbi::Vale1is,
                (true, AllLevels, ThisCpu) => Tlbi::Vaae1,
                (true, AllLevels, EveryCpu) => Tlbi::Vaae1is,
                (true, LastLevel, ThisCpu) => Tlbi::Vaale1,
                (true, LastLevel, EveryCpu) => Tlbi::Vaale1is,
            },
            (Regime::El2, AllLevels, ThisCpu) => Tlbi::Vae2,
            (Regime::El2, AllLevels, EveryCpu) => Tlbi::Vae2is,
            (Regime::El2, LastLevel, ThisCpu) => Tlbi::Vale2,
            (Regime::El2, LastLevel, EveryCpu) => Tlbi::Vale2is,
            (Regime::El3, AllLevels, ThisCpu) => Tlbi::Vae3,
            (Regime::El3, AllLevels, EveryCpu) => Tlbi::Vae3is,
            (Regime::El3, LastLevel, ThisCpu) => Tlbi::Vale3,
            (Regime::El3, LastLevel, EveryCpu) => Tlbi::Vale3is,
        }
    }

    /// The number of the lowest input address bit that a range operand's base holds.
    #[inline(always)]
    const fn range_base_bit(self) -> u32 {
        match self.format() {
            // TCR_ELx.DS is set: the base is in units of 64 KiB whatever the granule.
            Format::Lpa2 => 16,
            Format::Base | Format::Lpa => self.granule().page_bits(),
        }
    }
}

/// The level in two bits. No form can name level −1, which has no leaves.
#[inline(always)]
const fn level_field(level: Level) -> u64 {
    match level {
        Level::Minus1 | Level::L0 => 0,
        Level::L1 => 1,
        Level::L2 => 2,
        Level::L3 => 3,
    }
}

#[cfg(test)]
mod tests;
