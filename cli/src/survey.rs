//! All leaves of a tree, kept: for commands that look at them more than once.

use anyhow::{Result, bail};
use blockmap_dump::vmsa::machine::{PhysRange, VirtRange};
use blockmap_dump::vmsa::{Geometry, Level, bits};
use blockmap_dump::{Mapped, ReadTable, Tree, What};

use crate::progress::Progress;

/// Runs that are kept at most: enough for 16 GiB of single pages that lead nowhere in common.
const MOST_RUNS: usize = 1 << 22;

/// Neighbouring leaves of one level that say the same and lead to memory in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaves {
    /// The addresses they translate.
    pub(crate) range: VirtRange,
    /// Their level.
    pub(crate) level: Level,
    /// What they say.
    pub(crate) mapped: Mapped,
}

impl Leaves {
    /// The memory they lead to.
    pub(crate) const fn output(&self) -> Option<PhysRange> {
        PhysRange::new(self.mapped.output, self.range.bytes())
    }

    /// What they grant, without what says how they are grouped: the leaves' own
    /// words, and the limits of the tables above.
    pub(crate) const fn grants(&self) -> (u64, u64) {
        (self.mapped.meaning & !bits::CONTIGUOUS, self.mapped.limits.bits())
    }

    /// The part of them that is in `range`, if there is one.
    pub(crate) fn within(&self, range: VirtRange) -> Option<Self> {
        let range = self.range.intersection(range)?;
        let offset = range.start().offset_from(self.range.start())?;
        let output = self.mapped.output.wrapping_add(offset);
        Some(Self { range, mapped: Mapped { output, ..self.mapped }, ..*self })
    }
}

/// All leaves of a tree.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    /// The tree's geometry.
    pub(crate) geometry: Geometry,
    /// The leaves, in the order of their addresses.
    pub(crate) leaves: Vec<Leaves>,
    /// What could not be read, and why.
    pub(crate) skipped: Vec<(VirtRange, String)>,
    /// Runs of entries with a reserved encoding.
    pub(crate) reserved: Vec<VirtRange>,
}

impl Survey {
    /// The leaves of `tree`.
    ///
    /// # Errors
    /// There are too many to be kept.
    pub(crate) fn of<R: ReadTable>(tree: &Tree<'_, R>) -> Result<Self> {
        let _progress = Progress::of("reading tables".to_owned());
        let mut survey = Self {
            geometry: tree.geometry(),
            leaves: Vec::new(),
            skipped: Vec::new(),
            reserved: Vec::new(),
        };
        for run in tree.runs() {
            match &run.what {
                What::Gap => continue,
                What::Leaves(mapped) => {
                    let (range, level) = (run.range, run.level);
                    survey.leaves.push(Leaves { range, level, mapped: *mapped });
                }
                What::Reserved(_) => survey.reserved.push(run.range),
                What::Skipped(skipped) => {
                    let why = format!("table {}: {}", skipped.table, skipped.refusal);
                    survey.skipped.push((run.range, why));
                }
            }
            let kept = survey.leaves.len() + survey.reserved.len() + survey.skipped.len();
            if kept > MOST_RUNS {
                bail!(
                    "the tables have more than {MOST_RUNS} stretches that differ, as damaged ones \
                     do: look at a part of them with --range"
                );
            }
        }
        if let Some((range, why)) = survey.skipped.first() {
            let count = survey.skipped.len();
            crate::progress::remark(&format!("{count} not read: the first at {range}: {why}"));
        }
        Ok(survey)
    }

    /// The leaves in `range`, cut where it begins and ends.
    pub(crate) fn within(&self, range: VirtRange) -> impl Iterator<Item = Leaves> {
        let first = self.leaves.partition_point(|leaves| leaves.range.last() < range.start());
        let rest = self.leaves.get(first..).unwrap_or_default();
        rest.iter().map_while(move |leaves| leaves.within(range))
    }
}
