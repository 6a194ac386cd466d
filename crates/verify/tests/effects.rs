//! The effects of each operation, exactly: what, in which order, and no more.
//!
//! Tables are named in the order they are taken: the root at 0x40000000, the level 1 table that
//! maps the first GiB at 0x40001000, new ones from 0x40002000 on.

use blockmap::host::{Host, MAY_PARK};
use blockmap::{MapError, Mapping, Space, Strategy, Terms, publish_code};
use blockmap_machine::{PhysAddr, PhysRange, VirtAddr};
use blockmap_verify::program::range;
use blockmap_verify::recorder::{LINEAR, effects_of, linear, text};
use blockmap_vmsa::{Change, TlbiForm};

const RANGED: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };
const BY_ADDRESS: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::ByAddress };

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

#[track_caller]
fn check(terms: Terms, gib: u64, operation: impl FnOnce(&Space<'_, Host<'_>>), expected: &[&str]) {
    let effects = text(&effects_of(terms, gib, operation));
    assert_eq!(effects, expected, "left: what happened, right: what is expected");
}

#[test]
fn mapping_fills_a_new_table_before_it_is_linked() {
    let map = |space: &Space<'_, Host<'_>>| space.map(linear(2)).unwrap();
    check(
        RANGED,
        0,
        map,
        &[
            "store  0x40000000[0] 0x40001002",
            "fill   0x40001000[2..512] 0x0 step 0x0",
            "fill   0x40001000[0..2] 0x60000040000701 step 0x40000000",
            "dsb ishst",
            "update 0x40000000[0..1] clear 0x0 set 0x1",
            "dsb ishst",
            "isb",
        ],
    );
}

#[test]
fn mapping_into_a_live_table_is_one_fill() {
    let map = |space: &Space<'_, Host<'_>>| {
        let mut mapping = linear(1);
        mapping.range = range(LINEAR + 4 * GIB, 2 * GIB);
        space.map(mapping).unwrap();
    };
    check(
        RANGED,
        1,
        map,
        &["fill   0x40001000[4..6] 0x60000040000701 step 0x40000000", "dsb ishst", "isb"],
    );
}

#[test]
fn a_mapping_that_reaches_into_a_table_that_is_there_goes_on_in_it() {
    let map = |space: &Space<'_, Host<'_>>| {
        let ranges = [(4 * GIB + 2 * MIB, 2 * MIB), (3 * GIB, GIB + 2 * MIB)];
        for (offset, bytes) in ranges {
            let range = range(LINEAR + offset, bytes);
            space.map(Mapping { range, output: PhysAddr::new(offset), ..linear(1) }).unwrap();
        }
    };
    check(
        RANGED,
        1,
        map,
        &[
            "store  0x40001000[4] 0x40002002",
            "fill   0x40002000[0..1] 0x0 step 0x0",
            "fill   0x40002000[2..512] 0x0 step 0x0",
            "fill   0x40002000[1..2] 0x60000100200701 step 0x200000",
            "dsb ishst",
            "update 0x40001000[4..5] clear 0x0 set 0x1",
            "dsb ishst",
            "isb",
            "fill   0x40001000[3..4] 0x600000c0000701 step 0x40000000",
            "fill   0x40002000[0..1] 0x60000100000701 step 0x200000",
            "dsb ishst",
            "isb",
        ],
    );
}

#[test]
fn mappings_of_several_stretches_share_what_makes_them_usable() {
    let map = |space: &Space<'_, Host<'_>>| {
        let stretches = [1, 4].map(|gib| Mapping {
            range: range(LINEAR + gib * GIB, GIB),
            output: PhysAddr::new(gib * GIB),
            ..linear(1)
        });
        space.map_all(stretches.into_iter()).unwrap();
    };
    check(
        RANGED,
        0,
        map,
        &[
            "store  0x40000000[0] 0x40001002",
            "fill   0x40001000[0..1] 0x0 step 0x0",
            "fill   0x40001000[2..512] 0x0 step 0x0",
            "fill   0x40001000[1..2] 0x60000040000701 step 0x40000000",
            "dsb ishst",
            "update 0x40000000[0..1] clear 0x0 set 0x1",
            "fill   0x40001000[4..5] 0x60000100000701 step 0x40000000",
            "dsb ishst",
            "isb",
        ],
    );
}

#[test]
fn of_mappings_those_before_one_that_cannot_be_are_in_force() {
    let map = |space: &Space<'_, Host<'_>>| {
        let stretches = [4, 1, 5].map(|gib| Mapping {
            range: range(LINEAR + gib * GIB, GIB),
            output: PhysAddr::new(gib * GIB),
            ..linear(1)
        });
        let mapped = MapError::AlreadyMapped(VirtAddr::new(LINEAR + GIB));
        assert_eq!(space.map_all(stretches.into_iter()), Err(mapped));
    };
    check(
        RANGED,
        2,
        map,
        &["fill   0x40001000[4..5] 0x60000100000701 step 0x40000000", "dsb ishst", "isb"],
    );
}

#[test]
fn splitting_one_page_out_of_a_gib_block_takes_two_tables_and_one_barrier() {
    let split = |space: &Space<'_, Host<'_>>| {
        space.split(range(LINEAR + 0x1555_5000, 4 * KIB), &MAY_PARK).unwrap();
    };
    check(
        RANGED,
        1,
        split,
        &[
            "fill   0x40002000[0..512] 0x70000040000701 step 0x200000",
            "fill   0x40002000[160..176] 0x60000054000701 step 0x200000",
            "fill   0x40003000[0..512] 0x70000055400703 step 0x1000",
            "fill   0x40003000[336..352] 0x60000055550703 step 0x1000",
            "store  0x40002000[170] 0x40003003",
            "dsb ishst",
            "store  0x40001000[0] 0x40002003",
        ],
    );
}

#[test]
fn splitting_within_a_contiguous_run_takes_the_run_apart_first() {
    let split = |space: &Space<'_, Host<'_>>| {
        space.split(range(LINEAR + 32 * MIB, 32 * MIB), &MAY_PARK).unwrap();
        space.split(range(LINEAR + 66 * MIB, 2 * MIB), &MAY_PARK).unwrap();
    };
    check(
        RANGED,
        1,
        split,
        &[
            // 32 MiB: as deep as level 2, where every run is whole.
            "fill   0x40002000[0..512] 0x70000040000701 step 0x200000",
            "dsb ishst",
            "store  0x40001000[0] 0x40002003",
            // 2 MiB within the run from 64 MiB on: its 16 blocks stay, and no longer are a run.
            "update 0x40002000[32..48] clear 0x10000000000000 set 0x0",
            "dsb ishst",
        ],
    );
}

#[test]
fn protecting_a_page_that_is_a_page_is_one_update_and_one_invalidation() {
    for terms in [RANGED, BY_ADDRESS] {
        let effects = effects_of(terms, 1, |space| {
            space.split(range(LINEAR + 0x1555_5000, 4 * KIB), &MAY_PARK).unwrap();
            space
                .protect(range(LINEAR + 0x1555_5000, 4 * KIB), Change::ReadOnly, &MAY_PARK)
                .unwrap();
        });
        let after_split = &text(&effects)[7..];
        assert_eq!(
            after_split,
            [
                "update 0x40003000[341..342] clear 0x0 set 0x80",
                "dsb ishst",
                "tlbi vaale1is 0xff000015555",
                "dsb ish",
                "isb",
            ]
        );
    }
}

#[test]
fn protecting_a_whole_block_splits_nothing() {
    let protect = |space: &Space<'_, Host<'_>>| {
        space.protect(range(LINEAR + GIB, GIB), Change::ReadOnly, &MAY_PARK).unwrap();
    };
    check(
        RANGED,
        3,
        protect,
        &[
            "update 0x40001000[1..2] clear 0x0 set 0x80",
            "dsb ishst",
            "tlbi vaale1is 0xff000040000",
            "dsb ish",
            "isb",
        ],
    );
}

#[test]
fn protecting_a_ragged_range_invalidates_once() {
    let protect = |space: &Space<'_, Host<'_>>| {
        space.protect(range(LINEAR + GIB - 4 * KIB, 8 * KIB), Change::ReadOnly, &MAY_PARK).unwrap();
    };
    check(
        RANGED,
        3,
        protect,
        &[
            // The last page of the first GiB.
            "fill   0x40002000[0..512] 0x70000040000701 step 0x200000",
            "fill   0x40002000[496..512] 0x6000007e000701 step 0x200000",
            "fill   0x40003000[0..512] 0x7000007fe00703 step 0x1000",
            "fill   0x40003000[496..512] 0x6000007fff0703 step 0x1000",
            "store  0x40002000[511] 0x40003003",
            // The first page of the second.
            "fill   0x40004000[0..512] 0x70000080000701 step 0x200000",
            "fill   0x40004000[0..16] 0x60000080000701 step 0x200000",
            "fill   0x40005000[0..512] 0x70000080000703 step 0x1000",
            "fill   0x40005000[0..16] 0x60000080000703 step 0x1000",
            "store  0x40004000[0] 0x40005003",
            "dsb ishst",
            "store  0x40001000[0] 0x40002003",
            "store  0x40001000[1] 0x40004003",
            "update 0x40003000[511..512] clear 0x0 set 0x80",
            "update 0x40005000[0..1] clear 0x0 set 0x80",
            "dsb ishst",
            // Two pages by range: TG 4 KiB, scale 0, num 0.
            "tlbi rvaale1is 0x40100003ffff",
            "dsb ish",
            "isb",
        ],
    );
}

#[test]
fn every_change_of_rights_invalidates_once_and_waits_once() {
    let block = range(LINEAR + GIB, GIB);
    let steps =
        [Change::ReadOnly, Change::Execute, Change::NoExecute, Change::ReadWrite, Change::Invalid];
    for (number, change) in steps.into_iter().enumerate() {
        let effects = effects_of(RANGED, 3, |space| {
            steps[..=number]
                .iter()
                .for_each(|change| space.protect(block, *change, &MAY_PARK).unwrap());
        });
        let last: Vec<_> = text(&effects).split_off(5 * number);
        let kinds: Vec<&str> = last.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(kinds, ["update", "dsb", "tlbi", "dsb", "isb"], "{change:?}");
    }
}

#[test]
fn making_valid_what_was_invalid_invalidates_nothing() {
    let page = range(LINEAR + GIB, GIB);
    let effects = effects_of(RANGED, 3, |space| {
        space.protect(page, Change::Invalid, &MAY_PARK).unwrap();
        space.protect(page, Change::Valid, &MAY_PARK).unwrap();
    });
    assert_eq!(
        text(&effects),
        [
            "update 0x40001000[1..2] clear 0x1 set 0x800",
            "dsb ishst",
            "tlbi vaale1is 0xff000040000",
            "dsb ish",
            "isb",
            "update 0x40001000[1..2] clear 0x800 set 0x1",
            "dsb ishst",
            "isb",
        ]
    );
}

#[test]
fn unmapping_blocks_of_a_table_that_stays_invalidates_the_last_level() {
    let unmap = |space: &Space<'_, Host<'_>>| {
        space.unmap(range(LINEAR + GIB, GIB), &MAY_PARK).unwrap();
    };
    check(
        RANGED,
        3,
        unmap,
        &[
            "fill   0x40001000[1..2] 0x0 step 0x0",
            "dsb ishst",
            "tlbi vaale1is 0xff000040000",
            "dsb ish",
            "isb",
        ],
    );
}

#[test]
fn unmapping_what_a_cut_leaves_in_several_leaves_invalidates_all_of_them() {
    // 4 MiB out of a GiB are two blocks, whatever the alignment of their range.
    let unmap = |space: &Space<'_, Host<'_>>| {
        space.unmap(range(LINEAR + 64 * MIB, 4 * MIB), &MAY_PARK).unwrap();
    };
    let lines = |terms| text(&effects_of(terms, 1, unmap));
    let tlbis = |terms| {
        lines(terms).into_iter().filter(|line| line.starts_with("tlbi")).collect::<Vec<_>>()
    };
    // 4 MiB by range: TG 4 KiB, scale 1, num 15.
    assert_eq!(tlbis(RANGED), ["tlbi rvaale1is 0x579000004000"]);
    assert_eq!(tlbis(BY_ADDRESS), ["tlbi vaale1is 0xff000004000", "tlbi vaale1is 0xff000004200"]);
}

#[test]
fn unmapping_all_of_a_table_invalidates_every_level_before_it_is_free() {
    let unmap =
        |space: &Space<'_, Host<'_>>| space.unmap(range(LINEAR, 3 * GIB), &MAY_PARK).unwrap();
    check(
        RANGED,
        3,
        unmap,
        &[
            "update 0x40000000[0..1] clear 0x1 set 0x0",
            "dsb ishst",
            // 3 GiB by range: TG 4 KiB, scale 3, num 11.
            "tlbi rvaae1is 0x759000000000",
            "dsb ish",
            "isb",
            "store  0x40000000[0] 0x0",
        ],
    );
}

#[test]
fn without_range_invalidation_a_long_range_is_named_page_by_page_up_to_the_threshold() {
    let tlbi = |pages: u64| {
        let effects = effects_of(BY_ADDRESS, 1, |space| {
            space
                .protect(
                    range(LINEAR + 2 * MIB + 4 * KIB, pages * 4 * KIB),
                    Change::ReadOnly,
                    &MAY_PARK,
                )
                .unwrap();
        });
        text(&effects).into_iter().filter(|line| line.starts_with("tlbi")).collect::<Vec<_>>()
    };
    let few = tlbi(128);
    assert_eq!(few.len(), 128);
    assert_eq!(
        (few[0].as_str(), few[127].as_str()),
        ("tlbi vaale1is 0xff000000201", "tlbi vaale1is 0xff000000280")
    );
    assert_eq!(tlbi(129), ["tlbi vmalle1is"]);
}

#[test]
fn publishing_code_cleans_data_before_it_invalidates_instructions() {
    let publish = |space: &Space<'_, Host<'_>>| {
        let code = PhysRange::new(PhysAddr::new(0x4000_0000), 0x40).unwrap();
        publish_code(space.platform(), code);
    };
    check(
        RANGED,
        0,
        publish,
        &["dc cvau 0x40000000+0x40", "dsb ish", "ic ivau 0x40000000+0x40", "dsb ish", "isb"],
    );
}
