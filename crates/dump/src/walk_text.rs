//! The text of a walk: each entry decoded field by field, and what comes of it.

use core::fmt;

use blockmap_vmsa::{Format, Geometry, Half, Kind, Level, Regime, bits};

use crate::{Limits, Outcome, Rights, Size, Step, Walk, memory::MemoryName};

/// A walk with the names of its memory types. See [`Walk::described`].
#[derive(Clone, Copy, Debug)]
pub struct Described<'w, E> {
    walk: &'w Walk<E>,
    mair: Option<u64>,
}

impl<E> Walk<E> {
    /// The walk, to be printed with memory types as `mair`, the value of `MAIR_ELx`, names them.
    #[must_use]
    pub const fn described(&self, mair: u64) -> Described<'_, E> {
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
        let walk = self.walk;
        for step in walk.steps() {
            self.step(f, step)?;
        }
        write!(f, "{} ", walk.input())?;
        match walk.outcome() {
            Outcome::Mapped { output, size, rights } => {
                write!(f, "-> {output}, {}", Size::of(size.bytes()))?;
                f.write_str(match (size.run, size.level) {
                    (Some(_), _) => " contiguous run",
                    (None, Level::L3) => " page",
                    (None, _) => " block",
                })?;
                write!(f, ", {}", letters(rights.privileged))?;
                if walk.geometry().regime().has_unprivileged() {
                    write!(f, ", EL0 {}", letters(rights.unprivileged))?;
                }
                let is_accessed = walk.last().is_some_and(|leaf| leaf.word & bits::ACCESSED != 0);
                f.write_str(if is_accessed { "" } else { ", access flag fault" })
            }
            Outcome::PresentInvalid { level, output } => {
                write!(f, "translation fault, {level}: invalid, but present at {output}")
            }
            Outcome::Invalid(level) => write!(f, "translation fault, {level}"),
            Outcome::Reserved(level) => {
                write!(f, "translation fault, {level}: reserved encoding")
            }
            Outcome::NotOfThisHalf => f.write_str(match walk.geometry().half() {
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
    /// Writes one entry's line.
    fn step(&self, f: &mut fmt::Formatter<'_>, step: Step) -> fmt::Result {
        let Step { level, table, index, word, kind } = step;
        let geometry = self.walk.geometry();
        write!(f, "level {:2}  {table}[{index}]  {word:#018x}  ", level.number())?;
        match kind {
            Kind::Invalid => f.write_str("invalid")?,
            Kind::Reserved => f.write_str("reserved encoding")?,
            Kind::Table => write_table(f, geometry, word)?,
            Kind::Leaf | Kind::PresentInvalid => {
                if kind == Kind::PresentInvalid {
                    f.write_str("present-invalid ")?;
                }
                f.write_str(if level == Level::L3 { "page" } else { "block" })?;
                write!(f, " {}", geometry.leaf_output(level, word))?;
                self.write_attributes(f, level, word)?;
            }
        }
        f.write_str("\n")
    }

    /// Writes what a leaf says besides where it leads: its fields from the low bits up, those of
    /// one bit only if they are set.
    fn write_attributes(&self, f: &mut fmt::Formatter<'_>, level: Level, word: u64) -> fmt::Result {
        let geometry = self.walk.geometry();
        write!(f, " attr={}", field(word, 2, 3))?;
        if let Some(mair) = self.mair {
            write!(f, ":{}", MemoryName::selected(mair, word))?;
        }
        write!(f, " AP={:02b}", field(word, 6, 2))?;
        if geometry.format() != Format::Lpa2 {
            let shareability = ["none", "reserved", "outer", "inner"];
            let number = usize::try_from(field(word, 8, 2)).unwrap_or_default();
            let name = shareability.get(number).copied().unwrap_or_default();
            write!(f, " SH={name}")?;
        }
        let single = !geometry.regime().has_unprivileged();
        let is_valid = word & bits::VALID != 0;
        let flags = [
            (bits::NON_SECURE, "NS"),
            (bits::ACCESSED, "AF"),
            (bits::NOT_GLOBAL, if is_valid { "nG" } else { "present" }),
            (bits::GUARDED, "GP"),
            (bits::DIRTY_MODIFIER, "DBM"),
            (bits::CONTIGUOUS, "contiguous"),
            (bits::PXN, if single { "PXN(RES0)" } else { "PXN" }),
            (bits::UXN, if single { "XN" } else { "UXN" }),
        ];
        write_flags(f, word, &flags)?;
        if field(word, 55, 4) != 0 {
            write!(f, " software={:#x}", field(word, 55, 4))?;
        }
        // PBHA or ignored, and bit 63.
        if field(word, 59, 5) != 0 {
            write!(f, " high={:#x}", field(word, 59, 5))?;
        }
        // A block's address leaves bits between the attributes and itself.
        let output = geometry.leaf_output(level, word);
        let told = geometry.leaf_word(level, output, geometry.leaf_meaning(word));
        write_rest(f, word & !(told | bits::CONTIGUOUS))
    }
}

/// Writes what a table descriptor says.
fn write_table(f: &mut fmt::Formatter<'_>, geometry: Geometry, word: u64) -> fmt::Result {
    let table = geometry.table_address(word);
    write!(f, "table {table}")?;
    let never = match geometry.regime() {
        Regime::El1And0 | Regime::El2And0 => "UXNTable",
        Regime::El2 | Regime::El3 => "XNTable",
    };
    let limits = [
        (bits::ACCESSED, "AF"),
        (Limits::PXN.bits(), "PXNTable"),
        (Limits::UXN.bits(), never),
        (Limits::PRIVILEGED.bits(), "APTable[0]"),
        (Limits::READ_ONLY.bits(), "APTable[1]"),
        (Limits::NON_SECURE.bits(), "NSTable"),
    ];
    write_flags(f, word, &limits)?;
    let told = geometry.table_word(table) | bits::ACCESSED | Limits::of_table(word).bits();
    write_rest(f, word & !told)
}

/// Writes the names of those bits that are set.
fn write_flags(f: &mut fmt::Formatter<'_>, word: u64, flags: &[(u64, &str)]) -> fmt::Result {
    flags.iter().filter(|(bit, _)| word & bit != 0).try_for_each(|(_, name)| write!(f, " {name}"))
}

/// Writes bits that no field accounts for, if any are set.
fn write_rest(f: &mut fmt::Formatter<'_>, rest: u64) -> fmt::Result {
    if rest == 0 {
        return Ok(());
    }
    write!(f, " rest={rest:#x}")
}

/// The `width` bits of `word` from bit `lowest` up.
const fn field(word: u64, lowest: u32, width: u32) -> u64 {
    word >> lowest & ((1 << width) - 1)
}

/// Rights as `r`, `w` and `x`, with a dash for each one missing.
fn letters(rights: Rights) -> &'static str {
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
