//! Images of RAM: files whose bytes are memory from a base address on.

use std::cmp::Reverse;
use std::fs::File;
use std::os::unix::fs::FileExt;

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use crate::{Life, PhysicalMemory, ReadError};

/// Stretches between holes of a file that are told apart at most.
const MOST_STRETCHES: usize = 1 << 20;

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

impl Piece {
    /// The part above `last`, if there is any.
    fn above(self, last: Option<PhysAddr>) -> Option<Self> {
        let Some(last) = last.filter(|last| *last >= self.range.start()) else {
            return Some(self);
        };
        let start = last.checked_add(1)?;
        let skipped = start.offset_from(self.range.start())?;
        let range = PhysRange::new(start, self.range.bytes().checked_sub(skipped)?)?;
        let held = self.held.saturating_sub(skipped);
        Some(Self { range, offset: self.offset.checked_add(skipped)?, held, ..self })
    }
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
    /// The memory that `pieces` say. Where they overlap, the one that begins first counts, and of
    /// those that begin together the longest: dumps have the kernel's image twice.
    pub(crate) fn new(files: Vec<File>, mut pieces: Vec<Piece>, life: Life) -> Self {
        pieces.sort_by_key(|piece| (piece.range.start(), Reverse(piece.range.bytes())));
        let mut kept: Vec<Piece> = Vec::new();
        for piece in pieces {
            let last = kept.last().map(|kept| kept.range.last());
            kept.extend(piece.above(last));
        }
        let ranges = kept.iter().map(|piece| piece.range).collect();
        Self { files, pieces: kept, ranges, life }
    }

    /// The piece that `at` is in.
    fn piece(&self, at: PhysAddr) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.range.start() <= at);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        piece.range.contains(at).then_some(piece)
    }

    /// The parts of a piece that its file has and that are no holes in it.
    fn stretches(&self, piece: &Piece) -> Vec<PhysRange> {
        let Some(file) = self.files.get(piece.file) else {
            return Vec::new();
        };
        let length = match (self.life, file.metadata()) {
            // What `/proc` says of lengths means nothing.
            (Life::Running, _) | (_, Err(_)) => u64::MAX,
            (Life::Still, Ok(metadata)) => metadata.len(),
        };
        let held = piece.held.min(piece.range.bytes());
        let end = piece.offset.saturating_add(held).min(length);
        let mut stretches = Vec::new();
        let mut from = piece.offset;
        while from < end && stretches.len() < MOST_STRETCHES {
            // Files that know no holes have none, and `/proc` knows of no data.
            let data = match seek(file, SeekFrom::Data(from)) {
                Ok(data) => data,
                Err(Errno::NXIO) if self.life == Life::Still => break,
                Err(_) => from,
            };
            let hole = seek(file, SeekFrom::Hole(data)).ok().filter(|hole| *hole > data);
            let (start, stop) = (data.max(from), hole.unwrap_or(end).min(end));
            let bytes = stop.saturating_sub(start);
            let base = piece.range.start().checked_add(start.saturating_sub(piece.offset));
            stretches.extend(base.and_then(|base| PhysRange::new(base, bytes)));
            from = stop.max(start.saturating_add(1));
        }
        stretches
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

    fn written(&self) -> Vec<PhysRange> {
        self.pieces.iter().flat_map(|piece| self.stretches(piece)).collect()
    }

    fn life(&self) -> Life {
        self.life
    }
}
