//! One command's text to a [`Command`].

use core::fmt;

use blockmap::machine::{VirtAddr, VirtRange};
use blockmap::vmsa::Geometry;

use super::form::{FORMS, Form, Operand, Verb};
use super::{Command, Scope};

/// Why a text is not a command. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError<'a> {
    form: Option<&'static Form>,
    wrong: Wrong<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong<'a> {
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
                operands => {
                    write!(f, "{} takes", form.name)?;
                    operands.iter().try_for_each(|operand| write!(f, " {operand}"))?;
                    write!(f, "; ")?;
                }
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
pub fn parse(text: &str) -> Result<Command, ParseError<'_>> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().unwrap_or("");
    let form = FORMS.iter().find(|form| form.name == name).ok_or(ParseError {
        form: None,
        wrong: Wrong::Name(name),
    })?;
    command(form, words).map_err(|wrong| ParseError { form: Some(form), wrong })
}

fn command<'a>(
    form: &Form,
    words: impl Iterator<Item = &'a str>,
) -> Result<Command, Wrong<'a>> {
    let mut operands = Operands { form, words, taken: 0 };
    let command = match form.verb {
        Verb::Help => Command::Help,
        Verb::Ptdump => Command::Ptdump(operands.scope()?),
        Verb::Stat => Command::Stat,
        Verb::Walk => Command::Walk(operands.address()?),
        Verb::Protect(change) => Command::Protect(change, operands.pages()?),
        Verb::Split => Command::Split(operands.pages()?),
        Verb::Peek => Command::Peek(operands.address()?),
        Verb::Poke => Command::Poke(operands.address()?, operands.number()?),
        Verb::Exec => Command::Exec(operands.address()?),
        Verb::Timeline => Command::Timeline,
        Verb::Cmdline => Command::Cmdline,
        Verb::Poweroff => Command::Poweroff(operands.status()?),
    };
    match operands.words.next() {
        None => Ok(command),
        Some(extra) => Err(Wrong::Extra(extra)),
    }
}
