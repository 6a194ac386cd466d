//! What orders the CPUs, and who they are: without it a trace of several says nothing of what one
//! could see of another.
//!
//! What a CPU does in the parking room and at its ends is assembly, which can't record while the
//! tables are out of reach. It is recorded before and after; the lines below say what it does to walks
//! and TLBs, and a test reads the assembly and compares.

use blockmap::vmsa::TlbiForm;
use blockmap::vmsa::cpu::{Midr, SizeChange};

/// Something that one CPU does and another waits for, or the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// This CPU uses the tables when the recording begins.
    Present(Member),
    /// This CPU is told to use the tables from now on.
    Calls(Member),
    /// The CPU that adds it uses them, having waited to be told.
    Came,
    /// This CPU is known to use them.
    Runs(u32),
    /// The CPU that adds it is about to leave the tables for good.
    Leaves,
    /// This CPU is known to have left.
    Left(u32),
    /// All others are asked to park: the generation.
    Asks(u64),
    /// The CPU that adds it is about to leave the tables and to say that it is parked.
    Enters(u64),
    /// So many CPUs have said that they are parked.
    AllIn {
        /// The generation.
        generation: u64,
        /// How many.
        cpus: u32,
    },
    /// Whoever is parked may go on.
    Opens(u64),
    /// The CPU that adds it was let go, and uses the tables again.
    Returns(u64),
    /// The CPU that adds it has taken these slots' locks, a bit each.
    Takes(u64),
    /// The CPU that adds it is about to let go of these slots' locks.
    LetsGo(u64),
    /// The CPU that adds it, the last one, leaves the tables too.
    StepsOut,
    /// It uses them again.
    StepsIn,
    /// The CPU that adds it is about to tell another something: a number that is used once.
    Tells(u64),
    /// The CPU that adds it has been told it.
    IsTold(u64),
}

/// Who uses the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub cpu: u32,
    /// Its design.
    pub midr: Midr,
    /// What it does when a live leaf changes its size.
    pub size_change: SizeChange,
    /// The invalidations that it acts on.
    pub tlbi: TlbiForm,
}

/// Off the tables, and nothing of them left in the own TLB. [parked-holds-nothing]
pub(super) const OFF: &str = "context reserved\nisb\ntlbi vmalle1\ndsb nsh\nisb";
/// On the tables again.
pub(super) const ON: &str = "context live\nisb";
/// The lower half is empty, and nothing is left of what stood there. [root-through-empty-table]
pub(super) const SEATED: &str = "isb\ntlbi vmalle1\ndsb nsh\nisb";

impl Edge {
    const PRESENT: u8 = 0;
    const CALLS: u8 = 1;
    const CAME: u8 = 2;
    const RUNS: u8 = 3;
    const LEAVES: u8 = 4;
    const LEFT: u8 = 5;
    const ASKS: u8 = 6;
    const ENTERS: u8 = 7;
    const ALL_IN: u8 = 8;
    const OPENS: u8 = 9;
    const RETURNS: u8 = 10;
    const TAKES: u8 = 11;
    const LETS_GO: u8 = 12;
    const STEPS_OUT: u8 = 13;
    const STEPS_IN: u8 = 14;
    const TELLS: u8 = 15;
    const IS_TOLD: u8 = 16;

    /// Who it says uses the tables, if it does.
    #[must_use]
    pub const fn member(self) -> Option<Member> {
        match self {
            Self::Present(member) | Self::Calls(member) => Some(member),
            Self::Came
            | Self::Runs(_)
            | Self::Leaves
            | Self::Left(_)
            | Self::Asks(_)
            | Self::Enters(_)
            | Self::AllIn { .. }
            | Self::Opens(_)
            | Self::Returns(_)
            | Self::Takes(_)
            | Self::LetsGo(_)
            | Self::StepsOut
            | Self::StepsIn
            | Self::Tells(_)
            | Self::IsTold(_) => None,
        }
    }

    /// Its kind, and three words.
    pub(super) fn words(self) -> (u8, [u64; 3]) {
        match self {
            Self::Present(member) => (Self::PRESENT, member.words()),
            Self::Calls(member) => (Self::CALLS, member.words()),
            Self::Came => (Self::CAME, [0; 3]),
            Self::Runs(cpu) => (Self::RUNS, [cpu.into(), 0, 0]),
            Self::Leaves => (Self::LEAVES, [0; 3]),
            Self::Left(cpu) => (Self::LEFT, [cpu.into(), 0, 0]),
            Self::Asks(generation) => (Self::ASKS, [generation, 0, 0]),
            Self::Enters(generation) => (Self::ENTERS, [generation, 0, 0]),
            Self::AllIn { generation, cpus } => (Self::ALL_IN, [generation, cpus.into(), 0]),
            Self::Opens(generation) => (Self::OPENS, [generation, 0, 0]),
            Self::Returns(generation) => (Self::RETURNS, [generation, 0, 0]),
            Self::Takes(locks) => (Self::TAKES, [locks, 0, 0]),
            Self::LetsGo(locks) => (Self::LETS_GO, [locks, 0, 0]),
            Self::StepsOut => (Self::STEPS_OUT, [0; 3]),
            Self::StepsIn => (Self::STEPS_IN, [0; 3]),
            Self::Tells(number) => (Self::TELLS, [number, 0, 0]),
            Self::IsTold(number) => (Self::IS_TOLD, [number, 0, 0]),
        }
    }

    /// The edge of this kind with these words, or `None` if there is no such edge.
    pub(super) fn of_words(kind: u8, [first, second, third]: [u64; 3]) -> Option<Self> {
        let cpu = || u32::try_from(first).ok();
        Some(match kind {
            Self::PRESENT => Self::Present(Member::of_words([first, second, third])?),
            Self::CALLS => Self::Calls(Member::of_words([first, second, third])?),
            Self::CAME => Self::Came,
            Self::RUNS => Self::Runs(cpu()?),
            Self::LEAVES => Self::Leaves,
            Self::LEFT => Self::Left(cpu()?),
            Self::ASKS => Self::Asks(first),
            Self::ENTERS => Self::Enters(first),
            Self::ALL_IN => Self::AllIn { generation: first, cpus: u32::try_from(second).ok()? },
            Self::OPENS => Self::Opens(first),
            Self::RETURNS => Self::Returns(first),
            Self::TAKES => Self::Takes(first),
            Self::LETS_GO => Self::LetsGo(first),
            Self::STEPS_OUT => Self::StepsOut,
            Self::STEPS_IN => Self::StepsIn,
            Self::TELLS => Self::Tells(first),
            Self::IS_TOLD => Self::IsTold(first),
            _ => return None,
        })
    }
}

impl Member {
    fn words(self) -> [u64; 3] {
        let size = match self.size_change {
            SizeChange::NeedsBreak => 0,
            SizeChange::MayAbort => 1,
            SizeChange::Quiet => 2,
        };
        let tlbi = match self.tlbi {
            TlbiForm::ByAddress => 0,
            TlbiForm::Ranged => 4,
        };
        [self.cpu.into(), self.midr.value().into(), size | tlbi]
    }

    fn of_words([cpu, midr, says]: [u64; 3]) -> Option<Self> {
        let size_change = match says & 3 {
            0 => SizeChange::NeedsBreak,
            1 => SizeChange::MayAbort,
            2 => SizeChange::Quiet,
            _ => return None,
        };
        let tlbi = if says & 4 == 0 { TlbiForm::ByAddress } else { TlbiForm::Ranged };
        Some(Self { cpu: u32::try_from(cpu).ok()?, midr: Midr::new(midr), size_change, tlbi })
    }
}
