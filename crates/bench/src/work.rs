//! The work that every subject does: prepared, counted, and then checked against what it must have
//! come to, address by address.

use std::hint::black_box;

use blockmap::vmsa::Leaves;

use crate::draw::Draw;
use crate::subject::{GIB, MIB2, PAGE, Part, Refused, Subject, Tree};

/// Runs the part of a work that counts.
pub type Meter<'m> = &'m mut dyn FnMut(&mut dyn FnMut());

/// Why a work's figure is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The library has no such operation, or refused it.
    Refused(Refused),
    /// It did, and the tables say something else than they must.
    Wrong(String),
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// The memory that most works are about.
pub const ALL: Part = Part { first: 0, bytes: 256 * GIB };
/// Memory that starts and ends in the middle of everything.
pub const RAGGED: Part = Part { first: GIB + 3 * PAGE, bytes: 255 * GIB - 8 * PAGE };
/// Memory for what is about pages: large enough for its share of upper tables not to matter.
pub const IN_PAGES: Part = Part { first: 0, bytes: 16 * GIB };
/// How many pages are taken out of blocks, and addresses translated.
pub const TIMES: u64 = 10_000;
/// How many ranges of 64 MiB, each in a GiB of its own.
pub const RANGES: u64 = 16;
const RANGE: u64 = 64 << 20;
/// Tables enough for [`TIMES`] pages out of blocks, and for [`IN_PAGES`].
pub(crate) const TABLES: usize = 12_000;
const SEED: u64 = 7;

/// Where the ranges of 64 MiB begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starts {
    /// At multiples of their length.
    Aligned,
    /// At any page.
    Anywhere,
}

/// Random pages of memory: the same each time.
#[must_use]
pub fn pages(of: Part) -> Vec<Part> {
    let mut draw = Draw::new(SEED);
    let mut page = || Part { first: of.first + draw.below(of.bytes / PAGE) * PAGE, bytes: PAGE };
    (0..TIMES).map(|_| page()).collect()
}

/// A range of 64 MiB in each of so many GiB.
fn ranges(starts: Starts) -> Vec<Part> {
    let mut draw = Draw::new(SEED);
    let step = match starts {
        Starts::Aligned => RANGE,
        Starts::Anywhere => PAGE,
    };
    let mut first = |gib| gib * GIB + draw.below((GIB - RANGE) / step) * step;
    (0..RANGES).map(|gib| Part { first: first(gib), bytes: RANGE }).collect()
}

/// Maps `part`: one unit if in the largest leaves, else its pages.
///
/// # Errors
/// See [`Failed`].
pub fn map<S: Subject>(part: Part, leaves: Leaves, meter: Meter<'_>) -> Result<u64, Failed> {
    S::with_tree(TABLES, |tree| {
        let mut done = Ok(());
        meter(&mut || done = tree.map(part, leaves));
        done?;
        check(tree, part, &[])?;
        Ok(match leaves {
            Leaves::Largest => 1,
            Leaves::Pages => part.bytes / PAGE,
        })
    })
}

/// Makes random pages of [`ALL`] read-only, which is mapped in blocks of 1 GiB.
///
/// # Errors
/// See [`Failed`].
pub fn pages_out_of_blocks<S: Subject>(meter: Meter<'_>) -> Result<u64, Failed> {
    change::<S>((ALL, Leaves::Largest), &pages(ALL), meter)
}

/// Makes ranges of 64 MiB read-only.
///
/// # Errors
/// See [`Failed`].
pub fn ranges_read_only<S: Subject>(
    leaves: Leaves,
    starts: Starts,
    meter: Meter<'_>,
) -> Result<u64, Failed> {
    change::<S>((IN_PAGES, leaves), &ranges(starts), meter)
}

fn change<S: Subject>(
    (part, leaves): (Part, Leaves),
    changed: &[Part],
    meter: Meter<'_>,
) -> Result<u64, Failed> {
    S::with_tree(TABLES, |tree| {
        tree.map(part, leaves)?;
        let mut done = Ok(());
        meter(&mut || done = changed.iter().try_for_each(|part| tree.read_only(*part)));
        done?;
        check(tree, part, changed)?;
        Ok(u64::try_from(changed.len()).unwrap_or(0))
    })
}

/// Translates random addresses.
///
/// # Errors
/// See [`Failed`].
pub fn translate<S: Subject>(part: Part, leaves: Leaves, meter: Meter<'_>) -> Result<u64, Failed> {
    let mut draw = Draw::new(SEED);
    let offsets: Vec<u64> = (0..TIMES).map(|_| part.first + draw.below(part.bytes)).collect();
    S::with_tree(TABLES, |tree| {
        tree.map(part, leaves)?;
        let mut missing = 0;
        meter(&mut || {
            let found = |offset: &&u64| black_box(tree.translate(**offset)).is_none();
            missing = offsets.iter().filter(found).count();
        });
        if missing > 0 {
            return Err(Failed::Wrong(format!("{missing} addresses are not translated")));
        }
        check(tree, part, &[])?;
        Ok(TIMES)
    })
}

/// Visits all leaves of memory in pages.
///
/// # Errors
/// See [`Failed`].
pub fn walk<S: Subject>(meter: Meter<'_>) -> Result<u64, Failed> {
    let part = Part { bytes: 4 * GIB, ..IN_PAGES };
    S::with_tree(TABLES, |tree| {
        tree.map(part, Leaves::Pages)?;
        let mut bytes = 0;
        meter(&mut || bytes = tree.mapped_bytes());
        if bytes != part.bytes {
            return Err(Failed::Wrong(format!("{bytes} bytes are mapped, not {}", part.bytes)));
        }
        Ok(part.bytes / PAGE)
    })
}

/// Checks that exactly `mapped` is mapped, each offset to itself, and exactly `read_only` of it cannot
/// be written: at the edges of all of them, and at random places.
pub(crate) fn check(tree: &impl Tree, mapped: Part, read_only: &[Part]) -> Result<(), Failed> {
    let mut draw = Draw::new(SEED + 1);
    let edges = read_only.iter().chain([&mapped]).flat_map(|part| {
        let after = part.end();
        [part.first.saturating_sub(1), part.first, after - 1, after, part.first + MIB2]
    });
    let random: Vec<u64> = (0..2000).map(|_| draw.below(mapped.end() + GIB)).collect();
    let mut sorted: Vec<Part> = read_only.to_vec();
    sorted.sort_by_key(|part| part.first);
    for offset in edges.chain(random) {
        let is_in = |part: &Part| part.first <= offset && offset < part.end();
        let before = sorted.partition_point(|part| part.first <= offset);
        let is_read_only = before.checked_sub(1).and_then(|at| sorted.get(at)).is_some_and(is_in);
        let expected = is_in(&mapped).then_some(offset);
        let found = tree.translate(offset);
        if found != expected {
            return Err(Failed::Wrong(format!("{offset:#x} leads to {found:x?}")));
        }
        if tree.is_writable(offset) != (expected.is_some() && !is_read_only) {
            return Err(Failed::Wrong(format!("{offset:#x} has the wrong rights")));
        }
    }
    Ok(())
}
