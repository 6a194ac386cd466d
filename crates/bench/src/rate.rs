//! Work that only this project does: folding back, dumping, inspecting, exploring and judging.

use std::fmt::Write;

use blockmap::dump::{self, Style};
use blockmap::host::{Host, MAY_PARK};
use blockmap::machine::{Entry, Machine, PhysAddr, PhysRange};
use blockmap::vmsa::{Leaves, Mair};
use blockmap_inspect::{PhysicalMemory, ReadError, TableReader};
use blockmap_model::explore::{Options, explore};
use blockmap_model::judge::judge;
use blockmap_verify::recorder;
use blockmap_verify::scenario::{LIVE, SCENARIOS, record};

use crate::engine::{Engine, EngineTree, range};
use crate::row::Row;
use crate::subject::{GIB, PAGE, Part, Refused, Subject, Tree};
use crate::work::{self, Failed, Meter};

/// Folds back what 10,000 pages out of 1 GiB blocks left, all rights being equal again.
pub(crate) const FOLD: Row = Row {
    work: "fold back 256 GiB, after 10,000 pages out of 1 GiB blocks",
    subject: Engine::NAME,
    unit: "table",
    aim: None,
    run: fold,
};

/// Writes Linux's dump of a tree.
pub(crate) const DUMP: Row = Row {
    work: "dump 256 GiB with 10,000 read-only pages",
    subject: Engine::NAME,
    unit: "line",
    aim: None,
    run: dump,
};

/// Writes the same dump of tables that lie in memory as an inspector finds it.
pub(crate) const INSPECT: Row = Row {
    work: "dump the same out of an image of memory",
    subject: "blockmap-inspect",
    unit: "line",
    aim: None,
    run: inspect,
};

/// Tries every order of an operation beside another CPU's walks.
pub(crate) const EXPLORE: Row = Row {
    work: "explore one page read-only out of 1 GiB, two CPUs",
    subject: "blockmap-model",
    unit: "state",
    aim: None,
    run: explore_operation,
};

/// Judges many operations in one pass.
pub(crate) const JUDGE: Row = Row {
    work: "judge 1,000 splits of 1 GiB blocks down to a page",
    subject: "blockmap-model",
    unit: "effect",
    aim: None,
    run: judge_operations,
};

/// A tree with 10,000 read-only pages; how many tables it had without.
fn with_pages<R>(
    work: impl FnOnce(&mut EngineTree<'_>, u32) -> Result<R, Failed>,
) -> Result<R, Failed> {
    Engine::with_tree(work::TABLES, |tree| {
        tree.map(work::ALL, Leaves::Largest)?;
        let tables = tree.tables();
        for page in work::pages(work::ALL) {
            tree.read_only(page)?;
        }
        work(tree, tables)
    })
}

fn fold(meter: Meter<'_>) -> Result<u64, Failed> {
    with_pages(|tree, tables| {
        tree.read_write(work::ALL)?;
        let mut folded = Ok(0);
        meter(&mut || folded = tree.fold(work::ALL).map(|folded| folded.tables));
        let (freed, left) = (folded?, tree.tables() - tables);
        if left > 0 {
            return Err(Failed::Wrong(format!("{left} tables are left, and {freed} were freed")));
        }
        work::check(tree, work::ALL, &[])?;
        Ok(freed.into())
    })
}

/// Counts lines, and keeps none of them.
#[derive(Default)]
struct Lines(u64);

impl Write for Lines {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let lines = text.bytes().filter(|byte| *byte == b'\n').count();
        self.0 += u64::try_from(lines).unwrap_or(u64::MAX);
        Ok(())
    }
}

fn lines_of<R: dump::ReadTable>(tree: dump::Tree<'_, R>, meter: Meter<'_>) -> u64 {
    let mut lines = Lines::default();
    let style = Style { mair: Mair::KERNEL, markers: &[] };
    // Counting cannot fail.
    meter(&mut || tree.ptdump(style, &mut lines).unwrap_or_default());
    lines.0
}

fn dump(meter: Meter<'_>) -> Result<u64, Failed> {
    with_pages(|tree, _| {
        let space = tree.space();
        let reader = space.reader();
        Ok(lines_of(dump::Tree::new(space.geometry(), space.root(), &reader), meter))
    })
}

/// An image of the memory that tables lie in.
#[derive(Debug)]
struct Image {
    range: [PhysRange; 1],
    bytes: Vec<u8>,
}

impl Image {
    /// The memory of a tree's tables, which is used from the first frame on.
    fn of(tree: &EngineTree<'_>) -> Result<Self, Failed> {
        let space = tree.space();
        let tables =
            (0..u64::from(tree.tables())).map(|number| Host::BASE.wrapping_add(number * PAGE));
        let words = tables.flat_map(|table| {
            (0..512).map(move |index| space.platform().host().load(Entry { table, index }))
        });
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        let range = PhysRange::new(Host::BASE, length);
        let range = range.ok_or_else(|| Refused("there are no tables".to_owned()))?;
        Ok(Self { range: [range], bytes })
    }
}

impl PhysicalMemory for Image {
    fn ranges(&self) -> &[PhysRange] {
        &self.range
    }

    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        let [range] = self.range;
        let first = at.offset_from(range.start()).and_then(|first| usize::try_from(first).ok());
        let bytes = first.and_then(|first| self.bytes.get(first..)?.get(..into.len()));
        into.copy_from_slice(bytes.ok_or(ReadError::Absent(at))?);
        Ok(())
    }
}

fn inspect(meter: Meter<'_>) -> Result<u64, Failed> {
    with_pages(|tree, _| {
        let image = Image::of(tree)?;
        let reader = TableReader::new(&image);
        let space = tree.space();
        Ok(lines_of(dump::Tree::new(space.geometry(), space.root(), &reader), meter))
    })
}

fn explore_operation(meter: Meter<'_>) -> Result<u64, Failed> {
    let wanted = SCENARIOS.iter().find(|scenario| scenario.name == "protect a page of a GiB");
    let scenario = wanted.ok_or_else(|| Refused("there is no such scenario".to_owned()))?;
    let program = scenario.record(LIVE, 2);
    let mut report = None;
    meter(&mut || report = Some(explore(&program, Options::QUICK)));
    match report {
        Some(Ok(report)) if report.verdicts.is_empty() => {
            Ok(u64::try_from(report.states).unwrap_or(0))
        }
        other => Err(Failed::Wrong(format!("{other:?}"))),
    }
}

fn judge_operations(meter: Meter<'_>) -> Result<u64, Failed> {
    let mut refused = None;
    let program = record(
        (LIVE, 2048),
        |space| {
            let mapped = space.map(recorder::linear(16));
            refused = mapped.err().map(|why| why.to_string());
        },
        |space| {
            let all = Part { first: 0, bytes: 16 * GIB };
            for page in work::pages(all).into_iter().take(1000) {
                let Ok(range) = range(page) else { continue };
                // That sizes change is no intent, so none has to be said.
                let done = space.split(range, &MAY_PARK);
                debug_assert!(done.is_ok(), "{done:?}");
            }
        },
    );
    if let Some(why) = refused {
        return Err(Refused(why).into());
    }
    let mut judged = None;
    meter(&mut || judged = Some(judge(&program)));
    match judged {
        Some(judged) if judged.verdicts.is_empty() => Ok(judged.effects),
        other => Err(Failed::Wrong(format!("{other:?}"))),
    }
}
