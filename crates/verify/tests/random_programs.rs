//! Random programs on random geometries: every address translates as a plain list of leaves says,
//! leaves are as large as promised, and an error changes nothing.
//!
//! A failure prints the program, shrunk. `PROPTEST_CASES=100000 cargo test -p blockmap-verify
//! --test random_programs` runs more of them; the seed that a failure appends to
//! `tests/random_programs.proptest-regressions` replays it in every later run.

use blockmap_verify::program::{Action, LARGEST, Step, Way, geometries, run};
use blockmap_vmsa::cpu::SizeChange;
use blockmap_vmsa::{Access, Change, Leaves};
use proptest::prelude::*;

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![
        4 => Just(Access::ReadWrite),
        1 => Just(Access::ReadOnly),
        1 => Just(Access::ReadExecute),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let leaves = prop_oneof![6 => Just(Leaves::Largest), 1 => Just(Leaves::Pages)];
    let map =
        (leaves, access(), 0..4_u64, 0..8_usize).prop_map(|(leaves, access, skew, skew_grain)| {
            Action::Map { leaves, access, skew, skew_grain }
        });
    prop_oneof![
        3 => map,
        1 => Just(Action::Unmap),
        3 => proptest::sample::select(Change::ALL.to_vec()).prop_map(Action::Protect),
        2 => Just(Action::Split),
        1 => Just(Action::Repaint),
        2 => Just(Action::Collapse),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    (action(), any::<u64>(), 1..40_u64, 0..8_usize, 0..8_usize).prop_map(
        |(action, place, length, grain, length_grain)| {
            let length = if length > 20 { 1 } else { length };
            Step { action, place, length, grain, length_grain }
        },
    )
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        2 => Just(Way::Live),
        1 => Just(Way::Parked(SizeChange::NeedsBreak)),
        1 => Just(Way::Parked(SizeChange::Quiet)),
    ]
}

proptest! {
    #[test]
    fn every_address_translates_as_the_plain_list_says(
        geometry in proptest::sample::select(geometries()),
        way in way(),
        window in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        run((geometry, way), window, &steps);
    }

    #[test]
    fn operations_within_one_large_mapping_meet_each_other(
        geometry in proptest::sample::select(geometries()),
        way in way(),
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        let all = Step {
            action: Action::Map {
                leaves: Leaves::Largest,
                access: Access::ReadWrite,
                skew: 0,
                skew_grain: 0,
            },
            place: 0,
            length: 3,
            grain: LARGEST,
            length_grain: LARGEST,
        };
        let steps: Vec<Step> = [all].into_iter().chain(steps).collect();
        run((geometry, way), 0, &steps);
    }
}
