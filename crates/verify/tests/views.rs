//! A range and the aliases of its memory change together: in few barriers, in the right order, all or
//! nothing, and nothing else changes.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use blockmap::host::{Host, MAY_PARK};
use blockmap::{
    CollapseError, OutOfTables, ProtectError, Refusal, Space, Strategy, Terms, View, ViewChange,
    ViewError,
};
use blockmap_machine::{Event, PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap_verify::crew::Crew;
use blockmap_verify::program::{range, words_for};
use blockmap_verify::recorder::{LINEAR, effects_of, linear};
use blockmap_verify::scenario::{AREA, LINEAR_VIEW, map_area};
use blockmap_verify::tree::Tree;
use blockmap_vmsa::{Change, Geometry, TlbiForm, bits};
use proptest::prelude::{Just, ProptestConfig, any, prop, proptest};
use proptest::strategy::Strategy as _;

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;
const RANGED: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };
const BY_ADDRESS: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::ByAddress };
const QUIESCE: Terms = Terms { strategy: Strategy::Quiesce, tlbi: TlbiForm::Ranged };

type TestSpace<'a> = Space<'a, Host<'a>>;

/// How many invalidations and DSBs there are.
fn cost(events: &[Event]) -> [usize; 2] {
    ["tlbi", "dsb"]
        .map(|start| events.iter().filter(|event| event.to_string().starts_with(start)).count())
}

/// The effects of `change` of an area of `pieces`, after `before`.
fn changing(
    (terms, gib): (Terms, u64),
    pieces: &[(u64, u64)],
    (before, change): (&[ViewChange], ViewChange),
) -> Vec<Event> {
    let known = Cell::new(0);
    let log = RefCell::new(Vec::new());
    let words = words_for(Geometry::KERNEL_4K_48, 128);
    let record = |event: &Event| log.borrow_mut().push(*event);
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &record);
    host.set_terms(terms);
    let space = Space::new(&host, host.new_root().unwrap());
    space.map(linear(gib)).unwrap();
    let area = map_area(&space, pieces);
    for earlier in before {
        space.change_views((area, LINEAR_VIEW), *earlier, &MAY_PARK).unwrap();
    }
    known.set(log.borrow().len());
    space.change_views((area, LINEAR_VIEW), change, &MAY_PARK).unwrap();
    host.assert_idle();
    log.take().split_off(known.get())
}

#[test]
fn two_mib_on_one_physical_run_take_two_invalidations_and_leave_the_block() {
    let pieces = [(66 * MIB, 2 * MIB)];
    let first = changing((RANGED, 1), &pieces, (&[], ViewChange::ReadOnly));
    assert_eq!(cost(&first), [2, 3]);
    let steady = [ViewChange::ReadOnly, ViewChange::ReadWrite];
    assert_eq!(cost(&changing((RANGED, 1), &pieces, (&steady, ViewChange::ReadOnly))), [2, 2]);
    // One block in each view: by address it is two instructions too.
    assert_eq!(cost(&changing((BY_ADDRESS, 1), &pieces, (&steady, ViewChange::ReadOnly))), [2, 2]);
    let rox = changing((RANGED, 1), &pieces, (&steady, ViewChange::ReadOnlyExecute));
    // Both, the caches, and the area alone.
    assert_eq!(cost(&rox), [3, 6]);
    effects_of(RANGED, 1, |space| {
        let area = map_area(space, &pieces);
        space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnly, &MAY_PARK).unwrap();
        let tree = Tree::read(space);
        let alias = tree.units.iter().find(|unit| unit.input.value() == LINEAR + 66 * MIB);
        assert_eq!(alias.unwrap().size.bytes(), 2 * MIB);
    });
}

/// 64 MiB in sixteen runs of 4 MiB, none beside the next.
fn sixteen() -> Vec<(u64, u64)> {
    (0..16).map(|run| (run * 24 * MIB + 3 * PAGE, 4 * MIB)).collect()
}

#[test]
fn sixty_four_mib_on_sixteen_runs_take_seventeen_invalidations() {
    let first = changing((RANGED, 1), &sixteen(), (&[], ViewChange::ReadOnly));
    assert_eq!(cost(&first), [17, 3]);
    let steady = [ViewChange::ReadOnly, ViewChange::ReadWrite];
    let again = changing((RANGED, 1), &sixteen(), (&steady, ViewChange::ReadOnly));
    assert_eq!(cost(&again), [17, 2]);
}

#[test]
fn more_pieces_than_are_worth_naming_are_one_invalidation_of_everything() {
    let pieces = |count: u64| (0..count).map(|page| (page * 2 * PAGE, PAGE)).collect::<Vec<_>>();
    for (count, expected) in [(127, 128), (128, 1)] {
        let pieces = pieces(count);
        let done = changing((RANGED, 1), &pieces, (&[ViewChange::ReadOnly], ViewChange::ReadWrite));
        assert_eq!(cost(&done), [expected, 2], "{count} pieces");
    }
    // By address every page of the area counts as well.
    let done =
        changing((BY_ADDRESS, 1), &pieces(64), (&[ViewChange::ReadOnly], ViewChange::ReadWrite));
    assert_eq!(cost(&done), [128, 2]);
    let done =
        changing((BY_ADDRESS, 1), &pieces(65), (&[ViewChange::ReadOnly], ViewChange::ReadWrite));
    assert_eq!(cost(&done), [1, 2]);
}

#[test]
fn code_that_is_read_only_everywhere_becomes_executable_in_one_phase() {
    let pieces = [(66 * MIB, 2 * MIB)];
    let done = changing((RANGED, 1), &pieces, (&[ViewChange::ReadOnly], ViewChange::Execute));
    // The caches, and the area.
    assert_eq!(cost(&done), [1, 4]);
    let valid = [ViewChange::Invalid];
    assert_eq!(cost(&changing((RANGED, 1), &pieces, (&valid, ViewChange::Valid))), [0, 2]);
}

fn on_space(terms: Terms, tables: usize, check: impl FnOnce(&TestSpace<'_>)) {
    let words = words_for(Geometry::KERNEL_4K_48, tables);
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &|_| ());
    host.set_terms(terms);
    let space = Space::new(&host, host.new_root().unwrap());
    space.map(linear(1)).unwrap();
    check(&space);
    host.assert_idle();
}

#[test]
fn what_is_refused_changes_nothing() {
    on_space(RANGED, 64, |space| {
        let area = map_area(space, &[(0x1555_5000, 2 * PAGE), (64 * MIB, 2 * MIB)]);
        let before = Tree::read(space);
        let change = |range: VirtRange, view, change| {
            let refused = space.change_views((range, view), change, &MAY_PARK).unwrap_err();
            assert_eq!(Tree::read(space), before);
            refused
        };
        let one = |range, what| change(range, LINEAR_VIEW, what);
        assert_eq!(
            one(area, ViewChange::Execute),
            ProtectError::WritableAndExecutable(area.start()).into()
        );
        let beyond = range(AREA, area.bytes() + PAGE);
        let hole = area.end();
        assert_eq!(one(beyond, ViewChange::ReadOnly), ProtectError::NotMapped(hole).into());
        let elsewhere = View::new(VirtAddr::new(LINEAR + (1 << 39)), PhysAddr::new(0x4000_0000));
        let alias = VirtAddr::new(LINEAR + (1 << 39) + 0x1555_5000);
        assert_eq!(
            change(area, elsewhere, ViewChange::ReadOnly),
            ProtectError::NotMapped(alias).into()
        );
        let above = View::new(VirtAddr::new(LINEAR), PhysAddr::new(0x6000_0000));
        assert!(matches!(change(area, above, ViewChange::ReadOnly), ViewError::NoAlias(_)));
        // The second piece's alias is refused: the first is as it was.
        space.platform().refuse(range(LINEAR + 65 * MIB, PAGE), Refusal::Tables);
        let refused = one(area, ViewChange::ReadOnly);
        assert!(matches!(refused, ViewError::Protect(ProtectError::Refused { .. })), "{refused}");
        // A page alone, which is refused itself, or whose alias is.
        let page = range(AREA, PAGE);
        for kept in [page, range(LINEAR + 0x1555_5000, PAGE)] {
            space.platform().refuse(kept, Refusal::Tables);
            let refused = one(page, ViewChange::ReadOnly);
            let is_refused = matches!(refused, ViewError::Protect(ProtectError::Refused { .. }));
            assert!(is_refused, "{refused}");
        }
        assert!(one(range(AREA + 1, PAGE), ViewChange::ReadOnly).to_string().contains("multiple"));
    });
}

#[test]
fn what_is_invalid_is_made_valid_first() {
    on_space(RANGED, 64, |space| {
        let area = map_area(space, &[(64 * MIB, 2 * MIB)]);
        let change = |what| space.change_views((area, LINEAR_VIEW), what, &MAY_PARK);
        change(ViewChange::Invalid).unwrap();
        let refused = change(ViewChange::ReadOnlyExecute).unwrap_err();
        assert_eq!(refused, ViewError::NotValid(area.start()));
        change(ViewChange::Valid).unwrap();
        change(ViewChange::ReadOnlyExecute).unwrap();
    });
}

#[test]
fn aliases_that_were_narrowed_are_nobody_elses_and_stay_apart() {
    on_space(RANGED, 64, |space| {
        let area = map_area(space, &[(64 * MIB, 2 * MIB)]);
        let alias = range(LINEAR + 64 * MIB, 2 * MIB);
        let change = |what| space.change_views((area, LINEAR_VIEW), what, &MAY_PARK).unwrap();
        change(ViewChange::ReadOnly);
        let refused = space.protect(alias, Change::ReadWrite, &MAY_PARK).unwrap_err();
        assert_eq!(refused, ProtectError::Held(alias.start()));
        // A neighbour that is read-only too does not become one with it.
        let beside = range(LINEAR + 66 * MIB, 2 * MIB);
        space.protect(beside, Change::ReadOnly, &MAY_PARK).unwrap();
        collapse(space).unwrap();
        let tree = Tree::read(space);
        let at = |start: VirtAddr| tree.units.iter().find(|unit| unit.input == start).unwrap();
        assert_eq!(at(alias.start()).size.bytes(), 2 * MIB);
        assert!(at(alias.start()).meaning & bits::HELD != 0);
        change(ViewChange::ReadWrite);
        space.protect(beside, Change::ReadWrite, &MAY_PARK).unwrap();
        collapse(space).unwrap();
        assert_eq!(Tree::read(space).units[0].size.bytes(), 1 << 30);
    });
}

fn collapse(space: &TestSpace<'_>) -> Result<(), CollapseError> {
    space.collapse(range(LINEAR, 1 << 30), &MAY_PARK).map(drop)
}

#[test]
fn what_is_given_back_needs_no_table_whatever_was_narrowed() {
    for terms in [RANGED, BY_ADDRESS, QUIESCE] {
        on_space(terms, 64, |space| {
            let area = map_area(space, &[(0x1555_5000, 3 * PAGE), (62 * MIB, 4 * MIB)]);
            let before = rights(space);
            let change = |at: u64, pages: u64, what| {
                let part = range(AREA + at * PAGE, pages * PAGE);
                space.change_views((part, LINEAR_VIEW), what, &MAY_PARK).unwrap();
            };
            change(0, 1027, ViewChange::ReadOnly);
            change(1, 1, ViewChange::Execute);
            change(5, 1, ViewChange::Invalid);
            change(600, 100, ViewChange::ReadWrite);
            // What is beside them is somebody else's, and read-only too.
            space.protect(range(LINEAR + 66 * MIB, PAGE), Change::ReadOnly, &MAY_PARK).unwrap();
            space.platform().limit_tables(0);
            space.platform().keep_from_parking(Some(1));
            space.reset_views((area, LINEAR_VIEW), |_| ()).unwrap();
            space.platform().keep_from_parking(None);
            space.protect(range(LINEAR + 66 * MIB, PAGE), Change::ReadWrite, &MAY_PARK).unwrap();
            let gone = |(at, now): (&u64, &[bool; 3])| *at < AREA || !now[0];
            assert!(rights(space).iter().all(gone));
            space.unmap(area, &MAY_PARK).unwrap();
            assert!(rights(space).is_empty(), "of {} pages", before.len());
            if terms.strategy == Strategy::Live {
                collapse(space).unwrap();
                assert_eq!(Tree::read(space).units.len(), 1);
            }
        });
    }
}

/// The crew panics where a leaf changes whose slot is not locked.
#[test]
fn aliases_far_from_those_at_the_ends_of_a_table_are_locked_too() {
    let crew = Crew::new(Geometry::KERNEL_4K_48, RANGED, 1, 64);
    let writer = crew.writer(0);
    let space = Space::new(&writer, crew.root());
    space.map(linear(4)).unwrap();
    let pieces = [3 * 1024, 64, 3 * 1024 + 64].map(|mib| (mib * MIB, 2 * MIB));
    let area = map_area(&space, &pieces);
    for change in [ViewChange::ReadOnly, ViewChange::ReadWrite, ViewChange::ReadOnly] {
        space.change_views((area, LINEAR_VIEW), change, &MAY_PARK).unwrap();
    }
    let widened = Cell::new(0);
    space.reset_views((area, LINEAR_VIEW), |_| widened.set(widened.get() + 1)).unwrap();
    assert_eq!(widened.get(), 3);
}

#[test]
fn an_area_that_was_never_narrowed_is_given_back_by_one_invalidation() {
    let pieces = [(66 * MIB, 2 * MIB)];
    let events = effects_of(RANGED, 1, |space| {
        let area = map_area(space, &pieces);
        space.reset_views((area, LINEAR_VIEW), |_| ()).unwrap();
    });
    assert_eq!(cost(&events)[0], 1);
    on_space(RANGED, 64, |space| {
        let nothing = range(AREA, PAGE);
        let refused = space.reset_views((nothing, LINEAR_VIEW), |_| ()).unwrap_err();
        assert_eq!(refused, ProtectError::NotMapped(nothing.start()).into());
    });
}

#[test]
fn what_is_writable_is_told_and_where_something_is_held_first() {
    on_space(RANGED, 64, |space| {
        let area = map_area(space, &[(62 * MIB, 4 * MIB), (70 * MIB, 3 * PAGE)]);
        let alias = |at: u64, bytes| range(LINEAR + at, bytes);
        let gib = alias(0, 1 << 30);
        assert!(space.is_writable(gib) && space.is_writable(area));
        assert_eq!(space.first_held(gib), None);
        assert!(!space.is_writable(range(AREA, area.bytes() + PAGE)), "its end is not mapped");
        let change = |at: u64, pages: u64, what| {
            let part = range(AREA + at * PAGE, pages * PAGE);
            space.change_views((part, LINEAR_VIEW), what, &MAY_PARK).unwrap();
        };
        change(1026, 1, ViewChange::ReadOnly);
        assert_eq!(space.first_held(gib), Some(alias(70 * MIB + 2 * PAGE, PAGE).start()));
        assert!(!space.is_writable(gib) && !space.is_writable(area));
        assert!(space.is_writable(alias(0, 70 * MIB + 2 * PAGE)));
        change(512, 512, ViewChange::Invalid);
        assert!(!space.is_writable(alias(64 * MIB, PAGE)), "what is invalid is not");
        assert_eq!(space.first_held(gib), Some(alias(64 * MIB, PAGE).start()));
        assert_eq!(space.first_held(alias(62 * MIB, 2 * MIB)), None);
        change(512, 512, ViewChange::Valid);
        change(512, 512, ViewChange::ReadWrite);
        assert_eq!(space.first_held(alias(62 * MIB, 8 * MIB)), None);
        assert_eq!(space.first_held(area), None);
        let below = VirtRange::new(VirtAddr::new(0x1000), PAGE).unwrap();
        assert!(!space.is_writable(below) && space.first_held(below).is_none());
    });
}

#[test]
fn what_a_range_shows_is_told_in_pieces_and_what_it_does_not_show_is_left_out() {
    on_space(RANGED, 64, |space| {
        let pieces = [(64 * MIB, 2 * MIB), (66 * MIB, PAGE), (66 * MIB + 2 * PAGE, 3 * PAGE)];
        let area = map_area(space, &pieces);
        space.protect(range(AREA + PAGE, PAGE), Change::Invalid, &MAY_PARK).unwrap();
        space.protect(range(AREA + 2 * PAGE, PAGE), Change::ReadOnly, &MAY_PARK).unwrap();
        let told = |range: VirtRange| {
            let told = RefCell::new(Vec::new());
            space.each_piece(range, |shown, memory| {
                told.borrow_mut().push((shown.start().value() - AREA, memory));
                ControlFlow::Continue(())
            });
            told.take()
        };
        let memory =
            |at: u64, bytes| PhysRange::new(PhysAddr::new(0x4000_0000 + at), bytes).unwrap();
        let last = (2 * MIB + PAGE, memory(66 * MIB + 2 * PAGE, 3 * PAGE));
        assert_eq!(told(area), [(0, memory(64 * MIB, 2 * MIB + PAGE)), last]);
        space.unmap(range(AREA + PAGE, 2 * PAGE), &MAY_PARK).unwrap();
        let rest = memory(64 * MIB + 3 * PAGE, 2 * MIB - 2 * PAGE);
        let wide = range(AREA - PAGE, area.bytes() + MIB);
        assert_eq!(told(wide), [(0, memory(64 * MIB, PAGE)), (3 * PAGE, rest), last]);
        let mut count = 0;
        space.each_piece(wide, |_, _| {
            count += 1;
            ControlFlow::Break(())
        });
        assert_eq!(count, 1);
    });
}

#[test]
fn a_cpu_that_does_not_come_leaves_every_right_and_every_table_set_aside() {
    on_space(QUIESCE, 64, |space| {
        let area = map_area(space, &[(0x1555_5000, PAGE), (0x2555_5000, PAGE)]);
        let before = rights(space);
        space.platform().keep_from_parking(Some(3));
        let refused = space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnly, &MAY_PARK);
        assert!(matches!(refused, Err(ViewError::NotParked(_))), "{refused:?}");
        assert_eq!(rights(space), before);
        space.platform().keep_from_parking(None);
        space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnly, &MAY_PARK).unwrap();
    });
}

#[test]
fn a_page_whose_alias_is_cut_out_waits_for_all_cpus_or_stays_as_it_was() {
    on_space(QUIESCE, 64, |space| {
        let area = map_area(space, &[(0x1555_5000, PAGE)]);
        let before = Tree::read(space);
        space.platform().keep_from_parking(Some(3));
        let refused = space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnly, &MAY_PARK);
        assert!(matches!(refused, Err(ViewError::NotParked(_))), "{refused:?}");
        assert_eq!(Tree::read(space), before);
        space.platform().assert_idle();
        space.platform().keep_from_parking(None);
        space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnly, &MAY_PARK).unwrap();
    });
}

#[test]
fn a_page_whose_alias_is_cut_out_needs_all_tables_or_stays_as_it_was() {
    on_space(RANGED, 64, |space| {
        let area = map_area(space, &[(0x1555_5000, PAGE)]);
        let before = Tree::read(space);
        for had in 0..2 {
            space.platform().limit_tables(had);
            let refused = space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnly, &MAY_PARK);
            assert_eq!(refused, Err(OutOfTables { needed: 2, had }.into()));
            assert_eq!(Tree::read(space), before);
            space.platform().assert_idle();
        }
        space.platform().limit_tables(2);
        space.change_views((area, LINEAR_VIEW), ViewChange::ReadOnly, &MAY_PARK).unwrap();
    });
}

/// Whatever the alias is a piece of: a block, a run of blocks, a run of pages, or itself.
#[test]
fn a_page_and_its_alias_take_one_barrier_more_where_the_alias_is_cut_out() {
    let change = |page, before: &[ViewChange]| {
        cost(&changing((RANGED, 1), &[(page, PAGE)], (before, ViewChange::ReadOnly)))
    };
    assert_eq!(change(0x1555_5000, &[]), [2, 3]);
    let again = [ViewChange::ReadOnly, ViewChange::ReadWrite];
    assert_eq!(change(0x1555_5000, &again), [2, 2]);
}

/// What every mapped page of the area grants, and every page of the linear map that grants
/// anything else than the rest: valid, written, executed.
fn rights(space: &TestSpace<'_>) -> BTreeMap<u64, [bool; 3]> {
    let geometry = space.geometry();
    let never = bits::privileged_execute_never(geometry.regime());
    let mut pages = BTreeMap::new();
    for unit in Tree::read(space).units {
        let has = [bits::VALID, bits::READ_ONLY, never].map(|bit| unit.meaning & bit != 0);
        let grants = [has[0], !has[1], !has[2]];
        if unit.input.value() >= AREA || grants != [true, true, false] {
            let all = (0..unit.size.bytes()).step_by(4096);
            pages.extend(all.map(|offset| (unit.input.value() + offset, grants)));
        }
    }
    pages
}

/// What a change makes of a page of the area, or of an alias; `None` where it is refused.
fn expected(change: ViewChange, is_alias: bool, now: [bool; 3]) -> Option<[bool; 3]> {
    let [valid, writes, executes] = now;
    let needs_valid = !matches!(change, ViewChange::Invalid | ViewChange::Valid);
    if needs_valid && !valid && !(is_alias && change == ViewChange::NoExecute) {
        return None;
    }
    Some(match (change, is_alias) {
        (ViewChange::ReadOnly, _) | (ViewChange::Execute | ViewChange::ReadOnlyExecute, true) => {
            [valid, false, executes]
        }
        (ViewChange::ReadWrite, _) => (!executes).then_some([valid, true, executes])?,
        (ViewChange::NoExecute, false) => [valid, writes, false],
        (ViewChange::NoExecute, true) => now,
        (ViewChange::Execute, false) => (!writes).then_some([valid, writes, true])?,
        (ViewChange::ReadOnlyExecute, false) => [valid, false, true],
        (ViewChange::Invalid, _) => [false, writes, executes],
        (ViewChange::Valid, _) => [true, writes, executes],
    })
}

/// Pieces of 1 to 40 pages in an order of their own, between pages that are in no area.
fn pieces() -> impl proptest::strategy::Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((1_u64..40, 1_u64..600), 1..12).prop_flat_map(|drawn| {
        let mut at = 0;
        let pieces: Vec<(u64, u64)> = drawn
            .into_iter()
            .map(|(pages, gap)| {
                let piece = (at, pages * PAGE);
                at += (pages + gap) * PAGE;
                piece
            })
            .collect();
        Just(pieces).prop_shuffle()
    })
}

fn changes() -> impl proptest::strategy::Strategy<Value = Vec<(ViewChange, u64, u64)>> {
    let change = prop::sample::select(&ViewChange::ALL[..]);
    prop::collection::vec((change, any::<u64>(), any::<u64>()), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn exactly_what_was_asked_changes_and_never_writes_and_executes(
        pieces in pieces(),
        changes in changes(),
        terms in prop::sample::select(&[RANGED, BY_ADDRESS, QUIESCE][..]),
    ) {
        on_space(terms, 600, |space| {
            let area = map_area(space, &pieces);
            let pages = area.bytes() / PAGE;
            let alias_of = |page: u64| {
                let mut left = page * PAGE;
                pieces.iter().find_map(|(at, bytes)| {
                    if left < *bytes { Some(LINEAR + at + left) } else { left -= bytes; None }
                }).unwrap()
            };
            for (change, first, count) in changes {
                let first = first % pages;
                let count = 1 + count % (pages - first);
                let part = range(AREA + first * PAGE, count * PAGE);
                let before = rights(space);
                let tables = space.platform().tables_in_use();
                let mut after = before.clone();
                let mut is_refused = false;
                for page in first..first + count {
                    for (at, is_alias) in [(AREA + page * PAGE, false), (alias_of(page), true)] {
                        let now = before.get(&at).copied().unwrap_or([true, true, false]);
                        match expected(change, is_alias, now) {
                            Some(then) => { after.insert(at, then); }
                            None => is_refused = true,
                        }
                    }
                }
                after.retain(|at, grants| *at >= AREA || *grants != [true, true, false]);
                // With too few tables nothing happens, whatever is asked.
                space.platform().limit_tables(0);
                let short = space.change_views((part, LINEAR_VIEW), change, &MAY_PARK);
                if matches!(short, Err(ViewError::OutOfTables(_))) {
                    assert_eq!(rights(space), before);
                    assert_eq!(space.platform().tables_in_use(), tables);
                    space.platform().limit_tables(u32::MAX);
                    space.change_views((part, LINEAR_VIEW), change, &MAY_PARK).unwrap();
                } else {
                    space.platform().limit_tables(u32::MAX);
                    assert_eq!(short.is_err(), is_refused, "{change:?}: {short:?}");
                }
                let now = rights(space);
                let is_writable = |page: u64| now[&(AREA + page * PAGE)][..2] == [true, true];
                let all_writable = (first..first + count).all(is_writable);
                assert_eq!(space.is_writable(part), all_writable, "{part}");
                assert_eq!(now, if is_refused { before } else { after }, "{change:?}");
                let now = rights(space);
                for page in 0..pages {
                    let area = now[&(AREA + page * PAGE)];
                    let alias = now.get(&alias_of(page)).copied().unwrap_or([true, true, false]);
                    assert!(!(area[2] && (area[1] || alias[1])), "page {page}");
                }
            }
        });
    }
}
