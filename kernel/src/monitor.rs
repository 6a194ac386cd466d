//! The monitor's language: a line of text in, commands with typed operands out.
//!
//! What a command does is the kernel's business; nothing here has an effect. Commands, their
//! operands and the help text are made of one table, in `form.rs`.
//!
//! ```
//! use blockmap_kernel::monitor::{self, Command};
//!
//! let mut commands = monitor::split("stat; ro 0xffff000155555000; poweroff");
//! assert_eq!(monitor::parse(commands.next().expect("three")), Ok(Command::Stat));
//! let error = monitor::parse(commands.next().expect("two")).expect_err("an operand is missing");
//! assert_eq!(error.to_string(), "ro takes ADDR PAGES; PAGES is missing");
//! ```

mod area;
mod code;
mod edit;
mod form;
mod owner;
mod parse;
#[cfg(test)]
mod tests;

use blockmap::ViewChange;
use blockmap::machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap::vmsa::{Change, Leaves};

pub use area::{Carve, Direct, Freed};
pub use code::Code;
pub use edit::{LINE_BYTES, LineEditor, Reaction};
pub use form::{HELP, Help, Operand};
pub use owner::{Guard, Host, Secret, Share};
pub use parse::{ParseError, parse};

/// Something the monitor is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `help`: print [`HELP`].
    Help,
    /// `ptdump [linear|all]`: print the leaves of the map as Linux's ptdump does.
    Ptdump(Scope),
    /// `stat`: print how many leaves of each size there are, and what the tables take.
    Stat,
    /// `walk ADDR`: print the entries that a walk for this address meets.
    Walk(VirtAddr),
    /// `ro|rw|nx|x|invalid|valid ADDR PAGES`: change what the pages grant.
    Protect(Change, VirtRange),
    /// `atomic CHANGE ADDR PAGES`: the same for a caller that holds a lock, and so can park nobody.
    Atomic(Change, VirtRange),
    /// `split ADDR PAGES`: let no leaf reach across either end of the pages.
    Split(Splitting, VirtRange),
    /// `vmap PAGES [pages]`: map so much free memory, and print where.
    Vmap(u64, Leaves),
    /// `vunmap ADDR [reset]`: unmap what `vmap` mapped there, and free it.
    Vunmap(VirtAddr, Freed),
    /// `setmem ro|rw|x|nx|rox|invalid|valid ADDR PAGES`: change what pages of an area grant, and their
    /// aliases in the linear map.
    SetMemory(ViewChange, VirtRange),
    /// `direct invalid|later|default|valid ADDR PAGES`: change a part of the linear map.
    Direct(Direct, VirtRange),
    /// `carve take|free|ro|rw|nx|x|invalid|valid ADDR PAGES`: own a part of the linear map, change what
    /// it grants as its owner, or give it back.
    Carve(Carve, VirtRange),
    /// `scatter PAGES`: take every other piece of so many pages of all memory, for good: what stays free
    /// is in pieces, as memory is that has been in use for long.
    Scatter(u64),
    /// `areas`: print the areas of the vmalloc range.
    Areas,
    /// `purge`: have TLBs forget the areas that were freed.
    Purge,
    /// `secret take|free|list …`: take memory out of the linear map, for an owner alone.
    Secret(Secret),
    /// `guard on|off|alloc|free …`: objects between pages that nobody may touch.
    Guard(Guard),
    /// `modules`, `modload NAME` and their like: code that is loaded or made while the kernel runs.
    Code(Code<'a>),
    /// `share N|free|list|…`: memory that the hypervisor may reach too.
    Share(Share),
    /// `hotadd ADDR BYTES`: take memory into use that is absent.
    HotAdd(PhysAddr, u64),
    /// `hotremove ADDR BYTES`: have memory be absent, all of it free.
    HotRemove(PhysAddr, u64),
    /// `absent`: print which memory is.
    Absent,
    /// `dataalias on|off`: whether the linear map shows the image's data.
    DataAlias(Power),
    /// `peek ADDR`: load 64 bits.
    Peek(VirtAddr),
    /// `poke ADDR VALUE`: store 64 bits.
    Poke(VirtAddr, u64),
    /// `exec ADDR`: call the instructions there.
    Exec(VirtAddr),
    /// `timeline`: print when the steps of the boot were done.
    Timeline,
    /// `trace on|off|dump [FILE]`: record what is done to the tables, and print it.
    Trace(Trace<'a>),
    /// `referee [dump] [FILE]`: print what the referee has seen.
    Referee(Referee<'a>),
    /// `conflict ADDR [TIMES]`: have the referee answer the next accesses to the page of the
    /// address, so many, with TLB conflict aborts.
    Conflict(VirtAddr, u64),
    /// `cpus`: print who the CPUs are, and what each is doing.
    Cpus,
    /// `strategy`: print how sizes of live leaves change, and why.
    Strategy,
    /// `cpu on|off CPU`: start a CPU, or have it leave the tables and turn itself off.
    Cpu(Power, u32),
    /// `load on|off CPU`: have a CPU read and write frames all over memory, or relieve it.
    Load(Power, u32),
    /// `reader on|off CPU`: have a CPU read all tables of the linear map again and again, or relieve it.
    Reader(Power, u32),
    /// `churn CHANGES [ACCESSES]`: split, narrow and restore so many pages all over memory; before
    /// each change wait for so many accesses of the loads.
    Churn(u64, u64),
    /// `writers CHANGES [same]`: have every CPU that is not loaded split, narrow and restore pages so
    /// often, all at once, each in slots of its own or all in the same.
    Writers(u64, Spread),
    /// `cycles STEPS [SEED]`: take, use and give back modules, packs, slots, secrets, areas and objects at
    /// random, and give all back at the end.
    Cycles(u64, u64),
    /// `tour`: show what becomes of the linear map while a module comes, runs and goes.
    Tour,
    /// `repaint pages|blocks`: make pages of the linear map's blocks, with all other CPUs parked; or
    /// leaves as large as they can be of its pages.
    Repaint(Leaves),
    /// `heal [all]`: make leaves large again that were made small.
    Heal(Heal),
    /// `idle SECONDS`: wait so long as the prompt waits for a key: meanwhile the map heals.
    Idle(u64),
    /// `kpti on`: make all leaves belong to one ASID, with all other CPUs parked.
    Kpti,
    /// `count on|off`: after each command that changes the tables, say what it cost: in cycles, or
    /// in effects while these are recorded.
    Count(Power),
    /// `cmdline`: print the command line, and what it was understood to ask for.
    Cmdline,
    /// `poweroff [STATUS]`: end the machine, with a status for whoever started it.
    Poweroff(u8),
}

impl Command<'_> {
    /// Whether the command may change the tables, so that a trace names it.
    #[must_use]
    pub const fn changes_tables(&self) -> bool {
        match self {
            Self::Churn(..)
            | Self::Cycles(..)
            | Self::Tour
            | Self::Writers(..)
            | Self::Repaint(_)
            | Self::Heal(_)
            | Self::Idle(_)
            | Self::Kpti
            | Self::Protect(..)
            | Self::Atomic(..)
            | Self::Split(..)
            | Self::Guard(_)
            | Self::Vmap(..)
            | Self::Vunmap(..)
            | Self::SetMemory(..)
            | Self::Code(
                Code::Load(_)
                | Code::Unload(_)
                | Code::Jit(_)
                | Code::JitFree(_)
                | Code::Slot(_)
                | Code::SlotFree(_),
            )
            | Self::Share(Share::Take(..) | Share::Free(_))
            | Self::HotAdd(..)
            | Self::HotRemove(..)
            | Self::DataAlias(_)
            | Self::Purge
            | Self::Direct(..)
            | Self::Carve(..)
            | Self::Scatter(_)
            | Self::Secret(Secret::Take(..) | Secret::Free(_)) => true,
            Self::Help
            | Self::Ptdump(_)
            | Self::Stat
            | Self::Walk(_)
            | Self::Code(Code::Modules | Code::Run(..) | Code::JitRun(_) | Code::SlotRun(..))
            | Self::Secret(Secret::List)
            | Self::Share(Share::List | Share::Answer(_))
            | Self::Absent
            | Self::Peek(_)
            | Self::Poke(..)
            | Self::Exec(_)
            | Self::Areas
            | Self::Timeline
            | Self::Trace(_)
            | Self::Referee(_)
            | Self::Conflict(..)
            | Self::Cpus
            | Self::Strategy
            | Self::Cpu(..)
            | Self::Load(..)
            | Self::Reader(..)
            | Self::Count(_)
            | Self::Cmdline
            | Self::Poweroff(_) => false,
        }
    }
}

/// What to do with the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace<'a> {
    /// Begin a new one.
    On,
    /// Record no more.
    Off,
    /// Print it on the console, or write it to this file of the host.
    Dump(Option<&'a str>),
}

/// What to print of what the referee has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referee<'a> {
    /// How often what happened.
    Tally,
    /// All of it, on the console or to this file of the host.
    Dump(Option<&'a str>),
}

/// Where several CPUs change pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Each in slots of its own.
    Apart,
    /// All in the same slot.
    Together,
}

/// Which leaves to make large again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heal {
    /// Those near what was given back.
    Queued,
    /// All of the linear map.
    All,
}

/// What is looked at besides, when leaves are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splitting {
    /// Nothing.
    Plain,
    /// Whether vector registers are as they were.
    KeepingVectors,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Something begins.
    On,
    /// Something ends.
    Off,
}

/// Which part of the map to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The kernel's whole half.
    All,
    /// The linear map.
    Linear,
}

/// The commands of a line or script, one by one, to be given to [`parse`]: what stands between
/// semicolons and isn't blank.
pub fn split(line: &str) -> impl Iterator<Item = &str> {
    line.split(';').map(str::trim_ascii).filter(|command| !command.is_empty())
}
