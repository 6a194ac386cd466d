//! One record of a trace, and the four words it is kept as.

use blockmap::machine::{
    Barrier, CacheOp, Entry, Event, Invalidate, PhysAddr, PhysRange, Span, Tlbi,
};

/// Something that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// An effect on the tables, on barriers, TLBs or caches.
    Event(Event),
    /// A frame became a table, with whatever it held before.
    Taken(PhysAddr),
    /// A table's frame was given back.
    Freed(PhysAddr),
    /// The beginning of a line of text about what follows.
    Note(Piece),
    /// More of that line.
    More(Piece),
}

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

    /// The characters.
    pub(super) fn characters(self) -> impl Iterator<Item = char> {
        let bytes = self.words.into_iter().flat_map(u64::to_le_bytes);
        bytes.take_while(|byte| *byte != 0).map(char::from)
    }
}

/// What kind of record the first of its words says. Zero is none.
mod kind {
    pub(super) const STORE: u8 = 1;
    pub(super) const FILL: u8 = 2;
    pub(super) const UPDATE: u8 = 3;
    pub(super) const BARRIER: u8 = 4;
    pub(super) const INVALIDATE: u8 = 5;
    pub(super) const MAINTAIN: u8 = 6;
    pub(super) const TAKEN: u8 = 7;
    pub(super) const FREED: u8 = 8;
    pub(super) const NOTE: u8 = 9;
    pub(super) const MORE: u8 = 10;
}

/// In the order of their numbers.
const BARRIERS: [Barrier; 5] =
    [Barrier::DsbIshst, Barrier::DsbIsh, Barrier::DsbNshst, Barrier::DsbNsh, Barrier::Isb];

/// In the order of their numbers.
const CACHE_OPS: [CacheOp; 4] =
    [CacheOp::DcCvau, CacheOp::DcCivac, CacheOp::DcIvac, CacheOp::IcIvau];

const fn barrier_number(barrier: Barrier) -> u8 {
    match barrier {
        Barrier::DsbIshst => 0,
        Barrier::DsbIsh => 1,
        Barrier::DsbNshst => 2,
        Barrier::DsbNsh => 3,
        Barrier::Isb => 4,
    }
}

const fn cache_number(op: CacheOp) -> u8 {
    match op {
        CacheOp::DcCvau => 0,
        CacheOp::DcCivac => 1,
        CacheOp::DcIvac => 2,
        CacheOp::IcIvau => 3,
    }
}

/// The place of an operation in the list of all, which has fewer than 256.
fn tlbi_number(op: Tlbi) -> u8 {
    let number = Tlbi::ALL.iter().position(|one| *one == op);
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

/// The first of a record's words: kind, instruction, first entry, number of entries.
struct Head {
    kind: u8,
    instruction: u8,
    first: u16,
    count: u16,
}

impl Head {
    const fn of(kind: u8) -> Self {
        Self::with(kind, 0)
    }

    const fn with(kind: u8, instruction: u8) -> Self {
        Self { kind, instruction, first: 0, count: 0 }
    }

    const fn spanning(kind: u8, span: Span) -> Self {
        Self { kind, instruction: 0, first: span.first, count: span.count }
    }

    fn word(&self) -> u64 {
        let [first_low, first_high] = self.first.to_le_bytes();
        let [count_low, count_high] = self.count.to_le_bytes();
        let Self { kind, instruction, .. } = *self;
        u64::from_le_bytes([kind, instruction, first_low, first_high, count_low, count_high, 0, 0])
    }

    const fn of_word(word: u64) -> Self {
        let [kind, instruction, first_low, first_high, count_low, count_high, ..] =
            word.to_le_bytes();
        let first = u16::from_le_bytes([first_low, first_high]);
        let count = u16::from_le_bytes([count_low, count_high]);
        Self { kind, instruction, first, count }
    }

    /// The instruction, of those in `list`.
    fn of_list<T: Copy>(&self, list: &[T]) -> Option<T> {
        list.get(usize::from(self.instruction)).copied()
    }
}

impl Record {
    /// The record as words, the first of which is not zero.
    pub(super) fn words(self) -> [u64; 4] {
        let (head, rest) = match self {
            Self::Event(event) => words_of(event),
            Self::Taken(table) => (Head::of(kind::TAKEN), [table.value(), 0, 0]),
            Self::Freed(table) => (Head::of(kind::FREED), [table.value(), 0, 0]),
            Self::Note(piece) => (Head::of(kind::NOTE), piece.words),
            Self::More(piece) => (Head::of(kind::MORE), piece.words),
        };
        let [a, b, c] = rest;
        [head.word(), a, b, c]
    }

    /// The record with these words, or `None` if there is no such record.
    pub(super) fn of_words(words: [u64; 4]) -> Option<Self> {
        let [head, a, b, c] = words;
        let head = Head::of_word(head);
        let (table, first) = (PhysAddr::new(a), head.first);
        let span = Span { table, first, count: head.count };
        Some(Self::Event(match head.kind {
            kind::STORE => Event::Store { entry: Entry { table, index: first }, value: b },
            kind::FILL => Event::Fill { span, value: b, step: c },
            kind::UPDATE => Event::Update { span, clear: b, set: c },
            kind::BARRIER => Event::Barrier(head.of_list(&BARRIERS)?),
            kind::INVALIDATE => {
                Event::Invalidate(Invalidate { op: head.of_list(Tlbi::ALL)?, operand: a })
            }
            kind::MAINTAIN => {
                let range = PhysRange::new(table, b)?;
                Event::Maintain { op: head.of_list(&CACHE_OPS)?, range }
            }
            kind::TAKEN => return Some(Self::Taken(table)),
            kind::FREED => return Some(Self::Freed(table)),
            kind::NOTE => return Some(Self::Note(Piece { words: [a, b, c] })),
            kind::MORE => return Some(Self::More(Piece { words: [a, b, c] })),
            _ => return None,
        }))
    }
}

fn words_of(event: Event) -> (Head, [u64; 3]) {
    match event {
        Event::Store { entry, value } => {
            let head = Head::spanning(kind::STORE, entry.span(1));
            (head, [entry.table.value(), value, 0])
        }
        Event::Fill { span, value, step } => {
            (Head::spanning(kind::FILL, span), [span.table.value(), value, step])
        }
        Event::Update { span, clear, set } => {
            (Head::spanning(kind::UPDATE, span), [span.table.value(), clear, set])
        }
        Event::Barrier(barrier) => (Head::with(kind::BARRIER, barrier_number(barrier)), [0; 3]),
        Event::Invalidate(Invalidate { op, operand }) => {
            (Head::with(kind::INVALIDATE, tlbi_number(op)), [operand, 0, 0])
        }
        Event::Maintain { op, range } => {
            let head = Head::with(kind::MAINTAIN, cache_number(op));
            (head, [range.start().value(), range.bytes(), 0])
        }
    }
}
