//! The tables of `docs/permissions.md` are what the engine does.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::RefCell;

use blockmap::host::{Host, MAY_PARK};
use blockmap::{Space, Strategy, Terms, ViewChange};
use blockmap_machine::Event;
use blockmap_verify::program::words_for;
use blockmap_verify::recorder::linear;
use blockmap_verify::scenario::{LINEAR_VIEW, map_area};
use blockmap_vmsa::{Geometry, TlbiForm};

/// The cells of each row of the table that begins with this heading.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = include_str!("../../../docs/permissions.md");
    let start = text.lines().skip_while(|line| !line.starts_with(heading)).skip(2);
    let rows: Vec<Vec<String>> = start
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "no table {heading}");
    rows
}

fn change(name: &str) -> ViewChange {
    match name {
        "ro" => ViewChange::ReadOnly,
        "rw" => ViewChange::ReadWrite,
        "nx" => ViewChange::NoExecute,
        "x" => ViewChange::Execute,
        "rox" => ViewChange::ReadOnlyExecute,
        "invalid" => ViewChange::Invalid,
        "valid" => ViewChange::Valid,
        _ => panic!("{name} is no call"),
    }
}

/// Phases, TLBI and DSB of `call`, on an area of 2 MiB whose aliases are split, after `before`.
fn cost(before: &str, call: impl FnOnce(&Space<'_, Host<'_>>)) -> [String; 3] {
    let words = words_for(Geometry::KERNEL_4K_48, 32);
    let events = RefCell::new(Vec::new());
    let log = |event: &Event| events.borrow_mut().push(event.to_string());
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &log);
    host.set_terms(Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged });
    let space = Space::new(&host, host.new_root().unwrap());
    space.map(linear(1)).unwrap();
    let area = map_area(&space, &[(64 << 20, 2 << 20)]);
    for earlier in ["ro", "rw", before].into_iter().filter(|name| !name.is_empty()) {
        space.change_views((area, LINEAR_VIEW), change(earlier), &MAY_PARK).unwrap();
    }
    events.borrow_mut().clear();
    call(&space);
    let events = events.take();
    let count = |start: &str| events.iter().filter(|event| event.starts_with(start)).count();
    // A phase is what is stored up to a barrier that ends it for this CPU.
    let stores = |event: &String| event.starts_with("update");
    let phases = events.split(|event| event == "isb").filter(|phase| phase.iter().any(stores));
    [phases.count(), count("tlbi"), count("dsb")].map(|number| number.to_string())
}

#[test]
fn each_change_of_an_area_costs_what_is_documented() {
    for row in rows("| call | after |") {
        let [call, after, _, _, phases, tlbi, dsb] = row.try_into().unwrap();
        let done = cost(&after, |space| {
            let area = blockmap_verify::program::range(blockmap_verify::scenario::AREA, 2 << 20);
            space.change_views((area, LINEAR_VIEW), change(&call), &MAY_PARK).unwrap();
        });
        assert_eq!(done, [phases, tlbi, dsb], "{call} after {after}");
    }
}

#[test]
fn giving_an_area_back_costs_what_is_documented() {
    let area = || blockmap_verify::program::range(blockmap_verify::scenario::AREA, 2 << 20);
    for row in rows("| call | phases |") {
        let [call, phases, tlbi, dsb] = row.try_into().unwrap();
        let done = match &*call {
            "vunmap" => {
                let [_, tlbi, dsb] = cost("", |space| {
                    let _retired = space.retire(area()).unwrap();
                });
                ["0".to_owned(), tlbi, dsb]
            }
            "purge" => {
                let [phases, tlbi, dsb] = cost("", |space| {
                    space.purge(&mut [Some(space.retire(area()).unwrap())], |_| ());
                });
                // One barrier is that of the area that was retired.
                [phases, tlbi, (dsb.parse::<u32>().unwrap() - 1).to_string()]
            }
            "vunmap reset" => cost("rox", |space| {
                space.reset_views((area(), LINEAR_VIEW), |_| ()).unwrap();
            }),
            _ => panic!("{call} is no call"),
        };
        assert_eq!(done, [phases, tlbi, dsb], "{call}");
    }
}
