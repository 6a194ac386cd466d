//! From an ELF file to the bytes as they lie in memory.

use object::Endianness;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use thiserror::Error;

/// The most that a flat image may have: more is a segment linked to a place of its own.
const LIMIT_BYTES: u64 = 256 << 20;

/// Where an arm64 Image header has its magic number, and what it is.
const MAGIC: (usize, &[u8]) = (56, b"ARM\x64");

/// Where an arm64 Image header has the number of bytes that the image takes in memory.
const IMAGE_SIZE: usize = 16;

/// Why an ELF file makes no bootable image.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlattenError {
    /// The file's structure is broken.
    #[error("it is no 64-bit ELF file that can be read: {0}")]
    Unreadable(String),
    /// Nothing in it is to be loaded.
    #[error("it has no bytes to load")]
    Empty,
    /// Two segments share an address.
    #[error("its segments overlap at {0:#x}")]
    Overlap(u64),
    /// Segments lie too far apart.
    #[error("its segments span more than 256 MiB; one is linked to a place of its own")]
    TooLarge,
    /// The first segment is not an arm64 Image header.
    #[error("it does not begin with an arm64 Image header")]
    NoHeader,
    /// The header promises less memory than the bytes take.
    #[error("its header says that it takes {said} bytes of memory, and it loads {loaded}")]
    HeaderTooSmall {
        /// The header's number.
        said: u64,
        /// The bytes there are.
        loaded: u64,
    },
}

impl From<object::read::Error> for FlattenError {
    fn from(error: object::read::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

struct Segment<'d> {
    address: u64,
    bytes: &'d [u8],
}

/// The bytes of `elf`'s loadable segments at their distances from the lowest, with zeros between.
///
/// What is zero in memory and not in the file, behind the last segment's bytes, is not in the
/// result: the kernel clears it.
///
/// # Errors
/// When the file is broken, or what it loads is no arm64 kernel.
pub fn flatten(elf: &[u8]) -> Result<Vec<u8>, FlattenError> {
    let mut segments = segments(elf)?;
    segments.sort_by_key(|segment| segment.address);
    let base = segments.first().ok_or(FlattenError::Empty)?.address;
    let mut flat = Vec::new();
    for Segment { address, bytes } in segments {
        let offset = address - base;
        if offset.saturating_add(length(bytes)) > LIMIT_BYTES {
            return Err(FlattenError::TooLarge);
        }
        if offset < length(&flat) {
            return Err(FlattenError::Overlap(address));
        }
        // INVARIANT: no more than LIMIT_BYTES, as seen above.
        flat.resize(usize::try_from(offset).map_err(|_| FlattenError::TooLarge)?, 0);
        flat.extend_from_slice(bytes);
    }
    check_header(&flat)?;
    Ok(flat)
}

fn segments(elf: &[u8]) -> Result<Vec<Segment<'_>>, FlattenError> {
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    header
        .program_headers(endian, elf)?
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD && segment.p_filesz(endian) > 0)
        .map(|segment| {
            let bytes = segment.data(endian, elf).map_err(|()| {
                FlattenError::Unreadable("a segment reaches past the file's end".to_owned())
            })?;
            Ok(Segment { address: segment.p_vaddr(endian), bytes })
        })
        .collect()
}

fn check_header(flat: &[u8]) -> Result<(), FlattenError> {
    let (at, magic) = MAGIC;
    if flat.get(at..at + magic.len()) != Some(magic) {
        return Err(FlattenError::NoHeader);
    }
    let said = flat
        .get(IMAGE_SIZE..)
        .and_then(|rest| rest.first_chunk())
        .map(|bytes| u64::from_le_bytes(*bytes))
        .ok_or(FlattenError::NoHeader)?;
    if said < length(flat) {
        return Err(FlattenError::HeaderTooSmall { said, loaded: length(flat) });
    }
    Ok(())
}

/// A slice's length in bytes; it always fits.
fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
