//! The initial RAM disk: an archive of named files, in the `newc` form of cpio.
//!
//! The boot loader hands it over, and it may be anything: every reading ends, and what makes no
//! sense is an error that says where.
//!
//! ```
//! use blockmap_kernel::archive::{Archive, ArchiveError};
//!
//! let archive = Archive::new(b"no archive");
//! assert_eq!(archive.find("init"), Err(ArchiveError::NoHeader(0)));
//! ```
//!
//! Source: cpio(5), "New ASCII Format".

#[cfg(test)]
mod tests;

use thiserror::Error;

/// What a header begins with; the other form of it has a checksum, which is not checked.
const MAGICS: [&[u8; 6]; 2] = [b"070701", b"070702"];

/// Bytes of a header.
const HEADER_BYTES: usize = 110;

/// Digits of each number of a header.
const DIGITS: usize = 8;

/// The name of what follows the last file.
const TRAILER: &str = "TRAILER!!!";

/// File type of ordinary files, among the bits of a mode.
const REGULAR: (u32, u32) = (0o170_000, 0o100_000);

/// Why an archive can't be read further. The number is how many bytes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// What is there is not the start of an entry.
    #[error("no entry of a newc archive is at byte {0}: pack it with `cpio -H newc`")]
    NoHeader(usize),
    /// A number of the entry's header is not hexadecimal.
    #[error("the entry at byte {0} has a number that is not hexadecimal")]
    NoNumber(usize),
    /// The name of the entry does not end within its length, or is not text.
    #[error("the entry at byte {0} has no name")]
    NoName(usize),
    /// The entry reaches past the end.
    #[error("the entry at byte {0} reaches past the archive's end")]
    CutOff(usize),
}

/// An ordinary file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Its name, with folders as it was packed.
    pub name: &'a str,
    /// What it holds.
    pub content: &'a [u8],
}

/// An archive; nothing of it has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
}

impl<'a> Archive<'a> {
    /// The archive in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The ordinary files, in order, up to the trailer or the first entry that makes no sense.
    #[must_use]
    pub const fn files(&self) -> Files<'a> {
        let next = if self.bytes.is_empty() { None } else { Some(0) };
        Files { bytes: self.bytes, next }
    }

    /// The content of the first file of this name.
    ///
    /// # Errors
    /// The archive makes no sense before such a file.
    pub fn find(&self, name: &str) -> Result<Option<&'a [u8]>, ArchiveError> {
        for file in self.files() {
            let file = file?;
            if file.name == name {
                return Ok(Some(file.content));
            }
        }
        Ok(None)
    }
}

/// The files of an archive; see [`Archive::files`].
#[derive(Clone, Debug)]
pub struct Files<'a> {
    bytes: &'a [u8],
    /// Where the next entry is; nowhere after the last.
    next: Option<usize>,
}

/// An entry, and where it ends.
struct Entry<'a> {
    file: File<'a>,
    mode: u32,
    end: usize,
}

impl<'a> Iterator for Files<'a> {
    type Item = Result<File<'a>, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.next.take()?;
            let entry = match entry_at(self.bytes, at) {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            if entry.file.name == TRAILER {
                return None;
            }
            self.next = Some(entry.end);
            let (mask, regular) = REGULAR;
            if entry.mode & mask == regular {
                return Some(Ok(entry.file));
            }
        }
    }
}

fn entry_at(bytes: &[u8], at: usize) -> Result<Entry<'_>, ArchiveError> {
    let header = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEADER_BYTES>());
    let header = header.ok_or(ArchiveError::NoHeader(at))?;
    let (magic, numbers) = header.split_at(MAGICS[0].len());
    if !MAGICS.iter().any(|known| known.as_slice() == magic) {
        return Err(ArchiveError::NoHeader(at));
    }
    let number = |index: usize| number_in(numbers, index).ok_or(ArchiveError::NoNumber(at));
    let (mode, content_bytes, name_bytes) = (number(1)?, number(6)?, number(11)?);
    let cut_off = ArchiveError::CutOff(at);
    let piece = |start: usize, bytes_needed: u32| {
        let end = start.checked_add(usize::try_from(bytes_needed).ok()?)?;
        Some((bytes.get(start..end)?, end.checked_next_multiple_of(4)?))
    };
    let (name, behind) = piece(at + HEADER_BYTES, name_bytes).ok_or(cut_off)?;
    let name = name.split_last().filter(|(last, _)| **last == 0).map(|(_, name)| name);
    let name = name.and_then(|name| core::str::from_utf8(name).ok());
    let name = name.ok_or(ArchiveError::NoName(at))?;
    let (content, end) = piece(behind, content_bytes).ok_or(cut_off)?;
    Ok(Entry { file: File { name, content }, mode, end })
}

/// The number at `index` among those of a header.
fn number_in(numbers: &[u8], index: usize) -> Option<u32> {
    let digits = numbers.get(index * DIGITS..(index + 1) * DIGITS)?;
    digits.iter().try_fold(0, |sum, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(sum << 4 | digit)
    })
}
