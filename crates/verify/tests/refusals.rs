//! What is refused is refused with a reason, and changes nothing: bad ranges, sizes that must not
//! change, and every possible shortage of table memory.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use blockmap::host::{Host, MAY_PARK};
use blockmap::{
    Execution, MapError, Mapping, NoSizeChange, OutOfTables, ProtectError, RangeError, Refusal,
    SizeChangeRefused, Space, SplitError, Strategy, Terms, UnmapError,
};
use blockmap_machine::{Entry, Machine, PhysAddr, VirtAddr};
use blockmap_verify::counted::Counted;
use blockmap_verify::program::{attributes, range};
use blockmap_verify::recorder::{LINEAR, effects_of, linear, on_host};
use blockmap_verify::tree::Tree;
use blockmap_vmsa::{Access, Change, Leaves, TlbiForm, bits};

const TERMS: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };
const PAGE: u64 = 1 << 12;
const GIB: u64 = 1 << 30;

/// Runs `operation`, which must fail, on 3 GiB of blocks; checks that it had no effect and left
/// the tables as they were, and returns its error.
#[track_caller]
fn refused<E>(terms: Terms, operation: impl Fn(&Space<'_, Host<'_>>) -> Result<(), E>) -> E {
    let mut error = None;
    let effects = effects_of(terms, 3, |space| {
        let before = Tree::read(space);
        error = operation(space).err();
        assert_eq!(Tree::read(space), before);
    });
    assert_eq!(effects, [], "a refused operation has effects");
    error.expect("it was not refused")
}

#[test]
fn ranges_that_are_no_whole_pages_of_the_half_are_refused() {
    let unaligned = range(LINEAR + 1, PAGE);
    let odd = range(LINEAR, PAGE + 8);
    let lower = range(PAGE, PAGE);
    let across = range(LINEAR - PAGE, 2 * PAGE);
    for (bad, reason) in [
        (unaligned, RangeError::Unaligned(unaligned)),
        (odd, RangeError::Unaligned(odd)),
        (lower, RangeError::OutsideHalf(lower)),
        (across, RangeError::OutsideHalf(across)),
    ] {
        let protect = refused(TERMS, |space| space.protect(bad, Change::ReadOnly, &MAY_PARK));
        assert_eq!(protect, ProtectError::Range(reason));
        assert_eq!(refused(TERMS, |space| space.unmap(bad, &MAY_PARK)), UnmapError::Range(reason));
        assert_eq!(refused(TERMS, |space| space.split(bad, &MAY_PARK)), SplitError::Range(reason));
        let map = refused(TERMS, |space| space.map(Mapping { range: bad, ..linear(1) }));
        assert_eq!(map, MapError::Range(reason));
    }
}

#[test]
fn what_is_refused_at_the_last_moment_is_as_it_was_and_can_be_asked_for_again() {
    for pages in [range(LINEAR + PAGE, PAGE), range(LINEAR + PAGE, GIB), range(LINEAR, GIB)] {
        let whole = |space: &Space<'_, Host<'_>>, before: &dyn Fn() -> Result<(), Refusal>| {
            space.protect_after(pages, Change::ReadOnly, Some(&MAY_PARK), before).map(drop)
        };
        let why = Refusal::Tables;
        let error = refused(TERMS, |space| whole(space, &|| Err(why)));
        assert_eq!(error, ProtectError::Refused { range: pages, why });
        // Tables that were set aside are not lost: as often as it is refused, it can be done then.
        on_host(TERMS, 3, &|_| (), |space| {
            for _ in 0..1000 {
                assert!(whole(space, &|| Err(why)).is_err());
            }
            whole(space, &|| Ok(())).unwrap();
        });
    }
}

/// A leaf, some of one table, and pages of several tables of which one may be executed.
#[test]
fn of_what_becomes_valid_it_is_told_whether_it_may_be_executed() {
    on_host(TERMS, 8, &|_| (), |space| {
        let valid = |pages| {
            space.protect(pages, Change::Invalid, &MAY_PARK).unwrap();
            space.protect_after(pages, Change::Valid, Some(&MAY_PARK), &|| Ok(())).unwrap()
        };
        let (page, some, many) =
            (range(LINEAR, PAGE), range(LINEAR, 16 * PAGE), range(LINEAR, 5 << 20));
        for pages in [page, some, many, range(LINEAR, GIB)] {
            assert_eq!(valid(pages), Execution::Never, "{pages}");
        }
        let code = range(LINEAR + PAGE, PAGE);
        for change in [Change::ReadOnly, Change::Execute] {
            space.protect(code, change, &MAY_PARK).unwrap();
        }
        assert_eq!(valid(page), Execution::Never);
        for pages in [code, some, many, range(LINEAR, GIB)] {
            assert_eq!(valid(pages), Execution::Possible, "{pages}");
        }
    });
}

#[test]
fn holes_are_neither_protected_nor_unmapped() {
    let into_hole = range(LINEAR + 2 * GIB, 2 * GIB);
    let hole = VirtAddr::new(LINEAR + 3 * GIB);
    let protect = refused(TERMS, |space| space.protect(into_hole, Change::ReadOnly, &MAY_PARK));
    assert_eq!(protect, ProtectError::NotMapped(hole));
    let unmap = refused(TERMS, |space| space.unmap(into_hole, &MAY_PARK));
    assert_eq!(unmap, UnmapError::NotMapped(hole));
}

#[test]
fn what_is_mapped_or_marked_present_is_not_mapped_again() {
    let again = refused(TERMS, |space| space.map(linear(4)));
    assert_eq!(again, MapError::AlreadyMapped(VirtAddr::new(LINEAR)));
    on_host(TERMS, 1, &|_| (), |space| {
        space.protect(range(LINEAR, GIB), Change::Invalid, &MAY_PARK).unwrap();
        let again = space.map(linear(1));
        assert_eq!(again, Err(MapError::AlreadyMapped(VirtAddr::new(LINEAR))));
    });
    // Behind a hole in the same table, too.
    on_host(TERMS, 2, &|_| (), |space| {
        space.protect(range(LINEAR + GIB, GIB), Change::Invalid, &MAY_PARK).unwrap();
        space.unmap(range(LINEAR, GIB), &MAY_PARK).unwrap();
        let again = space.map(linear(2));
        assert_eq!(again, Err(MapError::AlreadyMapped(VirtAddr::new(LINEAR + GIB))));
    });
}

#[test]
fn output_addresses_must_be_pages_within_the_output_size() {
    let free = range(LINEAR + 8 * GIB, GIB);
    let at = |output| Mapping { range: free, output: PhysAddr::new(output), ..linear(1) };
    let odd = refused(TERMS, |space| space.map(at(0x4000_0100)));
    assert_eq!(odd, MapError::UnalignedOutput(PhysAddr::new(0x4000_0100)));
    for beyond in [(1 << 48) - PAGE, 1 << 48, !(PAGE - 1)] {
        let error = refused(TERMS, |space| space.map(at(beyond)));
        assert_eq!(error, MapError::OutputSize(PhysAddr::new(beyond)));
    }
}

#[test]
fn nothing_becomes_writable_and_executable() {
    let at = VirtAddr::new(LINEAR);
    let first = range(LINEAR, PAGE);
    let executable = refused(TERMS, |space| space.protect(first, Change::Execute, &MAY_PARK));
    assert_eq!(executable, ProtectError::WritableAndExecutable(at));
    on_host(TERMS, 1, &|_| (), |space| {
        space.protect(first, Change::ReadOnly, &MAY_PARK).unwrap();
        space.protect(first, Change::Execute, &MAY_PARK).unwrap();
        let writable = space.protect(first, Change::ReadWrite, &MAY_PARK);
        assert_eq!(writable, Err(ProtectError::WritableAndExecutable(at)));
        space.protect(first, Change::NoExecute, &MAY_PARK).unwrap();
        space.protect(first, Change::ReadWrite, &MAY_PARK).unwrap();
    });
}

#[test]
fn a_leaf_that_is_not_global_is_not_marked_present() {
    on_host(TERMS, 1, &|_| (), |space| {
        let entry = Entry { table: PhysAddr::new(0x4000_1000), index: 0 };
        let host = space.platform();
        host.store(entry, host.load(entry) | bits::NOT_GLOBAL);
        let block = range(LINEAR, GIB);
        let error = ProtectError::OtherAsids(VirtAddr::new(LINEAR));
        assert_eq!(space.protect(block, Change::Invalid, &MAY_PARK), Err(error));
        assert_eq!(space.protect(block, Change::Valid, &MAY_PARK), Err(error));
        space.protect(block, Change::ReadOnly, &MAY_PARK).unwrap();
    });
}

#[test]
fn what_the_platform_refuses_keeps_its_permissions() {
    on_host(TERMS, 1, &|_| (), |space| {
        let tables = range(LINEAR + GIB / 2, PAGE);
        let around = range(LINEAR, GIB);
        let why = Refusal::Tables;
        space.platform().refuse(tables, why);
        let error = ProtectError::Refused { range: around, why };
        assert_eq!(space.protect(around, Change::Invalid, &MAY_PARK), Err(error));
        assert_eq!(space.unmap(tables, &MAY_PARK), Err(UnmapError::Refused { range: tables, why }));
        // The neighbours may change, and the block they share with the tables may be split.
        space.protect(range(LINEAR, PAGE), Change::ReadOnly, &MAY_PARK).unwrap();
        space.split(tables, &MAY_PARK).unwrap();
    });
}

#[test]
fn what_the_kernel_runs_on_keeps_the_sizes_of_its_leaves_too() {
    on_host(TERMS, 1, &|_| (), |space| {
        let own = range(LINEAR + GIB / 2, PAGE);
        let why = Refusal::ImageZone;
        space.platform().refuse(own, why);
        let before = Tree::read(space);
        assert_eq!(space.split(own, &MAY_PARK), Err(SplitError::Refused { range: own, why }));
        let error = ProtectError::Refused { range: own, why };
        assert_eq!(space.protect(own, Change::ReadOnly, &MAY_PARK), Err(error));
        assert_eq!(Tree::read(space), before);
    });
}

#[test]
fn no_live_leaf_changes_its_size_where_none_may() {
    {
        let strategy = Strategy::Pages;
        let terms = Terms { strategy, ..TERMS };
        let address = VirtAddr::new(LINEAR + PAGE);
        let size_change = SizeChangeRefused { address, why: NoSizeChange::Strategy(strategy) };
        let page = range(LINEAR + PAGE, PAGE);
        let protect = refused(terms, |space| space.protect(page, Change::ReadOnly, &MAY_PARK));
        assert_eq!(protect, ProtectError::SizeChange(size_change));
        assert_eq!(
            refused(terms, |space| space.unmap(page, &MAY_PARK)),
            UnmapError::SizeChange(size_change)
        );
        assert_eq!(
            refused(terms, |space| space.split(page, &MAY_PARK)),
            SplitError::SizeChange(size_change)
        );
        on_host(terms, 3, &|_| (), |space| {
            space.protect(range(LINEAR + GIB, GIB), Change::ReadOnly, &MAY_PARK).unwrap();
        });
    }
}

/// Runs an operation that needs `needed` tables with all of 0 … `needed` − 1, where it must fail
/// and change nothing, and with `needed`, where it must not.
#[track_caller]
fn check_shortages<E: From<OutOfTables> + PartialEq + core::fmt::Debug>(
    needed: u32,
    operation: impl Fn(&Space<'_, Host<'_>>) -> Result<(), E>,
) {
    for had in 0..needed {
        let error = refused(TERMS, |space| {
            space.platform().limit_tables(had);
            operation(space)
        });
        assert_eq!(error, OutOfTables { needed, had }.into());
    }
    on_host(TERMS, 3, &|_| (), |space| {
        space.platform().limit_tables(needed);
        operation(space).unwrap();
    });
}

#[test]
fn a_shortage_of_tables_at_any_point_changes_nothing() {
    let page = range(LINEAR + 0x1555_5000, PAGE);
    check_shortages(2, |space| space.split(page, &MAY_PARK));
    check_shortages(2, |space| space.protect(page, Change::ReadOnly, &MAY_PARK));
    check_shortages(2, |space| space.unmap(page, &MAY_PARK));
    let ragged = range(LINEAR + GIB - 3 * PAGE, GIB + 7 * PAGE);
    check_shortages(4, |space| space.protect(ragged, Change::ReadOnly, &MAY_PARK));
    check_shortages(4, |space| space.unmap(ragged, &MAY_PARK));
    // Both ends in one block, in one 2 MiB block of it, and in two.
    check_shortages(2, |space| space.split(range(LINEAR + PAGE, 5 * PAGE), &MAY_PARK));
    check_shortages(3, |space| space.split(range(LINEAR + PAGE, GIB / 2), &MAY_PARK));
    // 9 MiB of pages in the next 512 GiB: five tables of pages, one of level 2, one of level 1.
    let far = Mapping {
        range: range(LINEAR + 512 * GIB - 4 * PAGE, (9 << 20) + 4 * PAGE),
        output: PhysAddr::new(0x5000_0000),
        attributes: attributes(Access::ReadOnly),
        leaves: Leaves::Pages,
    };
    check_shortages(9, |space| space.map(far));
}

#[test]
fn a_plan_that_is_dropped_gives_everything_back() {
    let page = range(LINEAR + 0x1555_5000, PAGE);
    let effects = effects_of(TERMS, 3, |space| {
        drop(space.plan_protect(page, Change::ReadOnly, &MAY_PARK).unwrap());
        drop(space.plan_protect(page, Change::ReadOnly, &MAY_PARK).unwrap().reserve().unwrap());
        drop(space.plan_unmap(page, &MAY_PARK).unwrap().reserve().unwrap());
        assert_eq!(space.platform().tables_in_use(), 2);
    });
    assert_eq!(effects, []);
}

#[test]
fn a_page_takes_one_walk_to_plan_and_none_to_commit() {
    on_host(TERMS, 3, &|_| (), |space| {
        let host = Counted::new(space.platform());
        let space = Space::new(&host, space.root());
        let loads = |operation: &dyn Fn()| {
            let before = host.loads();
            operation();
            host.loads() - before
        };
        let page = range(LINEAR + 0x1555_5000, PAGE);
        let protect = |change| move || space.protect(page, change, &MAY_PARK).unwrap();
        assert_eq!(loads(&protect(Change::ReadOnly)), 2, "two levels to the block");
        assert_eq!(loads(&protect(Change::ReadWrite)), 4, "four levels to the page");
    });
}
