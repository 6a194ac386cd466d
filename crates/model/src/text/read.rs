//! Reading programs.

use std::ops::Range;
use std::str::{FromStr, SplitWhitespace};

use blockmap_machine::trace::TraceError;
use blockmap_machine::{Event, PhysAddr, PhysRange, VirtAddr, VirtRange};
use thiserror::Error;

use crate::meaning::Translation;
use crate::profile::{
    Forwarding, Invalidation, Profile, Runs, Several, SizeChange, Synchronisation, WalkCache,
};
use crate::program::{Aliases, Context, Intent, Meanwhile, Part, Program, Step, Target};
use crate::rights::RightsError;
use crate::shape::{Format, Granule, Half, Regime, Shape, Updates};

/// What is wrong with one line of a program's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Line {
    /// The line is neither a step nor part of the heading.
    #[error("no such line: {0}")]
    Trace(#[from] TraceError),
    /// The line ends before it is complete.
    #[error("the line ends before it is complete")]
    TooShort,
    /// Words are left after a complete line.
    #[error("words are left after a complete line")]
    TooLong,
    /// Not a number that fits.
    #[error("not a number that fits")]
    Number,
    /// Not of the form `START+BYTES`, or empty, or wrapping.
    #[error("ranges are written START+BYTES")]
    Range,
    /// Rights are misspelt.
    #[error(transparent)]
    Rights(#[from] RightsError),
    /// A word where another was expected.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A CPU that the program does not have.
    #[error("no such CPU: `cpus COUNT` stands above and says how many there are, at most 64")]
    Cpu,
    /// A step above the first `cpu N:`.
    #[error("a step belongs under `cpu N:`")]
    Nobody,
}

/// Why a text is no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {number}: {what}")]
pub struct ReadError {
    /// The line, counted from one.
    pub number: usize,
    /// What is wrong with it.
    pub what: Line,
}

/// Reads a program.
///
/// # Errors
/// [`ReadError`], for the first line that is wrong.
pub fn read(text: &str) -> Result<Program, ReadError> {
    let mut program = Program::new(Shape::KERNEL_4K_48, PhysAddr::new(0), Profile::QUIET, 1);
    let mut current = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            take(&mut program, &mut current, line).map_err(|what| ReadError { number, what })?;
        }
    }
    Ok(program)
}

type Words<'a> = SplitWhitespace<'a>;

/// Adds one line to the program.
fn take(program: &mut Program, current: &mut Option<Range<usize>>, line: &str) -> Result<(), Line> {
    let mut words = line.split_whitespace();
    match next(&mut words)? {
        "geometry" => {
            program.shape = Shape { updates: program.shape.updates, ..shape(&mut words)? };
        }
        "updates" => {
            let both = [("software", Updates::BySoftware), ("hardware", Updates::ByHardware)];
            program.shape.updates = named("software or hardware", next(&mut words)?, &both)?;
        }
        "root" => program.root = PhysAddr::new(number(&mut words)?),
        "types" => {
            for byte in &mut program.types {
                *byte = number(&mut words)?;
            }
        }
        "aliases" => {
            let both = [("apart", Aliases::Apart), ("mixed", Aliases::Mixed)];
            program.aliases = named("apart or mixed", next(&mut words)?, &both)?;
        }
        "cpus" => {
            let count: usize = number(&mut words)?;
            let cpu = program.cpus.first().cloned().filter(|_| (1..=64).contains(&count));
            program.cpus = vec![cpu.ok_or(Line::Cpu)?; count];
        }
        "profile" => {
            let cpu: usize = number(&mut words)?;
            let cpu = program.cpus.get_mut(cpu).ok_or(Line::Cpu)?;
            for word in words.by_ref() {
                property(&mut cpu.profile, word)?;
            }
        }
        "initially" => {
            let (_, event) = line.split_once(char::is_whitespace).ok_or(Line::TooShort)?;
            program.initially.push(event.parse()?);
            return Ok(());
        }
        "cpu" => {
            let name = next(&mut words)?.trim_end_matches(':');
            let (first, end) = name.split_once("..").unwrap_or((name, ""));
            let first: usize = parse(first)?;
            let end = if end.is_empty() { first + 1 } else { parse(end)? };
            if first >= end || end > program.cpus.len() {
                return Err(Line::Cpu);
            }
            *current = Some(first..end);
        }
        _ => {
            let step = step(line)?;
            let cpus = current.clone().ok_or(Line::Nobody)?;
            for cpu in &mut program.cpus[cpus] {
                cpu.steps.push(step.clone());
            }
            return Ok(());
        }
    }
    end(&mut words)
}

fn shape(words: &mut Words<'_>) -> Result<Shape, Line> {
    let granules = [("4k", Granule::Kib4), ("16k", Granule::Kib16), ("64k", Granule::Kib64)];
    let formats = [("base", Format::Base), ("lpa", Format::Lpa), ("lpa2", Format::Lpa2)];
    let regimes = [
        ("el1", Regime::El1),
        ("el2", Regime::El2),
        ("el2host", Regime::El2Host),
        ("el3", Regime::El3),
    ];
    let shape = Shape {
        granule: named("4k, 16k or 64k", next(words)?, &granules)?,
        format: named("base, lpa or lpa2", next(words)?, &formats)?,
        input_bits: number(words)?,
        output_bits: number(words)?,
        regime: named("el1, el2, el2host or el3", next(words)?, &regimes)?,
        half: named(
            "lower or upper",
            next(words)?,
            &[("lower", Half::Lower), ("upper", Half::Upper)],
        )?,
        updates: Updates::BySoftware,
    };
    if (25..=52).contains(&shape.input_bits) && (32..=52).contains(&shape.output_bits) {
        Ok(shape)
    } else {
        Err(Line::Expected("25 to 52 input bits and 32 to 52 output bits"))
    }
}

/// Takes one `NAME=VALUE` of a profile.
fn property(profile: &mut Profile, word: &str) -> Result<(), Line> {
    let (name, value) = word.split_once('=').ok_or(Line::Expected("NAME=VALUE"))?;
    match name {
        "size" => {
            let sizes = [
                ("needs-break", SizeChange::NeedsBreak),
                ("may-abort", SizeChange::MayAbort),
                ("quiet", SizeChange::Quiet),
            ];
            profile.size_change = named("needs-break, may-abort or quiet", value, &sizes)?;
        }
        "ets" => {
            let levels = [
                ("0", Synchronisation::Context),
                ("2", Synchronisation::Ets2),
                ("3", Synchronisation::Ets3),
            ];
            profile.synchronisation = named("0, 2 or 3", value, &levels)?;
        }
        "walk-cache" => {
            let kinds = [("input", WalkCache::ByInput), ("place", WalkCache::ByPlace)];
            profile.walk_cache = named("input or place", value, &kinds)?;
        }
        "ranges" => {
            profile.invalidation = yes(value, Invalidation::Ranged, Invalidation::ByAddress)?;
        }
        "runs" => profile.runs = yes(value, Runs::Cached, Runs::Ignored)?,
        "several" => {
            let both = [("all", Several::AllRemoved), ("none", Several::NoneRemoved)];
            profile.several = named("all or none", value, &both)?;
        }
        "forwarding" => {
            profile.forwarding = yes(value, Forwarding::ToOwnWalker, Forwarding::None)?;
        }
        _ => return Err(Line::Expected("a property's name")),
    }
    Ok(())
}

fn yes<T: Copy>(value: &str, yes: T, no: T) -> Result<T, Line> {
    named("yes or no", value, &[("yes", yes), ("no", no)])
}

fn step(line: &str) -> Result<Step, Line> {
    let mut words = line.split_whitespace();
    let name = |words: &mut Words<'_>| next(words).map(ToOwned::to_owned);
    let step = match next(&mut words)? {
        "intend" => Step::Intend(intent(&mut words)?),
        "achieved" => Step::Achieved,
        "free" => Step::Free(PhysAddr::new(number(&mut words)?)),
        "use" => Step::Use(range(next(&mut words)?)?),
        "store-low" => return half(Part::Low, line),
        "store-high" => return half(Part::High, line),
        "code" => Step::Code(memory(next(&mut words)?)?),
        "past-caches" => Step::PastCaches(memory(next(&mut words)?)?),
        "lock" => {
            let name = name(&mut words)?;
            let turn = words.next().map(parse).transpose()?;
            Step::Lock { name, turn }
        }
        "unlock" => Step::Unlock(name(&mut words)?),
        "signal" => Step::Signal(name(&mut words)?),
        "wait" => Step::Wait(name(&mut words)?, number(&mut words)?),
        "context" => {
            let all = [
                ("live", Context::Live),
                ("reserved", Context::Reserved),
                ("other", Context::Other),
            ];
            Step::Context(named("live, reserved or other", next(&mut words)?, &all)?)
        }
        _ => return Ok(Step::Effect(Event::from_str(line)?)),
    };
    end(&mut words)?;
    Ok(step)
}

/// Half a store, written as a whole one of 32 bits.
fn half(part: Part, line: &str) -> Result<Step, Line> {
    let (_, rest) = line.split_once(char::is_whitespace).ok_or(Line::TooShort)?;
    match Event::from_str(&format!("store {rest}"))? {
        Event::Store { entry, value } => {
            let bits = u32::try_from(value).map_err(|_| Line::Number)?;
            Ok(Step::Part(entry, part, bits))
        }
        Event::Fill { .. }
        | Event::Update { .. }
        | Event::Barrier(_)
        | Event::Invalidate(_)
        | Event::Maintain { .. } => Err(Line::Expected("TABLE[INDEX] and 32 bits")),
    }
}

fn intent(words: &mut Words<'_>) -> Result<Intent, Line> {
    let range = range(next(words)?)?;
    let target = match next(words)? {
        "unmapped" => Target::Unmapped,
        "rights" => Target::Rights(next(words)?.parse()?),
        "output" => {
            let output = PhysAddr::new(number(words)?);
            let rights = next(words)?.parse()?;
            named("type", next(words)?, &[("type", ())])?;
            Target::Mapped(Translation { output, rights, memory: number(words)? })
        }
        _ => return Err(Line::Expected("unmapped, rights or output")),
    };
    let meanwhile = match words.next() {
        None => Meanwhile::Accessible,
        Some(word) => {
            named("idle or later", word, &[("idle", Meanwhile::Idle), ("later", Meanwhile::Later)])?
        }
    };
    Ok(Intent { range, target, meanwhile })
}

fn named<T: Copy>(expected: &'static str, word: &str, names: &[(&str, T)]) -> Result<T, Line> {
    let found = names.iter().find(|(name, _)| *name == word);
    found.map(|(_, value)| *value).ok_or(Line::Expected(expected))
}

fn next<'a>(words: &mut Words<'a>) -> Result<&'a str, Line> {
    words.next().ok_or(Line::TooShort)
}

fn end(words: &mut Words<'_>) -> Result<(), Line> {
    words.next().map_or(Ok(()), |_| Err(Line::TooLong))
}

fn number<T: TryFrom<u64>>(words: &mut Words<'_>) -> Result<T, Line> {
    parse(next(words)?)
}

fn parse<T: TryFrom<u64>>(text: &str) -> Result<T, Line> {
    let value = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    value.ok().and_then(|value| T::try_from(value).ok()).ok_or(Line::Number)
}

fn range(text: &str) -> Result<VirtRange, Line> {
    let (start, bytes) = text.split_once('+').ok_or(Line::Range)?;
    VirtRange::new(VirtAddr::new(parse(start)?), parse(bytes)?).ok_or(Line::Range)
}

fn memory(text: &str) -> Result<PhysRange, Line> {
    let (start, bytes) = text.split_once('+').ok_or(Line::Range)?;
    PhysRange::new(PhysAddr::new(parse(start)?), parse(bytes)?).ok_or(Line::Range)
}

#[cfg(test)]
mod tests;
