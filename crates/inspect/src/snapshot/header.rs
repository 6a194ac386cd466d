//! The text part of a snapshot: a line for each thing that is known, its name first.

use std::fmt::Write;

use blockmap_vmsa::{
    Format, Geometry, Granule, Half, Mair, Regime, Ttbr,
    machine::{PhysAddr, VirtAddr},
};

use crate::{Area, FormatError, FoundTree, Inspected, Outputs, Registers, VmCoreInfo};

/// What a snapshot says besides the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) trees: Vec<FoundTree>,
    pub(crate) mair: Option<Mair>,
    pub(crate) registers: Option<Registers>,
    pub(crate) linux: Option<VmCoreInfo>,
    pub(crate) areas: Vec<Area>,
    pub(crate) outputs: Outputs,
    /// What was found when the snapshot was made.
    pub(crate) origin: Vec<String>,
}

const REGIMES: [(Regime, &str); 4] = [
    (Regime::El1And0, "el1&0"),
    (Regime::El2, "el2"),
    (Regime::El2And0, "el2&0"),
    (Regime::El3, "el3"),
];
const HALVES: [(Half, &str); 2] = [(Half::Lower, "lower"), (Half::Upper, "upper")];
const FORMATS: [(Format, &str); 3] =
    [(Format::Base, "base"), (Format::Lpa, "lpa"), (Format::Lpa2, "lpa2")];
const GRANULES: [(Granule, &str); 3] =
    [(Granule::Kib4, "4K"), (Granule::Kib16, "16K"), (Granule::Kib64, "64K")];
const OUTPUTS: [(Outputs, &str); 2] = [(Outputs::Known, "known"), (Outputs::Invented, "invented")];

/// The word for a value.
fn word<T: PartialEq>(words: &[(T, &'static str)], value: &T) -> &'static str {
    words.iter().find(|(known, _)| known == value).map_or("", |(_, word)| word)
}

/// The value of a word.
fn value<T: Copy>(words: &[(T, &'static str)], text: Option<&str>) -> Option<T> {
    words.iter().find(|(_, word)| Some(*word) == text).map(|(value, _)| *value)
}

impl Header {
    /// What is known of a source.
    pub(crate) fn of(inspected: &Inspected) -> Self {
        let origin = inspected.origin.lines().iter();
        Self {
            trees: inspected.trees.clone(),
            mair: inspected.mair,
            registers: inspected.registers,
            linux: inspected.linux.clone(),
            areas: inspected.areas.clone(),
            outputs: inspected.outputs,
            origin: origin.map(|line| format!("{} {}", line.topic.name(), line.text)).collect(),
        }
    }

    /// The lines, each with its line feed.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.origin {
            // A path may have line feeds.
            add(&mut text, "origin", &line.replace(['\n', '\r'], " "));
        }
        add(&mut text, "outputs", word(&OUTPUTS, &self.outputs));
        for tree in &self.trees {
            let FoundTree { geometry, root, most_tables } = tree;
            let words = format!(
                "{} {} {} {} {} {} {root} {most_tables}",
                word(&REGIMES, &geometry.regime()),
                word(&HALVES, &geometry.half()),
                word(&GRANULES, &geometry.granule()),
                word(&FORMATS, &geometry.format()),
                geometry.input_bits(),
                geometry.output_bits(),
            );
            add(&mut text, "tree", &words);
        }
        if let Some(mair) = self.mair {
            add(&mut text, "mair", &format!("{:#x}", mair.value()));
        }
        if let Some(registers) = self.registers {
            let Registers { regime, tcr, ttbr0, ttbr1, mair } = registers;
            let optional =
                |value: Option<u64>| value.map_or("-".to_owned(), |value| format!("{value:#x}"));
            let words = format!(
                "{} {tcr:#x} {:#x} {} {}",
                word(&REGIMES, &regime),
                ttbr0.value(),
                optional(ttbr1.map(Ttbr::value)),
                optional(mair),
            );
            add(&mut text, "registers", &words);
        }
        for area in &self.areas {
            add(&mut text, "area", &format!("{:#x} {}", area.start.value(), area.name));
        }
        for line in self.linux.iter().flat_map(|linux| linux.text().lines()) {
            add(&mut text, "vmcoreinfo", line);
        }
        text
    }

    /// Reads the lines. Those with names that are unknown are passed over: later versions may
    /// have more to say.
    pub(crate) fn parse(text: &str) -> Result<Self, FormatError> {
        let mut header = Self {
            trees: Vec::new(),
            mair: None,
            registers: None,
            linux: None,
            areas: Vec::new(),
            outputs: Outputs::Known,
            origin: Vec::new(),
        };
        let mut linux = String::new();
        for (number, line) in (1_usize..).zip(text.lines()) {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            let understood = match name {
                "vmcoreinfo" => {
                    linux.push_str(rest);
                    linux.push('\n');
                    Some(())
                }
                _ => header.add(name, rest),
            };
            let text = || line.chars().take(120).collect();
            let why = "it says nothing that a snapshot can say";
            understood.ok_or_else(|| FormatError::Line { line: number, why, text: text() })?;
        }
        header.linux = VmCoreInfo::parse(linux.as_bytes());
        if header.trees.is_empty() { Err(FormatError::Short("trees")) } else { Ok(header) }
    }
}

impl Header {
    /// Adds what a line says. `None` where it says nothing.
    fn add(&mut self, name: &str, rest: &str) -> Option<()> {
        match name {
            "origin" => self.origin.push(rest.to_owned()),
            "outputs" => self.outputs = value(&OUTPUTS, Some(rest))?,
            "tree" => self.trees.push(tree(rest)?),
            "mair" => self.mair = Some(Mair::new(hexadecimal(rest)?)),
            "registers" => self.registers = Some(registers(rest)?),
            "area" => self.areas.push(area(rest)?),
            _ => {}
        }
        Some(())
    }
}

fn add(text: &mut String, name: &str, words: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name} {words}");
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn tree(text: &str) -> Option<FoundTree> {
    let mut words = text.split(' ');
    let regime = value(&REGIMES, words.next())?;
    let half = value(&HALVES, words.next())?;
    let granule = value(&GRANULES, words.next())?;
    let format = value(&FORMATS, words.next())?;
    let (input_bits, output_bits) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let root = PhysAddr::new(hexadecimal(words.next()?)?);
    let most_tables: u64 = words.next()?.parse().ok()?;
    let geometry =
        Geometry::new((regime, half), (granule, format), input_bits, output_bits).ok()?;
    Some(FoundTree { geometry, root, most_tables: most_tables.min(1 << 24) })
}

fn registers(text: &str) -> Option<Registers> {
    let mut words = text.split(' ');
    let regime = value(&REGIMES, words.next())?;
    let (tcr, ttbr0) = (hexadecimal(words.next()?)?, hexadecimal(words.next()?)?);
    let mut optional = || match words.next()? {
        "-" => Some(None),
        digits => hexadecimal(digits).map(Some),
    };
    let (ttbr1, mair) = (optional()?, optional()?);
    Some(Registers { regime, tcr, ttbr0: Ttbr::new(ttbr0), ttbr1: ttbr1.map(Ttbr::new), mair })
}

fn area(text: &str) -> Option<Area> {
    let (start, name) = text.split_once(' ')?;
    Some(Area { start: VirtAddr::new(hexadecimal(start)?), name: name.to_owned() })
}
