//! The text of a walk: each entry decoded field by field, and what comes of it.

use core::fmt;

use blockmap_vmsa::{
    Geometry, Half, Level, Mair, Shareability, bits,
    descriptor::{
        AccessFlag, Asids, Bit, BlockCaching, BranchTargets, Contiguity, Descriptor, DirtyTracking,
        Execution, Leaf, OutputSpace, Sharing, Stores, Table, Unprivileged, Validity,
    },
};

use crate::{Outcome, Rights, Size, Step, Walk, memory::MemoryName};

/// A walk with the names of its memory types. See [`Walk::described`].
#[derive(Clone, Copy, Debug)]
pub struct Described<'w, E> {
    walk: &'w Walk<E>,
    mair: Option<Mair>,
}

impl<E> Walk<E> {
    /// The walk, to be printed with memory types as `mair` names them.
    #[must_use]
    pub const fn described(&self, mair: Mair) -> Described<'_, E> {
        Described { walk: self, mair: Some(mair) }
    }
}

impl<E: fmt::Display> fmt::Display for Walk<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Described { walk: self, mair: None };
        text.fmt(f)
    }
}

impl<E: fmt::Display> fmt::Display for Described<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.walk.steps() {
            self.write_step(f, step)?;
        }
        write!(f, "{} ", self.walk.input())?;
        match self.walk.outcome() {
            Outcome::Mapped { .. } => self.write_mapped(f),
            Outcome::PresentInvalid { level, output } => {
                write!(f, "translation fault, {level}: invalid, but present at {output}")
            }
            Outcome::Invalid(level) => write!(f, "translation fault, {level}"),
            Outcome::Reserved(level) => write!(f, "translation fault, {level}: reserved encoding"),
            Outcome::NotOfThisHalf => f.write_str(match self.walk.geometry().half() {
                Half::Lower => "is not in the lower half",
                Half::Upper => "is not in the upper half",
            }),
            Outcome::Skipped(skipped) => {
                write!(f, "unknown: table {}: {}", skipped.table, skipped.refusal)
            }
        }
    }
}

impl<E> Described<'_, E> {
    /// Writes where the address leads and what may be done there.
    fn write_mapped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome::Mapped { output, size, rights } = self.walk.outcome() else {
            return Ok(());
        };
        let shape = match (size.run, size.level) {
            (Some(_), _) => "contiguous run",
            (None, Level::L3) => "page",
            (None, _) => "block",
        };
        write!(f, "-> {output}, {} {shape}", Size::of(size.bytes()))?;
        write!(f, ", {}", letters(rights.privileged))?;
        if self.walk.geometry().regime().has_unprivileged() {
            write!(f, ", EL0 {}", letters(rights.unprivileged))?;
        }
        let is_accessed = |leaf: Step| leaf.word & bits::ACCESSED != 0;
        if !self.walk.last().is_some_and(is_accessed) {
            f.write_str(", access flag fault")?;
        }
        Ok(())
    }

    /// Writes one entry's line.
    fn write_step(&self, f: &mut fmt::Formatter<'_>, step: Step) -> fmt::Result {
        let Step { level, table, index, word, kind: _ } = step;
        let geometry = self.walk.geometry();
        write!(f, "level {:2}  {table}[{index}]  {word:#018x}  ", level.number())?;
        match geometry.decode(level, word) {
            Descriptor::Invalid(_) => f.write_str("invalid")?,
            Descriptor::Reserved(_) => f.write_str("reserved encoding")?,
            Descriptor::Table(table) => write_table(f, geometry, &table)?,
            Descriptor::Leaf(leaf) => {
                f.write_str(match leaf.validity {
                    Validity::Valid => "",
                    Validity::PresentInvalid => "invalid but present ",
                })?;
                f.write_str(if level == Level::L3 { "page" } else { "block" })?;
                self.write_leaf(f, &leaf)?;
            }
        }
        f.write_str("\n")
    }

    /// Writes what a leaf says, its fields from the low bits up; those of one bit only when they
    /// are set.
    fn write_leaf(&self, f: &mut fmt::Formatter<'_>, leaf: &Leaf) -> fmt::Result {
        write!(f, " {} attr={}", leaf.output, leaf.memory.value())?;
        if let Some(mair) = self.mair {
            write!(f, ":{}", MemoryName(mair.memory_type(leaf.memory)))?;
        }
        let sharing = match leaf.sharing {
            Sharing::Is(Shareability::Non) => "SH=none",
            Sharing::Is(Shareability::Outer) => "SH=outer",
            Sharing::Is(Shareability::Inner) => "SH=inner",
            Sharing::Reserved => "SH=reserved",
            Sharing::ByControl => "",
        };
        let has_unprivileged = self.walk.geometry().regime().has_unprivileged();
        let unprivileged = match (leaf.unprivileged, has_unprivileged) {
            (Unprivileged::Allowed, true) => "EL0",
            (Unprivileged::Denied, false) => "AP[1]=0(RES1)",
            (Unprivileged::Denied, true) | (Unprivileged::Allowed, false) => "",
        };
        let [privileged_never, never] = never(self.walk.geometry(), leaf.execution);
        let words = [
            named(leaf.space == OutputSpace::NonSecure, "NS"),
            unprivileged,
            named(leaf.stores == Stores::Allowed, "RW"),
            named(leaf.stores == Stores::Denied, "ro"),
            sharing,
            named(leaf.accessed == AccessFlag::Set, "AF"),
            named(leaf.asids == Asids::One, "nG"),
            named(leaf.caching == BlockCaching::NoTranslation, "nT"),
            named(leaf.branches == BranchTargets::Guarded, "GP"),
            named(leaf.dirty == DirtyTracking::ByHardware, "DBM"),
            named(leaf.contiguity == Contiguity::Run, "contiguous"),
            named(privileged_never, "PXN"),
            named(never, if has_unprivileged { "UXN" } else { "XN" }),
        ];
        write_words(f, &words)?;
        let numbers = [
            ("software", u64::from(leaf.software)),
            ("PBHA", u64::from(leaf.hardware)),
            ("bit63", u64::from(leaf.ignored == Bit::Set)),
            ("RES0", leaf.residue),
        ];
        write_numbers(f, &numbers)
    }
}

/// Writes what a table descriptor says.
fn write_table(f: &mut fmt::Formatter<'_>, geometry: Geometry, table: &Table) -> fmt::Result {
    write!(f, "table {}", table.next)?;
    let has_unprivileged = geometry.regime().has_unprivileged();
    let [privileged_never, never] = never(geometry, table.execution);
    let words = [
        named(table.accessed == AccessFlag::Set, "AF"),
        named(privileged_never, "PXNTable"),
        named(never, if has_unprivileged { "UXNTable" } else { "XNTable" }),
        named(table.unprivileged == Unprivileged::Denied, "APTable[0]"),
        named(table.stores == Stores::Denied, "APTable[1]"),
        named(table.space == OutputSpace::NonSecure, "NSTable"),
    ];
    write_words(f, &words)?;
    write_numbers(f, &[("ignored", table.ignored), ("RES0", table.residue)])
}

/// The name of something that is so, or nothing.
const fn named(is_so: bool, name: &'static str) -> &'static str {
    if is_so { name } else { "" }
}

/// Which execute-never bits are set: that of the privileged level, then the other or only one.
const fn never(geometry: Geometry, execution: Execution) -> [bool; 2] {
    match execution {
        Execution::Everyone => [false, false],
        Execution::UnprivilegedOnly => [true, false],
        Execution::PrivilegedOnly => [false, true],
        Execution::Nobody => [geometry.regime().has_unprivileged(), true],
    }
}

/// Writes words, each after a space; empty ones are left out.
fn write_words(f: &mut fmt::Formatter<'_>, words: &[&str]) -> fmt::Result {
    let mut words = words.iter().filter(|word| !word.is_empty());
    words.try_for_each(|word| write!(f, " {word}"))
}

/// Writes numbers by name; zeros are left out.
fn write_numbers(f: &mut fmt::Formatter<'_>, numbers: &[(&str, u64)]) -> fmt::Result {
    let mut numbers = numbers.iter().filter(|(_, number)| *number != 0);
    numbers.try_for_each(|(name, number)| write!(f, " {name}={number:#x}"))
}

/// Rights as `r`, `w` and `x`, with a dash for each one missing.
const fn letters(rights: Rights) -> &'static str {
    match (rights.reads, rights.writes, rights.executes) {
        (true, true, true) => "rwx",
        (true, true, false) => "rw-",
        (true, false, true) => "r-x",
        (true, false, false) => "r--",
        (false, true, true) => "-wx",
        (false, true, false) => "-w-",
        (false, false, true) => "--x",
        (false, false, false) => "---",
    }
}
