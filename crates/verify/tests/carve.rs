//! What is carved can be changed and given back whatever happens, and by nobody else.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::{Cell, RefCell};

use blockmap::host::{Host, MAY_PARK};
use blockmap::{
    Carve, CarveError, Grain, Mapping, NoSizeChange, NotParked, PartError, ProtectError,
    RepaintError, Space, SplitError, Strategy, Terms, UnmapError,
};
use blockmap_machine::{Event, PhysAddr, VirtAddr, VirtRange};
use blockmap_verify::program::{attributes, range, words_for};
use blockmap_verify::reference::Unit;
use blockmap_verify::tree::Tree;
use blockmap_vmsa::{
    Access, Change, Format, Geometry, Granule, Half, Leaves, Regime, TlbiForm, bits,
};
use proptest::prelude::*;

const LINEAR: u64 = 0xffff_0000_0000_0000;
const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;

type TestSpace<'a> = Space<'a, Host<'a>>;

/// 4 GiB in blocks, under `strategy`; `check` gets the effects done since.
fn with_map(strategy: Strategy, check: impl FnOnce(&TestSpace<'_>, &RefCell<Vec<Event>>)) {
    with_map_of(Access::ReadWrite, strategy, check);
}

/// The same, granting `access`.
fn with_map_of(
    access: Access,
    strategy: Strategy,
    check: impl FnOnce(&TestSpace<'_>, &RefCell<Vec<Event>>),
) {
    let words: Vec<Cell<u64>> = words_for(Geometry::KERNEL_4K_48, 2400);
    let events = RefCell::new(Vec::new());
    let log = |event: &Event| events.borrow_mut().push(*event);
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &log);
    host.set_terms(Terms { strategy, tlbi: TlbiForm::Ranged });
    let space = Space::new(&host, host.new_root().unwrap());
    let mapping = Mapping {
        range: range(LINEAR, 4 * GIB),
        output: PhysAddr::new(GIB),
        attributes: attributes(access),
        leaves: Leaves::Largest,
    };
    space.map(mapping).unwrap();
    events.borrow_mut().clear();
    check(&space, &events);
    host.assert_idle();
}

/// Every address translates and grants as in the other tree, whatever the sizes.
fn means_the_same(one: &Tree, other: &Tree) -> bool {
    let flat = |tree: &Tree| {
        let mut runs: Vec<(VirtAddr, u64, PhysAddr, u64)> = Vec::new();
        for unit in &tree.units {
            let bytes = unit.size.bytes();
            match runs.last_mut() {
                Some((start, length, output, meaning))
                    if start.checked_add(*length) == Some(unit.input)
                        && output.checked_add(*length) == Some(unit.output)
                        && *meaning == unit.meaning =>
                {
                    *length += bytes;
                }
                _ => runs.push((unit.input, bytes, unit.output, unit.meaning)),
            }
        }
        runs
    };
    flat(one) == flat(other)
}

const STRATEGIES: [Strategy; 2] = [Strategy::Live, Strategy::Quiesce];

#[test]
fn a_carve_of_a_page_takes_two_tables_and_goes_back() {
    for strategy in STRATEGIES {
        with_map(strategy, |space, events| {
            let before = Tree::read(space);
            let page = range(LINEAR + 0x1555_5000, PAGE);
            let carve = space.carve(page, Grain::Whole, &MAY_PARK).unwrap();
            assert_eq!(Tree::read(space).tables.len(), before.tables.len() + 2);
            carve.protect(page, Change::ReadOnly).unwrap();
            carve.protect(page, Change::Execute).unwrap();
            assert_eq!(
                carve.protect(page, Change::ReadWrite),
                Err(PartError::WritableAndExecutable(page.start()))
            );
            events.borrow_mut().clear();
            carve.restore();
            let barriers = |name: &str| {
                events.borrow().iter().filter(|event| event.to_string().starts_with(name)).count()
            };
            // Execution is gone everywhere before anybody writes. [narrow-then-widen]
            assert_eq!([barriers("tlbi"), barriers("dsb"), barriers("update")], [2, 4, 2]);
            assert!(means_the_same(&Tree::read(space), &before));
            space.collapse(range(LINEAR, GIB), &MAY_PARK).unwrap();
            assert_eq!(Tree::read(space), before);
        });
    }
}

#[test]
fn parts_are_multiples_of_the_grain_and_take_no_memory() {
    for strategy in STRATEGIES {
        with_map(strategy, |space, _| {
            let all = range(LINEAR + 2 * MIB, 6 * MIB);
            let carve = space.carve(all, Grain::Bytes(64 * 1024), &MAY_PARK).unwrap();
            let tables = space.platform().tables_in_use();
            space.platform().limit_tables(0);
            for offset in (0..6 * MIB).step_by(64 * 1024) {
                let part = range(LINEAR + 2 * MIB + offset, 64 * 1024);
                carve.protect(part, Change::ReadOnly).unwrap();
            }
            for (start, bytes) in [(2 * MIB + PAGE, PAGE), (MIB, 2 * MIB), (7 * MIB, 2 * MIB)] {
                let part = range(LINEAR + start, bytes);
                let error = PartError::NoPart { part, carve: all };
                assert_eq!(carve.protect(part, Change::ReadOnly), Err(error));
            }
            assert_eq!(space.platform().tables_in_use(), tables);
        });
    }
}

#[test]
fn what_is_invalid_changes_without_an_invalidation() {
    for strategy in STRATEGIES {
        with_map(strategy, |space, events| {
            let all = range(LINEAR + 2 * MIB, 2 * MIB);
            let carve = space.carve(all, Grain::Bytes(PAGE), &MAY_PARK).unwrap();
            let (part, both) = (range(LINEAR + 2 * MIB, PAGE), range(LINEAR + 2 * MIB, 2 * PAGE));
            let counted = |what: &dyn Fn()| {
                events.borrow_mut().clear();
                what();
                let events = events.borrow();
                let count = |name: &str| {
                    events.iter().filter(|event| event.to_string().starts_with(name)).count()
                };
                ["update", "tlbi", "dsb"].map(count)
            };
            let cost = |part, change| counted(&|| carve.protect(part, change).map(|_| ()).unwrap());
            assert_eq!(cost(part, Change::Invalid), [1, 1, 2]);
            for change in [Change::ReadOnly, Change::Execute, Change::NoExecute, Change::Invalid] {
                assert_eq!(cost(part, change), [1, 0, 0], "{change:?}");
                // Its neighbour is valid.
                assert_eq!(cost(both, Change::ReadOnly), [1, 1, 2]);
            }
            assert_eq!(cost(part, Change::Valid), [1, 0, 1]);
            assert_eq!(cost(part, Change::ReadWrite), [1, 1, 2]);
            assert_eq!(cost(all, Change::Invalid), [1, 1, 2]);
            let carve = Cell::new(Some(carve));
            assert_eq!(counted(&|| carve.take().unwrap().restore()), [1, 0, 1]);
        });
    }
}

#[test]
fn what_is_carved_is_nobody_elses() {
    with_map(Strategy::Live, |space, _| {
        let all = range(LINEAR + 2 * MIB, 2 * MIB);
        let carve = space.carve(all, Grain::Whole, &MAY_PARK).unwrap();
        let at = all.start();
        let page = range(LINEAR + 2 * MIB, PAGE);
        assert_eq!(space.protect(all, Change::ReadOnly, &MAY_PARK), Err(ProtectError::Held(at)));
        assert_eq!(space.unmap(all, &MAY_PARK), Err(UnmapError::Held(at)));
        let Err(SplitError::SizeChange(refused)) = space.split(page, &MAY_PARK) else {
            panic!("a carve was split")
        };
        assert_eq!(refused.why, NoSizeChange::Held);
        let wide = range(LINEAR, 4 * MIB);
        assert_eq!(
            space.carve(wide, Grain::Whole, &MAY_PARK).map(drop),
            Err(CarveError::Mixed(at)).or(Err(CarveError::Held(at)))
        );
        assert_eq!(space.carve(page, Grain::Whole, &MAY_PARK).map(drop), Err(CarveError::Held(at)));
        carve.restore();
        space.protect(all, Change::ReadOnly, &MAY_PARK).unwrap();
    });
}

#[test]
fn what_cannot_be_carved_changes_nothing() {
    with_map(Strategy::Live, |space, _| {
        let before = Tree::read(space);
        let carve = |range, grain| space.carve(range, grain, &MAY_PARK).map(drop);
        let page = range(LINEAR + PAGE, PAGE);
        let odd = |bytes| Err(CarveError::Grain { range: page, grain: bytes });
        for bytes in [0, 1, 3 * PAGE, 2 * PAGE, u64::MAX] {
            assert_eq!(carve(page, Grain::Bytes(bytes)), odd(bytes));
        }
        let beyond = range(LINEAR + 4 * GIB - PAGE, 2 * PAGE);
        let at = VirtAddr::new(LINEAR + 4 * GIB);
        assert_eq!(carve(beyond, Grain::Whole), Err(CarveError::NotMapped(at)));
        assert_eq!(Tree::read(space), before);
        space.protect(page, Change::ReadOnly, &MAY_PARK).unwrap();
        let mixed = range(LINEAR, 2 * PAGE);
        assert_eq!(carve(mixed, Grain::Whole), Err(CarveError::Mixed(page.start())));
    });
}

#[test]
fn out_of_table_memory_nothing_is_carved() {
    for strategy in STRATEGIES {
        let all = range(LINEAR + GIB - 2 * MIB - PAGE, 4 * MIB);
        let mut left = 0;
        loop {
            let mut done = false;
            with_map(strategy, |space, _| {
                let before = Tree::read(space);
                space.platform().limit_tables(left);
                match space.carve(all, Grain::Bytes(PAGE), &MAY_PARK) {
                    Ok(carve) => {
                        carve.restore();
                        done = true;
                    }
                    Err(CarveError::OutOfTables(short)) => {
                        assert_eq!(short.had, left);
                        assert_eq!(Tree::read(space), before);
                    }
                    Err(error) => panic!("{error}"),
                }
            });
            if done {
                break;
            }
            left += 1;
        }
        assert!(left >= 5, "{left} tables");
    }
}

#[test]
fn a_carve_that_is_dropped_is_restored() {
    with_map(Strategy::Live, |space, _| {
        let before = Tree::read(space);
        let all = range(LINEAR + 8 * MIB, 64 * PAGE);
        {
            let carve = space.carve(all, Grain::Bytes(PAGE), &MAY_PARK).unwrap();
            carve.protect(all, Change::Invalid).unwrap();
            assert_eq!(space.translate(all.start()), None);
        }
        assert!(means_the_same(&Tree::read(space), &before));
        space.collapse(range(LINEAR, GIB), &MAY_PARK).unwrap();
        assert_eq!(Tree::read(space), before);
    });
}

#[test]
fn a_carve_in_a_run_of_slots_takes_the_whole_run_apart() {
    let upper = (Regime::El1And0, Half::Upper);
    let kib64 = Geometry::new(upper, (Granule::Kib64, Format::Base), 42, 48).unwrap();
    for strategy in STRATEGIES {
        let words: Vec<Cell<u64>> = words_for(kib64, 16);
        let host = Host::new(kib64, &words, &|_| ());
        host.set_terms(Terms { strategy, tlbi: TlbiForm::Ranged });
        let space = Space::new(&host, host.new_root().unwrap());
        let start = kib64.inputs().0.value();
        let mapping = Mapping {
            range: range(start, 16 * GIB),
            output: PhysAddr::new(0),
            attributes: attributes(Access::ReadWrite),
            leaves: Leaves::Largest,
        };
        space.map(mapping).unwrap();
        let before = Tree::read(&space);
        let page = range(start + 5 * GIB + (1 << 16), 1 << 16);
        let carve = space.carve(page, Grain::Whole, &MAY_PARK).unwrap();
        assert_eq!(Tree::read(&space).odd_entries, [], "{strategy:?}");
        carve.restore();
        assert!(means_the_same(&Tree::read(&space), &before));
        host.assert_idle();
    }
}

#[test]
fn a_restore_takes_one_right_away_everywhere_before_it_gives_the_other() {
    let cases = [
        (Access::ReadWrite, [Change::ReadOnly, Change::Execute]),
        (Access::ReadExecute, [Change::NoExecute, Change::ReadWrite]),
    ];
    for (access, changes) in cases {
        with_map_of(access, Strategy::Live, |space, events| {
            let before = Tree::read(space);
            let all = range(LINEAR + MIB, MIB);
            let carve = space.carve(all, Grain::Bytes(PAGE), &MAY_PARK).unwrap();
            for change in changes {
                carve.protect(range(LINEAR + MIB + 7 * PAGE, PAGE), change).unwrap();
            }
            events.borrow_mut().clear();
            carve.restore();
            let events = events.borrow();
            let is_update = |event: &&Event| matches!(event, Event::Update { .. });
            let first: Vec<&Event> = events.iter().take_while(is_update).collect();
            let narrows = |event: &&Event| matches!(event, Event::Update { clear: 0, .. });
            assert!(!first.is_empty() && first.iter().all(narrows), "{events:?}");
            let completed = events.iter().filter(|event| matches!(event, Event::Invalidate(_)));
            assert_eq!(completed.count(), 2);
            assert!(means_the_same(&Tree::read(space), &before));
        });
    }
}

#[test]
fn nothing_is_repainted_where_its_owner_stores_without_a_lock() {
    for (start, bytes) in [(5 * MIB, 2 * 64 * 1024), (2 * MIB, 2 * MIB), (GIB, GIB)] {
        with_map(Strategy::Live, |space, _| {
            let before = Tree::read(space);
            let carve = space.carve(range(LINEAR + start, bytes), Grain::Whole, &MAY_PARK).unwrap();
            let terms = Terms { strategy: Strategy::Quiesce, tlbi: TlbiForm::Ranged };
            space.platform().set_terms(terms);
            let all = range(LINEAR, 2 * GIB);
            let carved = Tree::read(space);
            let error = space.repaint(all, &[], &MAY_PARK);
            assert!(matches!(error, Err(RepaintError::Held(_))), "{start:#x}: {error:?}");
            assert_eq!(Tree::read(space), carved);
            carve.restore();
            space.repaint(all, &[], &MAY_PARK).unwrap();
            assert!(means_the_same(&Tree::read(space), &before));
        });
    }
}

#[test]
fn what_is_beside_a_page_that_is_held_is_repainted_in_its_table() {
    with_map(Strategy::Quiesce, |space, _| {
        let before = Tree::read(space);
        let page = range(LINEAR + 5 * MIB, PAGE);
        let carve = space.carve(page, Grain::Whole, &MAY_PARK).unwrap();
        let table = *Tree::read(space).tables.last().unwrap();
        space.repaint(range(LINEAR, 2 * GIB), &[], &MAY_PARK).unwrap();
        let after = Tree::read(space);
        assert!(after.tables.contains(&table));
        let pages = after.units.iter().filter(|unit| unit.size.bytes() == PAGE).count();
        assert_eq!(pages, 2 << 18);
        carve.restore();
        assert!(means_the_same(&Tree::read(space), &before));
    });
}

#[test]
fn what_is_given_back_while_its_neighbours_are_to_be_repainted_loses_no_table() {
    for whole in [range(LINEAR, GIB), range(LINEAR, 2 * GIB)] {
        with_map(Strategy::Quiesce, |space, _| {
            let before = Tree::read(space);
            let page = range(LINEAR + 0x1555_5000, PAGE);
            let carve = space.carve(page, Grain::Whole, &MAY_PARK).unwrap();
            let ready = space.plan_repaint(whole, &[], &MAY_PARK).unwrap().reserve().unwrap();
            // As owners do, without the lock that the plan holds.
            carve.restore();
            ready.commit().unwrap();
            space.platform().assert_idle();
            assert!(means_the_same(&Tree::read(space), &before));
        });
    }
}

#[test]
fn what_is_beside_something_given_back_in_time_is_repainted_too() {
    for start in [4 * MIB, 0] {
        with_map(Strategy::Quiesce, |space, _| {
            let before = Tree::read(space);
            let page = range(LINEAR + 4 * MIB, PAGE);
            let carve = space.carve(page, Grain::Whole, &MAY_PARK).unwrap();
            // Of the first, nothing but the rest of the table changes that the page is in.
            let block = range(LINEAR + start, 6 * MIB - start);
            let ready = space.plan_repaint(block, &[], &MAY_PARK).unwrap().reserve().unwrap();
            carve.restore();
            ready.commit().unwrap();
            space.platform().assert_idle();
            let tree = Tree::read(space);
            assert!(means_the_same(&tree, &before));
            let pages = |unit: &&Unit| unit.size.bytes() == PAGE && block.contains(unit.input);
            let count = tree.units.iter().filter(pages).count();
            assert_eq!(u64::try_from(count).unwrap() * PAGE, block.bytes(), "from {start:#x}");
            assert_eq!(space.platform().tables_in_use(), u32::try_from(tree.tables.len()).unwrap());
        });
    }
}

/// The first carve's two tables have an owner each. While the first of them is exchanged, the owner in the other
/// gives back its page.
#[test]
fn a_carve_has_leaves_of_its_own_whatever_is_given_back_meanwhile() {
    let words: Vec<Cell<u64>> = words_for(Geometry::KERNEL_4K_48, 2400);
    let gone: Cell<Option<usize>> = Cell::new(None);
    let log = |event: &Event| {
        if matches!(event, Event::Barrier(_))
            && let Some(index) = gone.take()
        {
            words[index].set(words[index].get() & !bits::HELD);
        }
    };
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &log);
    host.set_terms(Terms { strategy: Strategy::Quiesce, tlbi: TlbiForm::Ranged });
    let space = Space::new(&host, host.new_root().unwrap());
    let mapping = Mapping {
        range: range(LINEAR, GIB),
        output: PhysAddr::new(GIB),
        attributes: attributes(Access::ReadWrite),
        leaves: Leaves::Largest,
    };
    space.map(mapping).unwrap();
    let held = || {
        let is_held =
            |word: &Cell<u64>| word.get() & (bits::HELD | bits::VALID | 2) == bits::HELD | 3;
        words.iter().enumerate().filter(move |(_, word)| is_held(word)).map(|(index, _)| index)
    };
    let carve = |start: u64, bytes: u64| {
        space.carve(range(LINEAR + start, bytes), Grain::Bytes(PAGE), &MAY_PARK).unwrap()
    };
    let first = carve(4 * MIB, PAGE);
    let one: Vec<usize> = held().collect();
    let second = carve(8 * MIB - PAGE, PAGE);
    gone.set(held().find(|index| !one.contains(index)));
    second.keep();
    let between = carve(5 * MIB, 2 * MIB);
    assert_eq!(gone.get(), None, "nothing was exchanged");
    let tree = Tree::read(&space);
    let own = |unit: &&Unit| between.range().contains(unit.input);
    for unit in tree.units.iter().filter(own) {
        assert_eq!(unit.size.bytes(), PAGE, "{:?}", unit.input);
    }
    assert_eq!(tree.units.iter().filter(own).count(), 512);
    first.restore();
    between.restore();
    host.assert_idle();
    assert_eq!(host.tables_in_use(), u32::try_from(tree.tables.len()).unwrap());
}

/// While the tables are filled that the others are exchanged for, an owner between them gives back its
/// page: what could be larger by then is more than what tables were set aside for.
#[test]
fn a_collapse_takes_no_more_than_it_set_aside_whatever_is_given_back_meanwhile() {
    for (others, held_at) in [([0, 2 * GIB], GIB), ([0, 2 * GIB], 8 * MIB), ([8 * MIB, GIB], 0)] {
        let words: Vec<Cell<u64>> = words_for(Geometry::KERNEL_4K_48, 2400);
        let gone: Cell<Option<usize>> = Cell::new(None);
        let log = |event: &Event| {
            if matches!(event, Event::Fill { .. })
                && let Some(index) = gone.take()
            {
                words[index].set(words[index].get() & !bits::HELD);
            }
        };
        let host = Host::new(Geometry::KERNEL_4K_48, &words, &log);
        host.set_terms(Terms { strategy: Strategy::Quiesce, tlbi: TlbiForm::Ranged });
        let space = Space::new(&host, host.new_root().unwrap());
        let mapping = Mapping {
            range: range(LINEAR, 4 * GIB),
            output: PhysAddr::new(GIB),
            attributes: attributes(Access::ReadWrite),
            leaves: Leaves::Largest,
        };
        space.map(mapping).unwrap();
        let before = Tree::read(&space);
        let carve = |start: u64| {
            let page = range(LINEAR + start + 5 * PAGE, PAGE);
            space.carve(page, Grain::Whole, &MAY_PARK).unwrap()
        };
        carve(held_at).keep();
        let is_held = |word: &Cell<u64>| word.get() & (bits::HELD | 3) == bits::HELD | 3;
        let held = words.iter().position(is_held);
        for other in others {
            carve(other).restore();
        }
        gone.set(held);
        space.collapse(range(LINEAR, 4 * GIB), &MAY_PARK).unwrap();
        assert_eq!(gone.get(), None, "nothing was exchanged");
        host.assert_idle();
        let tree = Tree::read(&space);
        assert!(means_the_same(&tree, &before));
        assert_eq!(host.tables_in_use(), u32::try_from(tree.tables.len()).unwrap());
        space.collapse(range(LINEAR, 4 * GIB), &MAY_PARK).unwrap();
        assert_eq!(Tree::read(&space), before, "{held_at:#x}");
        host.assert_idle();
    }
}

/// Another CPU may collapse what is nobody's any more before this one has told the TLBs.
#[test]
fn a_restore_names_every_leaf_there_was_whatever_becomes_of_them() {
    let words: Vec<Cell<u64>> = words_for(Geometry::KERNEL_4K_48, 2400);
    let (armed, block, named) = (Cell::new(false), Cell::new((0, 0)), RefCell::new(Vec::new()));
    let log = |event: &Event| match event {
        // The barrier comes after the leaves are nobody's, and before the invalidation.
        Event::Barrier(_) if armed.replace(false) => words[block.get().0].set(block.get().1),
        Event::Invalidate(invalidate) => named.borrow_mut().push(invalidate.to_string()),
        Event::Barrier(_)
        | Event::Store { .. }
        | Event::Fill { .. }
        | Event::Update { .. }
        | Event::Maintain { .. } => {}
    };
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &log);
    host.set_terms(Terms { strategy: Strategy::Live, tlbi: TlbiForm::ByAddress });
    let space = Space::new(&host, host.new_root().unwrap());
    let mapping = Mapping {
        range: range(LINEAR, 4 * MIB),
        output: PhysAddr::new(GIB),
        attributes: attributes(Access::ReadWrite),
        leaves: Leaves::Largest,
    };
    space.map(mapping).unwrap();
    let blocks: Vec<u64> = words.iter().map(Cell::get).collect();
    let all = range(LINEAR + 2 * MIB + 16 * PAGE, 16 * PAGE);
    let carve = space.carve(all, Grain::Bytes(PAGE), &MAY_PARK).unwrap();
    carve.protect(all, Change::ReadOnly).unwrap();
    // The entry that was a block, and is one again.
    let differs = |(index, word): &(usize, &u64)| words[*index].get() != **word && **word != 0;
    let (index, word) = blocks.iter().enumerate().find(differs).unwrap();
    block.set((index, *word));
    armed.set(true);
    named.borrow_mut().clear();
    carve.restore();
    assert!(!armed.get());
    let mut named = named.take();
    named.sort();
    named.dedup();
    assert_eq!(named.len(), 16, "{named:?}");
}

#[test]
fn a_carve_beside_another_changes_nothing_in_its_entries() {
    with_map(Strategy::Quiesce, |space, events| {
        let before = Tree::read(space);
        let page = |at: u64| range(LINEAR + 4 * MIB + at * PAGE, PAGE);
        let first = space.carve(page(3), Grain::Whole, &MAY_PARK).unwrap();
        first.protect(page(3), Change::ReadOnly).unwrap();
        let table = *Tree::read(space).tables.last().unwrap();
        events.borrow_mut().clear();
        // Beside it in a run that came apart, in another run, and a block beside its table.
        let beside = space.carve(page(4), Grain::Whole, &MAY_PARK).unwrap();
        let apart = space.carve(page(40), Grain::Whole, &MAY_PARK).unwrap();
        let both = space.carve(range(LINEAR + 5 * MIB, 2 * MIB), Grain::Bytes(PAGE), &MAY_PARK);
        let is_first = |event: &Event| match event {
            Event::Store { entry, .. } => entry.table == table && entry.index == 3,
            Event::Fill { span, .. } | Event::Update { span, .. } => {
                span.table == table && (span.first..span.first + span.count).contains(&3)
            }
            Event::Invalidate(_) | Event::Barrier(_) | Event::Maintain { .. } => false,
        };
        assert_eq!(events.borrow().iter().find(|event| is_first(event)), None);
        assert_eq!(Tree::read(space).odd_entries, []);
        first.restore();
        // What is left is still where it was, until the last of them has gone.
        space.collapse(range(LINEAR, GIB), &MAY_PARK).unwrap();
        assert!(Tree::read(space).tables.contains(&table));
        for carve in [beside, apart, both.unwrap()] {
            carve.protect(carve.range(), Change::ReadOnly).unwrap();
            carve.restore();
        }
        assert!(means_the_same(&Tree::read(space), &before));
        space.collapse(range(LINEAR, GIB), &MAY_PARK).unwrap();
        assert_eq!(Tree::read(space), before);
    });
}

#[test]
fn a_cpu_that_does_not_come_later_leaves_every_meaning_and_loses_no_table() {
    // The tables of both others stay, and the slot's is filled anew for the block between them.
    for parkings in 0..4 {
        with_map(Strategy::Quiesce, |space, _| {
            let before = Tree::read(space);
            let others = [4 * MIB, 8 * MIB + 32 * PAGE]
                .map(|at| space.carve(range(LINEAR + at, PAGE), Grain::Whole, &MAY_PARK).unwrap());
            space.platform().keep_from_parking_after(parkings, Some(3));
            let all = range(LINEAR + 4 * MIB + 16 * PAGE, 4 * MIB);
            let result = space.carve(all, Grain::Bytes(PAGE), &MAY_PARK).map(drop);
            let missing = CarveError::NotParked(NotParked { cpu: 3 });
            assert_eq!(result, if parkings < 3 { Err(missing) } else { Ok(()) });
            space.platform().assert_idle();
            let tree = Tree::read(space);
            let tables = u32::try_from(tree.tables.len()).unwrap();
            assert_eq!(space.platform().tables_in_use(), tables, "after {parkings}");
            drop(others);
            assert!(means_the_same(&Tree::read(space), &before));
            space.platform().keep_from_parking(None);
            space.collapse(range(LINEAR, GIB), &MAY_PARK).unwrap();
            assert_eq!(Tree::read(space), before);
        });
    }
}

#[test]
fn an_owner_waits_for_no_terms() {
    with_map(Strategy::Live, |space, events| {
        let before = Tree::read(space);
        let all = range(LINEAR + MIB, 8 * PAGE);
        let carve = space.carve(all, Grain::Bytes(PAGE), &MAY_PARK).unwrap();
        events.borrow_mut().clear();
        // Who changes them may be waiting for a hold of the context that this one interrupted.
        space.platform().begin_change_of_terms();
        carve.protect(all, Change::ReadOnly).unwrap();
        carve.restore();
        space.platform().end_change_of_terms();
        // Whatever CPUs come heed these.
        let ranged = |event: &&Event| event.to_string().starts_with("tlbi r");
        assert_eq!(events.borrow().iter().find(ranged), None);
        assert!(means_the_same(&Tree::read(space), &before));
    });
}

/// Whether any leaf of a tree is somebody's.
fn is_any_held(tree: &Tree) -> bool {
    tree.units.iter().any(|unit| unit.meaning & bits::HELD != 0)
}

/// An owner, the bytes of its grain, and which of its parts it made read-only.
type Owner<'a> = (Carve<'a, Host<'a>>, u64, Vec<bool>);

/// Sees that what the owners made read-only is, and nothing else.
fn is_as_said(tree: &Tree, owners: &[Owner<'_>]) {
    let is_said = |at: VirtAddr| {
        owners.iter().any(|(carve, bytes, parts)| {
            let offset = at.offset_from(carve.range().start());
            let part = offset.map(|offset| usize::try_from(offset / bytes).unwrap());
            part.is_some_and(|part| parts.get(part).copied().unwrap_or(false))
        })
    };
    let mut narrowed = 0;
    for unit in &tree.units {
        let says = unit.meaning & bits::READ_ONLY != 0;
        assert_eq!(says, is_said(unit.input), "{:?}", unit.input);
        narrowed += u64::from(says) * unit.size.bytes();
    }
    let parts = owners.iter().map(|(_, bytes, parts)| (bytes, parts.iter().filter(|one| **one)));
    let said: u64 = parts.map(|(bytes, parts)| parts.map(|_| bytes).sum::<u64>()).sum();
    assert_eq!(narrowed, said);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Owners come, change parts and go, in whatever order, while others split and collapse what is
    /// beside them: after each step every page grants what its owner said last, or what it did at
    /// first. `PROPTEST_CASES` has more of them; a failure appends its seed to
    /// `carve.proptest-regressions`.
    #[test]
    fn what_an_owner_says_is_so_whatever_happens_beside_it(
        steps in prop::collection::vec((0_u8..7, 0_u64..2048, 1_u64..300, 0_u32..10), 1..24),
        quiesce in any::<bool>(),
        by_address in any::<bool>(),
    ) {
        let strategy = if quiesce { Strategy::Quiesce } else { Strategy::Live };
        with_map(strategy, |space, _| {
            let tlbi = if by_address { TlbiForm::ByAddress } else { TlbiForm::Ranged };
            space.platform().set_terms(Terms { strategy, tlbi });
            let before = Tree::read(space);
            // Each owner, its grain, and which of its parts are read-only.
            let mut owners = Vec::new();
            for (kind, at, pages, grain) in steps {
                let bytes = PAGE << grain;
                let start = (LINEAR + GIB - 4 * MIB + at * PAGE) & !(bytes - 1);
                let all: VirtRange = range(start, (pages * PAGE).next_multiple_of(bytes));
                let number = usize::try_from(at).unwrap() % owners.len().max(1);
                match (kind, owners.get_mut(number)) {
                    (0 | 1, _) => match space.carve(all, Grain::Bytes(bytes), &MAY_PARK) {
                        Ok(carve) => {
                            let parts = usize::try_from(all.bytes() / bytes).unwrap();
                            owners.push((carve, bytes, vec![false; parts]));
                        }
                        Err(CarveError::Held(_) | CarveError::Mixed(_)) => {}
                        Err(error) => panic!("{error}"),
                    },
                    (2 | 3, Some((carve, bytes, parts))) => {
                        let part = usize::try_from(pages).unwrap() % parts.len();
                        parts[part] = kind == 2;
                        let start = carve.range().start().wrapping_add(*bytes * u64::try_from(part).unwrap());
                        let change = [Change::ReadWrite, Change::ReadOnly][usize::from(kind == 2)];
                        carve.protect(VirtRange::new(start, *bytes).unwrap(), change).unwrap();
                    }
                    (4, Some(_)) => owners.swap_remove(number).0.restore(),
                    (5, _) => {
                        space.collapse(range(LINEAR, 2 * GIB), &MAY_PARK).unwrap();
                    }
                    _ => drop(space.split(range(start, bytes), &MAY_PARK)),
                }
                let tree = Tree::read(space);
                assert_eq!(tree.odd_entries, []);
                is_as_said(&tree, &owners);
            }
            drop(owners);
            assert!(means_the_same(&Tree::read(space), &before));
            space.collapse(range(LINEAR, 4 * GIB), &MAY_PARK).unwrap();
            assert_eq!(Tree::read(space), before);
        });
    }

    /// Whatever is carved, changed and given back in whatever order: the map is as it was.
    #[test]
    fn carves_come_and_go(
        carves in prop::collection::vec((0_u64..2048, 1_u64..600, 0_u32..10), 1..8),
        quiesce in any::<bool>(),
        order in any::<u64>(),
    ) {
        let strategy = if quiesce { Strategy::Quiesce } else { Strategy::Live };
        with_map(strategy, |space, _| {
            let before = Tree::read(space);
            let mut held = Vec::new();
            for (at, pages, grain) in carves {
                let grain = PAGE << grain;
                let start = (LINEAR + GIB - 4 * MIB + at * PAGE) & !(grain - 1);
                let all: VirtRange = range(start, (pages * PAGE).next_multiple_of(grain));
                match space.carve(all, Grain::Bytes(grain), &MAY_PARK) {
                    Ok(carve) => {
                        carve.protect(range(start, grain), Change::ReadOnly).unwrap();
                        held.push(carve);
                    }
                    Err(CarveError::Held(_) | CarveError::Mixed(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            let tree = Tree::read(space);
            assert_eq!(tree.odd_entries, []);
            while !held.is_empty() {
                let next = usize::try_from(order).unwrap() % held.len();
                held.swap_remove(next).restore();
            }
            let after = Tree::read(space);
            assert!(!is_any_held(&after));
            assert!(means_the_same(&after, &before));
            space.collapse(range(LINEAR, 4 * GIB), &MAY_PARK).unwrap();
            assert_eq!(Tree::read(space), before);
        });
    }
}

#[test]
fn an_owner_s_pages_change_without_a_lock_and_larger_leaves_do_not() {
    with_map(Strategy::Live, |space, events| {
        let before = Tree::read(space);
        for start in [LINEAR, LINEAR + 0x1555_5000] {
            let refused = space.protect_own_pages(range(start, PAGE), Change::Invalid);
            assert!(matches!(refused, Err(ProtectError::SizeChange(_))), "{refused:?}");
        }
        assert_eq!((Tree::read(space), events.borrow().len()), (before, 0));
        let page = range(LINEAR + 0x1555_5000, PAGE);
        space.split(page, &MAY_PARK).unwrap();
        let refused =
            space.protect_own_pages(range(page.start().value(), 0x1_0000), Change::Invalid);
        assert!(matches!(refused, Err(ProtectError::SizeChange(_))), "{refused:?}");
        events.borrow_mut().clear();
        space.protect_own_pages(page, Change::Invalid).unwrap();
        assert_eq!(space.translate(page.start()), None);
        let tlbi = |events: &[Event]| {
            events.iter().filter(|event| event.to_string().starts_with("tlbi")).count()
        };
        assert_eq!(tlbi(&events.borrow()), 1);
        space.protect_own_pages(page, Change::Valid).unwrap();
        assert_eq!(tlbi(&events.borrow()), 1);
        assert!(space.translate(page.start()).is_some());
        let unmapped = space.protect_own_pages(range(LINEAR + 8 * GIB, PAGE), Change::Invalid);
        assert!(unmapped.is_err());
    });
}
