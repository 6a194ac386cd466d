//! Memory that changes while its tables are copied.

use std::cell::{Cell, RefCell};

use blockmap_dump::vmsa::{Format, Granule, Half, Regime};

use super::*;

const BASE: PhysAddr = PhysAddr::new(0x4000_0000);
const TABLE: usize = 4096;
/// Tables of the last level: more than are compared at once.
const LEAVES: usize = 40;

/// A root, two tables below it, and side by side those of the last level.
#[derive(Debug)]
struct Restless {
    range: [PhysRange; 1],
    bytes: RefCell<Vec<u8>>,
    reads: Cell<u64>,
    /// Before which readings a word of the twentieth of the last tables changes.
    changes: fn(u64) -> bool,
}

impl PhysicalMemory for Restless {
    fn ranges(&self) -> &[PhysRange] {
        &self.range
    }

    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        let mut bytes = self.bytes.borrow_mut();
        self.reads.set(self.reads.get() + 1);
        if (self.changes)(self.reads.get()) {
            let word = 22 * TABLE + 40;
            bytes[word..word + 8].copy_from_slice(&(self.reads.get() << 2).to_le_bytes());
        }
        let offset = at.offset_from(BASE).and_then(|offset| usize::try_from(offset).ok());
        let held = offset.and_then(|offset| bytes.get(offset..)?.get(..into.len()));
        into.copy_from_slice(held.ok_or(ReadError::Absent(at))?);
        Ok(())
    }

    fn life(&self) -> Life {
        Life::Running
    }
}

fn table(number: usize) -> PhysAddr {
    BASE.checked_add(u64::try_from(number * TABLE).unwrap()).unwrap()
}

/// What copying the tables gives, and what the memory holds afterwards.
fn frozen(changes: fn(u64) -> bool) -> (Frozen, Stillness, Vec<u8>) {
    let mut bytes = vec![0; (3 + LEAVES) * TABLE];
    let links = [(0, 0, 1), (1, 0, 2)].into_iter();
    for (from, index, to) in links.chain((0..LEAVES).map(|leaf| (2, leaf, 3 + leaf))) {
        let word = table(to).value() | 0b11;
        let at = from * TABLE + index * 8;
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    let range = PhysRange::new(BASE, u64::try_from(bytes.len()).unwrap()).unwrap();
    let memory =
        Restless { range: [range], bytes: RefCell::new(bytes), reads: Cell::new(0), changes };
    let half = (Regime::El1And0, Half::Upper);
    let geometry = Geometry::new(half, (Granule::Kib4, Format::Base), 48, 48).unwrap();
    let tree = FoundTree { geometry, root: BASE, most_tables: 1000 };
    let (frozen, stillness) = freeze(&memory, &[tree]);
    (frozen, stillness, memory.bytes.into_inner())
}

fn content(frozen: &Frozen, number: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; TABLE];
    frozen.read(table(number), &mut bytes).map(|()| bytes)
}

#[test]
fn tables_that_stay_the_same_are_read_twice() {
    let (frozen, stillness, bytes) = frozen(|_| false);
    let expected = Stillness { tables: 3 + LEAVES, ..Stillness::default() };
    assert_eq!(stillness, expected);
    for number in 0..3 + LEAVES {
        assert_eq!(content(&frozen, number).unwrap(), bytes[number * TABLE..][..TABLE]);
    }
}

#[test]
fn of_a_table_that_changed_once_the_newer_content_is_kept() {
    // The first four readings are those of the levels.
    let (frozen, stillness, bytes) = frozen(|reads| reads == 5);
    let expected = Stillness { tables: 3 + LEAVES, rounds: 1, ..Stillness::default() };
    assert_eq!(stillness, expected);
    assert_eq!(content(&frozen, 22).unwrap(), bytes[22 * TABLE..][..TABLE]);
}

#[test]
fn a_table_that_changes_at_every_reading_is_left_out_alone() {
    let (frozen, stillness, bytes) = frozen(|_| true);
    let tables = 3 + LEAVES - 1;
    assert_eq!(stillness, Stillness { tables, rounds: ROUNDS, changed: 1, torn: 1 });
    for number in 0..3 + LEAVES {
        match content(&frozen, number) {
            Ok(content) => assert_eq!(content, bytes[number * TABLE..][..TABLE]),
            Err(error) => assert_eq!((number, error), (22, ReadError::Torn(table(22)))),
        }
    }
}
