//! One command's text to a [`Command`].

use core::fmt;

use blockmap::machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap::vmsa::{Change, Geometry, Leaves};

use super::form::{FORMS, Form, Operand, Typed, Verb};
use super::{Code, Command, Heal, Power, Referee, Scope, Spread, Trace};
use crate::number::number;

/// Why a text is not a command. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError<'a> {
    form: Option<&'static Form>,
    wrong: Wrong<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong<'a> {
    /// There is no command of this name.
    Name(&'a str),
    /// An operand that must be there is not.
    Missing(Operand),
    /// The text is not what the operand is.
    Operand(Operand, &'a str),
    /// A word after the last operand.
    Extra(&'a str),
    /// No pages, or pages past the end of the address space.
    Pages(VirtAddr, u64),
}

impl fmt::Display for ParseError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(form) = self.form {
            match form.operands {
                [] => write!(f, "{} takes nothing; ", form.name)?,
                operands => write!(f, "{} takes{}; ", form.name, Typed(operands))?,
            }
        }
        match self.wrong {
            Wrong::Name("") => write!(f, "a command is missing; help lists them"),
            Wrong::Name(name) => write!(f, "{name} is not a command; help lists them"),
            Wrong::Missing(operand) => write!(f, "{operand} is missing"),
            Wrong::Operand(operand, text) => write!(f, "{text} is not {}", operand.is()),
            Wrong::Extra(text) => write!(f, "{text} is one operand too many"),
            Wrong::Pages(_, 0) => write!(f, "0 pages are no range"),
            Wrong::Pages(start, pages) => {
                write!(f, "{pages} pages from {start} on pass the end of the address space")
            }
        }
    }
}

impl core::error::Error for ParseError<'_> {}

/// The command that `text`, one of [`super::split`]'s, says.
///
/// # Errors
/// Says what the command takes and what is wrong with what it was given.
pub fn parse(text: &str) -> Result<Command<'_>, ParseError<'_>> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().unwrap_or("");
    let form = FORMS
        .iter()
        .find(|form| form.name == name)
        .ok_or(ParseError { form: None, wrong: Wrong::Name(name) })?;
    let mut operands = Operands { form, words, taken: 0 };
    let whole = command(form.verb, &mut operands).and_then(|command| operands.end(command));
    whole.map_err(|wrong| ParseError { form: Some(form), wrong })
}

fn command<'a>(
    verb: Verb,
    operands: &mut Operands<'_, impl Iterator<Item = &'a str>>,
) -> Result<Command<'a>, Wrong<'a>> {
    Ok(match verb {
        Verb::Help => Command::Help,
        Verb::Ptdump => Command::Ptdump(operands.scope()?),
        Verb::Stat => Command::Stat,
        Verb::Walk => Command::Walk(operands.address()?),
        Verb::Protect(change) => Command::Protect(change, operands.pages()?),
        Verb::Atomic => Command::Atomic(operands.change()?, operands.pages()?),
        Verb::Split(how) => Command::Split(how, operands.pages()?),
        Verb::Vmap => Command::Vmap(operands.number()?, operands.mapped()?),
        Verb::Vunmap => Command::Vunmap(operands.address()?, operands.freed()?),
        Verb::Direct => Command::Direct(operands.direct()?, operands.pages()?),
        Verb::Carve => Command::Carve(operands.carve()?, operands.pages()?),
        Verb::Scatter => Command::Scatter(operands.number()?),
        Verb::SetMemory => Command::SetMemory(operands.rights()?, operands.pages()?),
        Verb::Bare(command) => command,
        Verb::Secret => Command::Secret(operands.secret()?),
        Verb::Guard => Command::Guard(operands.guard()?),
        Verb::Modules => Command::Code(Code::Modules),
        Verb::Modload => Command::Code(Code::Load(operands.name()?)),
        Verb::Modrun => Command::Code(Code::Run(operands.name()?, operands.argument()?)),
        Verb::Modunload => Command::Code(Code::Unload(operands.name()?)),
        Verb::Jit => Command::Code(Code::Jit(operands.small()?)),
        Verb::Jitrun => Command::Code(Code::JitRun(operands.small()?)),
        Verb::Jitfree => Command::Code(Code::JitFree(operands.small()?)),
        Verb::Slot => Command::Code(Code::Slot(operands.small()?)),
        Verb::Slotrun => Command::Code(Code::SlotRun(operands.small()?, operands.argument()?)),
        Verb::Slotfree => Command::Code(Code::SlotFree(operands.small()?)),
        Verb::Share => Command::Share(operands.share()?),
        Verb::HotAdd => Command::HotAdd(operands.memory()?, operands.number()?),
        Verb::HotRemove => Command::HotRemove(operands.memory()?, operands.number()?),
        Verb::DataAlias => Command::DataAlias(operands.power()?),
        Verb::Peek => Command::Peek(operands.address()?),
        Verb::Poke => Command::Poke(operands.address()?, operands.number()?),
        Verb::Exec => Command::Exec(operands.address()?),
        Verb::Timeline => Command::Timeline,
        Verb::Trace => Command::Trace(operands.trace()?),
        Verb::Referee => Command::Referee(operands.referee()?),
        Verb::Conflict => Command::Conflict(operands.address()?, operands.times()?),
        Verb::Cpus => Command::Cpus,
        Verb::Strategy => Command::Strategy,
        Verb::Cpu => Command::Cpu(operands.power()?, operands.cpu()?),
        Verb::Load => Command::Load(operands.power()?, operands.cpu()?),
        Verb::Reader => Command::Reader(operands.power()?, operands.cpu()?),
        Verb::Churn => Command::Churn(operands.number()?, operands.accesses()?),
        Verb::Writers => Command::Writers(operands.number()?, operands.spread()?),
        Verb::Kpti => operands.on().map(|()| Command::Kpti)?,
        Verb::Cycles => Command::Cycles(operands.number()?, operands.seed()?),
        Verb::Tour => Command::Tour,
        Verb::Repaint => Command::Repaint(operands.leaves()?),
        Verb::Heal => Command::Heal(operands.heal()?),
        Verb::Idle => Command::Idle(operands.number()?),
        Verb::Count => Command::Count(operands.power()?),
        Verb::Cmdline => Command::Cmdline,
        Verb::Poweroff => Command::Poweroff(operands.status()?),
    })
}

/// The words after a command's name, read as what its form says they are.
pub(super) struct Operands<'f, W> {
    form: &'f Form,
    words: W,
    taken: usize,
}

impl<'a, W: Iterator<Item = &'a str>> Operands<'_, W> {
    /// `command`, if all words belong to it.
    fn end(&mut self, command: Command<'a>) -> Result<Command<'a>, Wrong<'a>> {
        match self.words.next() {
            None => Ok(command),
            Some(extra) => Err(Wrong::Extra(extra)),
        }
    }

    /// The next operand: what `read` makes of its word, or `default` where it may be left out and
    /// is.
    pub(super) fn next<T>(
        &mut self,
        read: impl FnOnce(&'a str) -> Option<T>,
        default: Option<T>,
    ) -> Result<T, Wrong<'a>> {
        // A form has as many operands as its command reads; there is a test of that.
        let operand = self.form.operands.get(self.taken).copied().unwrap_or(Operand::Value);
        self.taken += 1;
        match self.words.next() {
            Some(word) => read(word).ok_or(Wrong::Operand(operand, word)),
            None => default.ok_or(Wrong::Missing(operand)),
        }
    }

    fn number(&mut self) -> Result<u64, Wrong<'a>> {
        self.next(number, None)
    }

    fn address(&mut self) -> Result<VirtAddr, Wrong<'a>> {
        self.number().map(VirtAddr::new)
    }

    fn pages(&mut self) -> Result<VirtRange, Wrong<'a>> {
        let (start, pages) = (self.address()?, self.number()?);
        pages
            .checked_mul(Geometry::KERNEL_4K_48.page_bytes())
            .and_then(|bytes| VirtRange::new(start, bytes))
            .ok_or(Wrong::Pages(start, pages))
    }

    fn change(&mut self) -> Result<Change, Wrong<'a>> {
        self.next(change_named, None)
    }

    fn scope(&mut self) -> Result<Scope, Wrong<'a>> {
        let named = |word: &str| match word {
            "all" => Some(Scope::All),
            "linear" => Some(Scope::Linear),
            _ => None,
        };
        self.next(named, Some(Scope::All))
    }

    fn trace(&mut self) -> Result<Trace<'a>, Wrong<'a>> {
        let named = |word: &'a str| match word {
            "on" => Some(Trace::On),
            "off" => Some(Trace::Off),
            "dump" => Some(Trace::Dump(None)),
            _ => None,
        };
        match self.next(named, None)? {
            // The other two leave a file's name over.
            Trace::Dump(_) => Ok(Trace::Dump(self.file()?)),
            other @ (Trace::On | Trace::Off) => Ok(other),
        }
    }

    fn file(&mut self) -> Result<Option<&'a str>, Wrong<'a>> {
        self.next(|word| Some(Some(word)), Some(None))
    }

    fn referee(&mut self) -> Result<Referee<'a>, Wrong<'a>> {
        let dump = |word: &str| (word == "dump").then_some(Referee::Dump(None));
        match self.next(dump, Some(Referee::Tally))? {
            Referee::Dump(_) => Ok(Referee::Dump(self.file()?)),
            Referee::Tally => Ok(Referee::Tally),
        }
    }

    fn power(&mut self) -> Result<Power, Wrong<'a>> {
        let named = |word: &str| match word {
            "on" => Some(Power::On),
            "off" => Some(Power::Off),
            _ => None,
        };
        self.next(named, None)
    }

    fn leaves(&mut self) -> Result<Leaves, Wrong<'a>> {
        let named = |word: &str| match word {
            "pages" => Some(Leaves::Pages),
            "blocks" => Some(Leaves::Largest),
            _ => None,
        };
        self.next(named, None)
    }

    fn seed(&mut self) -> Result<u64, Wrong<'a>> {
        self.next(number, Some(1))
    }

    fn spread(&mut self) -> Result<Spread, Wrong<'a>> {
        let named = |word: &str| match word {
            "same" => Some(Spread::Together),
            _ => None,
        };
        self.next(named, Some(Spread::Apart))
    }

    fn heal(&mut self) -> Result<Heal, Wrong<'a>> {
        self.next(|word| (word == "all").then_some(Heal::All), Some(Heal::Queued))
    }

    fn on(&mut self) -> Result<(), Wrong<'a>> {
        self.next(|word| (word == "on").then_some(()), None)
    }

    fn memory(&mut self) -> Result<PhysAddr, Wrong<'a>> {
        self.number().map(PhysAddr::new)
    }

    fn cpu(&mut self) -> Result<u32, Wrong<'a>> {
        self.next(|word| u32::try_from(number(word)?).ok(), None)
    }

    fn accesses(&mut self) -> Result<u64, Wrong<'a>> {
        self.next(number, Some(0))
    }

    fn times(&mut self) -> Result<u64, Wrong<'a>> {
        self.next(number, Some(1))
    }

    fn status(&mut self) -> Result<u8, Wrong<'a>> {
        self.next(|word| u8::try_from(number(word)?).ok(), Some(0))
    }
}

/// The change that a command of this name makes.
pub(super) fn change_named(word: &str) -> Option<Change> {
    FORMS.iter().find(|form| form.name == word)?.verb.change()
}
