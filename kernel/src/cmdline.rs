//! The kernel's command line: options as Linux writes them, then ` -- ` and a monitor script.
//!
//! ```
//! use blockmap::layout::Rodata;
//! use blockmap_kernel::cmdline::CommandLine;
//!
//! let line = CommandLine::new("rodata=noalias color=blue -- stat; poweroff");
//! let options = line.options();
//! assert_eq!(options.rodata, Rodata::NoAlias);
//! assert_eq!(options.monitor, Some("stat; poweroff"));
//! let complaint = line.complaints().next().expect("one option is unknown");
//! assert_eq!(complaint.to_string(), "color=blue is not an option of this kernel; ignored");
//! ```

mod choice;
mod cpu;
mod disguise;
mod kpti;
mod owner;
mod records;
#[cfg(test)]
mod tests;
mod word;

use core::fmt;
use core::num::NonZeroU32;

use blockmap::layout::{DebugPagealloc, Rodata, SizeChoice};
use blockmap::machine::VirtAddr;

use crate::number::number;
use crate::witness;
use records::records;
use word::{Word, Words};

pub use choice::{AutoHeal, BootMessages, Exit};
pub use cpu::{AttestedList, MOST_NAMED, ParkFault, SizeChangeOverrides};
pub use disguise::{Disguise, Disguises};
pub use kpti::Kpti;
pub use owner::GuardPool;

/// What the command line asks for; where it says nothing, or nothing that makes sense, the
/// default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// `rodata=`: whether read-only memory is so in the linear map too.
    pub rodata: Rodata,
    /// `debug_pagealloc=`: whether free pages are unmapped.
    pub debug_pagealloc: DebugPagealloc,
    /// `guard-pool=`: when the guard pool takes its place.
    pub guard_pool: GuardPool,
    /// `hotplug=`: how many bytes of memory, the highest ones, are kept out until they are added.
    pub hotplug: Option<u64>,
    /// `kpti=`: whether the kernel's leaves are in TLBs for every ASID.
    pub kpti: Kpti,
    /// `fail-tables=`: how many tables are handed out before table memory is said to be used up.
    pub fail_tables: Option<u32>,
    /// `trace=`: how many records of what is done to the tables there is memory for; recording
    /// begins with the first table.
    pub trace: Option<u32>,
    /// `referee` or `referee=`: how many of the things that it sees the referee keeps, if there is
    /// to be one.
    pub referee: Option<u32>,
    /// `size-change=`: how live leaves change size.
    pub size_choice: SizeChoice,
    /// `cpu.N.size-change=`, `cpu.boot.…`, `cpu.secondary.…` and `no-size-change-list`: what CPUs do
    /// when live leaves change size, whatever they say themselves.
    pub overrides: SizeChangeOverrides,
    /// `cpu.N.midr=`, `cpu.N.bbm=`, `cpu.N.tlb=`, and the same of `boot` and `secondary`: what CPUs
    /// say they are.
    pub disguises: Disguises,
    /// `maxcpus=`: how many CPUs are started, as Linux has it; those left out can come later.
    pub max_cpus: Option<u32>,
    /// `park-fault=`: a CPU that does something wrong on purpose when it is asked to park.
    pub park_fault: Option<(u32, ParkFault)>,
    /// `change-at-boot=`: a page that is made read-only and writable again at every step of CPUs
    /// coming.
    pub change_at_boot: Option<VirtAddr>,
    /// `heal=`: whether leaves that became small become large again by themselves.
    pub heal: AutoHeal,
    /// `semihosting`: how the machine is ended, and whether it can write files of its host.
    pub exit: Exit,
    /// `quiet`: how much is printed before the monitor starts.
    pub boot_messages: BootMessages,
    /// What stands after ` -- `: commands for the monitor, to be run in place of a keyboard's.
    pub monitor: Option<&'a str>,
}

/// What is wrong with one word of the command line. It is ignored, and what the word would have
/// set stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint<'a> {
    /// No option has this name.
    Unknown {
        /// The word as it stands in the command line.
        word: &'a str,
    },
    /// The option does not take this value.
    Value {
        /// The word as it stands in the command line.
        word: &'a str,
        /// The option.
        option: Known,
    },
}

impl fmt::Display for Complaint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { word } => write!(f, "{word} is not an option of this kernel; ignored"),
            Self::Value { word, option } => {
                write!(f, "{word} is ignored: {} takes {}", option.name(), option.takes())
            }
        }
    }
}

impl core::error::Error for Complaint<'_> {}

/// An option of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// `rodata=`, as Linux has it.
    Rodata,
    /// `debug_pagealloc=`, as Linux has it.
    DebugPagealloc,
    /// `guard-pool=`.
    GuardPool,
    /// `hotplug=`.
    Hotplug,
    /// `kpti=`, as Linux has it.
    Kpti,
    /// `fail-tables=`.
    FailTables,
    /// `trace=`.
    Trace,
    /// `referee` or `referee=`.
    Referee,
    /// `size-change=`.
    SizeChange,
    /// `cpu.N.size-change=`, `cpu.boot.size-change=` and `cpu.secondary.size-change=`.
    CpuSizeChange,
    /// `cpu.N.midr=`, `cpu.N.bbm=` and `cpu.N.tlb=`, also of `boot` and of `secondary`.
    CpuDisguise,
    /// `no-size-change-list`.
    NoSizeChangeList,
    /// `maxcpus=`, as Linux has it.
    MaxCpus,
    /// `park-fault=`.
    ParkFault,
    /// `change-at-boot=`.
    ChangeAtBoot,
    /// `heal=`.
    Heal,
    /// `semihosting`.
    Semihosting,
    /// `quiet`, as Linux has it.
    Quiet,
}

impl Known {
    /// All options.
    pub const ALL: [Self; 18] = [
        Self::Rodata,
        Self::DebugPagealloc,
        Self::GuardPool,
        Self::Hotplug,
        Self::Kpti,
        Self::FailTables,
        Self::Trace,
        Self::Referee,
        Self::SizeChange,
        Self::CpuSizeChange,
        Self::CpuDisguise,
        Self::NoSizeChangeList,
        Self::MaxCpus,
        Self::ParkFault,
        Self::ChangeAtBoot,
        Self::Heal,
        Self::Semihosting,
        Self::Quiet,
    ];

    /// The option's name. Dashes and underscores in it are the same, as in Linux.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rodata => "rodata",
            Self::DebugPagealloc => "debug_pagealloc",
            Self::GuardPool => "guard-pool",
            Self::Hotplug => "hotplug",
            Self::Kpti => "kpti",
            Self::FailTables => "fail-tables",
            Self::Trace => "trace",
            Self::Referee => "referee",
            Self::SizeChange => "size-change",
            Self::CpuSizeChange => "cpu.N.size-change",
            Self::CpuDisguise => "cpu.N.midr, cpu.N.bbm or cpu.N.tlb",
            Self::NoSizeChangeList => "no-size-change-list",
            Self::MaxCpus => "maxcpus",
            Self::ParkFault => "park-fault",
            Self::ChangeAtBoot => "change-at-boot",
            Self::Heal => "heal",
            Self::Semihosting => "semihosting",
            Self::Quiet => "quiet",
        }
    }

    /// Whether a word with this name is the option.
    fn is_named(self, name: &str) -> bool {
        match self {
            Self::CpuSizeChange => cpu::who(name).is_some(),
            Self::CpuDisguise => disguise::part(name).is_some(),
            Self::Rodata
            | Self::DebugPagealloc
            | Self::GuardPool
            | Self::Hotplug
            | Self::Kpti
            | Self::FailTables
            | Self::Trace
            | Self::Referee
            | Self::SizeChange
            | Self::NoSizeChangeList
            | Self::MaxCpus
            | Self::ParkFault
            | Self::ChangeAtBoot
            | Self::Heal
            | Self::Semihosting
            | Self::Quiet => same_name(self.name(), name),
        }
    }

    /// The values that the option takes, in words.
    #[must_use]
    pub const fn takes(self) -> &'static str {
        match self {
            Self::Rodata => "on, noalias or off",
            Self::DebugPagealloc | Self::Kpti => "on or off",
            Self::GuardPool => "off, early or late",
            Self::Hotplug => "a number of bytes",
            Self::FailTables => "a number of tables",
            Self::Trace => "a number of events from 1 to 4194304",
            Self::Referee => "no value, or a number of events from 1 to 4194304",
            Self::SizeChange => "auto, live, quiesce or never",
            Self::CpuSizeChange => {
                "needs-break, may-abort or quiet, of boot, secondary or up to 16 CPUs by number"
            }
            Self::CpuDisguise => {
                "a register's value for midr and 0 to 15 for the others, of boot, secondary or up to \
                 16 CPUs by number"
            }
            Self::MaxCpus => "a number of CPUs, 1 or more",
            Self::ParkFault => {
                "a CPU's number, a colon, and never, late, dead, serror or unstarted"
            }
            Self::Heal => "auto or off",
            Self::ChangeAtBoot => "an address of the linear map",
            Self::NoSizeChangeList | Self::Semihosting | Self::Quiet => "no value",
        }
    }

    /// Sets what the option is about, unless it does not take this value.
    fn apply(self, word: Word<'_>, options: &mut Options<'_>) -> Option<()> {
        match (self, word.value) {
            (Self::Rodata, Some(value)) => options.rodata = value.parse().ok()?,
            (Self::DebugPagealloc, Some("on")) => options.debug_pagealloc = DebugPagealloc::On,
            (Self::DebugPagealloc, Some("off")) => options.debug_pagealloc = DebugPagealloc::Off,
            (Self::GuardPool, Some(value)) => options.guard_pool = GuardPool::of(value)?,
            (Self::Hotplug, Some(value)) => options.hotplug = Some(number(value)?),
            (Self::Kpti, Some(value)) => options.kpti = Kpti::of(value)?,
            (Self::FailTables, Some(value)) => {
                options.fail_tables = Some(number(value)?.try_into().ok()?);
            }
            (Self::Trace, Some(value)) => options.trace = Some(records(value)?),
            (Self::Referee, Some(value)) => options.referee = Some(records(value)?),
            (Self::Referee, None) => options.referee = Some(witness::USUAL_RECORDS),
            (Self::SizeChange, Some(value)) => options.size_choice = value.parse().ok()?,
            (Self::CpuSizeChange, Some(value)) => {
                options.overrides.set(cpu::who(word.name)?, value)?;
            }
            (Self::CpuDisguise, Some(value)) => {
                let (who, part) = disguise::part(word.name)?;
                options.disguises.set(who, part, value)?;
            }
            (Self::NoSizeChangeList, None) => options.overrides.ignore_list(),
            (Self::MaxCpus, Some(value)) => {
                let cpus = u32::try_from(number(value)?).ok()?;
                options.max_cpus = Some(NonZeroU32::new(cpus)?.get());
            }
            (Self::ParkFault, Some(value)) => options.park_fault = Some(cpu::park_fault(value)?),
            (Self::ChangeAtBoot, Some(value)) => {
                options.change_at_boot = Some(VirtAddr::new(number(value)?));
            }
            (Self::Heal, Some("auto")) => options.heal = AutoHeal::On,
            (Self::Heal, Some("off")) => options.heal = AutoHeal::Off,
            (Self::Semihosting, None) => options.exit = Exit::Semihosting,
            (Self::Quiet, None) => options.boot_messages = BootMessages::Hidden,
            (
                Self::Rodata
                | Self::DebugPagealloc
                | Self::GuardPool
                | Self::Hotplug
                | Self::Kpti
                | Self::FailTables
                | Self::Trace
                | Self::SizeChange
                | Self::CpuSizeChange
                | Self::CpuDisguise
                | Self::MaxCpus
                | Self::ParkFault
                | Self::Heal
                | Self::ChangeAtBoot,
                _,
            )
            | (Self::NoSizeChangeList | Self::Semihosting | Self::Quiet, Some(_)) => return None,
        }
        Some(())
    }
}

/// A command line.
///
/// Words are separated by white space. Double quotes keep white space together; around a word or
/// around a value they are taken off. A word `--` ends the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLine<'a>(&'a str);

impl<'a> CommandLine<'a> {
    /// The command line that reads `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The line as it was given.
    #[must_use]
    pub const fn text(self) -> &'a str {
        self.0
    }

    /// What the line asks for. Of an option given twice the last one counts.
    #[must_use]
    pub fn options(self) -> Options<'a> {
        let mut words = Words::new(self.0);
        let mut options = Options::default();
        for word in words.by_ref() {
            let _complaint = apply(word, &mut options);
        }
        options.monitor = words.script();
        options
    }

    /// What is wrong with the line, word by word.
    pub fn complaints(self) -> impl Iterator<Item = Complaint<'a>> {
        let mut options = Options::default();
        Words::new(self.0).filter_map(move |word| apply(word, &mut options).err())
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            rodata: Rodata::On,
            debug_pagealloc: DebugPagealloc::Off,
            guard_pool: GuardPool::default(),
            hotplug: None,
            kpti: Kpti::default(),
            fail_tables: None,
            trace: None,
            referee: None,
            size_choice: SizeChoice::default(),
            overrides: SizeChangeOverrides::default(),
            disguises: Disguises::default(),
            max_cpus: None,
            park_fault: None,
            change_at_boot: None,
            heal: AutoHeal::default(),
            exit: Exit::default(),
            boot_messages: BootMessages::default(),
            monitor: None,
        }
    }
}

fn apply<'a>(word: Word<'a>, options: &mut Options<'_>) -> Result<(), Complaint<'a>> {
    let option = Known::ALL
        .into_iter()
        .find(|option| option.is_named(word.name))
        .ok_or(Complaint::Unknown { word: word.text })?;
    option.apply(word, options).ok_or(Complaint::Value { word: word.text, option })
}

fn same_name(one: &str, other: &str) -> bool {
    let with_dashes = |byte| if byte == b'_' { b'-' } else { byte };
    one.bytes().map(with_dashes).eq(other.bytes().map(with_dashes))
}
