//! The one table of commands: names, operands, and what `help` says of them.

use core::fmt;

use blockmap::vmsa::Change;

use super::{Command, Splitting};

/// An operand of a command, by the name it has in help and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// An address.
    Address,
    /// A number of pages.
    Pages,
    /// A change of what pages grant.
    Change,
    /// A 64-bit number.
    Value,
    /// The part of the map to print; may be left out.
    Scope,
    /// How many pages a secret has, or what to do with secrets.
    Secret,
    /// What to do with the guard pool.
    Guard,
    /// How much to share, or what to do with shares.
    Share,
    /// A small number; may be left out.
    Number,
    /// How memory is mapped; may be left out.
    Mapped,
    /// What becomes of an area's rights; may be left out.
    Reset,
    /// What becomes of a part of the linear map that is somebody's.
    Carve,
    /// What an area is to grant.
    Rights,
    /// What becomes of a part of the linear map.
    Direct,
    /// A module's name.
    Module,
    /// A number of programs.
    Programs,
    /// A pack's number.
    Pack,
    /// An instruction.
    Instruction,
    /// A slot's number.
    Slot,
    /// What a function gets in its first register; may be left out.
    Argument,
    /// What to do with the trace.
    Trace,
    /// Whether to print all that the referee has seen; may be left out.
    Dump,
    /// How often something is done; may be left out.
    Times,
    /// A CPU's number.
    Cpu,
    /// On or off.
    OnOff,
    /// On, and never off again.
    On,
    /// What to make of the linear map.
    Leaves,
    /// Whether to heal everything; may be left out.
    Heal,
    /// A number of seconds.
    Seconds,
    /// A number of changes.
    Changes,
    /// Whether several CPUs change pages of the same slot; may be left out.
    Spread,
    /// A number of steps.
    Steps,
    /// What steps are drawn from; may be left out.
    Seed,
    /// A number of accesses; may be left out.
    Accesses,
    /// A file of the host; may be left out.
    File,
    /// The machine's exit status; may be left out.
    Status,
}

impl Operand {
    /// What the operand is, for errors.
    #[must_use]
    pub const fn is(self) -> &'static str {
        match self {
            Self::Address => "an address, decimal or 0x hexadecimal",
            Self::Pages => "a number of 4 KiB pages, decimal or 0x hexadecimal",
            Self::Value | Self::Times | Self::Argument => {
                "a 64-bit number, decimal or 0x hexadecimal"
            }
            Self::Cpu => "a CPU's number",
            Self::OnOff => "on or off",
            Self::Change => "ro, rw, nx, x, invalid or valid",
            Self::On => "on",
            Self::Leaves => "pages or blocks",
            Self::Mapped => "pages",
            Self::Heal => "all",
            Self::Seconds => "a number of seconds",
            Self::Changes => "a number of changes",
            Self::Steps => "a number of steps",
            Self::Seed => "a number to draw from",
            Self::Spread => "same",
            Self::Accesses => "a number of accesses",
            Self::Scope => "linear or all",
            Self::Secret => "a number, free or list",
            Self::Guard => "on, off, alloc or free",
            Self::Reset => "reset",
            Self::Direct => "invalid, later, default or valid",
            Self::Carve => "take, free, ro, rw, nx, x, invalid or valid",
            Self::Rights => "ro, rw, x, nx, rox, invalid or valid",
            Self::Number | Self::Pack | Self::Slot => "a number below 2 to the 32",
            Self::Module => "a module's name",
            Self::Programs => "a number of programs below 2 to the 32",
            Self::Instruction => "an instruction of 32 bits, decimal or 0x hexadecimal",
            Self::Share => "a number, free, list, agree, refuse or lose",
            Self::Trace => "on, off or dump",
            Self::Dump => "dump",
            Self::File => "a file's name",
            Self::Status => "a number from 0 to 255",
        }
    }

    /// What help and errors call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Address => "ADDR",
            Self::Pages => "PAGES",
            Self::Change => "CHANGE",
            Self::Value => "VALUE",
            Self::Scope => "[linear|all]",
            Self::Secret => "N|free|list",
            Self::Guard | Self::Direct | Self::Carve => "WHAT",
            Self::Share => "N|free|list|...",
            Self::Number => "[N]",
            Self::Mapped => "[pages]",
            Self::Reset => "[reset]",
            Self::Rights => "RIGHTS",
            Self::Module => "NAME",
            Self::Programs => "PROGRAMS",
            Self::Pack => "PACK",
            Self::Instruction => "INSTRUCTION",
            Self::Slot => "SLOT",
            Self::Argument => "[X0]",
            Self::Trace => "on|off|dump",
            Self::Dump => "[dump]",
            Self::Times => "[TIMES]",
            Self::Cpu => "CPU",
            Self::OnOff => "on|off",
            Self::On => "on",
            Self::Leaves => "pages|blocks",
            Self::Heal => "[all]",
            Self::Seconds => "SECONDS",
            Self::Changes => "CHANGES",
            Self::Steps => "STEPS",
            Self::Seed => "[SEED]",
            Self::Spread => "[same]",
            Self::Accesses => "[ACCESSES]",
            Self::File => "[FILE]",
            Self::Status => "[STATUS]",
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which command, without its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Help,
    Ptdump,
    Stat,
    Walk,
    Protect(Change),
    Atomic,
    Split(Splitting),
    Vmap,
    Vunmap,
    SetMemory,
    Direct,
    Carve,
    Scatter,
    /// A command that takes nothing.
    Bare(Command<'static>),
    Secret,
    Guard,
    Modules,
    Modload,
    Modrun,
    Modunload,
    Jit,
    Jitrun,
    Jitfree,
    Slot,
    Slotrun,
    Slotfree,
    Share,
    HotAdd,
    HotRemove,
    DataAlias,
    Peek,
    Poke,
    Exec,
    Timeline,
    Trace,
    Referee,
    Conflict,
    Cpus,
    Strategy,
    Cpu,
    Load,
    Reader,
    Churn,
    Writers,
    Cycles,
    Tour,
    Repaint,
    Heal,
    Idle,
    Kpti,
    Count,
    Cmdline,
    Poweroff,
}

impl Verb {
    /// The change that a command of this name makes.
    pub(super) const fn change(self) -> Option<Change> {
        if let Self::Protect(change) = self { Some(change) } else { None }
    }
}

/// A command's name, operands and purpose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) verb: Verb,
    pub(super) operands: &'static [Operand],
    says: &'static str,
}

const NONE: &[Operand] = &[];
const ONE_ADDRESS: &[Operand] = &[Operand::Address];
const PAGES: &[Operand] = &[Operand::Address, Operand::Pages];
const SEEN: &[Operand] = &[Operand::Dump, Operand::File];
const CONFLICT: &[Operand] = &[Operand::Address, Operand::Times];
const CPU_ON_OFF: &[Operand] = &[Operand::OnOff, Operand::Cpu];
const CHURN: &[Operand] = &[Operand::Changes, Operand::Accesses];
const CYCLES: &[Operand] = &[Operand::Steps, Operand::Seed];
const WRITERS: &[Operand] = &[Operand::Changes, Operand::Spread];
const GUARD: &[Operand] = &[Operand::Guard, Operand::Times, Operand::Number];
const SHARE: &[Operand] = &[Operand::Share, Operand::Number];
const ADDRESS_VALUE: &[Operand] = &[Operand::Address, Operand::Value];
const SECRET: &[Operand] = &[Operand::Secret, Operand::Number];
const ATOMIC: &[Operand] = &[Operand::Change, Operand::Address, Operand::Pages];
const DIRECT: &[Operand] = &[Operand::Direct, Operand::Address, Operand::Pages];
const CARVE: &[Operand] = &[Operand::Carve, Operand::Address, Operand::Pages];
const VMAP: &[Operand] = &[Operand::Pages, Operand::Mapped];
const VUNMAP: &[Operand] = &[Operand::Address, Operand::Reset];
const SET_MEMORY: &[Operand] = &[Operand::Rights, Operand::Address, Operand::Pages];
const MODULE: &[Operand] = &[Operand::Module];
const MODRUN: &[Operand] = &[Operand::Module, Operand::Argument];
const PACK: &[Operand] = &[Operand::Pack];
const SLOT: &[Operand] = &[Operand::Slot];
const SLOTRUN: &[Operand] = &[Operand::Slot, Operand::Argument];
const TRACE: &[Operand] = &[Operand::Trace, Operand::File];

const fn form(
    name: &'static str,
    verb: Verb,
    operands: &'static [Operand],
    says: &'static str,
) -> Form {
    Form { name, verb, operands, says }
}

pub(super) const FORMS: [Form; 61] = [
    form("help", Verb::Help, NONE, "this list"),
    form("ptdump", Verb::Ptdump, &[Operand::Scope], "the map, in runs of equal leaves"),
    form("stat", Verb::Stat, NONE, "leaves of each size, tables, frames"),
    form("walk", Verb::Walk, ONE_ADDRESS, "the entries that translate an address"),
    form("ro", Verb::Protect(Change::ReadOnly), PAGES, "stores fault"),
    form("rw", Verb::Protect(Change::ReadWrite), PAGES, "stores work"),
    form("nx", Verb::Protect(Change::NoExecute), PAGES, "instruction fetches fault"),
    form("x", Verb::Protect(Change::Execute), PAGES, "instruction fetches work"),
    form("invalid", Verb::Protect(Change::Invalid), PAGES, "every access faults"),
    form("valid", Verb::Protect(Change::Valid), PAGES, "undoes invalid"),
    form("atomic", Verb::Atomic, ATOMIC, "one of these, by someone who holds a lock"),
    form("split", Verb::Split(Splitting::Plain), PAGES, "no leaf reaches across either end"),
    form(
        "vectors",
        Verb::Split(Splitting::KeepingVectors),
        PAGES,
        "split so; are vector registers as before?",
    ),
    form("vmap", Verb::Vmap, VMAP, "map free memory in an area, read-write"),
    form("vunmap", Verb::Vunmap, VUNMAP, "free an area; with reset, rights first"),
    form("setmem", Verb::SetMemory, SET_MEMORY, "ro, rw, x, nx, rox, invalid or valid, in an area"),
    form("direct", Verb::Direct, DIRECT, "linear map: invalid, later, default, valid"),
    form("carve", Verb::Carve, CARVE, "own pages: take, free, or a change by their owner"),
    form("scatter", Verb::Scatter, &[Operand::Pages], "what is free is in pieces from now on"),
    form("areas", Verb::Bare(Command::Areas), NONE, "what of the vmalloc range is in use"),
    form("purge", Verb::Bare(Command::Purge), NONE, "have TLBs forget areas that were freed"),
    form("secret", Verb::Secret, SECRET, "memory that only its owner reaches"),
    form("guard", Verb::Guard, GUARD, "objects in pages of their own: on, off, alloc, free"),
    form("modules", Verb::Modules, NONE, "modules, and the areas of executable memory"),
    form("modload", Verb::Modload, MODULE, "load a module from the initial RAM disk"),
    form("modrun", Verb::Modrun, MODRUN, "call a module"),
    form("modunload", Verb::Modunload, MODULE, "undoes modload"),
    form("jit", Verb::Jit, &[Operand::Programs], "make programs, in a pack"),
    form("jitrun", Verb::Jitrun, PACK, "run all programs of a pack"),
    form("jitfree", Verb::Jitfree, PACK, "undoes jit"),
    form("slot", Verb::Slot, &[Operand::Instruction], "put an instruction into a slot"),
    form("slotrun", Verb::Slotrun, SLOTRUN, "run it there"),
    form("slotfree", Verb::Slotfree, SLOT, "undoes slot"),
    form("share", Verb::Share, SHARE, "2^N pages that the hypervisor reaches too"),
    form("hotadd", Verb::HotAdd, ADDRESS_VALUE, "take bytes of absent memory into use"),
    form("hotremove", Verb::HotRemove, ADDRESS_VALUE, "have bytes of free memory be absent"),
    form("absent", Verb::Bare(Command::Absent), NONE, "which memory could be added"),
    form("dataalias", Verb::DataAlias, &[Operand::OnOff], "the linear map's view of kernel data"),
    form("peek", Verb::Peek, ONE_ADDRESS, "load 64 bits"),
    form("poke", Verb::Poke, &[Operand::Address, Operand::Value], "store 64 bits"),
    form("exec", Verb::Exec, ONE_ADDRESS, "call the instructions there"),
    form("timeline", Verb::Timeline, NONE, "when the steps of the boot were done"),
    form("trace", Verb::Trace, TRACE, "record what is done to the tables; print it"),
    form("referee", Verb::Referee, SEEN, "what the referee saw done to the tables"),
    form("conflict", Verb::Conflict, CONFLICT, "the referee answers with TLB conflicts"),
    form("cpus", Verb::Cpus, NONE, "who the CPUs are, and what each is doing"),
    form("strategy", Verb::Strategy, NONE, "how sizes of live leaves change, and why"),
    form("cpu", Verb::Cpu, CPU_ON_OFF, "start a CPU, or have it leave"),
    form("load", Verb::Load, CPU_ON_OFF, "have a CPU read and write all over memory"),
    form("reader", Verb::Reader, CPU_ON_OFF, "have a CPU read the tables all the time"),
    form("churn", Verb::Churn, CHURN, "split, narrow and restore pages here and there"),
    form("writers", Verb::Writers, WRITERS, "all CPUs change pages, each its own slot's"),
    form("cycles", Verb::Cycles, CYCLES, "owners take, use and free at random"),
    form("tour", Verb::Tour, NONE, "a module comes, runs and goes: see the map"),
    form(
        "repaint",
        Verb::Repaint,
        &[Operand::Leaves],
        "pages instead of blocks, or the other way round",
    ),
    form("heal", Verb::Heal, &[Operand::Heal], "make leaves large again that became small"),
    form("idle", Verb::Idle, &[Operand::Seconds], "wait as for a key: the map heals"),
    form("kpti", Verb::Kpti, &[Operand::On], "leaves of one ASID instead of global ones"),
    form("count", Verb::Count, &[Operand::OnOff], "say what each change of the tables costs"),
    form("cmdline", Verb::Cmdline, NONE, "the command line, and what is wrong with it"),
    form("poweroff", Verb::Poweroff, &[Operand::Status], "end the machine"),
];

/// Prints operands as one types them, each after a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Typed(pub(super) &'static [Operand]);

impl Typed {
    /// How many characters are printed.
    fn width(self) -> usize {
        self.0.iter().map(|operand| 1 + operand.name().len()).sum()
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|operand| write!(f, " {operand}"))
    }
}

/// All commands, one a line, with what they do.
pub const HELP: Help = Help(());

/// Where in a line of help the words start.
const HELP_COLUMN: usize = 26;

/// Prints all commands; see [`HELP`].
#[derive(Clone, Copy, Debug)]
pub struct Help(());

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for form in &FORMS {
            let operands = Typed(form.operands);
            let gap = HELP_COLUMN.saturating_sub(form.name.len() + operands.width());
            writeln!(f, "  {}{operands}{:gap$}{}", form.name, "", form.says)?;
        }
        writeln!(f, "Numbers are decimal, or hexadecimal after 0x; a semicolon separates commands.")
    }
}
