//! Global leaves that stop being so: what becomes of each word, what is refused, and what the model
//! says of how it is done.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::{Cell, RefCell};

use blockmap::host::{Host, MAY_PARK};
use blockmap::vmsa::descriptor::Asids;
use blockmap::{Grain, NonGlobalError, NotParked, OutOfTables, Reader, Space, Strategy, Terms};
use blockmap_dump::Tree;
use blockmap_machine::{Barrier, Event, Machine, PhysAddr, VirtAddr};
use blockmap_model::explore::{Options, explore};
use blockmap_model::judge::judge;
use blockmap_model::profile::{Profile, SizeChange};
use blockmap_model::program::{Context, Program, Step};
use blockmap_verify::parked::NON_GLOBAL;
use blockmap_verify::program::{range, words_for};
use blockmap_verify::recorder::{LINEAR, linear};
use blockmap_verify::scenario::{LIVE, QUIESCE};
use blockmap_vmsa::{Change, Format, Geometry, Granule, Half, Kind, Level, Regime, TlbiForm, bits};

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;

/// Every leaf of the tree, with what it says.
fn leaves(host: &Host<'_>, root: PhysAddr) -> Vec<(u64, u64, u64)> {
    let space = Space::new(host, root);
    let reader: Reader<'_, _> = space.reader();
    let tree = Tree::new(space.geometry(), root, &reader);
    let runs = tree.runs();
    let said = runs.filter_map(|run| {
        let mapped = run.mapped()?;
        Some((run.range.start().value(), run.range.bytes(), mapped.meaning))
    });
    said.collect()
}

/// Two GiB, with a run apart, a page that is read-only and one that is invalid.
fn prepare(space: &Space<'_, Host<'_>>) {
    space.map(linear(2)).unwrap();
    space.split(range(LINEAR + 64 * 1024, 64 * 1024), &MAY_PARK).unwrap();
    space.protect(range(LINEAR + 32 * MIB, PAGE), Change::Invalid, &MAY_PARK).unwrap();
    space.protect(range(LINEAR + 40 * MIB, PAGE), Change::ReadOnly, &MAY_PARK).unwrap();
}

#[test]
fn every_valid_leaf_loses_its_globality_and_nothing_else() {
    let words = words_for(Geometry::KERNEL_4K_48, 64);
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &|_| {});
    let root = host.new_root().unwrap();
    let space = Space::new(&host, root);
    prepare(&space);
    let (before, tables) = (leaves(&host, root), host.tables_in_use());
    host.set_asids(Asids::One);
    space.make_non_global(&MAY_PARK).unwrap();
    host.assert_idle();
    assert_eq!(host.tables_in_use(), tables, "the old tables were given back");
    let valid = |meaning: u64| meaning & bits::VALID != 0;
    let expected: Vec<_> = before
        .iter()
        .map(|(at, bytes, meaning)| (*at, *bytes, meaning | bits::NOT_GLOBAL))
        .collect();
    assert!(before.iter().any(|(.., meaning)| !valid(*meaning)), "one is invalid");
    assert!(before.iter().all(|(.., meaning)| valid(*meaning) != (meaning & bits::PRESENT != 0)));
    assert_eq!(leaves(&host, root), expected);
}

#[test]
fn what_was_done_once_costs_nothing_and_parks_nobody_the_second_time() {
    let words = words_for(Geometry::KERNEL_4K_48, 64);
    let events = Cell::new(0);
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &|_| {});
    let root = host.new_root().unwrap();
    let space = Space::new(&host, root);
    prepare(&space);
    space.make_non_global(&MAY_PARK).unwrap();
    host.keep_from_parking(Some(1));
    events.set(host.tables_in_use());
    assert_eq!(space.plan_make_non_global(&MAY_PARK).unwrap().tables(), 0);
    assert_eq!(space.make_non_global(&MAY_PARK), Ok(()));
    assert_eq!(host.tables_in_use(), events.get());
}

#[test]
fn what_is_mapped_or_made_valid_later_is_not_global_either() {
    let words = words_for(Geometry::KERNEL_4K_48, 64);
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &|_| {});
    let root = host.new_root().unwrap();
    let space = Space::new(&host, root);
    prepare(&space);
    host.set_asids(Asids::One);
    space.make_non_global(&MAY_PARK).unwrap();
    space.protect(range(LINEAR + 32 * MIB, PAGE), Change::Valid, &MAY_PARK).unwrap();
    space.protect(range(LINEAR + 48 * MIB, PAGE), Change::Invalid, &MAY_PARK).unwrap();
    space.protect(range(LINEAR + 48 * MIB, PAGE), Change::Valid, &MAY_PARK).unwrap();
    let mut mapping = linear(1);
    mapping.range = range(LINEAR + (4 << 30), 3 * MIB);
    space.map(mapping).unwrap();
    let part = range(LINEAR + (1 << 30), 2 * MIB);
    let carve = space.carve(part, Grain::Bytes(PAGE), &MAY_PARK).unwrap();
    carve.protect(range(LINEAR + (1 << 30), PAGE), Change::Invalid).unwrap();
    carve.restore();
    let leaves = leaves(&host, root);
    let is_private = |meaning: u64| meaning & bits::NOT_GLOBAL != 0;
    assert!(leaves.iter().all(|(.., meaning)| is_private(*meaning)), "{leaves:x?}");
    assert!(leaves.iter().all(|(.., meaning)| meaning & bits::VALID != 0), "{leaves:x?}");
}

#[test]
fn a_carve_is_in_the_way_and_a_missing_cpu_and_a_missing_table() {
    let words = words_for(Geometry::KERNEL_4K_48, 64);
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &|_| {});
    let root = host.new_root().unwrap();
    let space = Space::new(&host, root);
    prepare(&space);
    let before = leaves(&host, root);
    let at = LINEAR + 48 * MIB;
    let carve = space.carve(range(at, PAGE), Grain::Whole, &MAY_PARK).unwrap();
    let held = NonGlobalError::Held(VirtAddr::new(at));
    assert_eq!(space.make_non_global(&MAY_PARK), Err(held));
    carve.restore();
    host.keep_from_parking(Some(3));
    let missing = NonGlobalError::NotParked(NotParked { cpu: 3 });
    assert_eq!(space.make_non_global(&MAY_PARK), Err(missing));
    host.keep_from_parking(None);
    host.limit_tables(2);
    let needed = space.plan_make_non_global(&MAY_PARK).unwrap().tables();
    let short = NonGlobalError::OutOfTables(OutOfTables { needed, had: 2 });
    assert_eq!(space.make_non_global(&MAY_PARK), Err(short));
    host.assert_idle();
    let after = leaves(&host, root);
    assert!(after.iter().all(|leaf| before.iter().any(|old| old.2 == leaf.2)), "{after:x?}");
}

#[test]
fn leaves_in_the_root_change_and_regimes_without_asids_have_none() {
    for (regime, bits_, expected) in [(Regime::El1And0, 30, true), (Regime::El2, 30, false)] {
        let half = if regime == Regime::El2 { Half::Lower } else { Half::Upper };
        let geometry =
            Geometry::new((regime, half), (Granule::Kib4, Format::Base), bits_, 48).unwrap();
        let words = words_for(geometry, 16);
        let host = Host::new(geometry, &words, &|_| {});
        let root = host.new_root().unwrap();
        let space = Space::new(&host, root);
        let (start, _) = geometry.inputs();
        let mut mapping = linear(1);
        mapping.range = range(start.value(), 4 * MIB);
        space.map(mapping).unwrap();
        let done = space.make_non_global(&MAY_PARK);
        assert_eq!(done, if expected { Ok(()) } else { Err(NonGlobalError::NoAsids) });
        let first = blockmap_machine::Entry { table: root, index: 0 };
        let word = host.load(first);
        assert_eq!(geometry.kind(Level::L2, word), Kind::Leaf);
        assert_eq!(word & bits::NOT_GLOBAL != 0, expected);
    }
}

const KINDS: [SizeChange; 3] = [SizeChange::NeedsBreak, SizeChange::MayAbort, SizeChange::Quiet];

/// What the explorer says of a program first, having made sure that the judge agrees.
fn verdict(program: &Program) -> Option<(&'static str, usize)> {
    let explored = explore(program, Options::QUICK).unwrap().verdicts;
    let judged = judge(program).verdicts;
    assert_eq!(explored.is_empty(), judged.is_empty(), "{explored:?} {judged:?}");
    explored.first().map(|verdict| (verdict.rule.key(), verdict.cpu))
}

fn recorded(strategy: Strategy, sizes: [SizeChange; 2]) -> Program {
    let terms = Terms { strategy, tlbi: TlbiForm::Ranged };
    let profiles = sizes.map(|size| Profile::QUIET.with_size_change(size));
    NON_GLOBAL.record_on(terms, &profiles)
}

#[test]
fn it_is_legal_on_every_kind_of_cpu_under_every_strategy() {
    for own in KINDS {
        for other in KINDS {
            // Preparing splits, so it is prepared as the CPUs allow.
            assert_eq!(
                verdict(&recorded(QUIESCE.strategy, [own, other])),
                None,
                "{own:?} {other:?}"
            );
        }
    }
    let quiet = [SizeChange::Quiet; 2];
    assert_eq!(verdict(&recorded(LIVE.strategy, quiet)), None);
}

/// Takes the steps from `range` out of `cpu`.
fn without(program: &Program, cpu: usize, is_it: impl Fn(usize, &Step) -> bool) -> Program {
    let mut program = program.clone();
    let steps = RefCell::new(0);
    let before = program.cpus[cpu].steps.len();
    program.cpus[cpu].steps.retain(|step| {
        let number = steps.replace_with(|number| *number + 1);
        !is_it(number, step)
    });
    assert!(program.cpus[cpu].steps.len() < before);
    program
}

fn is_invalidation(step: &Step) -> bool {
    matches!(step, Step::Effect(Event::Invalidate(_)))
}

#[test]
fn without_parking_or_without_what_a_parked_cpu_must_do_it_is_illegal() {
    let good = recorded(QUIESCE.strategy, [SizeChange::Quiet; 2]);
    let mut unparked = without(&good, 0, |_, step| matches!(step, Step::Wait(..)));
    unparked.cpus[1].steps.clear();
    assert_eq!(verdict(&unparked), Some(("break-before-make", 1)));
    let kept = without(&good, 1, |_, step| is_invalidation(step));
    assert!(matches!(verdict(&kept), Some((_, 1))), "{:?}", verdict(&kept));
    let unsynchronised = without(&good, 1, |number, step| {
        number == 1 && *step == Step::Effect(Event::Barrier(Barrier::Isb))
    });
    assert!(matches!(verdict(&unsynchronised), Some((_, 1))), "{:?}", verdict(&unsynchronised));
}

#[test]
fn the_cpu_that_makes_the_change_must_leave_the_tables_too() {
    let good = recorded(QUIESCE.strategy, [SizeChange::Quiet; 2]);
    let stays = without(&good, 0, |_, step| matches!(step, Step::Context(_)));
    assert_eq!(verdict(&stays), Some(("break-before-make", 0)));
    let keeps = without(&good, 0, |_, step| is_invalidation(step));
    assert!(matches!(verdict(&keeps), Some((_, 0))), "{:?}", verdict(&keeps));
    let early = {
        let mut program = good.clone();
        let steps = &mut program.cpus[0].steps;
        let live = steps.iter().position(|step| *step == Step::Context(Context::Live)).unwrap();
        let step = steps.remove(live);
        let first =
            steps.iter().position(|step| *step == Step::Context(Context::Reserved)).unwrap();
        steps.insert(first + 5, step);
        program
    };
    assert!(verdict(&early).is_some(), "back before the root is whole");
}
