//! Random programs, done by the shipped engine on random geometries and by several CPUs, through the
//! model. `cargo xtask random --seed N --steps N` runs more of them, and replays one.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::env;

use blockmap_model::explore::{Options, explore};
use blockmap_model::text::read;
use blockmap_verify::drawn::Drawn;
use blockmap_verify::drawn::search::{LeftOut, Totals, look, search, size};

/// Every run of the tests looks at the same programs, unless it is told where to begin.
fn first_seed() -> u64 {
    env::var("BLOCKMAP_SEED").map_or(0, |text| text.parse().unwrap())
}

#[test]
fn the_model_accepts_what_the_engine_does() {
    match search(first_seed(), 3_000, LeftOut::Nothing) {
        Ok(totals) => {
            println!("from seed {}: {totals}", first_seed());
            assert!(totals.given_up * 10 < totals.programs, "{totals}");
            assert!(totals.with_several_writers * 6 > totals.programs, "{totals}");
            assert!(totals.operations * 4 > totals.programs * 3, "{totals}");
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// Canaries: a search that finds none of these finds nothing.
#[test]
fn an_effect_that_is_left_out_is_missed_and_the_program_made_small() {
    for effect in ["dsb ishst", "tlbi", "dsb ish", "update"] {
        // `dsb ish` begins `dsb ishst` too.
        let fault = LeftOut::Effect(effect, 0);
        let failure = search(0, 8_000, fault).expect_err(effect);
        println!("without its first `{effect}`:\n{failure}\n");
        assert!(failure.drawn.operations.len() == 1, "{effect}: {failure}");
        let trace = failure.trace.unwrap();
        let program = read(&trace).unwrap();
        assert_ne!(explore(&program, Options::QUICK).unwrap().verdicts, [], "{trace}");
        assert!(failure.what.starts_with("the explorer:\n["), "{}", failure.what);
    }
}

#[test]
fn a_seed_gives_the_same_program_and_another_seed_another() {
    for seed in 0..8 {
        let drawn = || Drawn::new(seed, size(seed)).run().program;
        assert_eq!(drawn(), drawn());
    }
    let programs: Vec<_> = (0..8).map(|seed| Drawn::new(seed, size(seed)).run().program).collect();
    assert!((1..8).all(|at| !programs[..at].contains(&programs[at])));
}

/// Programs that were found wrong once, by the model or by a model that was.
#[test]
fn seeds_that_found_something_are_looked_at_again() {
    for seed in [0, 19] {
        let looked = look(&Drawn::new(seed, size(seed)), LeftOut::Nothing, &mut Totals::default());
        assert!(looked.is_ok(), "{}", looked.unwrap_err());
    }
}
