//! Editing a line on a serial console: bytes in, what to send back and finished lines out.
//!
//! The terminal shows nothing by itself, so every byte is answered with what makes it show the
//! line as it is.

use core::fmt;

/// The most bytes a line can have.
pub const LINE_BYTES: usize = 256;

const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const CANCEL: u8 = 0x03;
const KILL: u8 = 0x15;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;

/// What a byte did to the line. Printed, it is what the terminal is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction<'a> {
    /// Nothing.
    Nothing,
    /// This character was added, at the end.
    Added(char),
    /// This many characters were taken off the end.
    Erased(usize),
    /// The byte was refused: no room is left, or it is none that a command could have.
    Refused,
    /// The line was given up; the next one starts empty.
    Cancelled,
    /// The line is finished; the next one starts empty.
    Finished(&'a str),
}

impl fmt::Display for Reaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Added(character) => write!(f, "{character}"),
            Self::Erased(count) => (0..*count).try_for_each(|_| f.write_str("\u{8} \u{8}")),
            Self::Refused => write!(f, "{}", char::from(BELL)),
            Self::Cancelled => f.write_str("^C\r\n"),
            Self::Finished(_) => f.write_str("\r\n"),
        }
    }
}

/// Where in a terminal's escape sequence the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    /// In none.
    Outside,
    /// After ESC.
    Begun,
    /// After ESC \[: up to a byte from `@` to `~`.
    Control,
    /// After ESC O: one byte more.
    Shift,
}

/// A line that is being typed.
#[derive(Clone, Debug)]
pub struct LineEditor {
    bytes: [u8; LINE_BYTES],
    length: usize,
    /// A finished line stays readable until the next byte.
    is_finished: bool,
    is_after_return: bool,
    sequence: Sequence,
}

impl Default for LineEditor {
    fn default() -> Self {
        Self::new()
    }
}

impl LineEditor {
    /// An empty line.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; LINE_BYTES],
            length: 0,
            is_finished: false,
            is_after_return: false,
            sequence: Sequence::Outside,
        }
    }

    /// What has been typed of the line.
    #[must_use]
    pub fn line(&self) -> &str {
        let typed = self.bytes.get(..self.length).unwrap_or_default();
        // INVARIANT: `add` takes printable ASCII only.
        core::str::from_utf8(typed).unwrap_or_default()
    }

    /// Takes one byte from the terminal.
    ///
    /// Backspace and delete take off the last character, ^U all, ^C gives the line up; a carriage
    /// return, a line feed or both finish it. A tab is a space. Escape sequences (arrow keys) do
    /// nothing.
    pub fn press(&mut self, byte: u8) -> Reaction<'_> {
        if core::mem::take(&mut self.is_finished) {
            self.length = 0;
        }
        let is_after_return = core::mem::replace(&mut self.is_after_return, byte == b'\r');
        if self.is_in_sequence(byte) {
            return Reaction::Nothing;
        }
        match byte {
            b'\n' if is_after_return => Reaction::Nothing,
            b'\r' | b'\n' => {
                self.is_finished = true;
                Reaction::Finished(self.line())
            }
            BACKSPACE | DELETE if self.length == 0 => Reaction::Refused,
            BACKSPACE | DELETE => {
                self.length -= 1;
                Reaction::Erased(1)
            }
            KILL => Reaction::Erased(core::mem::take(&mut self.length)),
            CANCEL => {
                self.length = 0;
                Reaction::Cancelled
            }
            b'\t' => self.add(b' '),
            b' '..=b'~' => self.add(byte),
            _ => Reaction::Refused,
        }
    }

    fn add(&mut self, byte: u8) -> Reaction<'static> {
        match self.bytes.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
                Reaction::Added(char::from(byte))
            }
            None => Reaction::Refused,
        }
    }

    /// Whether the byte is part of an escape sequence.
    fn is_in_sequence(&mut self, byte: u8) -> bool {
        let was = self.sequence;
        self.sequence = match (was, byte) {
            (_, ESCAPE) => Sequence::Begun,
            (Sequence::Begun, b'O') => Sequence::Shift,
            (Sequence::Begun, b'[') | (Sequence::Control, b' '..=b'?') => Sequence::Control,
            // Anything that can't be in a sequence ends it; control characters then count.
            (Sequence::Outside | Sequence::Begun | Sequence::Control | Sequence::Shift, _) => {
                Sequence::Outside
            }
        };
        match was {
            Sequence::Outside => byte == ESCAPE,
            Sequence::Begun | Sequence::Control | Sequence::Shift => {
                byte >= b' ' && byte != DELETE || byte == ESCAPE
            }
        }
    }
}
