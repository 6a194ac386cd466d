//! What is recorded is what is read back; what finds no room is counted.

extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use blockmap::Terms;
use blockmap::layout::Strategy;
use blockmap::machine::{
    Barrier, CacheOp, Entry, Event, Invalidate, PhysAddr, PhysRange, Span, Tlbi,
};
use blockmap::vmsa::cpu::Midr;
use blockmap::vmsa::{Geometry, TlbiForm};
use proptest::prelude::*;

use super::*;

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
    for kind in (0..=255).filter(|kind| !(1..=10).contains(kind)) {
        assert_eq!(Record::of_words([kind, 1, 1, 1]), None);
    }
    assert_eq!(Record::of_words([0xff04, 0, 0, 0]), None, "a barrier that doesn't exist");
    assert_eq!(Record::of_words([6, 0x1000, 0, 0]), None, "an empty range");
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
        geometry: Geometry::KERNEL_4K_48,
        root: PhysAddr::new(0x4040_0000),
        load: PhysAddr::new(0x4020_0000),
        midr: Midr::new(0xc00f_ac30),
        terms: Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged },
    };
    TraceText { recording, origin }.to_string()
}

#[test]
fn the_text_says_what_it_is_of_and_what_is_missing() {
    let slots: [Slot; 9] = dirty();
    let recording = Recording::begun(&slots);
    recording.note("ro 0xffff000155555000 1 and so on\u{e9}\n; 24 or more");
    recording.add(taken(0x40404));
    let span = Span { table: PhysAddr::new(0x4040_4000), first: 0, count: 512 };
    recording.add(Record::Event(Event::Fill { span, value: 0x701, step: 0x1000 }));
    recording.add(Record::Event(Event::Barrier(Barrier::DsbIshst)));
    recording.add(Record::Freed(PhysAddr::new(0x4040_4000)));
    recording.note("done");
    (0..4).for_each(|number| recording.add(taken(number)));
    let expected = "\
# blockmap trace
# geometry: El1And0, 4 KiB granule, inputs 0xffff000000000000 to 0xffffffffffffffff, 48-bit outputs
# root: 0x40400000
# image: loaded at 0x40200000
# CPU: AmpereOne r0p0, MIDR 0xc00fac30
# strategy: Live; TLB invalidation: Ranged
# events: 2; other records: 7
# dropped records: 2, all after those below; a larger trace=EVENTS has room for more
# ro 0xffff000155555000 1 and so on???; 24 or more
# table taken 0x40404000
fill   0x40404000[0..512] 0x701 step 0x1000
dsb ishst
# table freed 0x40404000
# done
# table taken 0x0
# table taken 0x1000
# 2 records more were dropped here
";
    assert_eq!(text(&recording), expected);
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
    let lines = text.lines().filter(|line| !line.starts_with('#'));
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
        for record in events.into_iter().map(Record::Event).chain([Record::Freed(table)]) {
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
        let expected = format!("{expected}# table taken 0x1000\n");
        prop_assert!(text.ends_with(&format!("# dropped records: 0\n{expected}")), "{}", text);
    }
}
