//! One line of the text.

use blockmap_vmsa::{
    Geometry, Level, bits,
    machine::{VirtAddr, VirtRange},
    mair::{Allocate, Caching, Device, MemoryType},
};

use super::bit_of;
use crate::FormatError;

/// What a line of the text is.
#[derive(Debug)]
pub(super) enum Parsed {
    /// Addresses, and what they lead to.
    Line(Line),
    /// The name of an area.
    Area(String),
    /// An empty line.
    Nothing,
}

/// A line with addresses.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) range: VirtRange,
    pub(super) level: Named,
    pub(super) what: What,
}

/// A level by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// `PGD`: the root, whichever level that is.
    Root,
    /// Another.
    Is(Level),
}

/// What a line's entries are.
#[derive(Debug)]
pub(super) enum What {
    Gap,
    /// Entries that all hold one word.
    Word(u64),
    /// What whoever wrote the text could not read.
    Unread,
    Leaves {
        bits: u64,
        memory: MemoryType,
    },
}

impl Named {
    /// The level, in a tree of `geometry`.
    pub(super) const fn of(self, geometry: Geometry) -> Level {
        match self {
            Self::Root => geometry.root_level(),
            Self::Is(level) => level,
        }
    }
}

impl Line {
    /// What is wrong with it.
    pub(super) fn error(&self, why: &'static str) -> FormatError {
        FormatError::Line { line: self.number, why, text: self.text.clone() }
    }
}

/// Reads a line.
pub(super) fn parse(number: usize, text: &str) -> Result<Parsed, FormatError> {
    let shown: String = text.chars().take(120).collect();
    let error = |why| FormatError::Line { line: number, why, text: shown.clone() };
    // What stands behind a `#` is a remark: names of symbols.
    let trimmed = text.split_once(" # ").map_or(text, |(line, _)| line).trim();
    if trimmed.is_empty() {
        return Ok(Parsed::Nothing);
    }
    if let Some(rest) = trimmed.strip_prefix("---[ ") {
        let name = rest.strip_suffix(" ]---").ok_or_else(|| error("a name without an end"))?;
        return Ok(Parsed::Area(name.to_owned()));
    }
    let mut words = trimmed.split_ascii_whitespace();
    let range = words.next().and_then(range).ok_or_else(|| error("no addresses"))?;
    let size = words.next().and_then(size).ok_or_else(|| error("no size"))?;
    if size != range.bytes() {
        return Err(error("a size that is not that of the addresses"));
    }
    let level = words.next().and_then(level).ok_or_else(|| error("no level"))?;
    let what = what(&words.collect::<Vec<_>>()).ok_or_else(|| error("unknown attributes"))?;
    Ok(Parsed::Line(Line { number, text: shown, range, level, what }))
}

/// `0xffff000000000000-0xffff000000200000`; the end of the address space is zero.
fn range(word: &str) -> Option<VirtRange> {
    let (start, end) = word.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    let is_ordered = end == 0 || start < end;
    VirtRange::new(VirtAddr::new(start), end.wrapping_sub(start)).filter(|_| is_ordered)
}

/// `2M`.
fn size(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(|last: char| last.is_ascii_uppercase());
    let shift = match word.get(digits.len()..)? {
        "B" | "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift)
}

fn level(word: &str) -> Option<Named> {
    Some(match word {
        "PGD" => Named::Root,
        "P4D" => Named::Is(Level::L0),
        "PUD" => Named::Is(Level::L1),
        "PMD" => Named::Is(Level::L2),
        "PTE" => Named::Is(Level::L3),
        _ => return None,
    })
}

fn what(words: &[&str]) -> Option<What> {
    match words {
        [] => Some(What::Gap),
        ["SKIPPED", ..] => Some(What::Unread),
        ["RESERVED", word, ..] => {
            u64::from_str_radix(word.strip_prefix("0x")?, 16).ok().map(What::Word)
        }
        [attributes @ .., memory] => {
            let (mut bits, attributes) = match attributes {
                ["F", rest @ ..] => (0, rest),
                all => (bits::VALID, all),
            };
            for word in attributes {
                bits |= bit_of(word)?;
            }
            Some(What::Leaves { bits, memory: memory_type(memory)? })
        }
    }
}

/// The memory type of a name: Linux's, or a byte of the register as `MAIR/0xff`.
fn memory_type(name: &str) -> Option<MemoryType> {
    let write_through = Caching::WriteThrough(Allocate::Always);
    Some(match name {
        "DEVICE/nGnRnE" => MemoryType::Device(Device::NGnRnE),
        "DEVICE/nGnRE" => MemoryType::Device(Device::NGnRE),
        "DEVICE/nGRE" => MemoryType::Device(Device::NGRE),
        "DEVICE/GRE" => MemoryType::Device(Device::GRE),
        "MEM/NORMAL" => MemoryType::WRITE_BACK,
        "MEM/NORMAL-TAGGED" => MemoryType::NormalTagged,
        "MEM/NORMAL-NC" => MemoryType::NON_CACHEABLE,
        "MEM/NORMAL-WT" => MemoryType::Normal { outer: write_through, inner: write_through },
        other => {
            let byte = other.strip_prefix("MAIR/0x")?;
            MemoryType::of_byte(u8::from_str_radix(byte, 16).ok()?)
        }
    })
}
