//! `explain`: what one descriptor says, at every level of every granule that gives it a meaning.

pub(crate) mod field;
mod hint;

use std::io::Write as _;

use anyhow::{Result, bail};
use blockmap_dump::Size;
use blockmap_dump::vmsa::{
    Descriptor, Format, Geometry, Granule, Half, LeafSize, Level, Mair, Regime,
    descriptor::Validity,
};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::number::{Hex, NumberError, number};
use crate::screen::{Columns, DIM, Form, HEAD, NOTE, Outcome, Screen, plain, right};
use field::Field;

const EXAMPLES: &str = "\
Examples:
  blockmap explain 0x60000080000701                 a 1 GiB block of the linear map
  blockmap explain 0x68000040211f8b --level 3       a page of kernel text
  blockmap explain 0x60000080000701 --granule 16k --format lpa2 --json";

/// Options of `explain`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The 64-bit word.
    #[arg(value_parser = parse_number)]
    descriptor: u64,
    /// At this level only: -1 to 3.
    #[arg(long, value_parser = parse_level, allow_hyphen_values = true)]
    level: Option<Level>,
    /// In tables of this granule only.
    #[arg(long)]
    granule: Option<GranuleName>,
    /// In this descriptor format only.
    #[arg(long)]
    format: Option<FormatName>,
    /// Of which translation regime.
    #[arg(long, default_value = "el1")]
    regime: RegimeName,
    /// MAIR_ELx, for the memory type; Linux's when left out.
    #[arg(long, value_parser = parse_number)]
    mair: Option<u64>,
}

/// Reads a number of the command line.
pub(crate) fn parse_number(text: &str) -> Result<u64, NumberError> {
    number(text)
}

fn parse_level(text: &str) -> Result<Level, String> {
    let found = Level::ALL.into_iter().find(|level| level.number().to_string() == text);
    found.ok_or_else(|| "levels are -1, 0, 1, 2 and 3".to_owned())
}

/// A granule as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GranuleName {
    /// 4 KiB.
    #[value(name = "4k")]
    Kib4,
    /// 16 KiB.
    #[value(name = "16k")]
    Kib16,
    /// 64 KiB.
    #[value(name = "64k")]
    Kib64,
}

impl From<GranuleName> for Granule {
    fn from(name: GranuleName) -> Self {
        match name {
            GranuleName::Kib4 => Self::Kib4,
            GranuleName::Kib16 => Self::Kib16,
            GranuleName::Kib64 => Self::Kib64,
        }
    }
}

/// A descriptor format as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Output addresses of up to 48 bits.
    Base,
    /// 52 bits, 64 KiB granule.
    Lpa,
    /// 52 bits, 4 and 16 KiB granule (`TCR_ELx.DS`).
    Lpa2,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Base => Self::Base,
            FormatName::Lpa => Self::Lpa,
            FormatName::Lpa2 => Self::Lpa2,
        }
    }
}

/// A regime as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RegimeName {
    /// EL1&0, a kernel's.
    El1,
    /// EL2, a hypervisor's.
    El2,
    /// EL2&0, a kernel's at EL2 (VHE).
    Vhe,
    /// EL3, firmware's.
    El3,
}

impl From<RegimeName> for Regime {
    fn from(name: RegimeName) -> Self {
        match name {
            RegimeName::El1 => Self::El1And0,
            RegimeName::El2 => Self::El2,
            RegimeName::Vhe => Self::El2And0,
            RegimeName::El3 => Self::El3,
        }
    }
}

/// What the word is in one kind of tables at some levels.
#[derive(Clone, Debug, Serialize)]
struct Reading {
    granule: String,
    format: &'static str,
    level: i8,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Hex>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

#[derive(Serialize)]
struct Answer {
    descriptor: Hex,
    readings: Vec<Reading>,
}

/// Runs `explain`.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let word = options.descriptor;
    let mair = options.mair.map_or(Mair::KERNEL, Mair::new);
    let places = places(options);
    if places.is_empty() {
        bail!("no such tables: lpa is the 64k granule's format, lpa2 that of 4k and 16k");
    }
    let readings: Vec<_> =
        places.into_iter().map(|(geometry, level)| reading(geometry, level, word, mair)).collect();
    match screen.form() {
        Form::Json => {
            let answer = Answer { descriptor: Hex(word), readings };
            screen.document("blockmap.explain/1", &answer)?;
        }
        Form::Text => write_text(word, &readings, screen)?,
    }
    Ok(Outcome::Clean)
}

/// Every kind of tables and level that the options leave.
fn places(options: &Options) -> Vec<(Geometry, Level)> {
    let kinds = [
        (Granule::Kib4, Format::Base),
        (Granule::Kib4, Format::Lpa2),
        (Granule::Kib16, Format::Base),
        (Granule::Kib16, Format::Lpa2),
        (Granule::Kib64, Format::Base),
        (Granule::Kib64, Format::Lpa),
    ];
    let (granule, format) = (options.granule.map(Granule::from), options.format.map(Format::from));
    let wanted = kinds.into_iter().filter(|kind| {
        granule.is_none_or(|granule| kind.0 == granule)
            && format.is_none_or(|format| kind.1 == format)
    });
    wanted
        .filter_map(|kind| {
            let bits = if kind.1 == Format::Base { 48 } else { 52 };
            Geometry::new((options.regime.into(), Half::Lower), kind, bits, bits).ok()
        })
        .flat_map(|geometry| {
            let levels =
                Level::ALL.into_iter().filter(move |level| *level >= geometry.root_level());
            levels.map(move |level| (geometry, level))
        })
        .filter(|(_, level)| options.level.is_none_or(|wanted| wanted == *level))
        .collect()
}

fn reading(geometry: Geometry, level: Level, word: u64, mair: Mair) -> Reading {
    let descriptor = geometry.decode(level, word);
    let bytes = geometry.leaf_size(level).map(LeafSize::bytes);
    let (kind, bytes, address) = match descriptor {
        Descriptor::Invalid(_) => ("invalid", None, None),
        Descriptor::Reserved(_) => ("reserved", None, None),
        Descriptor::Table(table) => ("table", None, Some(Hex(table.next.value()))),
        Descriptor::Leaf(leaf) => {
            let kind = match (leaf.validity, level) {
                (Validity::Valid, Level::L3) => "page",
                (Validity::Valid, _) => "block",
                (Validity::PresentInvalid, Level::L3) => "present but invalid page",
                (Validity::PresentInvalid, _) => "present but invalid block",
            };
            (kind, bytes, Some(Hex(leaf.output.value())))
        }
    };
    Reading {
        granule: Size::of(geometry.page_bytes()).to_string(),
        format: match geometry.format() {
            Format::Base => "base",
            Format::Lpa => "lpa",
            Format::Lpa2 => "lpa2",
        },
        level: level.number(),
        kind,
        bytes,
        address,
        fields: field::fields(geometry, level, word, mair),
        hints: hint::hints(geometry, level, word),
    }
}

fn write_text(word: u64, readings: &[Reading], screen: &mut Screen) -> Result<()> {
    writeln!(screen, "{HEAD}{word:#018x}{HEAD:#}")?;
    let mut columns = Columns::headed([
        plain("granule"),
        plain("format"),
        right("level"),
        plain("what it is"),
        plain(""),
    ]);
    for reading in readings {
        let bytes = reading.bytes.map(|bytes| format!("{} ", Size::of(bytes))).unwrap_or_default();
        let address = reading.address.map(|address| format!("-> {address}")).unwrap_or_default();
        columns.row([
            plain(&reading.granule),
            plain(reading.format),
            right(reading.level),
            plain(format!("{bytes}{}", reading.kind)),
            plain(address),
        ]);
    }
    columns.write(0, screen)?;
    // Fields differ little from place to place: those of the first table, and of the largest leaf,
    // stand for all.
    let is_table = |reading: &&Reading| reading.kind == "table";
    let first = |wants_table| {
        let mut those = readings.iter().filter(|reading| !reading.fields.is_empty());
        those.find(|reading| is_table(reading) == wants_table)
    };
    for reading in [first(true), first(false)].into_iter().flatten() {
        let Reading { granule, level, kind, .. } = reading;
        let article = if *kind == "table" { "leads to a" } else { "is a" };
        writeln!(screen, "\n{HEAD}{granule} granule, level {level}: {article} {kind}{HEAD:#}")?;
        let mut columns = Columns::default();
        for field in &reading.fields {
            columns.row([
                right(field.bits()).style(DIM),
                right(field.value),
                plain(field.name),
                plain(&field.meaning),
            ]);
        }
        columns.write(2, screen)?;
        for hint in &reading.hints {
            writeln!(screen, "  {NOTE}note:{NOTE:#} {hint}")?;
        }
    }
    if let [Reading { fields, hints, .. }] = readings
        && fields.is_empty()
    {
        for hint in hints {
            writeln!(screen, "  {NOTE}note:{NOTE:#} {hint}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_manual() {
        assert_eq!(parse_level("-1"), Ok(Level::Minus1));
        assert_eq!(parse_level("3"), Ok(Level::L3));
        assert!(parse_level("4").is_err());
        assert!(parse_level("").is_err());
    }
}
