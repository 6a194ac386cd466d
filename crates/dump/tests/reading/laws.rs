//! Laws that hold for every tree: runs cover it once and in order, and say what a walk finds.

use blockmap_dump::{
    Found, Mapped, Outcome, Run, Style, What,
    vmsa::{
        Geometry, Kind, Level, bits,
        machine::{PhysAddr, VirtAddr, VirtRange},
    },
};
use proptest::prelude::*;

use crate::arena::{Arena, MAIR, Missing, geometries};

/// One entry to be put somewhere: which level it is for, and what it holds.
#[derive(Clone, Debug)]
struct Put {
    levels_below: u32,
    place: u64,
    length: u64,
    meaning: u64,
    output: u64,
}

fn put() -> impl Strategy<Value = Put> {
    let meaning = prop::sample::select(vec![
        bits::VALID | bits::ACCESSED,
        bits::VALID | bits::ACCESSED | bits::CONTIGUOUS,
        bits::VALID | bits::READ_ONLY,
        bits::PRESENT,
        bits::PRESENT | bits::CONTIGUOUS,
        0,
    ]);
    // Few places and few outputs, so that puts meet, and outputs go on from each other.
    (0..4_u32, 0..6_u64, 1..40_u64, meaning, 0..3_u64).prop_map(
        |(levels_below, place, length, meaning, output)| Put {
            levels_below,
            place,
            length,
            meaning,
            output,
        },
    )
}

/// An address that many puts share, or lie beside: near the half's start, middle or end.
fn anchor(geometry: Geometry, level: Level, place: u64) -> u64 {
    let (lowest, highest) = geometry.inputs();
    let span = geometry.span_bytes(level);
    let middle = (highest.value() - lowest.value()) / 2 + 1;
    let at = match place {
        0 | 1 => lowest.value(),
        2 | 3 => lowest.value() + middle - span,
        _ => highest.value() - span * 20,
    };
    (at & !(span - 1)) + span * (place % 2) * 7
}

fn build(geometry: Geometry, puts: &[Put]) -> Arena {
    let mut arena = Arena::new(geometry);
    let root = geometry.root_level();
    for put in puts {
        let level = Level::with_levels_below(put.levels_below.min(root.levels_below())).unwrap();
        if !geometry.allows_leaf(level) {
            continue;
        }
        let span = geometry.span_bytes(level);
        let (_, highest) = geometry.inputs();
        for number in 0..put.length {
            let step = span * number;
            let input = anchor(geometry, level, put.place).saturating_add(step);
            let output = (step + put.output * span * 16) & geometry.highest_output().value();
            if input > highest.value() {
                break;
            }
            let output = PhysAddr::new(output & !(span - 1));
            let word = geometry.leaf_word(level, output, put.meaning);
            arena.put(level, VirtAddr::new(input), word);
        }
    }
    arena
}

/// Checks that what a run says of `input` is what a walk finds.
fn walk_agrees(arena: &Arena, run: &Run<Missing>, input: VirtAddr) {
    let geometry = arena.tree().geometry();
    let walk = arena.tree().walk(input);
    let level = walk.last().map(|step| step.level);
    assert_eq!(level, Some(run.level), "{input}");
    match (run.what, walk.outcome()) {
        (What::Gap, Outcome::Invalid(_)) => assert_eq!(walk.output(), None),
        (What::Leaves(mapped), outcome) => {
            let offset = input.offset_from(run.range.start()).unwrap();
            let expected = mapped.output.checked_add(offset).unwrap();
            match outcome {
                Outcome::Mapped { output, rights, .. } => {
                    assert!(mapped.is_valid());
                    assert_eq!(*output, expected);
                    assert_eq!(*rights, mapped.rights(geometry));
                }
                Outcome::PresentInvalid { output, .. } => {
                    assert!(!mapped.is_valid());
                    assert_eq!(*output, expected);
                }
                Outcome::Invalid(_)
                | Outcome::Reserved(_)
                | Outcome::NotOfThisHalf
                | Outcome::Skipped(_) => panic!("{outcome:?}"),
            }
            assert_eq!(walk.mapped().unwrap().meaning, mapped.meaning);
        }
        (what, outcome) => panic!("{what:?}, {outcome:?}"),
    }
}

/// The runs of a tree, put together entry by entry.
fn joined(arena: &Arena) -> Vec<(VirtRange, Level, What<Missing>)> {
    let geometry = arena.tree().geometry();
    let mut runs: Vec<(VirtRange, Level, What<Missing>)> = Vec::new();
    for entry in arena.tree().entries() {
        let what = match entry.found {
            Found::Word { kind: Kind::Table, .. } => continue,
            Found::Word { kind: Kind::Invalid, .. } => What::Gap,
            Found::Word { kind: Kind::Reserved, word } => What::Reserved(word),
            Found::Word { kind: Kind::Leaf | Kind::PresentInvalid, word } => {
                What::Leaves(Mapped::of(geometry, entry.level, word, entry.limits))
            }
            Found::Skipped(skipped) => What::Skipped(skipped),
        };
        if let Some((range, level, held)) = runs.last_mut() {
            let goes_on = match (&*held, &what) {
                (What::Leaves(held), What::Leaves(more)) => {
                    let output = held.output.checked_add(range.bytes()).unwrap();
                    Mapped { output, ..*held } == *more
                }
                (held, more) => held == more,
            };
            if goes_on && *level == entry.level {
                let bytes = range.bytes() + entry.range.bytes();
                *range = VirtRange::new(range.start(), bytes).unwrap();
                continue;
            }
        }
        runs.push((entry.range, entry.level, what));
    }
    runs
}

/// The same as [`Tree::runs`] has them.
fn runs(arena: &Arena) -> Vec<(VirtRange, Level, What<Missing>)> {
    arena.tree().runs().map(|run| (run.range, run.level, run.what)).collect()
}

#[test]
fn words_that_count_up_are_one_run_only_while_their_addresses_do() {
    let valid = bits::VALID | bits::TABLE_OR_PAGE | bits::ACCESSED;
    for geometry in geometries() {
        let page = geometry.span_bytes(Level::L3);
        // Where the address field ends, where it goes on elsewhere, and in its middle.
        for end in [1 << 48, 1 << 50, 1 << 52, 1 << 40, 0] {
            let mut arena = Arena::new(geometry);
            let (lowest, _) = geometry.inputs();
            let first = valid.wrapping_add(end).wrapping_sub(3 * page);
            for number in 0..9 {
                let input = lowest.checked_add((20 + number) * page).unwrap();
                arena.put(Level::L3, input, first.wrapping_add(number * page));
            }
            assert_eq!(runs(&arena), joined(&arena), "{geometry:?} {end:#x}");
        }
    }
}

/// The ranges of the lines of a dump.
fn lines(text: &str) -> Vec<(u64, u64)> {
    let address = |text: &str| u64::from_str_radix(&text[2..18], 16).unwrap();
    text.lines().map(|line| (address(line), address(&line[19..]))).collect()
}

proptest! {
    #[test]
    fn runs_are_the_entries_joined(
        geometry in prop::sample::select(geometries()),
        puts in prop::collection::vec(put(), 0..8),
    ) {
        let arena = build(geometry, &puts);
        prop_assert_eq!(runs(&arena), joined(&arena));
    }

    #[test]
    fn runs_cover_the_half_once_and_say_what_a_walk_finds(
        geometry in prop::sample::select(geometries()),
        puts in prop::collection::vec(put(), 0..8),
    ) {
        let arena = build(geometry, &puts);
        let (lowest, highest) = geometry.inputs();
        let mut next = lowest;
        let mut last = None;
        for run in arena.tree().runs() {
            prop_assert_eq!(run.range.start(), next);
            prop_assert!(run.range.last() <= highest);
            prop_assert_eq!(
                run.count(geometry) << geometry.span_bits(run.level),
                run.range.bytes()
            );
            let middle = run.range.start().checked_add(run.range.bytes() / 2 + 5).unwrap();
            for input in [run.range.start(), middle, run.range.last()] {
                walk_agrees(&arena, &run, input);
            }
            next = run.range.end();
            last = Some(run.range.last());
        }
        prop_assert_eq!(last, Some(highest));
    }

    #[test]
    fn entries_of_a_part_are_those_of_the_whole_that_touch_it(
        geometry in prop::sample::select(geometries()),
        puts in prop::collection::vec(put(), 0..4),
        (place, start, bytes) in (0..6_u64, 0..1_u64 << 26, 1..1_u64 << 26),
    ) {
        let arena = build(geometry, &puts);
        let (_, highest) = geometry.inputs();
        let start = anchor(geometry, Level::L3, place).saturating_add(start).min(highest.value());
        let bytes = bytes.min((highest.value() - start).saturating_add(1));
        let part = VirtRange::new(VirtAddr::new(start), bytes).unwrap();
        let whole = arena.tree().entries();
        let expected: Vec<_> = whole.filter(|entry| entry.range.overlaps(part)).collect();
        let found: Vec<_> = arena.tree().within(part).entries().collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn lines_of_a_dump_cover_the_half_once(
        geometry in prop::sample::select(geometries()),
        puts in prop::collection::vec(put(), 0..8),
    ) {
        let arena = build(geometry, &puts);
        let mut text = String::new();
        let style = Style { mair: MAIR, markers: &[] };
        arena.tree().ptdump(style, &mut text).unwrap();
        let (lowest, highest) = geometry.inputs();
        let mut next = lowest.value();
        for (start, end) in lines(&text) {
            prop_assert_eq!(start, next);
            next = end;
        }
        prop_assert_eq!(next, highest.value().wrapping_add(1));
    }

    #[test]
    fn statistics_add_up(
        geometry in prop::sample::select(geometries()),
        puts in prop::collection::vec(put(), 0..8),
    ) {
        let arena = build(geometry, &puts);
        let stat = arena.tree().stat();
        let (mut valid, mut invalid) = (0, 0);
        for run in arena.tree().runs() {
            match run.mapped() {
                Some(mapped) if mapped.is_valid() => valid += run.range.bytes(),
                Some(_) => invalid += run.range.bytes(),
                None => {}
            }
        }
        prop_assert_eq!(stat.mapped_bytes(), valid);
        prop_assert_eq!(stat.invalid_bytes(), invalid);
        let tables = arena.tree().entries().filter(|entry| match entry.found {
            Found::Word { kind, .. } => kind == Kind::Table,
            Found::Skipped(_) => false,
        });
        prop_assert_eq!(stat.tables(), 1 + u64::try_from(tables.count()).unwrap());
        let leaves: u64 = Level::ALL.iter().map(|&level| stat.level(level).leaves).sum();
        prop_assert!(stat.tlb_entries() <= leaves);
    }
}
