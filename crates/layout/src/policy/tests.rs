//! The whole truth table of the decision, row by row.

use super::{
    DebugPagealloc as D, Decision, Inputs, LateGuard as G, Leaves, Rodata as R, Strategy as S, Why,
    World as W, decide,
};

type Row = ((S, D, R, G, W), Leaves, Why);

#[rustfmt::skip]
const ROWS: [Row; 72] = [
    ((S::Live, D::Off, R::On, G::Never, W::Ordinary), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::On, G::Never, W::Realm), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::On, G::Possible, W::Ordinary), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::On, G::Possible, W::Realm), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::NoAlias, G::Never, W::Ordinary), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::NoAlias, G::Never, W::Realm), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::NoAlias, G::Possible, W::Ordinary), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::NoAlias, G::Possible, W::Realm), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::Off, G::Never, W::Ordinary), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::Off, G::Never, W::Realm), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::Off, G::Possible, W::Ordinary), Leaves::Largest, Why::SplitLive),
    ((S::Live, D::Off, R::Off, G::Possible, W::Realm), Leaves::Largest, Why::SplitLive),
    ((S::Quiesce, D::Off, R::On, G::Never, W::Ordinary), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::On, G::Never, W::Realm), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::On, G::Possible, W::Ordinary), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::On, G::Possible, W::Realm), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::NoAlias, G::Never, W::Ordinary), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::NoAlias, G::Never, W::Realm), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::NoAlias, G::Possible, W::Ordinary), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::NoAlias, G::Possible, W::Realm), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::Off, G::Never, W::Ordinary), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::Off, G::Never, W::Realm), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::Off, G::Possible, W::Ordinary), Leaves::Largest, Why::SplitParked),
    ((S::Quiesce, D::Off, R::Off, G::Possible, W::Realm), Leaves::Largest, Why::SplitParked),
    ((S::Pages, D::Off, R::On, G::Never, W::Ordinary), Leaves::Pages, Why::Rodata),
    ((S::Pages, D::Off, R::On, G::Never, W::Realm), Leaves::Pages, Why::Rodata),
    ((S::Pages, D::Off, R::On, G::Possible, W::Ordinary), Leaves::Pages, Why::Rodata),
    ((S::Pages, D::Off, R::On, G::Possible, W::Realm), Leaves::Pages, Why::Rodata),
    ((S::Pages, D::Off, R::NoAlias, G::Never, W::Ordinary), Leaves::Largest, Why::NothingChanges),
    ((S::Pages, D::Off, R::NoAlias, G::Never, W::Realm), Leaves::Pages, Why::Realm),
    ((S::Pages, D::Off, R::NoAlias, G::Possible, W::Ordinary), Leaves::Pages, Why::LateGuard),
    ((S::Pages, D::Off, R::NoAlias, G::Possible, W::Realm), Leaves::Pages, Why::LateGuard),
    ((S::Pages, D::Off, R::Off, G::Never, W::Ordinary), Leaves::Largest, Why::NothingChanges),
    ((S::Pages, D::Off, R::Off, G::Never, W::Realm), Leaves::Pages, Why::Realm),
    ((S::Pages, D::Off, R::Off, G::Possible, W::Ordinary), Leaves::Pages, Why::LateGuard),
    ((S::Pages, D::Off, R::Off, G::Possible, W::Realm), Leaves::Pages, Why::LateGuard),
    ((S::Live, D::On, R::On, G::Never, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::On, G::Never, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::On, G::Possible, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::On, G::Possible, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::NoAlias, G::Never, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::NoAlias, G::Never, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::NoAlias, G::Possible, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::NoAlias, G::Possible, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::Off, G::Never, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::Off, G::Never, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::Off, G::Possible, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Live, D::On, R::Off, G::Possible, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::On, G::Never, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::On, G::Never, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::On, G::Possible, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::On, G::Possible, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::NoAlias, G::Never, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::NoAlias, G::Never, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::NoAlias, G::Possible, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::NoAlias, G::Possible, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::Off, G::Never, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::Off, G::Never, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::Off, G::Possible, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Quiesce, D::On, R::Off, G::Possible, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::On, G::Never, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::On, G::Never, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::On, G::Possible, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::On, G::Possible, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::NoAlias, G::Never, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::NoAlias, G::Never, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::NoAlias, G::Possible, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::NoAlias, G::Possible, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::Off, G::Never, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::Off, G::Never, W::Realm), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::Off, G::Possible, W::Ordinary), Leaves::Pages, Why::DebugPagealloc),
    ((S::Pages, D::On, R::Off, G::Possible, W::Realm), Leaves::Pages, Why::DebugPagealloc),
];

#[test]
fn every_combination_is_decided_as_listed() {
    for ((strategy, debug_pagealloc, rodata, late_guard, world), leaves, why) in ROWS {
        let inputs = Inputs { rodata, debug_pagealloc, late_guard, world, strategy };
        assert_eq!(decide(inputs), Decision { leaves, why }, "{inputs:?}");
    }
}

#[test]
fn every_combination_is_listed_once() {
    for (index, (inputs, _, _)) in ROWS.iter().enumerate() {
        let is_same = |row: &Row| row.0 == *inputs;
        assert_eq!(ROWS.iter().position(is_same), Some(index), "{inputs:?}");
    }
}
