//! Parts of files: reading them, and what is wrong with them.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use thiserror::Error;

/// What is wrong with a file of a known format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It ends before something that it should have.
    #[error("the file ends before its {0}: it was cut short")]
    Short(&'static str),
    /// The system could not read it.
    #[error("reading the {what} failed: {why}")]
    Unreadable {
        /// What was read.
        what: &'static str,
        /// What the system said.
        why: String,
    },
    /// A value that no such file has.
    #[error("its {what} is {value:#x}, which no such file has")]
    Value {
        /// What it is the value of.
        what: &'static str,
        /// The value.
        value: u64,
    },
    /// Bytes that say nothing, or too much.
    #[error("its {0} is broken")]
    Broken(&'static str),
    /// It is of a machine of another kind.
    #[error("it is of another kind of machine than arm64 (ELF machine {0})")]
    OtherMachine(u16),
    /// A part of the format that is not read.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A line of a text.
    #[error("line {line}: {why}: `{text}`")]
    Line {
        /// Counted from one.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
        /// The line.
        text: String,
    },
}

/// Bytes by their offset.
pub(crate) trait ReadAt: fmt::Debug {
    /// Fills `into` from `offset` on; `what` is read, for whoever hears that it could not be.
    fn fill_at(&self, offset: u64, into: &mut [u8], what: &'static str) -> Result<(), FormatError>;
}

impl ReadAt for File {
    fn fill_at(&self, offset: u64, into: &mut [u8], what: &'static str) -> Result<(), FormatError> {
        self.read_exact_at(into, offset).map_err(|error| {
            if error.kind() == ErrorKind::UnexpectedEof {
                FormatError::Short(what)
            } else {
                FormatError::Unreadable { what, why: error.to_string() }
            }
        })
    }
}

/// A stretch of a file, of at most `most` bytes.
pub(crate) fn stretch(
    file: &dyn ReadAt,
    (offset, bytes): (u64, u64),
    most: u64,
    what: &'static str,
) -> Result<Vec<u8>, FormatError> {
    let too_long = FormatError::Value { what, value: bytes };
    if bytes > most {
        return Err(too_long);
    }
    let mut content = vec![0; usize::try_from(bytes).map_err(|_| too_long)?];
    file.fill_at(offset, &mut content, what)?;
    Ok(content)
}

/// Numbers at fixed places of a header. Places beyond its end hold zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'b>(pub(crate) &'b [u8]);

impl Fields<'_> {
    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        let bytes = at.checked_add(N).and_then(|end| self.0.get(at..end));
        bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
    }

    /// Two bytes, the lower first.
    pub(crate) fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    /// Four bytes, the lowest first.
    pub(crate) fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    /// Eight bytes, the lowest first.
    pub(crate) fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    /// Eight bytes, the highest first.
    pub(crate) fn u64_big(self, at: usize) -> u64 {
        u64::from_be_bytes(self.array(at))
    }
}
