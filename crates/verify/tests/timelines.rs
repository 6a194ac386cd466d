//! The timelines in the protocols' module headers are what the protocols do.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use blockmap::host::MAY_PARK;
use blockmap::{Grain, HostError, Mark, Sharing, Side, ViewChange, publish_code};
use blockmap::{Strategy, Terms};
use blockmap_machine::{Event, PhysAddr, PhysRange};
use blockmap_verify::program::range;
use blockmap_verify::recorder::{LINEAR, effects_of, linear};
use blockmap_verify::scenario::{AREA, LINEAR_VIEW, map_area};
use blockmap_vmsa::{Change, TlbiForm};

const TERMS: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };

/// The steps of the timeline `name` in a module's header: the instruction of each.
fn documented(source: &str, name: &str) -> Vec<String> {
    let start = format!("//! ```text timeline: {name}");
    let lines = source.lines().skip_while(|line| *line != start).skip(1);
    let steps: Vec<String> = lines
        .take_while(|line| *line != "//! ```")
        .filter_map(|line| line.trim_start_matches("//! ").split_once(". "))
        .map(|(_, step)| instruction(step))
        .collect();
    assert!(!steps.is_empty(), "no timeline {name}");
    without_repeats(steps)
}

/// The effects as instructions, bulk effects of one kind in a row as one.
fn performed(events: &[Event]) -> Vec<String> {
    without_repeats(events.iter().map(|event| instruction(&event.to_string())).collect())
}

/// The first word of a step; of barriers and cache maintenance the first two.
fn instruction(step: &str) -> String {
    let mut words = step.split_whitespace();
    let first = words.next().unwrap();
    match first {
        "dsb" | "dc" | "ic" => format!("{first} {}", words.next().unwrap()),
        _ => first.to_owned(),
    }
}

fn without_repeats(mut steps: Vec<String>) -> Vec<String> {
    steps.dedup();
    steps
}

#[test]
fn a_split_is_as_documented() {
    let page = range(LINEAR + 0x1555_5000, 4096);
    let events = effects_of(TERMS, 1, |space| space.split(page, &MAY_PARK).unwrap());
    let source = include_str!("../../engine/src/cut.rs");
    assert_eq!(performed(&events), documented(source, "split"));
}

#[test]
fn a_mapping_is_as_documented() {
    let mut mapping = linear(1);
    mapping.range = range(LINEAR + (512 << 30), 1 << 30);
    let events = effects_of(TERMS, 0, |space| space.map(mapping).unwrap());
    let source = include_str!("../../engine/src/map.rs");
    assert_eq!(performed(&events), documented(source, "map"));
}

#[test]
fn a_permission_change_is_as_documented() {
    let block = range(LINEAR, 1 << 30);
    let events =
        effects_of(TERMS, 1, |space| space.protect(block, Change::ReadOnly, &MAY_PARK).unwrap());
    let source = include_str!("../../engine/src/protect.rs");
    assert_eq!(performed(&events), documented(source, "protect"));
}

#[test]
fn an_unmapping_is_as_documented() {
    let events = effects_of(TERMS, 3, |space| {
        space.split(range(LINEAR + (1 << 30), 1 << 21), &MAY_PARK).unwrap();
        space.unmap(range(LINEAR, 2 << 30), &MAY_PARK).unwrap();
    });
    let source = include_str!("../../engine/src/unmap.rs");
    let steps = documented(source, "unmap");
    let done = performed(&events);
    assert_eq!(done[done.len() - steps.len()..], steps);
}

#[test]
fn a_collapse_is_as_documented() {
    let events = effects_of(TERMS, 1, |space| {
        space.split(range(LINEAR + 0x1555_5000, 4096), &MAY_PARK).unwrap();
        // The rest of the GiB stays in tables: of what comes together, runs are made.
        space.collapse(range(LINEAR, 1 << 29), &MAY_PARK).unwrap();
    });
    let source = include_str!("../../engine/src/collapse.rs");
    let steps = documented(source, "collapse");
    let done = performed(&events);
    assert_eq!(done[done.len() - steps.len()..], steps);
}

#[test]
fn a_carve_is_as_documented() {
    let pages = range(LINEAR + 0x1555_5000, 0x8000);
    let events = effects_of(TERMS, 1, |space| {
        space.carve(pages, Grain::Bytes(4096), &MAY_PARK).unwrap().keep();
    });
    let source = include_str!("../../engine/src/carve.rs");
    assert_eq!(performed(&events), documented(source, "carve"));
}

#[test]
fn making_an_area_of_code_is_as_documented() {
    let events = effects_of(TERMS, 1, |space| {
        let area = map_area(space, &[(0x1555_5000, 4096)]);
        space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnly, &MAY_PARK).unwrap();
        space.change_views((area, LINEAR_VIEW), ViewChange::ReadWrite, &MAY_PARK).unwrap();
        space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnlyExecute, &MAY_PARK).unwrap();
    });
    let source = include_str!("../../engine/src/view.rs");
    let steps = documented(source, "read-only and executable");
    let done = performed(&events);
    assert_eq!(done[done.len() - steps.len()..], steps);
}

#[test]
fn giving_an_area_back_is_as_documented() {
    let events = effects_of(TERMS, 1, |space| {
        let area = map_area(space, &[(0x1555_5000, 4096), (64 << 20, 2 << 20)]);
        space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnlyExecute, &MAY_PARK).unwrap();
        space.reset_views((area, LINEAR_VIEW), |_| ()).unwrap();
    });
    let source = include_str!("../../engine/src/view/reset.rs");
    let steps = documented(source, "reset");
    let done = performed(&events);
    assert_eq!(done[done.len() - steps.len()..], steps);
}

#[test]
fn sharing_is_as_documented() {
    let page = range(LINEAR, 1 << 30);
    let events = effects_of(TERMS, 1, |space| {
        let carve = space.carve(page, Grain::Whole, &MAY_PARK).unwrap();
        let mark = Mark::new(space.geometry(), 40).unwrap();
        carve.share(page, (Side::Shared, mark), &Agreeing).unwrap();
        carve.keep();
    });
    let source = include_str!("../../engine/src/carve/share.rs");
    let steps = documented(source, "share");
    let done = performed(&events);
    assert_eq!(done[done.len() - steps.len()..], steps);
}

#[test]
fn retiring_and_purging_is_as_documented() {
    let events = effects_of(TERMS, 1, |space| {
        // Beside it something stays: its table does, and that of the pages goes.
        let mut beside = linear(1);
        beside.range = range(AREA + (1 << 25), 1 << 21);
        space.map(beside).unwrap();
        let area = map_area(space, &[(2 << 20, 2 << 20), (0x1555_5000, 4096)]);
        space.purge(&mut [Some(space.retire(area).unwrap())], |_| ());
    });
    let source = include_str!("../../engine/src/retire.rs");
    let steps = documented(source, "retire and purge");
    let done = performed(&events);
    assert_eq!(done[done.len() - steps.len()..], steps);
}

/// A hypervisor that does what it is asked for.
struct Agreeing;

impl Sharing for Agreeing {
    fn make(&self, _: PhysRange, _: Side) -> Result<(), HostError> {
        Ok(())
    }
}

#[test]
fn making_memory_invalid_without_a_flush_is_as_documented() {
    let events = effects_of(TERMS, 2, |space| {
        let block = range(LINEAR, 1 << 30);
        space.flush(&mut [Some(space.invalidate_unflushed(block).unwrap())]);
    });
    let source = include_str!("../../engine/src/unflushed.rs");
    let mut steps = documented(source, "invalid, flushed later");
    let mut done = performed(&events);
    done.dedup();
    steps.dedup();
    assert_eq!(done, steps);
}

#[test]
fn publishing_code_is_as_documented() {
    let code = PhysRange::new(PhysAddr::new(0x4000_0000), 64).unwrap();
    let events = effects_of(TERMS, 0, |space| publish_code(space.platform(), code));
    let source = include_str!("../../engine/src/code.rs");
    assert_eq!(performed(&events), documented(source, "publish code"));
}

#[test]
fn a_split_with_others_parked_is_as_documented() {
    let terms = Terms { strategy: Strategy::Quiesce, ..TERMS };
    let page = range(LINEAR + 0x1555_5000, 4096);
    let events = effects_of(terms, 1, |space| space.split(page, &MAY_PARK).unwrap());
    let source = include_str!("../../engine/src/switch.rs");
    assert_eq!(performed(&events), documented(source, "split parked"));
}

#[test]
fn a_change_of_what_is_global_is_as_documented() {
    let events = effects_of(TERMS, 1, |space| {
        space.split(range(LINEAR, 4096), &MAY_PARK).unwrap();
        space.make_non_global(&MAY_PARK).unwrap();
    });
    let source = include_str!("../../engine/src/non_global.rs");
    let steps = documented(source, "make non-global");
    let done = performed(&events);
    assert_eq!(done[done.len() - steps.len()..], steps);
}

#[test]
fn a_repaint_is_as_documented() {
    let terms = Terms { strategy: Strategy::Quiesce, ..TERMS };
    let part = range(LINEAR, 2 << 20);
    let events = effects_of(terms, 1, |space| space.repaint(part, &[], &MAY_PARK).unwrap());
    let source = include_str!("../../engine/src/repaint.rs");
    assert_eq!(performed(&events), documented(source, "repaint"));
}
