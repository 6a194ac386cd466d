//! Exact effects of size changes made while all other CPUs are parked, and that nothing is changed
//! or kept when a CPU does not come or tables run short.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::RefCell;

use blockmap::dump::Tree as Dump;
use blockmap::host::{Host, MAY_PARK};
use blockmap::{
    NoSizeChange, NotParked, OutOfTables, ProtectError, Refusal, RepaintError, SizeChangeRefused,
    Space, SplitError, Strategy, Terms, UnmapError,
};
use blockmap_machine::{Barrier, Event, VirtAddr, VirtRange};
use blockmap_verify::counted::Counted;
use blockmap_verify::program::range;
use blockmap_verify::recorder::{LINEAR, linear, on_host_of, text};
use blockmap_verify::tree::Tree;
use blockmap_vmsa::cpu::SizeChange;
use blockmap_vmsa::{Change, LeafSize, TlbiForm};

const QUIESCE: Terms = Terms { strategy: Strategy::Quiesce, tlbi: TlbiForm::Ranged };
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const PAGE: u64 = 4096;
const INNER: u64 = LINEAR + 0x1555_5000;

/// A host with room for three GiB of pages.
fn on_host(
    terms: Terms,
    gib: u64,
    log: &dyn Fn(&Event),
    operation: impl FnOnce(&Space<'_, Host<'_>>),
) {
    on_host_of((terms, 1700), gib, log, operation);
}

/// The effects of `operation` from the barrier before the parking on, as text.
#[track_caller]
fn check(
    (terms, own): (Terms, SizeChange),
    prepare: impl FnOnce(&Space<'_, Host<'_>>),
    operation: impl FnOnce(&Space<'_, Host<'_>>),
    expected: &[&str],
) {
    let events = RefCell::new(Vec::new());
    let log = |event: &Event| events.borrow_mut().push(*event);
    on_host(terms, 2, &log, |space| {
        space.platform().set_size_change(own);
        prepare(space);
        events.borrow_mut().clear();
        operation(space);
    });
    let lines = text(&events.take());
    let first = lines.iter().position(|line| line == "dsb ishst").unwrap();
    assert_eq!(lines[first..], *expected);
}

fn nothing(_: &Space<'_, Host<'_>>) {}

fn split(start: u64, bytes: u64) -> impl Fn(&Space<'_, Host<'_>>) {
    move |space| space.split(range(start, bytes), &MAY_PARK).unwrap()
}

#[test]
fn a_page_out_of_a_gib_is_one_break_and_one_link() {
    for tlbi in [TlbiForm::Ranged, TlbiForm::ByAddress] {
        let broken = (Terms { tlbi, ..QUIESCE }, SizeChange::NeedsBreak);
        check(
            broken,
            nothing,
            split(INNER, PAGE),
            &[
                "dsb ishst",
                "update 0x40001000[0..1] clear 0x1 set 0x0",
                "dsb ishst",
                "tlbi vaae1is 0xff000000000",
                "dsb ish",
                "isb",
                "store  0x40001000[0] 0x40002003",
                "dsb ishst",
                "isb",
            ],
        );
    }
}

#[test]
fn a_quiet_cpu_links_first_and_invalidates_once() {
    check(
        (QUIESCE, SizeChange::Quiet),
        nothing,
        split(INNER, PAGE),
        &[
            "dsb ishst",
            "store  0x40001000[0] 0x40002003",
            "dsb ishst",
            "tlbi vaae1is 0xff000000000",
            "dsb ish",
            "isb",
        ],
    );
}

#[test]
fn a_page_out_of_a_block_in_a_run_breaks_the_whole_run() {
    let page = split(LINEAR + 37 * MIB, PAGE);
    let prepare = split(LINEAR + 32 * MIB, 32 * MIB);
    let expected = [
        "dsb ishst",
        "update 0x40002000[16..32] clear 0x1 set 0x0",
        "dsb ishst",
        "tlbi rvaae1is 0x619000002000",
        "dsb ish",
        "isb",
        "store  0x40002000[18] 0x40003003",
        "update 0x40002000[16..18] clear 0x10000000000000 set 0x1",
        "update 0x40002000[19..32] clear 0x10000000000000 set 0x1",
        "dsb ishst",
        "isb",
    ];
    check((QUIESCE, SizeChange::NeedsBreak), &prepare, &page, &expected);
    let expected = [
        "dsb ishst",
        "update 0x40002000[16..32] clear 0x10000000000000 set 0x0",
        "dsb ishst",
        "store  0x40002000[18] 0x40003003",
        "dsb ishst",
        "tlbi rvaae1is 0x619000002000",
        "dsb ish",
        "isb",
    ];
    check((QUIESCE, SizeChange::Quiet), &prepare, &page, &expected);
}

#[test]
fn a_run_by_address_is_named_entry_by_entry() {
    let by_address = Terms { tlbi: TlbiForm::ByAddress, ..QUIESCE };
    let named: Vec<String> =
        (0..16).map(|page| format!("tlbi vaae1is {:#x}", 0xff0_0000_0010_u64 + page)).collect();
    let mut expected =
        vec!["dsb ishst", "update 0x40003000[16..32] clear 0x1 set 0x0", "dsb ishst"];
    expected.extend(named.iter().map(String::as_str));
    expected.extend(["dsb ish", "isb"]);
    expected.push("update 0x40003000[16..32] clear 0x10000000000000 set 0x1");
    expected.extend(["dsb ishst", "isb"]);
    let prepare = split(LINEAR + 64 * KIB, 64 * KIB);
    check((by_address, SizeChange::NeedsBreak), prepare, split(LINEAR + 72 * KIB, PAGE), &expected);
}

#[test]
fn a_permission_changes_after_the_others_have_returned() {
    check(
        (QUIESCE, SizeChange::NeedsBreak),
        nothing,
        |space| space.protect(range(INNER, PAGE), Change::ReadOnly, &MAY_PARK).unwrap(),
        &[
            "dsb ishst",
            "update 0x40001000[0..1] clear 0x1 set 0x0",
            "dsb ishst",
            "tlbi vaae1is 0xff000000000",
            "dsb ish",
            "isb",
            "store  0x40001000[0] 0x40002003",
            "dsb ishst",
            "isb",
            "update 0x40003000[341..342] clear 0x0 set 0x80",
            "dsb ishst",
            "tlbi vaale1is 0xff000015555",
            "dsb ish",
            "isb",
        ],
    );
}

#[test]
fn a_repaint_stores_each_slot_twice_while_others_are_parked() {
    check(
        (QUIESCE, SizeChange::Quiet),
        nothing,
        |space| space.repaint(range(LINEAR, 2 * GIB), &[], &MAY_PARK).unwrap(),
        &[
            "dsb ishst",
            "store  0x40001000[0] 0x0",
            "store  0x40001000[1] 0x0",
            "dsb ishst",
            "tlbi rvaae1is 0x739000000000",
            "dsb ish",
            "isb",
            "store  0x40001000[0] 0x40004003",
            "store  0x40001000[1] 0x40205003",
            "dsb ishst",
            "isb",
        ],
    );
}

#[test]
fn twelve_gib_of_blocks_become_pages_by_one_parking() {
    let events = RefCell::new(Vec::new());
    let log = |event: &Event| events.borrow_mut().push(*event);
    on_host_of((QUIESCE, 6200), 12, &log, |space| {
        events.borrow_mut().clear();
        let all = range(LINEAR, 12 * GIB);
        let plan = space.plan_repaint(all, &[], &MAY_PARK).unwrap();
        // A table for each 2 MiB, one for each GiB, and two that are given back.
        assert_eq!(plan.tables(), 12 * 513 + 2);
        plan.reserve().unwrap().commit().unwrap();
        assert_eq!(space.platform().tables_in_use(), 2 + 12 * 513);
        let reader = space.reader();
        let stat = Dump::new(space.geometry(), space.root(), &reader).within(all).stat();
        assert_eq!((stat.mapped_bytes(), stat.tlb_entries()), (12 * GIB, 12 << 18));
        for page in (0..12 << 18).step_by(4099) {
            let address = VirtAddr::new(LINEAR + page * PAGE);
            assert_eq!(space.translate(address).unwrap().value(), 0x4000_0000 + page * PAGE);
        }
        let events = events.borrow();
        let publish = Event::Barrier(Barrier::DsbIshst);
        let publish = events.iter().position(|event| *event == publish).unwrap();
        // Two stores a slot, two invalidations, five barriers.
        assert_eq!(events.len() - publish - 1, 2 * 12 + 2 + 5);
    });
}

/// The leaves of a tree as (start, size).
fn sizes(space: &Space<'_, Host<'_>>) -> Vec<(u64, u64)> {
    let tree = Tree::read(space);
    assert_eq!((tree.odd_entries, tree.empty_tables), (vec![], vec![]));
    let size = |size: LeafSize| size.bytes();
    tree.units.iter().map(|unit| (unit.input.value() - LINEAR, size(unit.size))).collect()
}

#[test]
fn a_repaint_of_an_empty_half_terabyte_touches_the_slots_that_change_only() {
    check(
        (QUIESCE, SizeChange::NeedsBreak),
        |space| {
            let mut far = linear(1);
            far.range = range(LINEAR + 7 * GIB, GIB);
            space.map(far).unwrap();
            space.repaint(range(LINEAR, 2 * GIB), &[], &MAY_PARK).unwrap();
        },
        |space| {
            let host = Counted::new(space.platform());
            let space = Space::new(&host, space.root());
            space.repaint(range(LINEAR, 512 * GIB), &[range(LINEAR, 0x1000)], &MAY_PARK).unwrap();
            // Nobody looks at every slot while others are parked.
            // Tables below the slots that change are looked at twice: for carves, and for the cost.
            let loads = host.loads();
            assert!(loads < 6 * 512, "{loads}");
        },
        &[
            "dsb ishst",
            "store  0x40001000[7] 0x0",
            "dsb ishst",
            "tlbi rvaae1is 0x7190001c0000",
            "dsb ish",
            "isb",
            "store  0x40001000[7] 0x40406003",
            "dsb ishst",
            "isb",
        ],
    );
}

#[test]
fn a_repaint_keeps_what_it_is_told_to_and_what_is_outside() {
    on_host(QUIESCE, 2, &|_| (), |space| {
        let keep = [range(LINEAR + 34 * MIB, 34 * MIB), range(LINEAR + 100 * MIB, 64 * KIB)];
        let before = space.platform().tables_in_use();
        space.repaint(range(LINEAR + 32 * MIB, 70 * MIB), &keep, &MAY_PARK).unwrap();
        let sizes = sizes(space);
        let of = |bytes| sizes.iter().filter(|(_, size)| *size == bytes).count();
        // Outside: the second GiB, and of the first 1 run below and 28 above; blocks beside them.
        assert_eq!(of(GIB), 1);
        assert_eq!(of(PAGE), 512 * (1 + 17) - 16);
        assert_eq!(of(64 * KIB), 1, "a block is split around what is kept of it");
        let runs: Vec<u64> =
            sizes.iter().filter(|(_, size)| *size == 32 * MIB).map(|(at, _)| *at / MIB).collect();
        let expected: Vec<u64> = [0].into_iter().chain((128..1024).step_by(32)).collect();
        assert_eq!(runs, expected);
        assert_eq!(of(2 * MIB), 17 + 13);
        assert_eq!(space.platform().tables_in_use(), before + 1 + 18);
    });
}

#[test]
fn pages_are_pages_already() {
    on_host(QUIESCE, 1, &|_| (), |space| {
        let part = range(LINEAR, GIB);
        space.repaint(part, &[], &MAY_PARK).unwrap();
        let tables = space.platform().tables_in_use();
        assert_eq!(space.plan_repaint(part, &[], &MAY_PARK).unwrap().tables(), 0);
        space.platform().keep_from_parking(Some(1));
        space.repaint(part, &[], &MAY_PARK).unwrap();
        assert_eq!(space.platform().tables_in_use(), tables);
    });
}

#[test]
fn a_repaint_changes_no_meaning_and_no_table_of_plain_pages() {
    on_host(QUIESCE, 2, &|_| (), |space| {
        let page = range(INNER, PAGE);
        space.protect(page, Change::ReadOnly, &MAY_PARK).unwrap();
        space.protect(range(LINEAR + 3 * MIB, 64 * KIB), Change::Invalid, &MAY_PARK).unwrap();
        // The table of the page is all pages, in no run, from here on.
        space
            .repaint(range(INNER.next_multiple_of(2 * MIB) - 2 * MIB, 2 * MIB), &[], &MAY_PARK)
            .unwrap();
        let before = Tree::read(space);
        let meaning = |tree: &Tree, at: u64| {
            let at = VirtAddr::new(at);
            let unit = tree.units.iter().rev().find(|unit| unit.input <= at).unwrap();
            (unit.output.value() + at.offset_from(unit.input).unwrap(), unit.meaning)
        };
        space.repaint(range(LINEAR, GIB), &[], &MAY_PARK).unwrap();
        let after = Tree::read(space);
        for page in 0..1 << 18 {
            let at = LINEAR + page * PAGE;
            if page % 509 == 0 || page / 512 == 1 {
                assert_eq!(meaning(&after, at), meaning(&before, at), "{at:#x}");
            }
        }
        let kept = before.tables.iter().filter(|table| after.tables.contains(table)).count();
        // The root, the table of slots, and the table of plain pages.
        assert_eq!(kept, 3);
    });
}

#[test]
fn a_cpu_that_does_not_come_leaves_everything_as_it_was() {
    let not_parked = NotParked { cpu: 3 };
    let ragged = range(LINEAR + 33 * MIB + PAGE, GIB + 7 * PAGE);
    on_host(QUIESCE, 2, &|_| (), |space| {
        space.split(range(LINEAR + 32 * MIB, 32 * MIB), &MAY_PARK).unwrap();
        space.platform().keep_from_parking(Some(3));
        let (before, tables) = (Tree::read(space), space.platform().tables_in_use());
        let check = |error: String| {
            assert_eq!(error, not_parked.to_string());
            assert_eq!(Tree::read(space), before);
            assert_eq!(space.platform().tables_in_use(), tables);
            space.platform().assert_idle();
        };
        let split = space.split(ragged, &MAY_PARK);
        assert_eq!(split, Err(SplitError::NotParked(not_parked)));
        check(split.unwrap_err().to_string());
        let protect = space.protect(ragged, Change::ReadOnly, &MAY_PARK);
        assert_eq!(protect, Err(ProtectError::NotParked(not_parked)));
        check(protect.unwrap_err().to_string());
        let unmap = space.unmap(ragged, &MAY_PARK);
        assert_eq!(unmap, Err(UnmapError::NotParked(not_parked)));
        check(unmap.unwrap_err().to_string());
        let part = range(LINEAR + 32 * MIB, 6 * MIB);
        let repaint = space.repaint(part, &[], &MAY_PARK);
        assert_eq!(repaint, Err(RepaintError::NotParked(not_parked)));
        check(repaint.unwrap_err().to_string());
        // What needs no parking goes on.
        space.protect(range(LINEAR + 64 * MIB, 64 * MIB), Change::ReadOnly, &MAY_PARK).unwrap();
        space.platform().keep_from_parking(None);
        space.repaint(part, &[], &MAY_PARK).unwrap();
        space.split(ragged, &MAY_PARK).unwrap();
    });
}

#[test]
fn a_shortage_of_tables_at_any_point_of_a_repaint_changes_nothing() {
    let part = range(LINEAR + GIB - 2 * MIB, 4 * MIB);
    // One of level 2 and one of pages for each slot, and two that are given back.
    let needed = 6;
    for had in 0..needed {
        on_host(QUIESCE, 2, &|_| (), |space| {
            let before = Tree::read(space);
            space.platform().limit_tables(had);
            let error = OutOfTables { needed, had };
            assert_eq!(space.repaint(part, &[], &MAY_PARK), Err(RepaintError::OutOfTables(error)));
            assert_eq!(Tree::read(space), before);
        });
    }
    on_host(QUIESCE, 2, &|_| (), |space| {
        space.platform().limit_tables(needed);
        space.repaint(part, &[], &MAY_PARK).unwrap();
    });
}

#[test]
fn a_repaint_refuses_what_it_cannot_do() {
    on_host(QUIESCE, 2, &|_| (), |space| {
        let repaint = |part: VirtRange| space.repaint(part, &[], &MAY_PARK).unwrap_err();
        let own = range(LINEAR, GIB);
        space.platform().refuse(own, Refusal::ImageZone);
        assert_eq!(repaint(own), RepaintError::Refused { range: own, why: Refusal::ImageZone });
        let odd = range(LINEAR + 2, PAGE);
        assert!(matches!(repaint(odd), RepaintError::Range(_)));
        let far = range(LINEAR + 511 * GIB, 2 * GIB);
        let plan = space.plan_repaint(far, &[], &MAY_PARK);
        assert_eq!(plan.err(), Some(RepaintError::SeveralTables(far)));
        space.platform().refuse(own, Refusal::ImageAlias);
        // Views of the kernel's own memory change their sizes here and nowhere else.
        assert!(space.split(range(LINEAR, PAGE), &MAY_PARK).is_err());
        space.repaint(range(LINEAR, 2 * MIB), &[], &MAY_PARK).unwrap();
    });
}

#[test]
fn a_repaint_of_two_tables_of_slots_parks_once_for_each() {
    on_host(QUIESCE, 0, &|_| (), |space| {
        let mut mapping = linear(2);
        mapping.range = range(LINEAR + 511 * GIB, 2 * GIB);
        space.map(mapping).unwrap();
        let part = range(LINEAR + 512 * GIB - 2 * MIB, 4 * MIB);
        space.repaint(part, &[], &MAY_PARK).unwrap();
        let pages = sizes(space).iter().filter(|(_, size)| *size == PAGE).count();
        assert_eq!(pages, 1024);
    });
}

#[test]
fn in_atomic_context_only_whole_leaves_change() {
    for strategy in [Strategy::Live, Strategy::Quiesce, Strategy::Pages] {
        on_host(Terms { strategy, ..QUIESCE }, 2, &|_| (), |space| {
            let page = range(INNER, PAGE);
            let why = NoSizeChange::NobodyMayPark;
            let refused = SizeChangeRefused { address: page.start(), why };
            let error = space.protect_leaves(page, Change::ReadOnly).unwrap_err();
            assert_eq!(error, ProtectError::SizeChange(refused));
            assert!(error.to_string().contains("nobody may be parked here"), "{error}");
            space.platform().keep_from_parking(Some(1));
            space.protect_leaves(range(LINEAR, GIB), Change::ReadOnly).unwrap();
        });
    }
}
