//! The walk of one address: every entry that decides its translation.

use core::convert::Infallible;

use blockmap_vmsa::{
    Geometry, Kind, LeafSize, Level, bits,
    machine::{PhysAddr, VirtAddr},
};

use crate::{Limits, Mapped, ReadTable, Refusal, RightsPair, Skipped, Tree};

/// One entry on the way of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The level of the table.
    pub level: Level,
    /// The table.
    pub table: PhysAddr,
    /// The entry's number in it.
    pub index: u16,
    /// The entry.
    pub word: u64,
    /// What the walk does there.
    pub kind: Kind,
}

/// How a walk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<E> {
    /// At a valid leaf.
    Mapped {
        /// The output address of the input address itself.
        output: PhysAddr,
        /// The leaf, or the contiguous run that it claims to be one of.
        size: LeafSize,
        /// What it lets the exception levels do.
        rights: RightsPair,
    },
    /// At a leaf that is present but invalid: a translation fault at this level, by intent.
    PresentInvalid {
        /// The level of the leaf.
        level: Level,
        /// The output address that the input address would have.
        output: PhysAddr,
    },
    /// At an invalid entry: a translation fault at this level.
    Invalid(Level),
    /// At an entry with a reserved encoding: a translation fault at this level.
    Reserved(Level),
    /// Before the first table: the address is none of this tree's half.
    NotOfThisHalf,
    /// At a table that could not be read.
    Skipped(Skipped<E>),
}

/// The walk of one address: at most five steps, and how it ended.
///
/// It prints as one line for each step, decoded field by field, and one for the outcome; see
/// [`Walk::described`] for memory types by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk<E = Infallible> {
    geometry: Geometry,
    input: VirtAddr,
    steps: [Option<Step>; Level::ALL.len()],
    limits: Limits,
    outcome: Outcome<E>,
}

impl<E> Walk<E> {
    /// The geometry of the tree.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The address that was walked.
    #[must_use]
    pub const fn input(&self) -> VirtAddr {
        self.input
    }

    /// The entries, from the root down.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps.iter().copied().flatten()
    }

    /// The entry at which the walk ended, if it got to one: the leaf when there is one.
    #[must_use]
    pub fn last(&self) -> Option<Step> {
        self.steps().last()
    }

    /// What the tables on the way take away.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// How the walk ended.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome<E> {
        &self.outcome
    }

    /// The output address, if a valid leaf gives one.
    #[must_use]
    pub const fn output(&self) -> Option<PhysAddr> {
        match &self.outcome {
            Outcome::Mapped { output, .. } => Some(*output),
            Outcome::PresentInvalid { .. }
            | Outcome::Invalid(_)
            | Outcome::Reserved(_)
            | Outcome::NotOfThisHalf
            | Outcome::Skipped(_) => None,
        }
    }
}

impl<R: ReadTable> Tree<'_, R> {
    /// Walks `input` as the CPU would: one entry at each level, from the root down. The part that
    /// [`Tree::within`] names plays no role.
    #[must_use]
    pub fn walk(&self, input: VirtAddr) -> Walk<R::Error> {
        let mut walk = Walk {
            geometry: self.geometry,
            input,
            steps: [None; Level::ALL.len()],
            limits: Limits::NONE,
            outcome: Outcome::NotOfThisHalf,
        };
        let (lowest, highest) = self.geometry.inputs();
        if lowest <= input && input <= highest {
            walk.outcome = self.descend(&mut walk);
        }
        walk
    }

    /// Takes the steps of a walk, each one level down: this is why it ends.
    fn descend(&self, walk: &mut Walk<R::Error>) -> Outcome<R::Error> {
        let mut table = self.root;
        let mut level = self.geometry.root_level();
        loop {
            let index = self.geometry.index(level, walk.input);
            let word = match self.entry(table, index) {
                Ok(word) => word,
                Err(refusal) => return Outcome::Skipped(Skipped { table, refusal }),
            };
            let kind = self.geometry.kind(level, word);
            if let Some(slot) = walk.steps.iter_mut().find(|slot| slot.is_none()) {
                *slot = Some(Step { level, table, index, word, kind });
            }
            match (kind, level.next()) {
                (Kind::Table, Some(next)) => {
                    walk.limits = walk.limits | Limits::of_table(word);
                    table = self.geometry.table_address(word);
                    level = next;
                }
                // The last level has no tables.
                (Kind::Reserved | Kind::Table, _) => return Outcome::Reserved(level),
                (Kind::Invalid, _) => return Outcome::Invalid(level),
                (Kind::Leaf | Kind::PresentInvalid, _) => return walk.leaf(level, word),
            }
        }
    }

    fn entry(&self, table: PhysAddr, index: u16) -> Result<u64, Refusal<R::Error>> {
        if !self.can_hold_table(table) {
            return Err(Refusal::Address);
        }
        let mut words = [0];
        let read = self.reader.entries(table, index, &mut words);
        let [word] = words;
        read.map(|()| word).map_err(Refusal::Unreadable)
    }
}

impl<E> Walk<E> {
    /// How the walk ends at a leaf.
    fn leaf(&self, level: Level, word: u64) -> Outcome<E> {
        let geometry = self.geometry;
        let offset = self.input.value() % geometry.span_bytes(level);
        let output = geometry.leaf_output(level, word).wrapping_add(offset);
        let run = if word & bits::CONTIGUOUS == 0 { None } else { geometry.run_size(level) };
        match run.or(geometry.leaf_size(level)) {
            Some(size) if word & bits::VALID != 0 => Outcome::Mapped {
                output,
                size,
                rights: RightsPair::of(geometry, word, self.limits),
            },
            Some(_) | None => Outcome::PresentInvalid { level, output },
        }
    }

    /// What the leaf at the end says, with the limits of the tables on the way, if the walk ended
    /// at one, valid or not.
    #[must_use]
    pub fn mapped(&self) -> Option<Mapped> {
        let step = self.last()?;
        match step.kind {
            Kind::Leaf | Kind::PresentInvalid => {
                Some(Mapped::of(self.geometry, step.level, step.word, self.limits))
            }
            Kind::Invalid | Kind::Table | Kind::Reserved => None,
        }
    }
}
