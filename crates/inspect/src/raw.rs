//! Images of RAM: files whose bytes are memory from a base address on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use crate::{Life, PhysicalMemory, ReadError};

/// A part of a file that holds memory.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) range: PhysRange,
    pub(crate) file: usize,
    /// Where in the file the range's first byte is.
    pub(crate) offset: u64,
    /// How many bytes the file has; those of the range that are left are zero.
    pub(crate) held: u64,
}

/// Memory that lies in files, uncompressed.
#[derive(Debug)]
pub(crate) struct FileMemory {
    files: Vec<File>,
    /// In ascending order, not overlapping.
    pieces: Vec<Piece>,
    ranges: Vec<PhysRange>,
    life: Life,
}

impl FileMemory {
    /// The memory that `pieces` say. Of pieces that overlap, the one that begins first is kept.
    pub(crate) fn new(files: Vec<File>, mut pieces: Vec<Piece>, life: Life) -> Self {
        pieces.sort_by_key(|piece| piece.range.start());
        let mut above = None;
        pieces.retain(|piece| {
            let is_free = above.is_none_or(|last| last < piece.range.start());
            if is_free {
                above = Some(piece.range.last());
            }
            is_free
        });
        let ranges = pieces.iter().map(|piece| piece.range).collect();
        Self { files, pieces, ranges, life }
    }

    /// The piece that `at` is in.
    fn piece(&self, at: PhysAddr) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.range.start() <= at);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        piece.range.contains(at).then_some(piece)
    }

    /// Fills what of `into` lies in the piece of `at`, and says how much that is.
    fn read_some(&self, at: PhysAddr, into: &mut [u8]) -> Result<usize, ReadError> {
        let piece = self.piece(at).ok_or(ReadError::Absent(at))?;
        let skipped = at.offset_from(piece.range.start()).ok_or(ReadError::Absent(at))?;
        let file = self.files.get(piece.file).ok_or(ReadError::Absent(at))?;
        let left = usize::try_from(piece.range.bytes() - skipped).unwrap_or(usize::MAX);
        let now = left.min(into.len());
        let into = into.get_mut(..now).unwrap_or_default();
        let held = usize::try_from(piece.held.saturating_sub(skipped)).unwrap_or(usize::MAX);
        let (held, zeros) = into.split_at_mut(held.min(now));
        if !held.is_empty() {
            let offset = piece.offset.checked_add(skipped).ok_or(ReadError::Absent(at))?;
            file.read_exact_at(held, offset).map_err(|error| ReadError::io(at, &error))?;
        }
        zeros.fill(0);
        Ok(now)
    }
}

impl PhysicalMemory for FileMemory {
    fn ranges(&self) -> &[PhysRange] {
        &self.ranges
    }

    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        let (mut at, mut rest) = (at, into);
        while !rest.is_empty() {
            let now = self.read_some(at, rest)?;
            rest = rest.get_mut(now..).unwrap_or_default();
            let bytes = u64::try_from(now).unwrap_or_default();
            at = match at.checked_add(bytes) {
                Some(next) => next,
                None if rest.is_empty() => return Ok(()),
                None => return Err(ReadError::Absent(at)),
            };
        }
        Ok(())
    }

    fn life(&self) -> Life {
        self.life
    }
}

/// Opens a file whole, and says how long it is.
pub(crate) fn open_sized(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}
