//! What an operation is about to make of the map: without it nobody can say whether its effects
//! did what was asked.

use core::fmt;

use blockmap::Mapping;
use blockmap::dump::{Limits, Mapped, ReadTable, RightsPair, Tree};
use blockmap::machine::{PhysAddr, VirtRange};
use blockmap::vmsa::{Change, Geometry};

use super::{Record, Recording};

/// From here on, and until it is achieved, a range is on its way to another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The range.
    pub range: VirtRange,
    /// What it becomes.
    pub target: Target,
    /// Whether it may be out of reach before.
    pub meanwhile: Meanwhile,
}

/// Whether a range may be out of reach on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// What is mapped before and afterwards can be accessed all the time.
    Accessible,
    /// Nobody accesses it.
    Idle,
    /// Nobody accesses it, and TLBs may hold what it was until another intent for it is achieved.
    Later,
}

/// What a range becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every access to it faults.
    Unmapped,
    /// It is mapped.
    Mapped {
        /// What its first address translates to; the others follow it.
        output: PhysAddr,
        /// What it grants.
        rights: RightsPair,
        /// The index of the memory's type.
        memory: u8,
    },
}

impl Target {
    /// What leaves with `mapped` make of a range.
    fn of(geometry: Geometry, mapped: Mapped) -> Self {
        if !mapped.is_valid() {
            return Self::Unmapped;
        }
        let [low, ..] = mapped.meaning.to_le_bytes();
        let (output, rights) = (mapped.output, mapped.rights(geometry));
        Self::Mapped { output, rights, memory: low >> 2 & 0b111 }
    }
}

impl Recording<'_> {
    /// Says what mapping `mapping` in a tree of `geometry` is to make of its range.
    pub fn intend_map(&self, geometry: Geometry, mapping: Mapping) {
        if self.is_on() {
            let Mapping { range, output, attributes, .. } = mapping;
            let meaning = geometry.meaning(attributes);
            let mapped = Mapped { meaning, output, limits: Limits::NONE };
            self.intend(range, Target::of(geometry, mapped), Meanwhile::Accessible);
        }
    }

    /// Says what `change` is to make of the leaves that `tree` has in `range`, an intent for each
    /// run of equal leaves.
    pub fn intend_change<R: ReadTable>(&self, tree: Tree<'_, R>, range: VirtRange, change: Change) {
        let masks = change.masks(tree.geometry().regime());
        self.intend_runs(tree, range, (|meaning| masks.apply(meaning), Meanwhile::Accessible));
    }

    /// As [`Recording::intend_change`], of changes one after the other.
    pub fn intend_changes<R: ReadTable>(
        &self,
        tree: Tree<'_, R>,
        range: VirtRange,
        changes: &[Change],
    ) {
        let regime = tree.geometry().regime();
        let all = |meaning| {
            changes.iter().fold(meaning, |before, change| change.masks(regime).apply(before))
        };
        self.intend_runs(tree, range, (all, Meanwhile::Accessible));
    }

    /// Says that all leaves that `tree` has in `range` are to say `meaning` again.
    pub fn intend_back<R: ReadTable>(&self, tree: Tree<'_, R>, range: VirtRange, meaning: u64) {
        self.intend_runs(tree, range, (|_| meaning, Meanwhile::Accessible));
    }

    /// Says that `range` means the same before and after, and that nobody accesses it meanwhile.
    pub fn intend_same<R: ReadTable>(&self, tree: Tree<'_, R>, range: VirtRange) {
        self.intend_runs(tree, range, (|meaning| meaning, Meanwhile::Idle));
    }

    /// An intent for each run of equal leaves that `tree` has in `range`: what each is to say.
    fn intend_runs<R: ReadTable>(
        &self,
        tree: Tree<'_, R>,
        range: VirtRange,
        (becomes, meanwhile): (impl Fn(u64) -> u64, Meanwhile),
    ) {
        if !self.is_on() {
            return;
        }
        for run in tree.within(range).runs() {
            if let (Some(old), Some(part)) = (run.mapped(), run.range.intersection(range)) {
                let offset = part.start().offset_from(run.range.start()).unwrap_or(0);
                let meaning = becomes(old.meaning);
                let new = Mapped { meaning, output: old.output.wrapping_add(offset), ..old };
                self.intend(part, Target::of(tree.geometry(), new), meanwhile);
            }
        }
    }

    fn intend(&self, range: VirtRange, target: Target, meanwhile: Meanwhile) {
        self.add(Record::Intend(Intent { range, target, meanwhile }));
    }

    /// Says that nothing of `range` is to be left mapped.
    pub fn intend_unmap(&self, range: VirtRange) {
        self.intend(range, Target::Unmapped, Meanwhile::Accessible);
    }

    /// Says that `range` is out of use, and that TLBs may hold what it was until it is unmapped.
    pub fn intend_later(&self, range: VirtRange) {
        self.intend(range, Target::Unmapped, Meanwhile::Later);
    }

    /// Says how the operation ended whose intents were recorded last.
    pub fn ended<E>(&self, result: &Result<(), E>) {
        self.add(if result.is_ok() { Record::Achieved } else { Record::Refused });
    }
}

/// Three letters for each of two exception levels, the second only if it has any right.
struct Letters(RightsPair);

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RightsPair { privileged, unprivileged } = self.0;
        let letter = |has: bool, letter| if has { letter } else { '-' };
        for (rights, before) in [(privileged, ""), (unprivileged, ":")] {
            let (reads, writes, executes) = (rights.reads, rights.writes, rights.executes);
            if before.is_empty() || reads || writes || executes {
                let (r, w, x) = (letter(reads, 'r'), letter(writes, 'w'), letter(executes, 'x'));
                write!(f, "{before}{r}{w}{x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "intend {} ", self.range)?;
        match self.target {
            Target::Unmapped => f.write_str("unmapped")?,
            Target::Mapped { output, rights, memory } => {
                write!(f, "output {output} {} type {memory}", Letters(rights))?;
            }
        }
        match self.meanwhile {
            Meanwhile::Accessible => Ok(()),
            Meanwhile::Idle => f.write_str(" idle"),
            Meanwhile::Later => f.write_str(" later"),
        }
    }
}
