//! The flattened form: pieces of a file in the order in which they were written.

use std::collections::BTreeMap;
use std::fs::File;

use crate::{
    FormatError,
    format::{Fields, ReadAt, stretch},
};

/// Where the pieces begin.
const HEADER: u64 = 4096;

/// The most pieces that are read.
const MOST_PIECES: usize = 1 << 22;

/// A file in pieces.
#[derive(Debug)]
pub(crate) struct Flattened {
    file: File,
    /// By the offset in the file that is meant: how long, and where in the file that is there.
    pieces: BTreeMap<u64, (u64, u64)>,
}

impl Flattened {
    /// What such a file begins with.
    pub(crate) const MAGIC: &'static [u8] = b"makedumpfile\0\0\0\0";

    /// Finds the pieces of `file`.
    pub(crate) fn open(file: File) -> Result<Self, FormatError> {
        let what = "list of pieces";
        let mut flattened = Self { file, pieces: BTreeMap::new() };
        let mut at = HEADER;
        for _ in 0..MOST_PIECES {
            let head = stretch(&flattened.file, (at, 16), 16, what)?;
            let (offset, bytes) = (Fields(&head).u64_big(0), Fields(&head).u64_big(8));
            if offset == u64::MAX {
                return Ok(flattened);
            }
            at = at.checked_add(16).ok_or(FormatError::Broken(what))?;
            let ends = (offset.checked_add(bytes), at.checked_add(bytes));
            let (Some(_), Some(next)) = ends else {
                return Err(FormatError::Broken(what));
            };
            flattened.put(offset, bytes, at);
            at = next;
        }
        Err(FormatError::Broken(what))
    }

    /// Adds a piece over what was there: a header is written first, and again at the end.
    fn put(&mut self, offset: u64, bytes: u64, at: u64) {
        let end = offset.saturating_add(bytes);
        if bytes == 0 {
            return;
        }
        let below = self.pieces.range(..offset).next_back().map(|(start, piece)| (*start, *piece));
        if let Some((start, (long, place))) = below
            && start.saturating_add(long) > offset
        {
            self.pieces.insert(start, (offset - start, place));
            self.keep_end((start, long, place), end);
        }
        let covered: Vec<u64> = self.pieces.range(offset..end).map(|(start, _)| *start).collect();
        for start in covered {
            if let Some((long, place)) = self.pieces.remove(&start) {
                self.keep_end((start, long, place), end);
            }
        }
        self.pieces.insert(offset, (bytes, at));
    }

    /// Keeps what of a piece lies from `end` on.
    fn keep_end(&mut self, (start, long, place): (u64, u64, u64), end: u64) {
        let over = start.saturating_add(long).saturating_sub(end);
        if over > 0 {
            let skipped = end - start;
            self.pieces.insert(end, (over, place.saturating_add(skipped)));
        }
    }
}

impl ReadAt for Flattened {
    fn fill_at(&self, offset: u64, into: &mut [u8], what: &'static str) -> Result<(), FormatError> {
        let (mut at, mut rest) = (offset, into);
        while !rest.is_empty() {
            let piece = self.pieces.range(..=at).next_back();
            let (start, (long, place)) = piece.ok_or(FormatError::Short(what))?;
            let skipped = at - start;
            let left = long.saturating_sub(skipped);
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            if now == 0 {
                return Err(FormatError::Short(what));
            }
            let (piece, later) = rest.split_at_mut(now);
            self.file.fill_at(place.saturating_add(skipped), piece, what)?;
            at = at.saturating_add(u64::try_from(now).unwrap_or(u64::MAX));
            rest = later;
        }
        Ok(())
    }
}
