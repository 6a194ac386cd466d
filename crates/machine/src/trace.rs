//! Events as text, one a line: written by hosts and by a booted kernel, read back to be judged.
//!
//! ```
//! use blockmap_machine::Event;
//!
//! let line = "fill   0x40210000[0..512] 0x60000080000f05 step 0x200000";
//! let event: Event = line.parse()?;
//! assert_eq!(event.to_string(), line);
//! # Ok::<(), blockmap_machine::trace::TraceError>(())
//! ```
//!
//! Words are separated by any amount of space; numbers are decimal, or hexadecimal after `0x`.
//!
//! | line | event |
//! |---|---|
//! | `store TABLE[INDEX] VALUE` | [`Event::Store`] |
//! | `fill TABLE[FIRST..END] VALUE step STEP` | [`Event::Fill`] |
//! | `update TABLE[FIRST..END] clear BITS set BITS` | [`Event::Update`] |
//! | `dsb ishst`, `dsb ish`, `dsb nshst`, `dsb nsh`, `isb` | [`Event::Barrier`] |
//! | `tlbi MNEMONIC [OPERAND]` | [`Event::Invalidate`] |
//! | `dc cvau START+BYTES`, `dc civac …`, `dc ivac …`, `ic ivau …` | [`Event::Maintain`] |

use core::fmt;
use core::str::FromStr;

use crate::{Barrier, CacheOp, Entry, Event, Invalidate, PhysAddr, PhysRange, Span, Tlbi};

/// Why a line is not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceError {
    /// The line has no words.
    Empty,
    /// The line starts with a word that names no effect.
    UnknownEffect,
    /// A barrier, TLBI or cache instruction with a name that doesn't exist.
    UnknownMnemonic,
    /// The line ends before the event is complete.
    TooShort,
    /// Words are left after a complete event.
    TooLong,
    /// Not a number, or one that doesn't fit.
    BadNumber,
    /// Not of the form `TABLE[INDEX]`, `TABLE[FIRST..END]` or `START+BYTES`, or an empty range.
    BadPlace,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the line is empty",
            Self::UnknownEffect => "the first word names no effect",
            Self::UnknownMnemonic => "no such barrier, TLBI or cache instruction",
            Self::TooShort => "the line ends before the event is complete",
            Self::TooLong => "words are left after the event",
            Self::BadNumber => "not a number that fits",
            Self::BadPlace => "not TABLE[INDEX], TABLE[FIRST..END] or START+BYTES",
        })
    }
}

impl core::error::Error for TraceError {}

impl Barrier {
    const ALL: [(Self, &'static str); 5] = [
        (Self::DsbIshst, "dsb ishst"),
        (Self::DsbIsh, "dsb ish"),
        (Self::DsbNshst, "dsb nshst"),
        (Self::DsbNsh, "dsb nsh"),
        (Self::Isb, "isb"),
    ];
}

impl CacheOp {
    const ALL: [(Self, &'static str); 4] = [
        (Self::DcCvau, "dc cvau"),
        (Self::DcCivac, "dc civac"),
        (Self::DcIvac, "dc ivac"),
        (Self::IcIvau, "ic ivau"),
    ];
}

/// The name `table` gives to `value`.
fn name_of<T: PartialEq>(table: &[(T, &'static str)], value: &T) -> &'static str {
    table.iter().find(|(known, _)| known == value).map_or("?", |(_, name)| name)
}

/// The value whose name in `table` is the two words `first second`.
fn named<T: Copy>(table: &[(T, &'static str)], first: &str, second: &str) -> Option<T> {
    let is_named = |name: &str| name.split_once(' ').unwrap_or((name, "")) == (first, second);
    table.iter().find(|(_, name)| is_named(name)).map(|(value, _)| *value)
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&Self::ALL, self))
    }
}

impl fmt::Display for Invalidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tlbi {}", self.op.mnemonic())?;
        match self.operand {
            0 => Ok(()),
            operand => write!(f, " {operand:#x}"),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.table, self.index)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = u32::from(self.first).saturating_add(u32::from(self.count));
        write!(f, "{}[{}..{end}]", self.table, self.first)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { entry, value } => write!(f, "store  {entry} {value:#x}"),
            Self::Fill { span, value, step } => {
                write!(f, "fill   {span} {value:#x} step {step:#x}")
            }
            Self::Update { span, clear, set } => {
                write!(f, "update {span} clear {clear:#x} set {set:#x}")
            }
            Self::Barrier(barrier) => barrier.fmt(f),
            Self::Invalidate(invalidate) => invalidate.fmt(f),
            Self::Maintain { op, range } => write!(f, "{} {range}", name_of(&CacheOp::ALL, op)),
        }
    }
}

impl FromStr for Event {
    type Err = TraceError;

    fn from_str(line: &str) -> Result<Self, TraceError> {
        let mut words = line.split_whitespace();
        let event = parse(&mut words)?;
        match words.next() {
            Some(_) => Err(TraceError::TooLong),
            None => Ok(event),
        }
    }
}

type Words<'a> = core::str::SplitWhitespace<'a>;

fn parse(words: &mut Words<'_>) -> Result<Event, TraceError> {
    match words.next().ok_or(TraceError::Empty)? {
        "store" => Ok(Event::Store { entry: entry(word(words)?)?, value: number(word(words)?)? }),
        "fill" => Ok(Event::Fill {
            span: span(word(words)?)?,
            value: number(word(words)?)?,
            step: labelled(words, "step")?,
        }),
        "update" => Ok(Event::Update {
            span: span(word(words)?)?,
            clear: labelled(words, "clear")?,
            set: labelled(words, "set")?,
        }),
        "isb" => Ok(Event::Barrier(Barrier::Isb)),
        "dsb" => named(&Barrier::ALL, "dsb", word(words)?)
            .map(Event::Barrier)
            .ok_or(TraceError::UnknownMnemonic),
        "tlbi" => tlbi(words).map(Event::Invalidate),
        cache @ ("dc" | "ic") => Ok(Event::Maintain {
            op: named(&CacheOp::ALL, cache, word(words)?).ok_or(TraceError::UnknownMnemonic)?,
            range: range(word(words)?)?,
        }),
        _ => Err(TraceError::UnknownEffect),
    }
}

fn word<'a>(words: &mut Words<'a>) -> Result<&'a str, TraceError> {
    words.next().ok_or(TraceError::TooShort)
}

fn labelled(words: &mut Words<'_>, label: &str) -> Result<u64, TraceError> {
    if word(words)? == label { number(word(words)?) } else { Err(TraceError::UnknownEffect) }
}

fn number(text: &str) -> Result<u64, TraceError> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .map_err(|_| TraceError::BadNumber)
}

fn small(text: &str) -> Result<u16, TraceError> {
    u16::try_from(number(text)?).map_err(|_| TraceError::BadNumber)
}

fn tlbi(words: &mut Words<'_>) -> Result<Invalidate, TraceError> {
    let mnemonic = word(words)?;
    let op = Tlbi::ALL.iter().copied().find(|op| op.mnemonic() == mnemonic);
    let operand = words.next().map_or(Ok(0), number)?;
    Ok(Invalidate { op: op.ok_or(TraceError::UnknownMnemonic)?, operand })
}

/// Splits `TABLE[INSIDE]`.
fn place(text: &str) -> Result<(PhysAddr, &str), TraceError> {
    let (table, rest) = text.split_once('[').ok_or(TraceError::BadPlace)?;
    let inside = rest.strip_suffix(']').ok_or(TraceError::BadPlace)?;
    Ok((PhysAddr::new(number(table)?), inside))
}

fn entry(text: &str) -> Result<Entry, TraceError> {
    let (table, index) = place(text)?;
    Ok(Entry { table, index: small(index)? })
}

fn span(text: &str) -> Result<Span, TraceError> {
    let (table, inside) = place(text)?;
    let (first, end) = inside.split_once("..").ok_or(TraceError::BadPlace)?;
    let (first, end) = (small(first)?, small(end)?);
    match end.checked_sub(first) {
        Some(count) if count > 0 => Ok(Span { table, first, count }),
        Some(_) | None => Err(TraceError::BadPlace),
    }
}

fn range(text: &str) -> Result<PhysRange, TraceError> {
    let (start, bytes) = text.split_once('+').ok_or(TraceError::BadPlace)?;
    PhysRange::new(PhysAddr::new(number(start)?), number(bytes)?).ok_or(TraceError::BadPlace)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    fn check(line: &str) {
        let event: Event = line.parse().unwrap();
        assert_eq!(event.to_string(), line);
    }

    #[test]
    fn every_kind_of_event_survives_text() {
        check("store  0x40001000[12] 0x60000040000711");
        check("fill   0x40001000[0..512] 0x711 step 0x200000");
        check("update 0x40001000[16..32] clear 0x0 set 0x80");
        check("isb");
        check("dc cvau 0x40000000+0x1000");
        check("ic ivau 0x40000000+0x1000");
        for (_, name) in Barrier::ALL {
            check(name);
        }
        for op in Tlbi::ALL {
            let invalidate = Invalidate { op: *op, operand: 0x123 };
            check(&Event::Invalidate(invalidate).to_string());
        }
        check("tlbi vmalle1is");
    }

    #[test]
    fn a_broken_line_says_what_is_wrong() {
        let error = |line: &str| line.parse::<Event>().unwrap_err();
        assert_eq!(error(""), TraceError::Empty);
        assert_eq!(error("stored 0x0[1] 2"), TraceError::UnknownEffect);
        assert_eq!(error("dsb osh"), TraceError::UnknownMnemonic);
        assert_eq!(error("tlbi vae9"), TraceError::UnknownMnemonic);
        assert_eq!(error("store 0x0[1]"), TraceError::TooShort);
        assert_eq!(error("isb isb"), TraceError::TooLong);
        assert_eq!(error("store 0x0[70000] 1"), TraceError::BadNumber);
        assert_eq!(error("fill 0x0[4..4] 0 step 0"), TraceError::BadPlace);
        assert_eq!(error("fill 0x0[4..2] 0 step 0"), TraceError::BadPlace);
    }
}
