//! Memory changes sides with nobody in reach of it, and the hypervisor's word decides.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::{Cell, RefCell};

use blockmap::host::{Host, MAY_PARK};
use blockmap::{
    Carve, Grain, HostError, Mapping, Mark, PartError, ShareError, Sharing, Side, Space,
};
use blockmap_machine::{Entry, Event, Machine, PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap_model::explore::{Options, explore};
use blockmap_model::judge::judge;
use blockmap_model::meaning::Translation;
use blockmap_model::program::{Intent, Meanwhile, Target};
use blockmap_verify::program::{attributes, range, words_for};
use blockmap_verify::scenario::{LIVE, Recording, Scenario};
use blockmap_verify::tree::Tree;
use blockmap_vmsa::{Access, Geometry, Leaves, Level};

const LINEAR: u64 = 0xffff_0000_0000_0000;
const PAGE: u64 = 4096;
const BIT: u64 = 1 << 40;
const GEOMETRY: Geometry = Geometry::KERNEL_4K_48;

fn mark() -> Mark {
    Mark::new(GEOMETRY, 40).unwrap()
}

/// A hypervisor that does what its answers say, one for each call, and notes the calls.
#[derive(Default)]
struct Double {
    answers: RefCell<Vec<Result<(), HostError>>>,
    calls: RefCell<Vec<(PhysRange, Side)>>,
}

impl Sharing for Double {
    fn make(&self, memory: PhysRange, side: Side) -> Result<(), HostError> {
        self.calls.borrow_mut().push((memory, side));
        let mut answers = self.answers.borrow_mut();
        if answers.is_empty() { Ok(()) } else { answers.remove(0) }
    }
}

/// 1 GiB in a block, and another elsewhere in memory after it; 8 pages around the seam are carved.
fn with_carve(check: impl FnOnce(&Space<'_, Host<'_>>, Carve<'_, Host<'_>>, &RefCell<Vec<Event>>)) {
    let words: Vec<Cell<u64>> = words_for(GEOMETRY, 64);
    let events = RefCell::new(Vec::new());
    let log = |event: &Event| events.borrow_mut().push(*event);
    let host = Host::new(GEOMETRY, &words, &log);
    let space = Space::new(&host, host.new_root().unwrap());
    for (start, output) in [(0, 1 << 30), (1 << 30, 5 << 30)] {
        space
            .map(Mapping {
                range: range(LINEAR + start, 1 << 30),
                output: PhysAddr::new(output),
                attributes: attributes(Access::ReadWrite),
                leaves: Leaves::Largest,
            })
            .unwrap();
    }
    let carve = space.carve(pages(), Grain::Bytes(PAGE), &MAY_PARK).unwrap();
    events.borrow_mut().clear();
    check(&space, carve, &events);
    host.assert_idle();
}

fn pages() -> VirtRange {
    range(LINEAR + (1 << 30) - 4 * PAGE, 8 * PAGE)
}

fn memory(start: u64, count: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), count * PAGE).unwrap()
}

const BELOW: u64 = (2 << 30) - 4 * PAGE;
const ABOVE: u64 = 5 << 30;

#[test]
fn a_bit_that_leaves_use_otherwise_is_no_mark() {
    let marks: Vec<u32> = (0..64).filter(|bit| Mark::new(GEOMETRY, *bit).is_some()).collect();
    let expected: Vec<u32> = (30..48).chain(56..59).collect();
    assert_eq!(marks, expected);
}

#[test]
fn memory_is_named_piece_by_piece_and_comes_back_as_it_was() {
    with_carve(|space, carve, _| {
        let before = Tree::read(space);
        let host = Double::default();
        carve.share(pages(), (Side::Shared, mark()), &host).unwrap();
        let both = [memory(BELOW, 4), memory(ABOVE, 4)];
        assert_eq!(*host.calls.borrow(), both.map(|piece| (piece, Side::Shared)));
        let at = |number: u64| space.translate(VirtAddr::new(pages().start().value() + number));
        assert_eq!(at(0), Some(PhysAddr::new(BELOW | BIT)));
        assert_eq!(at(4 * PAGE + 5), Some(PhysAddr::new(ABOVE | BIT | 5)));
        host.calls.borrow_mut().clear();
        carve.share(pages(), (Side::Private, mark()), &host).unwrap();
        assert_eq!(*host.calls.borrow(), both.map(|piece| (piece, Side::Private)));
        assert_eq!(Tree::read(space).units, before.units);
    });
}

#[test]
fn what_is_refused_is_as_it_was_and_what_is_lost_is_named_and_invalid() {
    with_carve(|space, carve, _| {
        let before = Tree::read(space);
        let host = Double::default();
        *host.answers.borrow_mut() = vec![Ok(()), Err(HostError::Refused)];
        let refused = carve.share(pages(), (Side::Shared, mark()), &host);
        assert_eq!(refused, Err(ShareError::Refused(memory(ABOVE, 4))));
        let calls = [
            (memory(BELOW, 4), Side::Shared),
            (memory(ABOVE, 4), Side::Shared),
            (memory(BELOW, 4), Side::Private),
        ];
        assert_eq!(*host.calls.borrow(), calls);
        assert_eq!(Tree::read(space).units, before.units);
        for answers in [
            vec![Ok(()), Err(HostError::Lost)],
            vec![Ok(()), Err(HostError::Refused), Err(HostError::Refused)],
        ] {
            *host.answers.borrow_mut() = answers;
            let lost = carve.share(pages(), (Side::Shared, mark()), &host);
            assert!(matches!(lost, Err(ShareError::Lost(_))), "{lost:?}");
            assert_eq!(space.translate(pages().start()), None);
            assert_eq!(space.translate(pages().last()), None);
        }
        carve.keep();
    });
}

#[test]
fn what_is_no_part_is_refused_before_anybody_is_called() {
    with_carve(|space, carve, events| {
        let before = Tree::read(space);
        let host = Double::default();
        for part in [
            range(pages().start().value() + 1, PAGE),
            range(pages().start().value(), PAGE / 2),
            range(pages().start().value() - PAGE, 2 * PAGE),
        ] {
            let refused = carve.share(part, (Side::Shared, mark()), &host);
            let no_part = PartError::NoPart { part, carve: pages() };
            assert_eq!(refused, Err(ShareError::Part(no_part)));
        }
        assert!(host.calls.borrow().is_empty() && events.borrow().is_empty());
        assert_eq!(Tree::read(space).units, before.units);
    });
}

const INNER: u64 = LINEAR + 0x1555_5000;

/// Memory of one page changes sides, and its output address with it.
const SHARE: Scenario = Scenario {
    name: "share a page",
    gib: 1,
    prepare: |_| {},
    operate: |space| {
        let page = range(INNER, PAGE);
        let carve = space.carve(page, Grain::Whole, &MAY_PARK).unwrap();
        carve.share(page, (Side::Shared, mark()), &Double::default()).unwrap();
        carve.keep();
    },
    intents: shared,
};

/// The same, without a moment at which nobody can reach it.
const WITHOUT_A_BREAK: Scenario = Scenario {
    name: "share a page that is in use",
    gib: 1,
    prepare: |_| {},
    operate: |space: &Space<'_, Recording<'_>>| {
        let page = range(INNER, PAGE);
        let carve = space.carve(page, Grain::Whole, &MAY_PARK).unwrap();
        let machine = blockmap::Platform::machine(space.platform());
        let mut entry = Entry { table: space.root(), index: 0 };
        for level in [Level::L0, Level::L1, Level::L2, Level::L3] {
            entry.index = GEOMETRY.index(level, page.start());
            if level != Level::L3 {
                entry.table = GEOMETRY.table_address(machine.load(entry));
            }
        }
        machine.perform(Event::Update { span: entry.span(1), clear: 0, set: BIT });
        carve.keep();
    },
    intents: shared,
};

fn shared() -> Vec<Intent> {
    let output = PhysAddr::new((INNER - LINEAR + 0x4000_0000) | BIT);
    let target = Translation { output, rights: "rw-".parse().unwrap(), memory: 0 };
    let (range, target) = (range(INNER, PAGE), Target::Mapped(target));
    vec![Intent { range, target, meanwhile: Meanwhile::Idle }]
}

#[test]
fn no_cpu_meets_two_output_addresses() {
    let program = SHARE.record(LIVE, 2);
    assert_eq!(judge(&program).verdicts, []);
    assert_eq!(explore(&program, Options::QUICK).unwrap().verdicts, []);
    let program = WITHOUT_A_BREAK.record(LIVE, 2);
    let rules: Vec<&str> =
        judge(&program).verdicts.iter().map(|verdict| verdict.rule.key()).collect();
    assert!(rules.contains(&"break-before-make"), "{rules:?}");
}
