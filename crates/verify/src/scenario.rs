//! The shipped engine's operations as programs for the model: recorded on a host, with what each
//! is meant to do.

mod recording;
mod views;

use blockmap::host::MAY_PARK;
use blockmap::{Carve, Grain, Platform, Space, Strategy, Terms, ViewChange, publish_code};
use blockmap_machine::{PhysAddr, PhysRange, VirtRange};
use blockmap_model::meaning::Translation;
use blockmap_model::profile::Profile;
use blockmap_model::program::{Intent, Meanwhile, Program, Step, Target};
use blockmap_vmsa::{Change, TlbiForm};

use crate::program::range;
use crate::recorder::{LINEAR, linear};

pub use recording::{Recording, Supply, record, record_on};
pub use views::{AREA, LINEAR_VIEW, map_area};

/// An operation of the engine, what comes before it, and what it is meant to do.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// A short name.
    pub name: &'static str,
    /// How many GiB are mapped beforehand, in blocks from [`LINEAR`] on.
    pub gib: u64,
    /// Done beforehand.
    pub prepare: fn(&Space<'_, Recording<'_>>),
    /// What is recorded.
    pub operate: fn(&Space<'_, Recording<'_>>),
    /// What it is meant to do; sizes change without being mentioned.
    pub intents: fn() -> Vec<Intent>,
}

/// The terms of a system where all other CPUs are parked for a change of size.
pub const QUIESCE: Terms = Terms { strategy: Strategy::Quiesce, tlbi: TlbiForm::Ranged };

/// The terms of a system whose CPUs all change sizes quietly.
pub const LIVE: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };

impl Scenario {
    /// Records the operation under `terms`, as the program of the first of `cpus` CPUs; the others
    /// only have walkers.
    #[must_use]
    pub fn record(&self, terms: Terms, cpus: usize) -> Program {
        self.record_on(terms, &vec![Profile::QUIET; cpus])
    }

    /// Records the operation under `terms`, as the program of the first of these CPUs; the others
    /// have walkers, and are parked where the strategy asks for it.
    #[must_use]
    pub fn record_on(&self, terms: Terms, cpus: &[Profile]) -> Program {
        let start = |space: &Space<'_, Recording<'_>>| {
            if self.gib > 0 {
                space.map(linear(self.gib)).unwrap();
            }
            (self.prepare)(space);
        };
        record_on((terms, 64), cpus, start, |space| {
            for intent in (self.intents)() {
                space.platform().note(Step::Intend(intent));
            }
            (self.operate)(space);
            space.platform().note(Step::Achieved);
        })
    }
}

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;
/// A page in the middle of everything: of a run, of a 2 MiB block, of a GiB.
const INNER: u64 = LINEAR + 0x1555_5000;

fn intend(start: u64, bytes: u64, target: Target) -> Vec<Intent> {
    vec![Intent { range: range(start, bytes), target, meanwhile: Meanwhile::Accessible }]
}

fn rights(start: u64, bytes: u64, text: &str) -> Vec<Intent> {
    intend(start, bytes, Target::Rights(text.parse().unwrap()))
}

fn mapped(start: u64, bytes: u64) -> Vec<Intent> {
    let output = PhysAddr::new(start - LINEAR + 0x4000_0000);
    let rights = "rw-".parse().unwrap();
    intend(start, bytes, Target::Mapped(Translation { output, rights, memory: 0 }))
}

fn nothing(_: &Space<'_, Recording<'_>>) {}

fn protect(space: &Space<'_, Recording<'_>>, (start, bytes): (u64, u64), change: Change) {
    space.protect(range(start, bytes), change, &MAY_PARK).unwrap();
}

fn split(space: &Space<'_, Recording<'_>>, start: u64, bytes: u64) {
    space.split(range(start, bytes), &MAY_PARK).unwrap();
}

fn unmap(space: &Space<'_, Recording<'_>>, start: u64, bytes: u64) {
    space.unmap(range(start, bytes), &MAY_PARK).unwrap();
}

fn carve<'s>(space: &Space<'s, Recording<'s>>, start: u64, bytes: u64) -> Carve<'s, Recording<'s>> {
    space.carve(range(start, bytes), Grain::Whole, &MAY_PARK).unwrap()
}

fn collapse(space: &Space<'_, Recording<'_>>, start: u64, bytes: u64) {
    let done = space.collapse(range(start, bytes), &MAY_PARK).unwrap();
    assert!(done.tables + done.runs > 0, "there was nothing to collapse");
}

/// Every operation at every level it differs at.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "map a GiB where a table must be linked",
        gib: 0,
        prepare: nothing,
        operate: |space| space.map(linear(1)).unwrap(),
        intents: || mapped(LINEAR, GIB),
    },
    Scenario {
        name: "map a ragged range beside others",
        gib: 1,
        prepare: nothing,
        operate: |space| {
            let mut mapping = linear(1);
            mapping.range = range(LINEAR + GIB, 34 * MIB + 17 * 4 * PAGE);
            mapping.output = PhysAddr::new(0x8000_0000);
            space.map(mapping).unwrap();
        },
        intents: || mapped(LINEAR + GIB, 34 * MIB + 17 * 4 * PAGE),
    },
    Scenario {
        name: "split a GiB down to a page",
        gib: 1,
        prepare: nothing,
        operate: |space| split(space, INNER, PAGE),
        intents: Vec::new,
    },
    Scenario {
        name: "split a GiB down to a run of 2 MiB blocks",
        gib: 1,
        prepare: nothing,
        operate: |space| split(space, LINEAR + 32 * MIB, 32 * MIB),
        intents: Vec::new,
    },
    Scenario {
        name: "split a run of 2 MiB blocks",
        gib: 1,
        prepare: |space| split(space, LINEAR + 32 * MIB, 32 * MIB),
        operate: |space| split(space, LINEAR + 36 * MIB, 2 * MIB),
        intents: Vec::new,
    },
    Scenario {
        name: "split a 2 MiB block in a run down to a page",
        gib: 1,
        prepare: |space| split(space, LINEAR + 32 * MIB, 32 * MIB),
        operate: |space| split(space, LINEAR + 37 * MIB, 3 * PAGE),
        intents: Vec::new,
    },
    Scenario {
        name: "split a run of pages",
        gib: 1,
        prepare: |space| split(space, LINEAR + 64 * 1024, 64 * 1024),
        operate: |space| split(space, LINEAR + 5 * PAGE, PAGE),
        intents: Vec::new,
    },
    Scenario {
        name: "protect a page of a GiB",
        gib: 1,
        prepare: nothing,
        operate: |space| protect(space, (INNER, PAGE), Change::ReadOnly),
        intents: || rights(INNER, PAGE, "r--"),
    },
    Scenario {
        name: "protect a page that is one",
        gib: 1,
        prepare: |space| split(space, INNER, PAGE),
        operate: |space| protect(space, (INNER, PAGE), Change::ReadOnly),
        intents: || rights(INNER, PAGE, "r--"),
    },
    Scenario {
        name: "protect a whole GiB",
        gib: 2,
        prepare: nothing,
        operate: |space| protect(space, (LINEAR, GIB), Change::ReadOnly),
        intents: || rights(LINEAR, GIB, "r--"),
    },
    Scenario {
        name: "protect a whole run of pages",
        gib: 1,
        prepare: |space| split(space, LINEAR + 64 * 1024, 64 * 1024),
        operate: |space| protect(space, (LINEAR + 64 * 1024, 64 * 1024), Change::ReadOnly),
        intents: || rights(LINEAR + 64 * 1024, 64 * 1024, "r--"),
    },
    Scenario {
        name: "protect a ragged range over two GiB",
        gib: 2,
        prepare: nothing,
        operate: |space| protect(space, (LINEAR + GIB - 3 * PAGE, 5 * PAGE), Change::ReadOnly),
        intents: || rights(LINEAR + GIB - 3 * PAGE, 5 * PAGE, "r--"),
    },
    Scenario {
        name: "give writing back",
        gib: 1,
        prepare: |space| protect(space, (INNER, PAGE), Change::ReadOnly),
        operate: |space| protect(space, (INNER, PAGE), Change::ReadWrite),
        intents: || rights(INNER, PAGE, "rw-"),
    },
    Scenario {
        name: "make a read-only page executable",
        gib: 1,
        prepare: |space| protect(space, (INNER, PAGE), Change::ReadOnly),
        operate: |space| protect(space, (INNER, PAGE), Change::Execute),
        intents: || rights(INNER, PAGE, "r-x"),
    },
    Scenario {
        name: "publish code and make it executable",
        gib: 1,
        prepare: |space| protect(space, (INNER, PAGE), Change::ReadOnly),
        operate: |space| {
            let start = PhysAddr::new(INNER - LINEAR + 0x4000_0000);
            if let Some(code) = PhysRange::new(start, PAGE) {
                space.platform().note(Step::Code(code));
                publish_code(space.platform().machine(), code);
            }
            protect(space, (INNER, PAGE), Change::Execute);
        },
        intents: || rights(INNER, PAGE, "r-x"),
    },
    Scenario {
        name: "make a page invalid",
        gib: 1,
        prepare: nothing,
        operate: |space| protect(space, (INNER, PAGE), Change::Invalid),
        intents: || intend(INNER, PAGE, Target::Unmapped),
    },
    Scenario {
        name: "make a page valid",
        gib: 1,
        prepare: |space| protect(space, (INNER, PAGE), Change::Invalid),
        operate: |space| protect(space, (INNER, PAGE), Change::Valid),
        intents: || mapped(INNER, PAGE),
    },
    Scenario {
        name: "unmap a page of a GiB",
        gib: 1,
        prepare: nothing,
        operate: |space| unmap(space, INNER, PAGE),
        intents: || intend(INNER, PAGE, Target::Unmapped),
    },
    Scenario {
        name: "unmap blocks that empty no table",
        gib: 4,
        prepare: nothing,
        operate: |space| unmap(space, LINEAR + GIB, 2 * GIB),
        intents: || intend(LINEAR + GIB, 2 * GIB, Target::Unmapped),
    },
    Scenario {
        name: "unmap a GiB and free the tables below it",
        gib: 2,
        prepare: |space| split(space, INNER, PAGE),
        operate: |space| unmap(space, LINEAR, GIB),
        intents: || intend(LINEAR, GIB, Target::Unmapped),
    },
    Scenario {
        name: "unmap everything and free every table",
        gib: 1,
        prepare: |space| split(space, INNER, PAGE),
        operate: |space| unmap(space, LINEAR, GIB),
        intents: || intend(LINEAR, GIB, Target::Unmapped),
    },
    Scenario {
        name: "collapse a GiB",
        gib: 1,
        prepare: |space| split(space, INNER, PAGE),
        operate: |space| collapse(space, LINEAR, GIB),
        intents: Vec::new,
    },
    Scenario {
        name: "collapse 2 MiB and the run that they were in",
        gib: 1,
        prepare: |space| split(space, INNER, PAGE),
        operate: |space| collapse(space, LINEAR, GIB / 2),
        intents: Vec::new,
    },
    Scenario {
        name: "collapse pages to runs beside one that differs",
        gib: 1,
        prepare: |space| {
            protect(space, (INNER, 64 * 1024), Change::ReadOnly);
            protect(space, (INNER, 64 * 1024 - PAGE), Change::ReadWrite);
        },
        operate: |space| collapse(space, LINEAR, GIB),
        intents: Vec::new,
    },
    Scenario {
        name: "carve a page of a GiB",
        gib: 1,
        prepare: nothing,
        operate: |space| carve(space, INNER, PAGE).keep(),
        intents: Vec::new,
    },
    Scenario {
        name: "carve a page and make it read-only",
        gib: 1,
        prepare: nothing,
        operate: |space| {
            let carve = carve(space, INNER, PAGE);
            carve.protect(carve.range(), Change::ReadOnly).unwrap();
            carve.keep();
        },
        intents: || rights(INNER, PAGE, "r--"),
    },
    Scenario {
        name: "carve a page beside another and give it back",
        gib: 1,
        prepare: |space| carve(space, INNER, PAGE).keep(),
        operate: |space| carve(space, INNER + 64 * PAGE, PAGE).restore(),
        intents: Vec::new,
    },
    Scenario {
        name: "make an area and its aliases read-only",
        gib: 1,
        prepare: map_pieces,
        operate: |space| views::change(space, views_area(), ViewChange::ReadOnly),
        intents: || views::intents(PIECES, (&["r--"], "r--")),
    },
    Scenario {
        name: "make an area of written code executable",
        gib: 1,
        prepare: |space| {
            map_pieces(space);
            views::change(space, views_area(), ViewChange::ReadOnly);
            views::change(space, views_area(), ViewChange::ReadWrite);
        },
        operate: |space| views::change(space, views_area(), ViewChange::ReadOnlyExecute),
        intents: || views::intents(PIECES, (&["r--", "r-x"], "r--")),
    },
    Scenario {
        name: "make an area and its aliases writable again",
        gib: 1,
        prepare: |space| {
            map_pieces(space);
            views::change(space, views_area(), ViewChange::ReadOnlyExecute);
            views::change(space, views_area(), ViewChange::NoExecute);
        },
        operate: |space| views::change(space, views_area(), ViewChange::ReadWrite),
        intents: || views::intents(PIECES, (&["rw-"], "rw-")),
    },
    Scenario {
        name: "give an area of code back",
        gib: 1,
        prepare: |space| {
            map_pieces(space);
            views::change(space, views_area(), ViewChange::ReadOnlyExecute);
        },
        operate: |space| space.reset_views((views_area(), LINEAR_VIEW), |_| ()).unwrap(),
        intents: || {
            let mut intents = views::intents(PIECES, (&[], "rw-"));
            intents.extend(intend(AREA, views_area().bytes(), Target::Unmapped));
            intents
        },
    },
    Scenario {
        name: "retire two areas and purge them",
        gib: 1,
        prepare: |space| {
            let mut other = linear(1);
            other.range = range(AREA + 4 * MIB, 3 * PAGE);
            map_pieces(space);
            space.map(other).unwrap();
        },
        operate: |space| {
            let areas = [views_area(), range(AREA + 4 * MIB, 3 * PAGE)];
            space.purge(&mut areas.map(|area| Some(space.retire(area).unwrap())), |_| ());
        },
        intents: || {
            let mut intents = intend(AREA, views_area().bytes(), Target::Unmapped);
            intents.extend(intend(AREA + 4 * MIB, 3 * PAGE, Target::Unmapped));
            intents
        },
    },
];

/// An area of a page in the middle of everything, and of two at the start of a run.
const PIECES: &[(u64, u64)] = &[(0x1555_5000, PAGE), (0x1558_0000, 2 * PAGE)];

fn map_pieces(space: &Space<'_, Recording<'_>>) {
    let _area = map_area(space, PIECES);
}

fn views_area() -> VirtRange {
    let bytes = PIECES.iter().map(|(_, bytes)| bytes).sum();
    range(AREA, bytes)
}
