//! Operations whose sizes change while all other CPUs are parked, as scenarios for the model.

use blockmap::host::MAY_PARK;
use blockmap::{Grain, Space};
use blockmap_machine::VirtRange;
use blockmap_model::program::Intent;
use blockmap_vmsa::Change;

use crate::program::range;
use crate::recorder::LINEAR;
use crate::scenario::Recording;
use crate::scenario::{SCENARIOS, Scenario};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;
const INNER: u64 = LINEAR + 0x1555_5000;

fn repaint(space: &Space<'_, Recording<'_>>, (start, bytes): (u64, u64), keep: &[VirtRange]) {
    space.repaint(range(start, bytes), keep, &MAY_PARK).unwrap();
}

fn split(space: &Space<'_, Recording<'_>>, start: u64, bytes: u64) {
    space.split(range(start, bytes), &MAY_PARK).unwrap();
}

fn nothing(_: &Space<'_, Recording<'_>>) {}

const NO_INTENTS: fn() -> Vec<Intent> = Vec::new;

/// Everything becomes non-global: a run, what is apart from it, what is there to stay invalid.
pub const NON_GLOBAL: Scenario = Scenario {
    name: "make two GiB non-global",
    gib: 2,
    prepare: |space| {
        split(space, LINEAR + 64 * 1024, 64 * 1024);
        space.protect(range(LINEAR + 32 * MIB, PAGE), Change::Invalid, &MAY_PARK).unwrap();
    },
    operate: |space| space.make_non_global(&MAY_PARK).unwrap(),
    intents: NO_INTENTS,
};

/// Splits that have two ends or a run, and repaints.
const MORE: &[Scenario] = &[
    Scenario {
        name: "split both ends of a range out of one GiB",
        gib: 1,
        prepare: nothing,
        operate: |space| split(space, LINEAR + 33 * MIB + PAGE, 70 * MIB),
        intents: NO_INTENTS,
    },
    Scenario {
        name: "split two blocks of one run",
        gib: 1,
        prepare: |space| split(space, LINEAR + 32 * MIB, 32 * MIB),
        operate: |space| split(space, LINEAR + 37 * MIB, 10 * MIB),
        intents: NO_INTENTS,
    },
    Scenario {
        name: "split two runs of one table",
        gib: 1,
        prepare: |space| split(space, LINEAR + 64 * 1024, 64 * 1024),
        operate: |space| split(space, LINEAR + 5 * PAGE, 23 * PAGE),
        intents: NO_INTENTS,
    },
    Scenario {
        name: "protect a page of a GiB after its neighbour",
        gib: 1,
        prepare: |space| {
            space.protect(range(LINEAR, PAGE), Change::ReadOnly, &MAY_PARK).unwrap();
        },
        operate: |space| {
            split(space, LINEAR + 32 * PAGE, PAGE);
        },
        intents: NO_INTENTS,
    },
    Scenario {
        name: "repaint a block of a GiB",
        gib: 1,
        prepare: nothing,
        operate: |space| repaint(space, (LINEAR + 32 * MIB, 2 * MIB), &[]),
        intents: NO_INTENTS,
    },
    Scenario {
        name: "repaint a table with a run, and what is beside it",
        gib: 2,
        prepare: |space| split(space, LINEAR + 64 * 1024, 64 * 1024),
        operate: |space| repaint(space, (LINEAR, 2 * MIB), &[]),
        intents: NO_INTENTS,
    },
    Scenario {
        name: "repaint the end of one GiB and the start of another",
        gib: 3,
        prepare: nothing,
        operate: |space| repaint(space, (LINEAR + GIB - 2 * MIB, 4 * MIB), &[]),
        intents: NO_INTENTS,
    },
    Scenario {
        name: "repaint around what is kept",
        gib: 1,
        prepare: nothing,
        operate: |space| {
            let keep = range(LINEAR + 32 * MIB, 33 * MIB);
            repaint(space, (LINEAR + 30 * MIB, 38 * MIB), &[keep]);
        },
        intents: NO_INTENTS,
    },
    Scenario {
        name: "collapse what is beside a carve",
        gib: 1,
        prepare: |space| {
            space.carve(range(INNER, PAGE), Grain::Whole, &MAY_PARK).unwrap().keep();
            split(space, INNER + 64 * PAGE, PAGE);
        },
        operate: |space| {
            let done = space.collapse(range(LINEAR, GIB), &MAY_PARK).unwrap();
            assert!(done.runs > 0);
        },
        intents: NO_INTENTS,
    },
];

/// Every scenario that takes parking where not every CPU is quiet, or that must not.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    SCENARIOS.iter().chain(MORE)
}
