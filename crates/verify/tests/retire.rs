//! What is retired is forgotten together, and its memory is known only then.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::RefCell;

use blockmap::host::{Host, MAY_PARK};
use blockmap::{ProtectError, Retired, Space, Strategy, Terms, UnmapError};
use blockmap_machine::{Event, PhysRange, VirtRange};
use blockmap_verify::program::{range, words_for};
use blockmap_verify::recorder::linear;
use blockmap_verify::scenario::AREA;
use blockmap_verify::tree::Tree;
use blockmap_vmsa::{Change, Geometry, TlbiForm};

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;
const RANGED: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };
const BY_ADDRESS: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::ByAddress };

fn on_space(terms: Terms, check: impl FnOnce(&Space<'_, Host<'_>>, &RefCell<Vec<Event>>)) {
    let words = words_for(Geometry::KERNEL_4K_48, 64);
    let events = RefCell::new(Vec::new());
    let log = |event: &Event| events.borrow_mut().push(*event);
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &log);
    host.set_terms(terms);
    let space = Space::new(&host, host.new_root().unwrap());
    space.map(linear(1)).unwrap();
    check(&space, &events);
    host.assert_idle();
}

/// Maps an area so far above the first, and so long, in memory of its own.
fn map(space: &Space<'_, Host<'_>>, above: u64, bytes: u64) -> VirtRange {
    let mut mapping = linear(1);
    mapping.range = range(AREA + above, bytes);
    mapping.output = mapping.output.checked_add((1 << 32) + above).unwrap();
    space.map(mapping).unwrap();
    mapping.range
}

fn count(events: &RefCell<Vec<Event>>, start: &str) -> usize {
    events.borrow().iter().filter(|event| event.to_string().starts_with(start)).count()
}

#[test]
fn areas_that_were_retired_one_by_one_are_forgotten_by_one_instruction() {
    on_space(RANGED, |space, events| {
        let before = (Tree::read(space), space.platform().tables_in_use());
        // Two in one table, one in blocks, one in a GiB of its own.
        let sizes = [(0, 3 * PAGE), (4 * PAGE, PAGE), (4 * MIB, 4 * MIB), (1 << 30, 5 * PAGE)];
        let areas = sizes.map(|(above, bytes)| map(space, above, bytes));
        events.borrow_mut().clear();
        let mut retired = areas.map(|area| Some(space.retire(area).unwrap()));
        assert_eq!([count(events, "tlbi"), count(events, "dsb")], [0, 4]);
        assert!(areas.iter().all(|area| space.translate(area.start()).is_none()));
        events.borrow_mut().clear();
        let released = RefCell::new(Vec::new());
        let effects = RefCell::new(Vec::new());
        space.purge(&mut retired, |memory| {
            effects.borrow_mut().push(count(events, "dsb ish") - count(events, "dsb ishst"));
            released.borrow_mut().push(memory);
        });
        assert_eq!([count(events, "tlbi"), count(events, "dsb")], [1, 2]);
        // No memory is known before all TLBs have forgotten it.
        assert!(effects.borrow().iter().all(|completed| *completed == 1));
        let bytes: u64 = released.borrow().iter().map(|memory| memory.bytes()).sum();
        assert_eq!(bytes, sizes.iter().map(|(_, bytes)| bytes).sum::<u64>());
        let shows = |memory: &PhysRange| {
            let above = memory.start().value() - (1 << 32) - 0x4000_0000;
            sizes.iter().any(|(start, bytes)| (*start..start + bytes).contains(&above))
        };
        assert!(released.borrow().iter().all(shows));
        assert_eq!((Tree::read(space), space.platform().tables_in_use()), before);
        assert!(retired.iter().all(Option::is_none));
    });
}

#[test]
fn what_is_retired_is_nobodys_and_its_neighbours_stay() {
    on_space(RANGED, |space, _| {
        let area = map(space, 0, 3 * PAGE);
        let beside = map(space, 4 * PAGE, PAGE);
        let retired = space.retire(area).unwrap();
        assert_eq!(retired.range(), area);
        assert!(matches!(space.unmap(area, &MAY_PARK), Err(UnmapError::Held(_))));
        assert!(matches!(space.retire(area), Err(UnmapError::Held(_))));
        let valid = space.protect(area, Change::Valid, &MAY_PARK);
        assert_eq!(valid, Err(ProtectError::Held(area.start())));
        let mut mapping = linear(1);
        mapping.range = area;
        assert!(space.map(mapping).is_err());
        space.purge(&mut [Some(retired)], |_| ());
        assert!(space.translate(beside.start()).is_some());
        mapping.range = area;
        space.map(mapping).unwrap();
    });
}

#[test]
fn a_part_of_a_leaf_and_what_is_not_mapped_are_not_retired() {
    on_space(RANGED, |space, events| {
        let area = map(space, 0, 2 * MIB);
        events.borrow_mut().clear();
        let part = range(area.start().value(), MIB);
        assert!(matches!(space.retire(part), Err(UnmapError::SizeChange(_))));
        let beyond = range(area.start().value(), 4 * MIB);
        assert!(matches!(space.retire(beyond), Err(UnmapError::NotMapped(_))));
        assert!(events.borrow().is_empty());
        space.purge(&mut [None::<Retired>], |_| panic!("there is nothing"));
        assert!(events.borrow().is_empty());
    });
}

#[test]
fn by_address_every_leaf_is_named_or_everything() {
    for (pages, expected) in [(100, 100), (128, 128), (129, 1)] {
        on_space(BY_ADDRESS, |space, events| {
            let areas = [map(space, 0, 28 * PAGE), map(space, MIB, (pages - 28) * PAGE)];
            let mut retired = areas.map(|area| Some(space.retire(area).unwrap()));
            events.borrow_mut().clear();
            space.purge(&mut retired, |_| ());
            assert_eq!(count(events, "tlbi"), expected, "{pages} pages");
        });
    }
}

#[test]
fn areas_that_are_far_apart_are_named_one_by_one() {
    on_space(RANGED, |space, events| {
        let areas = [map(space, 0, PAGE), map(space, 16 << 30, 3 * PAGE)];
        let mut retired = areas.map(|area| Some(space.retire(area).unwrap()));
        events.borrow_mut().clear();
        space.purge(&mut retired, |_| ());
        assert_eq!(count(events, "tlbi"), 2);
    });
}

#[test]
fn pages_that_were_made_invalid_one_by_one_are_flushed_together() {
    on_space(RANGED, |space, events| {
        let areas = [map(space, 0, 3 * PAGE), map(space, MIB, PAGE), map(space, 2 * MIB, 2 * MIB)];
        events.borrow_mut().clear();
        let mut unflushed = areas.map(|area| Some(space.invalidate_unflushed(area).unwrap()));
        assert_eq!([count(events, "tlbi"), count(events, "dsb")], [0, 3]);
        assert!(areas.iter().all(|area| space.translate(area.start()).is_none()));
        space.flush(&mut unflushed);
        assert_eq!([count(events, "tlbi"), count(events, "dsb")], [3, 5]);
        for area in areas {
            space.protect(area, Change::Valid, &MAY_PARK).unwrap();
            assert!(space.translate(area.start()).is_some());
        }
        let part = range(areas[2].start().value(), PAGE);
        assert!(matches!(space.invalidate_unflushed(part), Err(ProtectError::SizeChange(_))));
    });
}
