//! One record of a trace, and the four words it is kept as.

use blockmap::dump::{Rights, RightsPair};
use blockmap::machine::{
    Barrier, CacheOp, Entry, Event, Invalidate, PhysAddr, PhysRange, Span, Tlbi, VirtAddr,
    VirtRange,
};

use super::{Edge, Held, Intent, Meanwhile, Piece, Target};

/// Something that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// An effect on the tables, on barriers, TLBs or caches.
    Event(Event),
    /// A frame became a table, with whatever it held before.
    Taken(PhysAddr),
    /// A table's frame was given back.
    Freed(PhysAddr),
    /// Before the first effect, entries held this.
    Held(Held),
    /// An operation is about to begin.
    Intend(Intent),
    /// What was intended is in force.
    Achieved,
    /// What was intended was refused; nothing was done.
    Refused,
    /// Instructions were stored to this memory, as data.
    Code(PhysRange),
    /// Something that orders this CPU and others.
    Edge(Edge),
    /// From here on the CPU changes sizes with all others parked: its operation waits meanwhile.
    Aside,
    /// The operation goes on.
    Back,
    /// The beginning of a line of text about what follows.
    Note(Piece),
    /// More of that line.
    More(Piece),
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
    pub(super) const HELD: u8 = 11;
    pub(super) const INTEND: u8 = 12;
    pub(super) const ACHIEVED: u8 = 13;
    pub(super) const REFUSED: u8 = 14;
    pub(super) const EDGE: u8 = 15;
    pub(super) const ASIDE: u8 = 16;
    pub(super) const BACK: u8 = 17;
    pub(super) const CODE: u8 = 18;
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
            Self::Held(Held { span, value, step }) => {
                (Head::spanning(kind::HELD, span), [span.table.value(), value, step])
            }
            Self::Intend(intent) => words_of_intent(intent),
            Self::Achieved => (Head::of(kind::ACHIEVED), [0; 3]),
            Self::Refused => (Head::of(kind::REFUSED), [0; 3]),
            Self::Code(range) => (Head::of(kind::CODE), [range.start().value(), range.bytes(), 0]),
            Self::Edge(edge) => {
                let (number, words) = edge.words();
                (Head::with(kind::EDGE, number), words)
            }
            Self::Aside => (Head::of(kind::ASIDE), [0; 3]),
            Self::Back => (Head::of(kind::BACK), [0; 3]),
            Self::Note(piece) => (Head::of(kind::NOTE), piece.words()),
            Self::More(piece) => (Head::of(kind::MORE), piece.words()),
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
            kind::HELD => return Some(Self::Held(Held { span, value: b, step: c })),
            kind::INTEND => return intent_of(&head, [a, b, c]).map(Self::Intend),
            kind::ACHIEVED => return Some(Self::Achieved),
            kind::REFUSED => return Some(Self::Refused),
            kind::CODE => return PhysRange::new(table, b).map(Self::Code),
            kind::EDGE => return Edge::of_words(head.instruction, [a, b, c]).map(Self::Edge),
            kind::ASIDE => return Some(Self::Aside),
            kind::BACK => return Some(Self::Back),
            kind::NOTE => return Some(Self::Note(Piece::of_words([a, b, c]))),
            kind::MORE => return Some(Self::More(Piece::of_words([a, b, c]))),
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

/// An intent's first entry are the rights, its number of entries the memory type.
fn words_of_intent(Intent { range, target, meanwhile }: Intent) -> (Head, [u64; 3]) {
    let (start, bytes) = (range.start().value(), range.bytes());
    match target {
        Target::Unmapped => {
            let instruction = match meanwhile {
                Meanwhile::Accessible | Meanwhile::Idle => UNMAPPED,
                Meanwhile::Later => UNMAPPED_LATER,
            };
            (Head::with(kind::INTEND, instruction), [start, bytes, 0])
        }
        Target::Mapped { output, rights, memory } => {
            let (first, count) = (rights_bits(rights), u16::from(memory));
            let instruction = match meanwhile {
                Meanwhile::Accessible => MAPPED,
                Meanwhile::Idle | Meanwhile::Later => MAPPED_IDLE,
            };
            let head = Head { kind: kind::INTEND, instruction, first, count };
            (head, [start, bytes, output.value()])
        }
    }
}

fn intent_of(head: &Head, [start, bytes, output]: [u64; 3]) -> Option<Intent> {
    let target = match head.instruction {
        UNMAPPED | UNMAPPED_LATER => Target::Unmapped,
        MAPPED | MAPPED_IDLE => Target::Mapped {
            output: PhysAddr::new(output),
            rights: rights_of(head.first),
            memory: u8::try_from(head.count).ok()?,
        },
        _ => return None,
    };
    let meanwhile = match head.instruction {
        MAPPED_IDLE => Meanwhile::Idle,
        UNMAPPED_LATER => Meanwhile::Later,
        _ => Meanwhile::Accessible,
    };
    Some(Intent { range: VirtRange::new(VirtAddr::new(start), bytes)?, target, meanwhile })
}

const UNMAPPED: u8 = 0;
const MAPPED: u8 = 1;
const MAPPED_IDLE: u8 = 2;
const UNMAPPED_LATER: u8 = 3;

/// Three bits for each of the two exception levels.
fn rights_bits(RightsPair { privileged, unprivileged }: RightsPair) -> u16 {
    let bits = |Rights { reads, writes, executes }| {
        u16::from(reads) | u16::from(writes) << 1 | u16::from(executes) << 2
    };
    bits(privileged) | bits(unprivileged) << 3
}

const fn rights_of(bits: u16) -> RightsPair {
    const fn rights(bits: u16) -> Rights {
        Rights { reads: bits & 1 != 0, writes: bits & 2 != 0, executes: bits & 4 != 0 }
    }
    RightsPair { privileged: rights(bits), unprivileged: rights(bits >> 3) }
}
