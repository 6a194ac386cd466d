//! Snapshots: the tables of a source with what is known about them, the kernel's symbols if they
//! were read, and nothing else of its memory. Small, and without user data: made to be attached to
//! a report of a defect.
//!
//! The format is described in `docs/snapshot.md`: a line with the version, the CRC-32 of all that
//! follows unpacked, and a zlib stream with a text part and the tables.

mod header;

use std::collections::BTreeMap;
use std::io::{Read, Write};

use blockmap_vmsa::machine::PhysAddr;
use flate2::{Compression, Crc, read::ZlibDecoder, write::ZlibEncoder};

use crate::{
    FormatError, Inspected,
    format::Fields,
    frozen::{Frozen, freeze},
};
pub(crate) use header::Header;

/// What a snapshot of this version begins with; eight digits and a line feed follow.
pub(crate) const MAGIC: &[u8] = b"blockmap snapshot 1 ";

/// The most bytes that one is unpacked to.
const MOST_BYTES: u64 = 8 << 30;

/// What precedes each stretch of tables: its address and its length.
const STRETCH: usize = 16;

impl Inspected {
    /// A snapshot of the source, with its symbols if it was opened with them. Tables that cannot be read are left out.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let (mut frozen, _) = freeze(&*self.memory, &self.trees);
        if let Some(symbols) = &self.symbols {
            frozen = frozen.with(symbols.stretches());
        }
        let mut content = Header::of(self).text().into_bytes();
        content.push(b'\n');
        for (start, bytes) in frozen.stretches() {
            content.extend_from_slice(&start.value().to_le_bytes());
            let length = u64::try_from(bytes.len()).unwrap_or(0);
            content.extend_from_slice(&length.to_le_bytes());
            content.extend_from_slice(bytes);
        }
        let mut sum = Crc::new();
        sum.update(&content);
        let mut snapshot = MAGIC.to_vec();
        snapshot.extend_from_slice(format!("{:08x}\n", sum.sum()).as_bytes());
        let mut packer = ZlibEncoder::new(snapshot, Compression::default());
        // Writing to memory does not fail.
        let _ = packer.write_all(&content);
        packer.finish().unwrap_or_default()
    }
}

/// Reads a snapshot.
pub(crate) fn read(bytes: &[u8]) -> Result<(Header, Frozen), FormatError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(FormatError::Unsupported(
        "it is a snapshot of another version than 1: it needs another version of blockmap",
    ))?;
    let (sum, packed) = rest.split_at_checked(9).ok_or(FormatError::Short("checksum"))?;
    let sum = str::from_utf8(sum).ok().and_then(|text| text.strip_suffix('\n'));
    let sum = sum.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let sum = sum.ok_or(FormatError::Broken("checksum"))?;
    let mut content = Vec::new();
    let unpacked = ZlibDecoder::new(packed).take(MOST_BYTES).read_to_end(&mut content);
    unpacked.map_err(|_| FormatError::Broken("compressed content"))?;
    let mut found = Crc::new();
    found.update(&content);
    if found.sum() != sum {
        return Err(FormatError::Broken("checksum: the snapshot was damaged; its content"));
    }
    let end = content.windows(2).position(|pair| pair == b"\n\n");
    let (text, tables) = content.split_at(end.ok_or(FormatError::Short("tables"))? + 1);
    let text = str::from_utf8(text).map_err(|_| FormatError::Broken("header"))?;
    let header = Header::parse(text)?;
    let tables = stretches(tables.get(1..).unwrap_or_default())?;
    Ok((header, Frozen::new(tables, BTreeMap::new())))
}

/// The tables by their addresses.
fn stretches(bytes: &[u8]) -> Result<BTreeMap<PhysAddr, Vec<u8>>, FormatError> {
    let short = || FormatError::Short("last table");
    let mut tables = BTreeMap::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (head, after) = rest.split_at_checked(STRETCH).ok_or_else(short)?;
        let (start, length) = (Fields(head).u64(0), Fields(head).u64(8));
        let length = usize::try_from(length).map_err(|_| short())?;
        let (table, after) = after.split_at_checked(length).ok_or_else(short)?;
        tables.insert(PhysAddr::new(start), table.to_vec());
        rest = after;
    }
    Ok(tables)
}
