//! Trees of identity in memory of a host.

extern crate std;

use core::cell::RefCell;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashMap;
use std::vec::Vec;

use blockmap::machine::{Pattern, Span};

use super::*;

/// Memory that only stores fill, and what was done to it.
#[derive(Debug, Default)]
struct Memory {
    words: RefCell<HashMap<Entry, u64>>,
    events: RefCell<Vec<Event>>,
}

impl Machine for Memory {
    fn load(&self, entry: Entry) -> u64 {
        *self.words.borrow().get(&entry).expect("tables are filled before they are read")
    }

    fn scan(&self, _span: Span, _pattern: Pattern) -> u16 {
        0
    }

    fn perform(&self, event: Event) {
        let mut words = self.words.borrow_mut();
        match event {
            Event::Store { entry, value } => drop(words.insert(entry, value)),
            Event::Fill { span, mut value, step } => {
                for index in span.first..span.first + span.count {
                    words.insert(Entry { table: span.table, index }, value);
                    value = value.wrapping_add(step);
                }
            }
            Event::Update { .. } | Event::Maintain { .. } => panic!("{event}"),
            Event::Barrier(_) | Event::Invalidate(_) => {}
        }
        self.events.borrow_mut().push(event);
    }
}

fn range(start: u64, bytes: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), bytes).unwrap()
}

fn tree(tables: u64, flush: fn()) -> IdentityTree<Memory> {
    let place = range(0x8000_0000, tables * 0x1000);
    IdentityTree::new(Memory::default(), place, flush).unwrap()
}

#[test]
fn what_is_mapped_is_where_it_was_in_the_largest_leaves() {
    let mut tree = tree(8, || panic!("nothing is in use"));
    let (start, end) = (0x4000_0000 - 0x20_1000, 0x8000_0000 + 0x40_3000);
    tree.map(range(start, end - start), Stage2::ReadWrite.meaning()).unwrap();
    for (address, level) in [
        (start, Level::L3),
        (0x3fe0_0000, Level::L2),
        (0x4000_0000, Level::L1),
        (0x7fff_f000, Level::L1),
        (0x8020_0000, Level::L2),
        (0x8040_2000, Level::L3),
    ] {
        let (found, word) = tree.leaf(PhysAddr::new(address));
        assert_eq!(found, level, "{address:#x}");
        let output = PhysAddr::new(address).align_down(WATCHER.span_bytes(level));
        assert_eq!(word, WATCHER.leaf_word(level, output, Stage2::ReadWrite.meaning()));
    }
    for outside in [start - 1, end] {
        let (level, word) = tree.leaf(PhysAddr::new(outside));
        assert_ne!(WATCHER.kind(level, word), Kind::Leaf, "{outside:#x}");
    }
}

#[test]
fn one_page_of_a_gib_is_set_apart_by_breaking_each_leaf_first() {
    static FLUSHED: AtomicUsize = AtomicUsize::new(0);
    let mut tree = tree(4, || {
        FLUSHED.fetch_add(1, Ordering::Relaxed);
    });
    tree.map(range(0, 1 << 30), Stage2::ReadWrite.meaning()).unwrap();
    tree.machine().events.borrow_mut().clear();
    let page = PhysAddr::new(0x1234_5000);
    tree.map(range(page.value(), 0x1000), Stage2::ReadOnly.meaning()).unwrap();
    assert_eq!(tree.rights_of_page(page), Some(Stage2::ReadOnly));
    for neighbour in [0x1234_4000, 0x1234_6000] {
        let rights = tree.rights_of_page(PhysAddr::new(neighbour));
        assert_eq!(rights, Some(Stage2::ReadWrite));
    }
    assert_eq!(tree.rights_of_page(PhysAddr::new(0x1240_0000)), None);
    assert_eq!(FLUSHED.load(Ordering::Relaxed), 2);
    let events = tree.machine().events.borrow();
    let [fill, published, broken, seen, linked, ..] = &events[..] else { panic!("{events:?}") };
    assert!(matches!(fill, Event::Fill { .. }) && published == seen, "{events:?}");
    assert!(matches!(broken, Event::Store { value: 0, .. }), "{events:?}");
    assert!(matches!(linked, Event::Store { value, .. } if value & 0b11 == 0b11), "{events:?}");
}

#[test]
fn without_tables_nothing_changes() {
    let mut tree = tree(3, || {});
    tree.map(range(0, 1 << 30), Stage2::ReadWrite.meaning()).unwrap();
    let page = range(0x1234_5000, 0x1000);
    assert_eq!(tree.map(page, Stage2::Nothing.meaning()), Err(OutOfTables));
    for address in [0, 0x1234_5000, 0x3fff_f000] {
        let (level, word) = tree.leaf(PhysAddr::new(address));
        assert_eq!(level, Level::L2);
        assert_eq!(word & 0xfff, Stage2::ReadWrite.meaning());
    }
}

#[test]
fn stage_2_takes_the_size_that_the_cpu_has() {
    // The largest CPU of QEMU, with 52 bits; 48; 44, from level 0; and 40, from level 1 only.
    assert_eq!(Stage2::control(0x6), Some(0x8005_3590));
    assert_eq!(Stage2::control(0x5), Some(0x8005_3590));
    assert_eq!(Stage2::control(0x4), Some(0x8004_3594));
    assert_eq!(Stage2::control(0x2), None);
    // No 4 KiB pages: at stage 2, and at both.
    assert_eq!(Stage2::control(0x5 | 1 << 40), None);
    assert_eq!(Stage2::control(0x5 | 0xf << 28), None);
    assert_eq!(Stage2::control(0x5 | 0xf << 28 | 2 << 40), Some(0x8005_3590));
}
