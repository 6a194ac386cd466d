//! What an exception syndrome says, in words.

use core::fmt;

use blockmap_vmsa::Level;

/// The value of `ESR_EL1`: why a synchronous exception was taken.
///
/// Source: "ESR_EL1, Exception Syndrome Register (EL1)".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Syndrome(u64);

/// The exception class, `ESR_EL1.EC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// An instruction that doesn't exist here, or another reason without a class of its own.
    Unknown,
    /// Floating-point or vector instruction while `CPACR_EL1` traps them.
    VectorTrapped,
    /// A branch landed where the target is guarded and no landing is marked.
    BranchTarget,
    /// `PSTATE.IL` was set.
    IllegalState,
    /// `SVC`.
    SupervisorCall,
    /// `HVC`.
    HypervisorCall,
    /// `SMC`.
    SecureMonitorCall,
    /// A system register or system instruction that is trapped.
    SystemRegister,
    /// A pointer whose authentication failed.
    PointerAuthentication,
    /// An instruction fetch failed.
    InstructionAbort,
    /// The program counter is no multiple of four.
    PcAlignment,
    /// A load, store or cache maintenance instruction failed.
    DataAbort,
    /// The stack pointer is no multiple of sixteen.
    SpAlignment,
    /// An error that belongs to no instruction.
    SystemError,
    /// A hardware breakpoint, watchpoint or single step.
    Debug,
    /// `BRK`: what Rust's aborts compile to.
    Breakpoint,
    /// A class that has no name here.
    Other(u8),
}

/// What an access that failed was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
    /// A cache maintenance or address translation instruction.
    Maintenance,
}

/// Why an access failed: `ESR_EL1.DFSC` or `.IFSC`.
///
/// Where a level is given, it is the one at which the walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultStatus {
    /// The output address, or the table's, has more bits than are configured.
    AddressSize(Level),
    /// There is no valid descriptor.
    Translation(Level),
    /// The leaf's access flag is clear.
    AccessFlag(Level),
    /// The leaf doesn't permit the access.
    Permission(Level),
    /// Memory answered with an error.
    External,
    /// Memory answered with an error to the walk.
    ExternalOnWalk(Level),
    /// The pointer's tag is not the memory's.
    TagCheck,
    /// An uncorrectable memory error.
    Parity,
    /// An uncorrectable memory error during the walk.
    ParityOnWalk(Level),
    /// The address is not aligned as the access needs.
    Alignment,
    /// The TLB held more than one entry for the address.
    TlbConflict,
    /// Hardware could not update a descriptor atomically.
    UnsupportedUpdate,
    /// An exclusive or atomic access to memory that has none.
    UnsupportedAtomic,
    /// A status that has no name here.
    Other(u8),
}

/// A failed access, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abort {
    /// What the access was for.
    pub access: AccessKind,
    /// Why it failed.
    pub status: FaultStatus,
}

impl Syndrome {
    /// The syndrome with this value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The register's value.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The exception class.
    #[must_use]
    pub const fn class(self) -> Class {
        match field(self.0, 26, 6) {
            0x00 => Class::Unknown,
            0x07 | 0x19 | 0x1d => Class::VectorTrapped,
            0x0d => Class::BranchTarget,
            0x0e => Class::IllegalState,
            0x15 => Class::SupervisorCall,
            0x16 => Class::HypervisorCall,
            0x17 => Class::SecureMonitorCall,
            0x18 => Class::SystemRegister,
            0x09 | 0x1c => Class::PointerAuthentication,
            0x20 | 0x21 => Class::InstructionAbort,
            0x22 => Class::PcAlignment,
            0x24 | 0x25 => Class::DataAbort,
            0x26 => Class::SpAlignment,
            0x2f => Class::SystemError,
            0x30..=0x35 => Class::Debug,
            0x3c => Class::Breakpoint,
            other => Class::Other(other),
        }
    }

    /// What failed, if an access did.
    #[must_use]
    pub const fn abort(self) -> Option<Abort> {
        // CM, bit 8, is set for cache maintenance, and WnR, bit 6, with it.
        let (maintenance, write) = (field(self.0, 8, 1) == 1, field(self.0, 6, 1) == 1);
        let access = if matches!(self.class(), Class::InstructionAbort) {
            AccessKind::Execute
        } else if !matches!(self.class(), Class::DataAbort) {
            return None;
        } else if maintenance {
            AccessKind::Maintenance
        } else if write {
            AccessKind::Write
        } else {
            AccessKind::Read
        };
        Some(Abort { access, status: Self::fault_status(self.0) })
    }

    /// Whether `FAR_EL1` holds the address: of aborts and alignment faults, unless `FnV` is set.
    #[must_use]
    pub const fn has_address(self) -> bool {
        let is_abort = matches!(self.class(), Class::InstructionAbort | Class::DataAbort);
        is_abort && field(self.0, 10, 1) == 0 || matches!(self.class(), Class::PcAlignment)
    }

    /// Why an access failed, from the low six bits of `value`: of a syndrome, or of `PAR_EL1.FST`
    /// once that is shifted down.
    ///
    /// Source: "ISS encoding for an exception from a Data Abort", field DFSC.
    #[must_use]
    pub const fn fault_status(value: u64) -> FaultStatus {
        let status = field(value, 0, 6);
        let level = match status & 0b11 {
            0 => Level::L0,
            1 => Level::L1,
            2 => Level::L2,
            _ => Level::L3,
        };
        match status {
            0x00..=0x03 => FaultStatus::AddressSize(level),
            0x29 => FaultStatus::AddressSize(Level::Minus1),
            0x04..=0x07 => FaultStatus::Translation(level),
            0x2b => FaultStatus::Translation(Level::Minus1),
            0x08..=0x0b => FaultStatus::AccessFlag(level),
            0x0c..=0x0f => FaultStatus::Permission(level),
            0x10 => FaultStatus::External,
            0x13 => FaultStatus::ExternalOnWalk(Level::Minus1),
            0x14..=0x17 => FaultStatus::ExternalOnWalk(level),
            0x11 => FaultStatus::TagCheck,
            0x18 => FaultStatus::Parity,
            0x1b => FaultStatus::ParityOnWalk(Level::Minus1),
            0x1c..=0x1f => FaultStatus::ParityOnWalk(level),
            0x21 => FaultStatus::Alignment,
            0x30 => FaultStatus::TlbConflict,
            0x31 => FaultStatus::UnsupportedUpdate,
            0x35 => FaultStatus::UnsupportedAtomic,
            other => FaultStatus::Other(other),
        }
    }
}

/// The `width` bits of `value` from `low` up; at most eight.
const fn field(value: u64, low: u32, width: u32) -> u8 {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "masked to eight bits"
    )]
    let field = (value >> low & ((1 << width) - 1)) as u8;
    field
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "undefined instruction",
            Self::VectorTrapped => "floating-point or vector instruction",
            Self::BranchTarget => "branch to an unmarked target",
            Self::IllegalState => "illegal execution state",
            Self::SupervisorCall => "supervisor call",
            Self::HypervisorCall => "hypervisor call",
            Self::SecureMonitorCall => "secure monitor call",
            Self::SystemRegister => "trapped system instruction",
            Self::PointerAuthentication => "pointer authentication failure",
            Self::InstructionAbort => "instruction abort",
            Self::PcAlignment => "misaligned program counter",
            Self::DataAbort => "data abort",
            Self::SpAlignment => "misaligned stack pointer",
            Self::SystemError => "system error",
            Self::Debug => "debug exception",
            Self::Breakpoint => "breakpoint instruction",
            Self::Other(class) => return write!(f, "exception of class {class:#04x}"),
        })
    }
}

impl fmt::Display for AccessKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
            Self::Maintenance => "cache maintenance",
        })
    }
}

impl fmt::Display for FaultStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressSize(level) => write!(f, "address size fault, {level}"),
            Self::Translation(level) => write!(f, "translation fault, {level}"),
            Self::AccessFlag(level) => write!(f, "access flag fault, {level}"),
            Self::Permission(level) => write!(f, "permission fault, {level}"),
            Self::External => f.write_str("external abort"),
            Self::ExternalOnWalk(level) => write!(f, "external abort on the walk, {level}"),
            Self::TagCheck => f.write_str("tag check fault"),
            Self::Parity => f.write_str("parity error"),
            Self::ParityOnWalk(level) => write!(f, "parity error on the walk, {level}"),
            Self::Alignment => f.write_str("alignment fault"),
            Self::TlbConflict => f.write_str("TLB conflict abort"),
            Self::UnsupportedUpdate => f.write_str("unsupported hardware update"),
            Self::UnsupportedAtomic => f.write_str("unsupported atomic or exclusive access"),
            Self::Other(status) => write!(f, "fault of status {status:#04x}"),
        }
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.status, self.access)
    }
}

impl fmt::Display for Syndrome {
    /// What happened, without where: "data abort: permission fault, level 3, write".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.abort() {
            Some(abort) => write!(f, "{}: {abort}", self.class()),
            None => self.class().fmt(f),
        }
    }
}

impl fmt::Debug for Syndrome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Syndrome({:#x}: {self})", self.0)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_store_to_a_read_only_page_reads_as_such() {
        let syndrome = Syndrome::new(0x9600_004f);
        assert_eq!(syndrome.to_string(), "data abort: permission fault, level 3, write");
        assert!(syndrome.has_address());
    }

    #[test]
    fn a_tlb_conflict_is_named() {
        let abort = Syndrome::new(0x9600_0030).abort().unwrap();
        assert_eq!(abort.status, FaultStatus::TlbConflict);
        assert_eq!(abort.access, AccessKind::Read);
    }

    #[test]
    fn a_fetch_from_nowhere_gives_the_level_of_the_hole() {
        let syndrome = Syndrome::new(0x8600_0004);
        assert_eq!(syndrome.to_string(), "instruction abort: translation fault, level 0, execute");
    }

    #[test]
    fn an_abort_without_a_valid_address_says_so() {
        assert!(!Syndrome::new(0x9600_0410).has_address());
        assert!(!Syndrome::new(0).has_address());
    }

    #[test]
    fn every_class_and_status_has_words() {
        for class in 0..64 {
            for status in 0..64 {
                let text = Syndrome::new(class << 26 | status).to_string();
                assert!(!text.is_empty());
            }
        }
    }
}
