//! What the observer saw, in memory that the observed can read and not write.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use blockmap::machine::{Entry, Event, Invalidate, PhysAddr, Tlbi};
use blockmap::vmsa::Half;

/// Something that really happened: it was trapped, noted here and then done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A table entry was written.
    Store {
        /// Which.
        entry: Entry,
        /// With what.
        value: u64,
        /// What it held before.
        old: u64,
    },
    /// TLB maintenance was done.
    Invalidate(Invalidate),
    /// A half of the address space got other tables.
    Root {
        /// Which half.
        half: Half,
        /// The register's new value: the root, and an ASID above it.
        value: u64,
    },
}

impl Seen {
    fn words(self) -> [u64; 4] {
        match self {
            Self::Store { entry: Entry { table, index }, value, old } => {
                [STORE | u64::from(index) << 8, table.value(), value, old]
            }
            Self::Invalidate(Invalidate { op, operand }) => {
                let number = (0..).zip(Tlbi::ALL).find(|(_, known)| **known == op);
                [INVALIDATE | number.map_or(0, |(number, _)| number) << 8, operand, 0, 0]
            }
            Self::Root { half: Half::Lower, value } => [LOWER_ROOT, value, 0, 0],
            Self::Root { half: Half::Upper, value } => [UPPER_ROOT, value, 0, 0],
        }
    }

    fn of_words([head, a, b, c]: [u64; 4]) -> Option<Self> {
        let number = head >> 8;
        Some(match head & 0xff {
            STORE => {
                let entry = Entry { table: PhysAddr::new(a), index: u16::try_from(number).ok()? };
                Self::Store { entry, value: b, old: c }
            }
            INVALIDATE => {
                let op = *Tlbi::ALL.get(usize::try_from(number).ok()?)?;
                Self::Invalidate(Invalidate { op, operand: a })
            }
            LOWER_ROOT => Self::Root { half: Half::Lower, value: a },
            UPPER_ROOT => Self::Root { half: Half::Upper, value: a },
            _ => return None,
        })
    }
}

/// Where a slot's first word has the CPU's number.
const CPU: u32 = 48;

/// What the low byte of a slot's first word says the rest is; zero is never written.
const STORE: u64 = 1;
const INVALIDATE: u64 = 2;
const LOWER_ROOT: u64 = 3;
const UPPER_ROOT: u64 = 4;

impl fmt::Display for Seen {
    /// A line of a trace: an event, with what only the observer knows as a comment behind it, or a
    /// comment alone where traces have no such event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { entry, value, old } => {
                write!(f, "{} # was {old:#x}", Event::Store { entry: *entry, value: *value })
            }
            Self::Invalidate(invalidate) => write!(f, "{invalidate}"),
            Self::Root { half: Half::Lower, value } => write!(f, "# ttbr0_el1 {value:#x}"),
            Self::Root { half: Half::Upper, value } => write!(f, "# ttbr1_el1 {value:#x}"),
        }
    }
}

/// Room for one thing seen: any bits at all, until a [`Log`] has written it.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Slot([AtomicU64; 4]);

impl Slot {
    /// Bytes of a slot.
    pub const BYTES: u64 = 32;
}

/// The account of what was seen, in order. When it is full, what follows is counted and not kept:
/// what is kept has no gap.
#[derive(Debug)]
pub struct Log<'a> {
    slots: &'a [Slot],
    kept: usize,
    dropped: u64,
}

impl<'a> Log<'a> {
    /// An account of nothing, in `slots`, which nobody else writes.
    #[must_use]
    pub const fn new(slots: &'a [Slot]) -> Self {
        Self { slots, kept: 0, dropped: 0 }
    }

    /// Adds what was seen last, of the CPU of that number.
    pub fn add(&mut self, cpu: u16, seen: Seen) {
        let Some(slot) = self.slots.get(self.kept) else {
            self.dropped = self.dropped.saturating_add(1);
            return;
        };
        let [head, rest @ ..] = seen.words();
        let [a, b, c] = rest;
        let words = [head | u64::from(cpu) << CPU, a, b, c];
        for (word, value) in slot.0.iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        self.kept = self.kept.saturating_add(1);
    }

    /// How many are kept, from the first on.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.kept
    }

    /// How many came after the last for which there was room.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// What a log's owner wrote into `slots`, all of which are written, and of which CPU.
pub fn seen_in(slots: &[Slot]) -> impl Iterator<Item = (u16, Seen)> {
    slots.iter().filter_map(|Slot(words)| {
        let [head, a, b, c] = words.each_ref().map(|word| word.load(Ordering::Relaxed));
        let [.., low, high] = head.to_le_bytes();
        let seen = Seen::of_words([head & !(0xffff << CPU), a, b, c])?;
        Some((u16::from_le_bytes([low, high]), seen))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;
    use std::vec::Vec;

    use super::*;

    fn store(index: u16) -> Seen {
        let entry = Entry { table: PhysAddr::new(0x4020_0000), index };
        Seen::Store { entry, value: 0x711, old: u64::MAX }
    }

    #[test]
    fn what_was_seen_is_kept_in_order_and_without_a_gap() {
        let invalidate = |op: &Tlbi| Seen::Invalidate(Invalidate { op: *op, operand: 7 });
        let mut all: Vec<Seen> = [0, 511].map(store).into();
        all.extend(Tlbi::ALL.iter().map(invalidate));
        all.push(Seen::Root { half: Half::Lower, value: 1 << 48 });
        all.push(Seen::Root { half: Half::Upper, value: 0x4020_0000 });
        let slots: Vec<Slot> = all.iter().map(|_| Slot::default()).collect();
        let mut log = Log::new(&slots);
        for seen in &all {
            log.add(7, *seen);
        }
        log.add(7, store(1));
        assert_eq!((log.kept(), log.dropped()), (all.len(), 1));
        assert!(seen_in(&slots).all(|(cpu, _)| cpu == 7));
        assert_eq!(seen_in(&slots).map(|(_, seen)| seen).collect::<Vec<_>>(), all);
    }

    #[test]
    fn what_was_seen_reads_as_a_trace_with_comments() {
        assert_eq!(store(3).to_string(), "store  0x40200000[3] 0x711 # was 0xffffffffffffffff");
        let invalidate = Invalidate { op: Tlbi::Vaae1is, operand: 7 };
        assert_eq!(Seen::Invalidate(invalidate).to_string(), "tlbi vaae1is 0x7");
        let root = Seen::Root { half: Half::Upper, value: 0x4020_0000 };
        assert_eq!(root.to_string(), "# ttbr1_el1 0x40200000");
    }

    #[test]
    fn memory_that_no_log_has_written_holds_nothing_seen() {
        let slots: [Slot; 2] = [Slot::default(), Slot([0xff, u64::MAX, 0, 0].map(AtomicU64::new))];
        assert_eq!(seen_in(&slots).count(), 0);
    }
}
