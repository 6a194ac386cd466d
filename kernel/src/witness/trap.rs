//! What made the kernel trap: the syndrome of an exception taken from EL1 to EL2.

use blockmap::machine::Tlbi;
use blockmap::vmsa::Half;
use blockmap_hw::{AccessKind, Class, FaultStatus, Syndrome};

/// Why the observer was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// It was called.
    Call,
    /// An instruction that only it may carry out.
    Instruction {
        /// What it would do.
        what: Trapped,
        /// The register it was given; 31 is the zero register.
        register: u8,
    },
    /// An access that stage 2 does not permit.
    Access(Access),
    /// Nothing that it should ever be entered for.
    Other,
}

/// An instruction of the kernel's that traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trapped {
    /// TLB maintenance.
    Tlbi(Tlbi),
    /// A write of the register that says where a half's tables are.
    Root(Half),
    /// Another that is trapped along with these.
    Unexpected,
}

/// What an access was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A load, or the maintenance of a cache.
    Load,
    /// A store of a whole 64-bit register, at an address that is a multiple of eight or not; 31 is
    /// the zero register.
    StoreOf(u8),
    /// A store of something that the syndrome doesn't describe.
    Store,
    /// An instruction fetch.
    Fetch,
}

/// An access that stage 2 does not permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What it was for.
    pub purpose: Purpose,
    /// Whether it was made by the walk of the kernel's tables, and not by its instruction.
    pub by_walk: bool,
    /// Whether the faulting intermediate address is in `HPFAR_EL2`: only some faults say it.
    pub says_where: bool,
}

impl Trap {
    /// What `esr`, a value of `ESR_EL2`, says.
    ///
    /// Source: "ESR_EL2, Exception Syndrome Register (EL2)" and its ISS encodings.
    #[must_use]
    pub fn of(esr: u64) -> Self {
        let syndrome = Syndrome::new(esr);
        match syndrome.class() {
            Class::HypervisorCall => Self::Call,
            Class::SystemRegister => {
                Self::Instruction { what: Trapped::of(esr), register: field(esr, 5, 5) }
            }
            Class::DataAbort | Class::InstructionAbort => access(syndrome),
            Class::Unknown
            | Class::VectorTrapped
            | Class::BranchTarget
            | Class::IllegalState
            | Class::SupervisorCall
            | Class::SecureMonitorCall
            | Class::PointerAuthentication
            | Class::PcAlignment
            | Class::SpAlignment
            | Class::SystemError
            | Class::Debug
            | Class::Breakpoint
            | Class::Other(_) => Self::Other,
        }
    }
}

/// An abort of stage 2, or [`Trap::Other`].
fn access(syndrome: Syndrome) -> Trap {
    let esr = syndrome.value();
    let by_walk = field(esr, 7, 1) == 1;
    let says_where = match syndrome.abort().map(|abort| abort.status) {
        Some(FaultStatus::Translation(_) | FaultStatus::AccessFlag(_)) => true,
        // The register is unknown after a permission fault, unless a walk met it.
        Some(FaultStatus::Permission(_)) => by_walk,
        Some(_) | None => return Trap::Other,
    };
    // ISV, and SAS for 64 bits.
    let describes = field(esr, 24, 1) == 1 && field(esr, 22, 2) == 0b11;
    let purpose = match syndrome.abort().map(|abort| abort.access) {
        Some(AccessKind::Write) if describes => Purpose::StoreOf(field(esr, 16, 5)),
        Some(AccessKind::Write) => Purpose::Store,
        Some(AccessKind::Execute) => Purpose::Fetch,
        Some(AccessKind::Read | AccessKind::Maintenance) | None => Purpose::Load,
    };
    Trap::Access(Access { purpose, by_walk, says_where })
}

impl Trapped {
    /// The instruction that the syndrome of a trapped system instruction names.
    fn of(esr: u64) -> Self {
        let op0 = field(esr, 20, 2);
        let (op1, op2) = (field(esr, 14, 3), field(esr, 17, 3));
        let (crn, crm) = (field(esr, 10, 4), field(esr, 1, 4));
        let is_write = field(esr, 0, 1) == 0;
        match (op0, op1, crn, is_write) {
            (0b01, 0, 8, true) => tlbi(crm, op2).map_or(Self::Unexpected, Self::Tlbi),
            (0b11, 0, 2, true) if crm == 0 && op2 == 0 => Self::Root(Half::Lower),
            (0b11, 0, 2, true) if crm == 0 && op2 == 1 => Self::Root(Half::Upper),
            _ => Self::Unexpected,
        }
    }
}

/// The operation of EL1 that CRm and op2 name; `None` for those of the outer shareable domain and
/// for encodings that aren't given out.
///
/// Source: "TLB maintenance instructions", A64 system instruction encodings.
const fn tlbi(crm: u8, op2: u8) -> Option<Tlbi> {
    Some(match (crm, op2) {
        (3, 0) => Tlbi::Vmalle1is,
        (3, 1) => Tlbi::Vae1is,
        (3, 2) => Tlbi::Aside1is,
        (3, 3) => Tlbi::Vaae1is,
        (3, 5) => Tlbi::Vale1is,
        (3, 7) => Tlbi::Vaale1is,
        (7, 0) => Tlbi::Vmalle1,
        (7, 1) => Tlbi::Vae1,
        (7, 2) => Tlbi::Aside1,
        (7, 3) => Tlbi::Vaae1,
        (7, 5) => Tlbi::Vale1,
        (7, 7) => Tlbi::Vaale1,
        (2, 1) => Tlbi::Rvae1is,
        (2, 3) => Tlbi::Rvaae1is,
        (2, 5) => Tlbi::Rvale1is,
        (2, 7) => Tlbi::Rvaale1is,
        (6, 1) => Tlbi::Rvae1,
        (6, 3) => Tlbi::Rvaae1,
        (6, 5) => Tlbi::Rvale1,
        (6, 7) => Tlbi::Rvaale1,
        _ => return None,
    })
}

/// The `width` bits of `value` from `low` up; at most eight.
const fn field(value: u64, low: u32, width: u32) -> u8 {
    let [lowest, ..] = (value >> low & ((1 << width) - 1)).to_le_bytes();
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The syndrome of `tlbi` with these fields and this register.
    fn trapped_tlbi(crm: u64, op2: u64, register: u64) -> u64 {
        0x18 << 26 | 1 << 25 | 1 << 20 | op2 << 17 | 8 << 10 | register << 5 | crm << 1
    }

    #[test]
    fn every_tlbi_of_el1_is_named_once() {
        let mut named = Tlbi::ALL.iter().filter(|op| op.mnemonic().contains("e1"));
        assert!(named.all(|op| {
            let places = (0..128).filter(|place| {
                let what = Trapped::Tlbi(*op);
                let trap = Trap::of(trapped_tlbi(place >> 3, place & 7, 3));
                trap == Trap::Instruction { what, register: 3 }
            });
            places.count() == 1
        }));
        let outer = Trap::of(trapped_tlbi(1, 0, 31));
        assert_eq!(outer, Trap::Instruction { what: Trapped::Unexpected, register: 31 });
    }

    #[test]
    fn a_write_of_a_root_is_told_from_a_read_and_from_other_registers() {
        let msr = |op2: u64, read: u64| {
            let esr = 0x18 << 26 | 3 << 20 | op2 << 17 | 2 << 10 | 9 << 5 | read;
            let Trap::Instruction { what, register: 9 } = Trap::of(esr) else {
                panic!("{esr:#x} is no instruction with x9")
            };
            what
        };
        assert_eq!(msr(0, 0), Trapped::Root(Half::Lower));
        assert_eq!(msr(1, 0), Trapped::Root(Half::Upper));
        assert_eq!(msr(1, 1), Trapped::Unexpected);
        assert_eq!(msr(2, 0), Trapped::Unexpected);
    }

    #[test]
    fn a_store_to_a_read_only_page_says_what_it_can() {
        // ISV, 64 bits, x5, write, permission fault at level 3.
        let described = 0x24 << 26 | 1 << 24 | 3 << 22 | 5 << 16 | 1 << 6 | 0x0f;
        let expected = Access { purpose: Purpose::StoreOf(5), by_walk: false, says_where: false };
        assert_eq!(Trap::of(described), Trap::Access(expected));
        let undescribed = described & !(1 << 24);
        let expected = Access { purpose: Purpose::Store, ..expected };
        assert_eq!(Trap::of(undescribed), Trap::Access(expected));
        let narrow = described & !(1 << 22);
        assert_eq!(Trap::of(narrow), Trap::Access(expected));
        // A walk met it, or there is no translation: where is known.
        for esr in [undescribed | 1 << 7, undescribed & !0xf | 0x07] {
            assert!(matches!(Trap::of(esr), Trap::Access(Access { says_where: true, .. })));
        }
        assert_eq!(Trap::of(0x24 << 26 | 0x10), Trap::Other);
        assert_eq!(Trap::of(0x16 << 26), Trap::Call);
    }
}
