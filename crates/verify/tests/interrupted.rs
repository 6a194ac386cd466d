//! A writer is interrupted before each of its steps, once each, by another that does all it can:
//! whatever the engine reads that others may change has been changed then.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::collections::HashSet;

use blockmap_machine::VirtRange;
use blockmap_model::explore::{Options, explore};
use blockmap_model::profile::Profile;
use blockmap_model::program::Aliases;
use blockmap_verify::crew::{Interrupts, Loads};
use blockmap_verify::drawn::{Drawn, Operation};
use blockmap_verify::program::{Action, range};
use blockmap_verify::recorder::LINEAR;
use blockmap_verify::scenario::LIVE;
use blockmap_vmsa::{Access, Change, Geometry, Leaves};

const GIB: u64 = 1 << 30;
const PAGE: u64 = 4096;

const fn map(access: Access) -> Action {
    Action::Map { leaves: Leaves::Largest, access, skew: 0, skew_grain: 0 }
}

const WRITABLE: Action = map(Access::ReadWrite);
const READ_ONLY: Action = Action::Protect(Change::ReadOnly);

/// Operations within the GiB that starts at `start`: of its neighbours, they touch the edges.
fn operations(start: u64) -> Vec<(&'static str, Operation)> {
    let at = |offset: u64, bytes: u64, action| {
        let range = range(start + offset, bytes);
        Operation { range, action }
    };
    vec![
        ("protect the last pages", at(GIB - 3 * PAGE, 3 * PAGE, READ_ONLY)),
        ("protect the first page", at(0, PAGE, READ_ONLY)),
        ("unmap all", at(0, GIB, Action::Unmap)),
        ("split at the end", at(GIB - PAGE, PAGE, Action::Split)),
    ]
}

/// Two operations, of two CPUs, on three GiB mapped in blocks or, of the first, in smaller leaves.
fn program(before: &[Operation], [first, second]: [Operation; 2], interrupts: Interrupts) -> Drawn {
    let mut all = vec![Operation { range: range(LINEAR, 3 * GIB), action: WRITABLE }];
    all.extend(before);
    Drawn {
        seed: 0,
        geometry: Geometry::KERNEL_4K_48,
        terms: LIVE,
        profiles: vec![Profile::QUIET; 2],
        aliases: Aliases::Apart,
        before: all,
        operations: vec![(0, first), (1, second)],
        interrupts,
        failing: (u32::MAX, 0),
        tables: 32,
    }
}

/// Runs two operations side by side, the first interrupted before each of its steps.
///
/// Returns how many programs that gave, and what was read.
fn check(before: &[Operation], names: [&str; 2], pair: [Operation; 2]) -> (usize, Loads) {
    let mut seen = HashSet::new();
    let mut loads = Loads::default();
    let context = || format!("{} interrupted by {}", names[0], names[1]);
    for at in 0.. {
        let drawn = program(before, pair, Interrupts::Once(0, at));
        let run = drawn.run();
        assert_eq!(run.done, 2, "{} at {at}", context());
        loads.nobody += run.loads.nobody;
        loads.root += run.loads.root;
        loads.neighbour += run.loads.neighbour;
        if seen.insert(run.program.to_string()) {
            let report = explore(&run.program, Options::QUICK).unwrap();
            let text = || format!("{} at {at}:\n{}", context(), run.program);
            assert_eq!(report.verdicts, [], "{}", text());
        }
        if run.points <= at {
            break;
        }
    }
    (seen.len(), loads)
}

/// Each of the first so many operations beside each on the next slot.
fn check_all(before: &[Operation], most: usize) -> Loads {
    let (mut programs, mut loads) = (0, Loads::default());
    let operations = |start: u64| operations(start).into_iter().take(most);
    for (name, operation) in operations(LINEAR) {
        for (other, beside) in operations(LINEAR + GIB) {
            for (names, pair) in
                [([name, other], [operation, beside]), ([other, name], [beside, operation])]
            {
                let (count, read) = check(before, names, pair);
                programs += count;
                loads.nobody += read.nobody;
                loads.root += read.root;
                loads.neighbour += read.neighbour;
            }
        }
    }
    println!("{programs} programs; {loads:?}");
    assert!(loads.root > 0, "nothing was read that others may change");
    loads
}

fn piece(offset: u64, bytes: u64) -> VirtRange {
    range(LINEAR + offset, bytes)
}

#[test]
fn operations_on_neighbouring_slots_in_blocks() {
    let loads = check_all(&[], 4);
    assert!(loads.neighbour > 0, "nothing was read that the other may change");
}

/// What is in one table, and ends between two leaves of it, is changed without a look beyond.
#[test]
fn operations_on_neighbouring_slots_in_pages_at_their_edge() {
    let edge = Operation { range: piece(GIB - PAGE, 2 * PAGE), action: Action::Split };
    let loads = check_all(&[edge], 2);
    assert_eq!(loads.neighbour, 0);
}

/// Who unmaps the last of a table of slots frees it under the one who walks it.
#[test]
fn a_table_of_slots_is_unlinked_while_another_finds_nothing_there() {
    let rest = Operation { range: piece(GIB, 2 * GIB), action: Action::Unmap };
    let all = Operation { range: piece(0, GIB), action: Action::Unmap };
    let again = Operation { range: piece(GIB, GIB), action: WRITABLE };
    let (programs, loads) = check(&[rest], ["unmap", "map"], [all, again]);
    println!("{programs} programs, {loads:?}");
    let (programs, loads) = check(&[rest], ["map", "unmap"], [again, all]);
    println!("{programs} programs, {loads:?}");
}
