//! What is recorded is what is read back; what finds no room is counted.

extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use blockmap::dump::{ReadTable, Rights, RightsPair, Tree};
use blockmap::layout::{Rodata, Strategy};
use blockmap::machine::{
    Barrier, CacheOp, Entry, Event, Invalidate, PhysAddr, PhysRange, Span, Tlbi, VirtAddr,
    VirtRange,
};
use blockmap::vmsa::cpu::{Midr, SizeChange};
use blockmap::vmsa::{
    Access, Attributes, Change, Geometry, Leaves, Mair, MemoryIndex, Shareability, TlbiForm,
};
use blockmap::{Mapping, Terms};
use proptest::prelude::*;

use super::*;

mod several;

/// Slots that hold what memory held before.
fn dirty<const SLOTS: usize>() -> [Slot; SLOTS] {
    core::array::from_fn(|_| Slot([1, 2, 3, 4].map(AtomicU64::new)))
}

fn taken(number: u64) -> Record {
    Record::Taken(PhysAddr::new(number << 12))
}

/// All barriers and cache instructions.
fn instructions() -> impl Iterator<Item = Event> {
    let barriers = ["dsb ishst", "dsb ish", "dsb nshst", "dsb nsh", "isb"].map(String::from);
    let cache = ["dc cvau", "dc civac", "dc ivac", "ic ivau"];
    let cache = cache.map(|name| format!("{name} 0x40001000+4096"));
    barriers.into_iter().chain(cache).map(|line| line.parse().unwrap())
}

#[test]
fn every_instruction_is_kept() {
    let tlbi = |(op, operand)| Event::Invalidate(Invalidate { op, operand });
    let invalidations = Tlbi::ALL.iter().copied().zip(0x0123_4567_89ab_cdef..).map(tlbi);
    let all: Vec<Event> = instructions().chain(invalidations).collect();
    assert!(all.len() > 9 + 30);
    for event in all {
        let record = Record::Event(event);
        assert_eq!(Record::of_words(record.words()), Some(record));
    }
}

#[test]
fn words_that_nobody_wrote_are_no_record() {
    for kind in (0..=255).filter(|kind| !(1..=18).contains(kind)) {
        assert_eq!(Record::of_words([kind, 1, 1, 1]), None);
    }
    assert_eq!(Record::of_words([0xff04, 0, 0, 0]), None, "a barrier that doesn't exist");
    assert_eq!(Record::of_words([6, 0x1000, 0, 0]), None, "an empty range");
    assert_eq!(Record::of_words([12, 0x1000, 0, 0]), None, "an empty intent");
    assert_eq!(Record::of_words([0x40c, 0x1000, 1, 0]), None, "an unknown target");
}

#[test]
fn what_finds_no_room_is_counted_and_leaves_no_gap() {
    let slots: [Slot; 3] = dirty();
    let recording = Recording::begun(&slots);
    assert_eq!(recording.records().count(), 0);
    (0..5).for_each(|number| recording.add(taken(number)));
    assert_eq!(recording.records().collect::<Vec<_>>(), [taken(0), taken(1), taken(2)]);
    assert_eq!(recording.dropped(), 2);
}

#[test]
fn a_recording_that_is_off_records_nothing_until_it_begins_anew() {
    let slots: [Slot; 3] = dirty();
    let recording = Recording::begun(&slots);
    (0..5).for_each(|number| recording.add(taken(number)));
    assert_eq!(recording.begin(), Err(BeginError::AlreadyOn));
    assert!(recording.end());
    assert!(!recording.end());
    recording.add(taken(7));
    recording.note("nothing");
    assert_eq!((recording.records().count(), recording.dropped()), (3, 2));
    assert_eq!(recording.begin(), Ok(()));
    assert_eq!((recording.records().count(), recording.dropped()), (0, 0));
    recording.add(taken(8));
    let moved = recording.reached_as(&slots);
    moved.add(taken(9));
    assert_eq!(moved.records().collect::<Vec<_>>(), [taken(8), taken(9)]);
}

#[test]
fn without_room_the_error_says_what_to_add_to_the_command_line() {
    let recording = Recording::without_room();
    recording.add(taken(0));
    assert_eq!((recording.records().count(), recording.dropped()), (0, 0));
    assert!(recording.begin().unwrap_err().to_string().contains("trace=EVENTS"));
}

fn text(recording: &Recording<'_>) -> String {
    let origin = Origin {
        geometry: KERNEL,
        root: PhysAddr::new(0x4040_0000),
        mair: Mair::KERNEL,
        load: PhysAddr::new(0x4020_0000),
        rodata: Rodata::On,
        midr: Midr::new(0xc00f_ac30),
        size_change: SizeChange::Quiet,
        terms: Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged },
    };
    TraceText { recording, origin }.to_string()
}

#[test]
fn the_text_says_what_it_is_of_and_what_is_missing() {
    let slots: [Slot; 10] = dirty();
    let recording = Recording::begun(&slots);
    let span = |table, count| Span { table: PhysAddr::new(table), first: 0, count };
    recording.add(Record::Held(Held { span: span(0x4040_0000, 512), value: 0, step: 0 }));
    recording.note("ro 0xffff000155555000 1 and so on\u{e9}\n; 24 or more");
    recording.add(taken(0x40404));
    let span = span(0x4040_4000, 512);
    recording.add(Record::Event(Event::Fill { span, value: 0x701, step: 0x1000 }));
    recording.add(Record::Event(Event::Barrier(Barrier::DsbIshst)));
    recording.add(Record::Freed(PhysAddr::new(0x4040_4000)));
    recording.add(Record::Code(PhysRange::new(PhysAddr::new(0x4080_0000), 0x1000).unwrap()));
    recording.note("done");
    (0..3).for_each(|number| recording.add(taken(number)));
    let expected = "\
# blockmap trace
# image: loaded at 0x40200000
# CPU: AmpereOne r0p0, MIDR 0xc00fac30
# strategy: Live; TLB invalidation: Ranged
# events: 2; other records: 8
# dropped records: 2, all after those below; a larger trace=EVENTS has room for more
geometry 4k base 48 48 el1 upper
root 0x40400000
types 0xff 0xf0 0x44 0x0 0x4 0x0 0x0 0x0
aliases apart
cpus 1
profile 0 size=quiet ranges=yes
initially fill   0x40400000[0..512] 0x0 step 0x0

cpu 0:
# ro 0xffff000155555000 1 and so on???; 24 or more
# table taken 0x40404000
fill   0x40404000[0..512] 0x701 step 0x1000
dsb ishst
free 0x40404000
code 0x40800000+0x1000
# done
# table taken 0x0
# 2 records more were dropped here
";
    assert_eq!(text(&recording), expected);
}

/// A root, a table of 1 GiB blocks, one of which is present but invalid.
struct Tables([[u64; 512]; 2]);

impl ReadTable for Tables {
    type Error = core::convert::Infallible;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Self::Error> {
        let [root, blocks] = &self.0;
        let entries = if table.value() == 0x1000 { root } else { blocks };
        words.copy_from_slice(&entries[usize::from(first)..][..words.len()]);
        Ok(())
    }
}

impl Tables {
    fn new() -> Self {
        let mut tables = Self([[0; 512]; 2]);
        let [root, blocks] = &mut tables.0;
        root[0] = KERNEL.table_word(PhysAddr::new(0x2000));
        root[511] = 0xdead_0002;
        for (number, block) in (0..12).zip(blocks) {
            *block = 0x60_0000_4000_0701 + (number << 30);
        }
        tables.0[1][7] = tables.0[1][7] & !1 | 1 << 11;
        tables
    }

    fn tree(&self) -> Tree<'_, Self> {
        Tree::new(KERNEL, PhysAddr::new(0x1000), self)
    }
}

const KERNEL: Geometry = Geometry::KERNEL_4K_48;
const LINEAR: u64 = 0xffff_0000_0000_0000;

/// The lines below the heading of what `record` records.
fn steps(record: impl FnOnce(&Recording<'_>)) -> Vec<String> {
    let slots: [Slot; 64] = dirty();
    let recording = Recording::begun(&slots);
    record(&recording);
    let text = text(&recording);
    let (_, steps) = text.split_once("ranges=yes\n").unwrap();
    steps.lines().map(String::from).collect()
}

#[test]
fn what_tables_hold_is_said_in_progressions() {
    let tables = Tables::new();
    let lines = steps(|recording| recording.add_tables(tables.tree(), &tables));
    let expected = [
        "initially fill   0x1000[0..1] 0x2003 step 0x0",
        "initially fill   0x1000[1..511] 0x0 step 0x0",
        "initially fill   0x1000[511..512] 0xdead0002 step 0x0",
        "initially fill   0x2000[0..7] 0x60000040000701 step 0x40000000",
        "initially fill   0x2000[7..8] 0x60000200000f00 step 0x0",
        "initially fill   0x2000[8..12] 0x60000240000701 step 0x40000000",
        "initially fill   0x2000[12..512] 0x0 step 0x0",
        "",
        "cpu 0:",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn an_operation_says_what_it_is_to_make_of_its_range() {
    let tables = Tables::new();
    let range = VirtRange::new(VirtAddr::new(LINEAR + (5 << 30) + 0x1000), 4 << 30).unwrap();
    let lines = steps(|recording| {
        recording.intend_change(tables.tree(), range, Change::ReadOnly);
        recording.ended(&Ok::<(), ()>(()));
        recording.intend_change(tables.tree(), range, Change::Execute);
        recording.ended(&Err::<(), ()>(()));
        recording.add(taken(0));
        let invalid = VirtRange::new(VirtAddr::new(LINEAR + (7 << 30)), 4096).unwrap();
        recording.intend_change(tables.tree(), invalid, Change::Valid);
        recording.intend_back(tables.tree(), invalid, 0x60_0000_0000_0781);
        recording.intend_change(tables.tree(), range, Change::Invalid);
    });
    let expected = [
        "",
        "cpu 0:",
        "intend 0xffff000140001000+0x7ffff000 output 0x180001000 r-- type 0",
        "intend 0xffff0001c0000000+0x40000000 unmapped",
        "intend 0xffff000200000000+0x40001000 output 0x240000000 r-- type 0",
        "achieved",
        "# intend 0xffff000140001000+0x7ffff000 output 0x180001000 rwx type 0",
        "# intend 0xffff0001c0000000+0x40000000 unmapped",
        "# intend 0xffff000200000000+0x40001000 output 0x240000000 rwx type 0",
        "# refused",
        "# table taken 0x0",
        "intend 0xffff0001c0000000+0x1000 output 0x200000000 rw- type 0",
        "intend 0xffff0001c0000000+0x1000 output 0x200000000 r-- type 0",
        "intend 0xffff000140001000+0x7ffff000 unmapped",
        "intend 0xffff0001c0000000+0x40000000 unmapped",
        "intend 0xffff000200000000+0x40001000 unmapped",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_mapping_says_what_it_maps() {
    let attributes = Attributes {
        memory: MemoryIndex::new(4).unwrap(),
        shareability: Shareability::Non,
        access: Access::ReadExecute,
    };
    let lines = steps(|recording| {
        let range = VirtRange::new(VirtAddr::new(LINEAR), 0x3000).unwrap();
        let (output, leaves) = (PhysAddr::new(0x8000_0000), Leaves::Largest);
        recording.intend_map(KERNEL, Mapping { range, output, attributes, leaves });
    });
    let expected = "intend 0xffff000000000000+0x3000 output 0x80000000 r-x type 4";
    assert_eq!(lines.last().map(String::as_str), Some(expected));
}

#[test]
fn every_line_of_the_text_is_a_comment_or_an_event() {
    let slots: [Slot; 64] = dirty();
    let recording = Recording::begun(&slots);
    let added: Vec<Event> = instructions().collect();
    for event in &added {
        recording.note("next");
        recording.add(Record::Event(*event));
    }
    let text = text(&recording);
    let (_, steps) = text.split_once("cpu 0:\n").unwrap();
    let lines = steps.lines().filter(|line| !line.starts_with('#'));
    let read: Vec<Event> = lines.map(|line| line.parse().unwrap()).collect();
    assert_eq!(read, added);
    assert!(text.contains("# dropped records: 0\n"), "{text}");
}

proptest! {
    #[test]
    fn every_store_is_kept(
        (table, first, count) in (any::<u64>(), any::<u16>(), any::<u16>()),
        (a, b) in (any::<u64>(), any::<u64>()),
    ) {
        let table = PhysAddr::new(table);
        let span = Span { table, first, count };
        let mut events = Vec::from([
            Event::Store { entry: Entry { table, index: first }, value: a },
            Event::Fill { span, value: a, step: b },
            Event::Update { span, clear: a, set: b },
        ]);
        let range = PhysRange::new(table, a);
        events.extend(range.map(|range| Event::Maintain { op: CacheOp::IcIvau, range }));
        let rights = |bits: u16| Rights {
            reads: bits & 1 != 0,
            writes: bits & 2 != 0,
            executes: bits & 4 != 0,
        };
        let rights = RightsPair { privileged: rights(first), unprivileged: rights(count) };
        let mapped = Target::Mapped { output: table, rights, memory: 5 };
        let range = VirtRange::new(VirtAddr::new(a), b);
        let intents = range.into_iter().flat_map(|range| {
            let idle = (mapped, Meanwhile::Idle);
            let all = [Target::Unmapped, mapped].map(|target| (target, Meanwhile::Accessible));
            let intent = move |(target, meanwhile)| Record::Intend(Intent { range, target, meanwhile });
            all.into_iter().chain([idle]).map(intent)
        });
        let code = PhysRange::new(table, b).map(Record::Code);
        let others = [
            Record::Freed(table),
            Record::Held(Held { span, value: a, step: b }),
            Record::Achieved,
            Record::Refused,
            Record::Aside,
            Record::Back,
        ];
        for record in events.into_iter().map(Record::Event).chain(others).chain(intents).chain(code) {
            prop_assert_eq!(Record::of_words(record.words()), Some(record));
        }
    }

    #[test]
    fn any_note_is_one_line(note in "\\PC{0,80}") {
        let slots: [Slot; 16] = dirty();
        let recording = Recording::begun(&slots);
        recording.note(&note);
        recording.add(taken(1));
        let text = text(&recording);
        let printable = |byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '?' };
        let mut expected: String = note.bytes().map(printable).collect();
        if !expected.is_empty() {
            expected = format!("# {expected}\n");
        }
        let expected = format!("\ncpu 0:\n{expected}# table taken 0x1000\n");
        prop_assert!(text.ends_with(&expected), "{}", text);
    }
}
