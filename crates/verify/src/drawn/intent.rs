//! What an operation was meant to do, from the plain list of leaves as it should be afterwards.

use blockmap_machine::VirtRange;
use blockmap_model::meaning::Translation;
use blockmap_model::program::{Intent, Meanwhile, Target};
use blockmap_vmsa::bits;

use crate::program::Action;
use crate::reference::{Reference, Unit};

/// What an operation on `range` was meant to do, if `reference` is as it should be now: neighbours
/// that mean the same of neighbouring memory are one. Sizes change without being mentioned.
pub(super) fn all(reference: &Reference, range: VirtRange, action: Action) -> Vec<Intent> {
    let intent = |range, target| Intent { range, target, meanwhile: Meanwhile::Accessible };
    match action {
        Action::Split | Action::Repaint | Action::Collapse => return Vec::new(),
        Action::Unmap => return vec![intent(range, Target::Unmapped)],
        Action::Map { .. } | Action::Protect(_) => {}
    }
    let mut intents: Vec<Intent> = Vec::new();
    for unit in reference.units().iter().filter(|unit| range.contains(unit.input)) {
        let target = target(reference, *unit);
        let bytes = unit.size.bytes();
        match intents.last_mut() {
            Some(last) if follows(*last, unit, target) => {
                last.range =
                    VirtRange::new(last.range.start(), last.range.bytes() + bytes).unwrap();
            }
            Some(_) | None => intents.push(intent(unit.range(), target)),
        }
    }
    intents
}

/// Whether what a leaf is to become goes on where an intent ends.
fn follows(last: Intent, unit: &Unit, target: Target) -> bool {
    let above = match last.target {
        Target::Mapped(to) => Target::Mapped(to.above(last.range.bytes())),
        other @ (Target::Unmapped | Target::Rights(_)) => other,
    };
    last.range.end() == unit.input && above == target
}

fn target(reference: &Reference, unit: Unit) -> Target {
    if unit.meaning & bits::VALID == 0 {
        return Target::Unmapped;
    }
    let never = bits::privileged_execute_never(reference.geometry().regime());
    let rights = match (unit.meaning & bits::READ_ONLY == 0, unit.meaning & never == 0) {
        (true, true) => "rwx",
        (true, false) => "rw-",
        (false, true) => "r-x",
        (false, false) => "r--",
    };
    let memory = u8::try_from(unit.meaning >> 2 & 7).unwrap();
    Target::Mapped(Translation { output: unit.output, rights: rights.parse().unwrap(), memory })
}
