//! Text about what follows, in pieces that fit a record.

use core::fmt::{self, Write};

/// Up to 24 characters of printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// As in memory, the first character in the lowest byte; zeroes after the last.
    words: [u64; 3],
}

impl Piece {
    const BYTES: usize = 24;

    /// The pieces of a line of text. What isn't printable ASCII is a `?` in them.
    pub(super) fn of_line(text: &str) -> impl ExactSizeIterator<Item = Self> {
        text.as_bytes().chunks(Self::BYTES).map(Self::of_bytes)
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let printable = |byte: &u8| if matches!(*byte, b' '..=b'~') { *byte } else { b'?' };
        let mut all = [0; Self::BYTES];
        for (place, byte) in all.iter_mut().zip(bytes) {
            *place = printable(byte);
        }
        let (words, _) = all.as_chunks();
        let mut piece = Self { words: [0; 3] };
        for (place, bytes) in piece.words.iter_mut().zip(words) {
            *place = u64::from_le_bytes(*bytes);
        }
        piece
    }

    /// The piece with these words.
    pub(super) const fn of_words(words: [u64; 3]) -> Self {
        Self { words }
    }

    /// The piece as words.
    pub(super) const fn words(self) -> [u64; 3] {
        self.words
    }

    /// The characters.
    fn characters(self) -> impl Iterator<Item = char> {
        let bytes = self.words.into_iter().flat_map(u64::to_le_bytes);
        bytes.take_while(|byte| *byte != 0).map(char::from)
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.characters().try_for_each(|character| f.write_char(character))
    }
}
