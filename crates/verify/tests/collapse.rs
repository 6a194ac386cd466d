//! Collapsing undoes what splitting and mapping in pages did, and nothing else.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::cell::Cell;

use blockmap::host::{Host, MAY_PARK, MayPark};
use blockmap::{
    CollapseError, Collapsed, Grain, Mapping, NoSizeChange, NotParked, Platform, Refusal,
    SizeChangeRefused, Space, Strategy, Terms,
};
use blockmap_machine::{Entry, Event, Machine, PhysAddr, VirtAddr, VirtRange};
use blockmap_verify::counted::Counted;
use blockmap_verify::program::{attributes, range, words_for};
use blockmap_verify::tree::Tree;
use blockmap_vmsa::{Access, Change, Geometry, Kind, Leaves, Level, TlbiForm, bits};
use proptest::prelude::*;

const LINEAR: u64 = 0xffff_0000_0000_0000;
const GIB: u64 = 1 << 30;
const LIVE: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };

const STRATEGIES: [Strategy; 2] = [Strategy::Live, Strategy::Quiesce];

fn with_space<T>(
    (geometry, strategy): (Geometry, Strategy),
    check: impl FnOnce(&Space<'_, Host<'_>>) -> T,
) -> T {
    let words: Vec<Cell<u64>> = words_for(geometry, 1600);
    let host = Host::new(geometry, &words, &|_| ());
    host.set_terms(Terms { strategy, tlbi: TlbiForm::Ranged });
    let space = Space::new(&host, host.new_root().unwrap());
    let result = check(&space);
    host.assert_idle();
    result
}

fn map(space: &Space<'_, Host<'_>>, range: VirtRange, output: u64, leaves: Leaves) {
    let output = PhysAddr::new(output);
    let attributes = attributes(Access::ReadWrite);
    space.map(Mapping { range, output, attributes, leaves }).unwrap();
}

fn collapse<P: Platform<MayPark = MayPark>>(space: &Space<'_, P>, range: VirtRange) -> (u32, u32) {
    let done = space.collapse(range, &MAY_PARK).unwrap();
    (done.tables, done.runs)
}

/// The kernel's geometry, 2 GiB in blocks, and `change` done to it: under each strategy.
fn after(change: impl Fn(&Space<'_, Host<'_>>), check: impl Fn(&Space<'_, Host<'_>>, &Tree)) {
    for strategy in STRATEGIES {
        with_space((Geometry::KERNEL_4K_48, strategy), |space| {
            map(space, range(LINEAR, 2 * GIB), GIB, Leaves::Largest);
            let before = Tree::read(space);
            change(space);
            check(space, &before);
        });
    }
}

/// Every leaf as it was, and as many tables.
fn is_as_before(space: &Space<'_, Host<'_>>, before: &Tree) {
    let now = Tree::read(space);
    assert_eq!(now.units, before.units);
    assert_eq!(now.odd_entries, []);
    let tables = u32::try_from(before.tables.len()).unwrap();
    assert_eq!((now.tables.len(), space.platform().tables_in_use()), (before.tables.len(), tables));
}

#[test]
fn a_page_that_was_split_out_goes_back_into_its_gib() {
    let page = range(LINEAR + 0x1555_5000, 0x1000);
    let split = |space: &Space<'_, Host<'_>>| {
        space.protect(page, Change::ReadOnly, &MAY_PARK).unwrap();
        assert_eq!(
            collapse(space, range(LINEAR, 2 * GIB)),
            (0, 0),
            "the page is not like the rest"
        );
        space.protect(page, Change::ReadWrite, &MAY_PARK).unwrap();
    };
    after(split, |space, before| {
        assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (2, 0));
        is_as_before(space, before);
        assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (0, 0), "nothing is left to do");
    });
}

#[test]
fn what_differs_keeps_only_what_it_must() {
    let split = |space: &Space<'_, Host<'_>>| {
        for page in [0x1555_5000, 0x1575_5000, 0x3000_0000] {
            let page = range(LINEAR + page, 0x1000);
            space.protect(page, Change::ReadOnly, &MAY_PARK).unwrap();
        }
        let back = range(LINEAR + 0x1575_5000, 0x1000);
        space.protect(back, Change::ReadWrite, &MAY_PARK).unwrap();
        let back = range(LINEAR + 0x3000_0000, 0x1000);
        space.protect(back, Change::ReadWrite, &MAY_PARK).unwrap();
    };
    after(split, |space, before| {
        // Two tables of pages go, and the 32 MiB around the one at 768 MiB are a run again.
        assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (2, 1));
        let page = range(LINEAR + 0x1555_5000, 0x1000);
        space.protect(page, Change::ReadWrite, &MAY_PARK).unwrap();
        assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (2, 0));
        is_as_before(space, before);
    });
}

#[test]
fn a_range_that_ends_within_leaves_leaves_those_alone() {
    let split = |space: &Space<'_, Host<'_>>| {
        space.split(range(LINEAR + 0x1555_5000, 0x1000), &MAY_PARK).unwrap();
    };
    after(split, |space, before| {
        let (part, split) = (range(LINEAR + 0x1555_6000, 0x1000), Tree::read(space));
        assert_eq!(collapse(space, part), (0, 0), "a run is not made of what is in part asked for");
        assert_eq!(Tree::read(space), split);
        let part = range(LINEAR + 0x1540_1000, 0x3f_f000);
        assert_eq!(collapse(space, part), (0, 1), "of 2 MiB only the run that was cut is in it");
        assert_eq!(collapse(space, range(LINEAR, GIB - 0x1000)), (1, 1));
        assert_eq!(collapse(space, range(LINEAR, GIB)), (1, 0));
        is_as_before(space, before);
    });
}

#[test]
fn a_leaf_that_is_held_stays_as_it_is() {
    let split = |space: &Space<'_, Host<'_>>| {
        space.split(range(LINEAR + 0x1555_5000, 0x1000), &MAY_PARK).unwrap();
    };
    after(split, |space, before| {
        let tree = Tree::read(space);
        let table = *tree.tables.last().unwrap();
        let span = Entry { table, index: 0x155 }.span(1);
        let held = |clear, set| {
            space.platform().machine().perform(Event::Update { span, clear, set });
        };
        held(0, bits::HELD);
        assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (0, 0));
        held(bits::HELD, 0);
        assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (2, 0));
        is_as_before(space, before);
    });
}

#[test]
fn leaves_that_are_all_held_stay_as_small_as_their_owner_has_them() {
    after(
        |_| (),
        |space, before| {
            let all = range(LINEAR + (4 << 20), 2 << 20);
            let carve = space.carve(all, Grain::Bytes(0x1000), &MAY_PARK).unwrap();
            let carved = Tree::read(space);
            assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (0, 0));
            assert_eq!(Tree::read(space), carved);
            carve.restore();
            assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (2, 0));
            is_as_before(space, before);
        },
    );
}

#[test]
fn sizes_that_the_platform_keeps_stay() {
    let split = |space: &Space<'_, Host<'_>>| {
        space.split(range(LINEAR + 0x1555_5000, 0x1000), &MAY_PARK).unwrap();
        space.platform().refuse(range(LINEAR + 0x1555_0000, 0x1000), Refusal::ImageZone);
    };
    after(split, |space, _| {
        assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (0, 0));
        space.platform().refuse(range(LINEAR + 0x1555_0000, 0x1000), Refusal::Tables);
        assert_eq!(collapse(space, range(LINEAR, 2 * GIB)), (2, 0));
    });
}

#[test]
fn without_leave_to_change_sizes_nothing_collapses() {
    let split = |space: &Space<'_, Host<'_>>| {
        space.split(range(LINEAR + 0x1555_5000, 0x1000), &MAY_PARK).unwrap();
    };
    after(split, |space, _| {
        let strategy = Strategy::Pages;
        space.platform().set_terms(Terms { strategy, tlbi: TlbiForm::Ranged });
        let before = Tree::read(space);
        let address = VirtAddr::new(LINEAR);
        let why = NoSizeChange::Strategy(strategy);
        assert_eq!(
            space.collapse(range(LINEAR, GIB), &MAY_PARK),
            Err(CollapseError::SizeChange(SizeChangeRefused { address, why }))
        );
        assert_eq!(Tree::read(space), before);
    });
}

#[test]
fn a_gib_in_pages_takes_one_invalidation() {
    let invalidations = Cell::new(0);
    let count = |event: &Event| {
        if matches!(event, Event::Invalidate(_)) {
            invalidations.set(invalidations.get() + 1);
        }
    };
    let words: Vec<Cell<u64>> = words_for(Geometry::KERNEL_4K_48, 600);
    let host = Host::new(Geometry::KERNEL_4K_48, &words, &count);
    let space = Space::new(&host, host.new_root().unwrap());
    map(&space, range(LINEAR, GIB), GIB, Leaves::Pages);
    assert_eq!(collapse(&space, range(LINEAR, GIB)), (513, 0));
    assert_eq!(invalidations.get(), 1);
    assert_eq!(Tree::read(&space).units.len(), 1);
}

#[test]
fn one_page_of_a_table_that_differs_keeps_it_wherever_it_is() {
    let block = range(LINEAR, 2 << 20);
    let page = |number: u64| range(LINEAR + number * 0x1000, 0x1000);
    with_space((Geometry::KERNEL_4K_48, Strategy::Live), |space| {
        map(space, block, GIB, Leaves::Pages);
        for number in 0..512 {
            space.protect(page(number), Change::ReadOnly, &MAY_PARK).unwrap();
            assert_eq!(collapse(space, block).0, 0, "page {number} is read-only");
            space.protect(page(number), Change::ReadWrite, &MAY_PARK).unwrap();
        }
        for number in 1..512 {
            space.unmap(page(number), &MAY_PARK).unwrap();
            map(space, page(number), 2 * GIB, Leaves::Pages);
            assert_eq!(collapse(space, block).0, 0, "page {number} leads elsewhere");
            space.unmap(page(number), &MAY_PARK).unwrap();
            map(space, page(number), GIB + number * 0x1000, Leaves::Pages);
        }
        assert_eq!(collapse(space, block).0, 1);
    });
}

#[test]
fn what_cannot_be_one_leaf_is_not_read_again_in_every_step() {
    after(
        |space| {
            space.platform().set_terms(LIVE);
            for page in 0..512 {
                let at = LINEAR + page * (2 << 20);
                space.split(range(at + 0x1000, 0x1000), &MAY_PARK).unwrap();
            }
            let page = range(LINEAR + GIB - 0x40_0000, 0x1000);
            space.protect(page, Change::ReadOnly, &MAY_PARK).unwrap();
        },
        |space, _| {
            let host = Counted::new(space.platform());
            let counted = Space::new(&host, space.root());
            assert_eq!(collapse(&counted, range(LINEAR, GIB)), (511, 31));
            // Every page is read as a part of a GiB, and as a part of its 2 MiB.
            let loads = host.loads();
            assert!(loads < 3 * 512 * 512, "{loads}");
        },
    );
}

/// 2 GiB of which one has a page that differs, under [`Strategy::Quiesce`], and `check`.
fn parked(check: impl FnOnce(&Space<'_, Host<'_>>)) {
    with_space((Geometry::KERNEL_4K_48, Strategy::Quiesce), |space| {
        map(space, range(LINEAR, 2 * GIB), GIB, Leaves::Largest);
        for page in [0x1555_5000, 0x1575_5000, 0x3000_0000, 0x5555_5000] {
            space.protect(range(LINEAR + page, 0x1000), Change::ReadOnly, &MAY_PARK).unwrap();
        }
        for page in [0x1555_5000, 0x3000_0000, 0x5555_5000] {
            space.protect(range(LINEAR + page, 0x1000), Change::ReadWrite, &MAY_PARK).unwrap();
        }
        check(space);
    });
}

#[test]
fn a_cpu_that_does_not_come_leaves_every_leaf_as_it_was() {
    parked(|space| {
        let before = Tree::read(space);
        space.platform().keep_from_parking(Some(2));
        let error = CollapseError::NotParked(NotParked { cpu: 2 });
        assert_eq!(space.collapse(range(LINEAR, 2 * GIB), &MAY_PARK), Err(error));
        assert_eq!(Tree::read(space), before);
        space.platform().assert_idle();
    });
}

#[test]
fn a_shortage_of_tables_at_any_point_loses_none() {
    let mut left = 0;
    loop {
        let mut is_done = false;
        parked(|space| {
            let (before, tables) = (Tree::read(space), space.platform().tables_in_use());
            space.platform().limit_tables(left);
            match space.collapse(range(LINEAR, 2 * GIB), &MAY_PARK) {
                Ok(done) => {
                    assert_eq!(done, Collapsed { tables: 4, runs: 1 });
                    is_done = true;
                }
                Err(CollapseError::OutOfTables(short)) => {
                    // Of the two parkings the first may have been made.
                    let now = u32::try_from(Tree::read(space).tables.len()).unwrap();
                    let lost = u32::try_from(before.tables.len()).unwrap() - now;
                    assert_eq!(space.platform().tables_in_use() + lost, tables);
                    assert!(short.needed > short.had, "{short}");
                }
                Err(error) => panic!("{error}"),
            }
        });
        if is_done {
            break;
        }
        left += 1;
    }
    assert!(left >= 3, "{left} tables");
}

/// The table that the leaf of an address is in.
fn table_of(space: &Space<'_, Host<'_>>, address: u64) -> PhysAddr {
    let geometry = Geometry::KERNEL_4K_48;
    let reader = space.reader();
    let mut table = space.root();
    for level in [Level::L0, Level::L1, Level::L2] {
        let word = reader.load(table, geometry.index(level, VirtAddr::new(address)));
        match geometry.kind(level, word) {
            Kind::Table => table = geometry.table_address(word),
            Kind::Leaf | Kind::PresentInvalid | Kind::Invalid | Kind::Reserved => break,
        }
    }
    table
}

#[test]
fn leaves_beside_those_that_are_held_become_runs_in_the_same_table() {
    parked(|space| {
        let held =
            space.carve(range(LINEAR + 0x1570_0000, 0x1000), Grain::Whole, &MAY_PARK).unwrap();
        space.protect(range(LINEAR + 0x1575_5000, 0x1000), Change::ReadWrite, &MAY_PARK).unwrap();
        let before = table_of(space, LINEAR + 0x1570_0000);
        let done = space.collapse(range(LINEAR, 2 * GIB), &MAY_PARK).unwrap();
        // 32 MiB, and the 64 KiB of the page that differed.
        assert_eq!(done, Collapsed { tables: 4, runs: 2 });
        assert_eq!(table_of(space, LINEAR + 0x1570_0000), before);
        held.restore();
        let done = space.collapse(range(LINEAR, 2 * GIB), &MAY_PARK).unwrap();
        assert_eq!(done, Collapsed { tables: 2, runs: 0 });
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// What is mapped in pages and collapsed is what is mapped in the largest leaves.
    #[test]
    fn pages_become_the_largest_leaves(
        geometry in prop::sample::select(Geometry::every().collect::<Vec<_>>()),
        strategy in prop::sample::select(STRATEGIES.to_vec()),
        first in 0_u64..700,
        shift in prop::sample::select(vec![0_u64, 1, 16, 32, 512, 2048]),
        pages in 1_u64..9000,
    ) {
        let page = geometry.page_bytes();
        // A few tables of pages, on both sides of a boundary of the table above.
        let base = geometry.inputs().0.value();
        let reach = geometry.inputs().1.value() - base;
        let middle = geometry.span_bytes(Level::L2).saturating_mul(4);
        let start = middle - first.min(middle / page) * page;
        let bytes = (pages * page).min(reach / 2 / page * page);
        prop_assume!(start < reach / 2);
        let range = range(base + start, bytes);
        let output = (1 << 30) + (start & (page * 2048 - 1)) + shift * page;
        let tree = |leaves| with_space((geometry, strategy), |space| {
            map(space, range, output, leaves);
            collapse(space, range);
            let tree = Tree::read(space);
            prop_assert_eq!(&tree.odd_entries, &[]);
            prop_assert_eq!(&tree.empty_tables, &[]);
            Ok((tree.units, tree.tables.len(), space.platform().tables_in_use()))
        });
        prop_assert_eq!(tree(Leaves::Pages)?, tree(Leaves::Largest)?);
    }
}
