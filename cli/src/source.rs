//! Where tables come from: the options that every command with a source has.

use anyhow::{Context as _, Result, bail};
use blockmap_dump::vmsa::machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap_dump::vmsa::{Granule, Half, Regime};
use blockmap_inspect::{FoundTree, Inspected, Names, Overrides, Search, SourceSpec, open};
use clap::{Args, ValueEnum};

use crate::explain::{GranuleName, RegimeName, parse_number};
use crate::number::number;
use crate::progress::Progress;

/// What the sources are, for the end of a command's help.
pub(crate) const SOURCES: &str = "\
Sources:
  qmp:SOCKET             a virtual machine in QEMU, by its QMP socket; it is not stopped
  gdb:HOST:PORT          a machine behind a gdbstub; it is resumed
  kcore                  this machine
  FILE                   vmcore (ELF or kdump), snapshot, /sys/kernel/debug/kernel_page_tables
  FILE@ADDRESS           image of RAM, which begins at this address; several with commas
  -                      standard input";

/// How the tables of a source are found, where that is not left to the source.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tables (found by themselves)")]
pub(crate) struct Finding {
    /// Where the root table is.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_number)]
    root: Option<u64>,
    /// TCR_ELx.
    #[arg(long, value_name = "VALUE", value_parser = parse_number)]
    tcr: Option<u64>,
    /// MAIR_ELx.
    #[arg(long, value_name = "VALUE", value_parser = parse_number)]
    mair: Option<u64>,
    /// The translation regime.
    #[arg(long = "el", value_name = "REGIME")]
    regime: Option<RegimeName>,
    /// Which half of the addresses; the upper one, the kernel's, where there is one.
    #[arg(long)]
    half: Option<HalfName>,
    /// The granule, where there is no TCR.
    #[arg(long)]
    granule: Option<GranuleName>,
    /// Bits of a virtual address, where there is no TCR.
    #[arg(long, value_name = "BITS")]
    va_bits: Option<u32>,
    /// Where Linux's fixmap starts, which it writes down nowhere.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_number)]
    fixmap_start: Option<u64>,
    /// Reads the kernel's own symbols (kallsyms): they name what stands at addresses, and say where
    /// areas are.
    #[arg(long)]
    symbols: bool,
    /// How hard memory is searched for what Linux wrote down about itself.
    #[arg(long, value_name = "HOW", default_value = "quick")]
    search: SearchName,
}

/// A half as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HalfName {
    /// From address 0 on: user processes (TTBR0).
    Lower,
    /// Up to the highest address: the kernel (TTBR1).
    Upper,
}

/// A search as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SearchName {
    /// As far as that is quick, or nothing else says where tables are.
    Quick,
    /// All memory.
    All,
    /// Not at all.
    Never,
}

impl Finding {
    fn overrides(&self) -> Overrides {
        Overrides {
            root: self.root.map(PhysAddr::new),
            tcr: self.tcr,
            mair: self.mair,
            regime: self.regime.map(Regime::from),
            half: self.half.map(|half| match half {
                HalfName::Lower => Half::Lower,
                HalfName::Upper => Half::Upper,
            }),
            granule: self.granule.map(Granule::from),
            input_bits: self.va_bits,
            fixmap_start: self.fixmap_start.map(VirtAddr::new),
            names: if self.symbols { Names::Read } else { Names::Left },
            search: match self.search {
                SearchName::Quick => Search::WhenQuick,
                SearchName::All => Search::Always,
                SearchName::Never => Search::Never,
            },
        }
    }

    /// Opens `source`, and says on standard error what should be known before its content is
    /// believed.
    ///
    /// # Errors
    /// Says what was tried, and what to do.
    pub(crate) fn open(&self, source: &str) -> Result<Inspected> {
        let _progress = Progress::of(format!("opening {source}"));
        let spec: SourceSpec = source.parse().with_context(|| format!("the source `{source}`"))?;
        let opened = open(&spec, &self.overrides());
        let inspected = opened.with_context(|| format!("cannot read tables from {source}"))?;
        for warning in inspected.origin.warnings() {
            crate::progress::remark(warning);
        }
        Ok(inspected)
    }
}

/// A source, how its tables are found, and which part of them is meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct Source {
    /// Where the tables are; the sources are listed below.
    #[arg(value_name = "SOURCE")]
    pub(crate) place: String,
    #[command(flatten)]
    pub(crate) finding: Finding,
    /// Only these addresses: START-END or START+BYTES.
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    pub(crate) range: Option<VirtRange>,
}

impl Source {
    /// Opens the source. See [`Finding::open`].
    ///
    /// # Errors
    /// Those of [`Finding::open`].
    pub(crate) fn open(&self) -> Result<Inspected> {
        self.finding.open(&self.place)
    }
}

/// The tree that a command is about: the kernel's where there is one.
///
/// # Errors
/// There is none, which no source does.
pub(crate) fn main_tree(inspected: &Inspected) -> Result<&FoundTree> {
    match inspected.trees.first() {
        Some(tree) => Ok(tree),
        None => bail!("the source has no tables"),
    }
}

/// Reads a range of the command line; its end is not part of it, and 0 is that of all addresses.
pub(crate) fn parse_range(text: &str) -> Result<VirtRange, String> {
    let wrong = || format!("`{text}`: write START-END or START+BYTES, as in 0xffff000000000000+2M");
    let (start, bytes) = if let Some((start, bytes)) = text.split_once('+') {
        (number(start), crate::number::bytes(bytes))
    } else {
        let (start, end) = text.split_once('-').ok_or_else(wrong)?;
        let bytes = number(start).and_then(|start| number(end).map(|end| end.wrapping_sub(start)));
        (number(start), bytes)
    };
    let (Ok(start), Ok(bytes)) = (start, bytes) else {
        return Err(wrong());
    };
    VirtRange::new(VirtAddr::new(start), bytes)
        .ok_or_else(|| format!("`{text}` is empty, or ends before it starts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_typed_in_two_ways() {
        let range = parse_range("0xffff000000000000-0xffff000000200000").unwrap();
        assert_eq!(parse_range("0xffff000000000000+2M"), Ok(range));
        let top = parse_range("0xffffffffffe00000-0").unwrap();
        assert_eq!(top.last(), VirtAddr::new(u64::MAX));
        for text in ["", "1", "1-1", "2-1", "x+1", "0x1000+"] {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }
}
