//! A smaller program that fails in the same way.

use super::Drawn;
use crate::crew::Interrupts;

/// `drawn` with as much left out as can be while `fails` is true of it.
#[must_use]
pub fn shrunk(drawn: &Drawn, fails: impl Fn(&Drawn) -> bool) -> Drawn {
    let mut smallest = drawn.clone();
    while let Some(smaller) = smaller(&smallest).into_iter().find(|smaller| fails(smaller)) {
        smallest = smaller;
    }
    smallest
}

/// Programs that are a little smaller, the smallest first.
fn smaller(drawn: &Drawn) -> Vec<Drawn> {
    let mut all = Vec::new();
    let operations = drawn.operations.len();
    for length in std::iter::successors(Some(operations / 2), |length| Some(length / 2)) {
        if length == 0 {
            break;
        }
        for first in (0..operations).step_by(length) {
            let mut operations = drawn.operations.clone();
            operations.drain(first..(first + length).min(operations.len()));
            all.push(Drawn { operations, ..drawn.clone() });
        }
    }
    for at in 0..drawn.before.len() {
        let mut before = drawn.before.clone();
        before.remove(at);
        all.push(Drawn { before, ..drawn.clone() });
    }
    let alone = drawn.operations.iter().map(|(_, step)| (0, *step)).collect();
    if drawn.operations.iter().any(|(cpu, _)| *cpu > 0) {
        all.push(Drawn { operations: alone, ..drawn.clone() });
    }
    let writers = drawn.operations.iter().map(|(cpu, _)| cpu + 1).max().unwrap_or(0);
    if drawn.profiles.len() > writers.max(1) {
        let mut profiles = drawn.profiles.clone();
        profiles.pop();
        all.push(Drawn { profiles, ..drawn.clone() });
    }
    if drawn.interrupts != Interrupts::Never {
        all.push(Drawn { interrupts: Interrupts::Never, ..drawn.clone() });
    }
    if drawn.failing.0 != u32::MAX {
        all.push(Drawn { failing: (u32::MAX, 0), ..drawn.clone() });
    }
    all
}
