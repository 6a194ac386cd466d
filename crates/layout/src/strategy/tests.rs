//! The whole truth table of the strategy, row by row, and what it makes of a painted map.

use blockmap_vmsa::cpu::SizeChange as C;

use super::{
    Admitted, Answer as A, Inputs, KeptOff, Leaves, Repaint, SizeChoice as O, SizeChoiceError,
    Strategy as S, decide,
};
use crate::{DebugPagealloc, LateGuard, Rodata, World};

/// A CPU, or the least of several.
#[derive(Clone, Copy)]
enum Is {
    Quiet,
    /// It may abort, or needs a break.
    Not,
}

impl Is {
    fn each(self) -> &'static [C] {
        match self {
            Self::Quiet => &[C::Quiet],
            Self::Not => &[C::MayAbort, C::NeedsBreak],
        }
    }
}

const QUIET: Is = Is::Quiet;
const NOT: Is = Is::Not;
const ALONE: Option<Is> = None;

/// Choice, boot CPU, the others; the strategy while the answer is open, and when it is final.
#[rustfmt::skip]
const ROWS: [(O, Is, Option<Is>, S, S); 24] = [
    (O::Auto,    QUIET, ALONE,       S::Live,    S::Live),
    (O::Auto,    QUIET, Some(QUIET), S::Quiesce, S::Live),
    (O::Auto,    QUIET, Some(NOT),   S::Quiesce, S::Quiesce),
    (O::Auto,    NOT,   ALONE,       S::Quiesce, S::Quiesce),
    (O::Auto,    NOT,   Some(QUIET), S::Quiesce, S::Quiesce),
    (O::Auto,    NOT,   Some(NOT),   S::Quiesce, S::Quiesce),
    (O::Live,    QUIET, ALONE,       S::Live,    S::Live),
    (O::Live,    QUIET, Some(QUIET), S::Live,    S::Live),
    (O::Live,    QUIET, Some(NOT),   S::Pages,   S::Pages),
    (O::Live,    NOT,   ALONE,       S::Pages,   S::Pages),
    (O::Live,    NOT,   Some(QUIET), S::Pages,   S::Pages),
    (O::Live,    NOT,   Some(NOT),   S::Pages,   S::Pages),
    (O::Quiesce, QUIET, ALONE,       S::Quiesce, S::Quiesce),
    (O::Quiesce, QUIET, Some(QUIET), S::Quiesce, S::Quiesce),
    (O::Quiesce, QUIET, Some(NOT),   S::Quiesce, S::Quiesce),
    (O::Quiesce, NOT,   ALONE,       S::Quiesce, S::Quiesce),
    (O::Quiesce, NOT,   Some(QUIET), S::Quiesce, S::Quiesce),
    (O::Quiesce, NOT,   Some(NOT),   S::Quiesce, S::Quiesce),
    (O::Never,   QUIET, ALONE,       S::Live,    S::Live),
    (O::Never,   QUIET, Some(QUIET), S::Quiesce, S::Live),
    (O::Never,   QUIET, Some(NOT),   S::Quiesce, S::Pages),
    (O::Never,   NOT,   ALONE,       S::Pages,   S::Pages),
    (O::Never,   NOT,   Some(QUIET), S::Pages,   S::Pages),
    (O::Never,   NOT,   Some(NOT),   S::Pages,   S::Pages),
];

/// Every combination of a row, with both of its strategies.
fn each(check: impl Fn(O, C, Option<C>, (S, S))) {
    for (choice, boot, others, open, last) in ROWS {
        for boot in boot.each() {
            match others {
                None => check(choice, *boot, None, (open, last)),
                Some(others) => {
                    others.each().iter().for_each(|c| check(choice, *boot, Some(*c), (open, last)));
                }
            }
        }
    }
}

#[test]
fn the_strategy_of_every_combination() {
    let rows = core::cell::Cell::new(0);
    each(|choice, boot, others, (open, last)| {
        rows.set(rows.get() + 1);
        let of = |answer| S::of(choice, Admitted { boot, others, answer });
        let all = (of(A::Open), of(A::Final));
        assert_eq!(all, (open, last), "{choice:?}, {boot:?} and {others:?}");
    });
    assert_eq!(rows.get(), O::ALL.len() * 3 * 4);
}

fn inputs(rodata: Rodata, strategy: S) -> Inputs {
    let debug_pagealloc = DebugPagealloc::Off;
    Inputs {
        rodata,
        debug_pagealloc,
        late_guard: LateGuard::Never,
        world: World::Ordinary,
        strategy,
    }
}

/// What is painted before any other CPU is there, and what becomes of it when all are.
fn life(choice: O, boot: C, others: Option<C>, rodata: Rodata) -> (Leaves, Repaint) {
    let first = S::of(choice, Admitted { boot, others: None, answer: A::Open });
    let inputs = inputs(rodata, first);
    let painted = decide(inputs).leaves;
    let last = S::of(choice, Admitted { boot, others, answer: A::Final });
    (painted, last.repaint(painted, inputs))
}

#[test]
fn the_four_modes_and_nothing_else() {
    each(|choice, boot, others, _| {
        let is_admitted = others.is_none_or(|others| choice.admits(others).is_ok());
        let expected = match (choice, boot, others) {
            (O::Never | O::Live, C::MayAbort | C::NeedsBreak, _) => {
                (Leaves::Pages, Repaint::Nothing)
            }
            (O::Never, C::Quiet, Some(C::MayAbort | C::NeedsBreak)) => {
                (Leaves::Largest, Repaint::ToPages)
            }
            _ => (Leaves::Largest, Repaint::Nothing),
        };
        if is_admitted {
            let life = life(choice, boot, others, Rodata::On);
            assert_eq!(life, expected, "{choice:?}, {boot:?} and {others:?}");
        }
    });
}

#[test]
fn what_changes_no_single_page_stays_in_blocks_under_every_choice() {
    each(|choice, boot, others, _| {
        for rodata in [Rodata::NoAlias, Rodata::Off] {
            let life = life(choice, boot, others, rodata);
            assert_eq!(life, (Leaves::Largest, Repaint::Nothing), "{choice:?} {rodata:?}");
        }
    });
}

#[test]
fn pages_are_never_repainted() {
    for strategy in S::ALL {
        for rodata in Rodata::ALL {
            let inputs = inputs(rodata, S::Pages);
            assert_eq!(strategy.repaint(Leaves::Pages, inputs), Repaint::Nothing);
        }
    }
}

#[test]
fn only_live_keeps_cpus_off_and_only_those_that_forbid_it() {
    for choice in O::ALL {
        assert_eq!(choice.admits(C::Quiet), Ok(()));
        for other in [C::MayAbort, C::NeedsBreak] {
            let kept_off = if choice == O::Live { Err(KeptOff(other)) } else { Ok(()) };
            assert_eq!(choice.admits(other), kept_off);
        }
    }
}

#[test]
fn the_four_values_and_nothing_else() {
    for choice in O::ALL {
        assert_eq!(choice.name().parse(), Ok(choice));
    }
    for text in ["", "Auto", "auto ", "1", "live,quiesce", "neverr"] {
        assert_eq!(text.parse::<O>(), Err(SizeChoiceError));
    }
}
