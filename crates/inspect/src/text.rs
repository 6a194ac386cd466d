//! Linux's text of its tables, and this project's: read back into tables.
//!
//! The text says at which level every address ends and what its leaf says, so the tables follow
//! from it, but for two things that it lacks: where they are, and where leaves lead. Tables are
//! made up as they are read, each at an address that tells its level and what it translates.

mod line;
mod shape;

use blockmap_vmsa::{
    Format, Geometry, Level, Mair, MemoryIndex, bits,
    machine::{PhysAddr, PhysRange, VirtAddr, VirtRange},
    mair::MemoryType,
};

use crate::{Area, FormatError, FoundTree, PhysicalMemory, ReadError};
use line::{Line, Parsed, What, parse};
use shape::geometry;

/// The lowest bit of a made-up table's address that tells its level.
const LEVEL_BIT: u32 = 43;

/// Lines that are read at most.
const MOST_LINES: usize = 1 << 24;

/// A text, read.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) tree: FoundTree,
    pub(crate) mair: Mair,
    pub(crate) areas: Vec<Area>,
    /// Lines that stand for what whoever wrote the text could not read.
    pub(crate) unread: usize,
    pub(crate) tables: TextTables,
}

/// Tables made up from the lines of a text.
#[derive(Debug)]
pub(crate) struct TextTables {
    geometry: Geometry,
    /// In ascending order, not overlapping.
    stretches: Vec<Stretch>,
}

/// What a line says of its addresses.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    range: VirtRange,
    level: Level,
    entry: Entry,
}

/// The entries of a line.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// Leaves, whose words have all but the address.
    Leaf(u64),
    /// All the same word: none, or one that is reserved.
    Word(u64),
}

/// Whether bytes look like such a text.
pub(crate) fn is_text(beginning: &[u8]) -> bool {
    beginning.starts_with(b"---[ ") || beginning.starts_with(b"0x") && beginning.contains(&b'-')
}

impl Text {
    /// Reads a text.
    pub(crate) fn read(text: &str) -> Result<Self, FormatError> {
        let mut lines = Vec::new();
        let mut areas: Vec<(usize, String)> = Vec::new();
        for (number, text) in (1..).zip(text.lines()).take(MOST_LINES) {
            match parse(number, text)? {
                Parsed::Line(line) => lines.push(line),
                Parsed::Area(name) => areas.push((lines.len(), name)),
                Parsed::Nothing => {}
            }
        }
        in_order(&lines)?;
        let geometry = geometry(&lines)?;
        let mut types = MemoryTypes::default();
        let mut stretches = Vec::new();
        let mut unread = 0;
        for line in &lines {
            let entry = match &line.what {
                What::Gap => Entry::Word(0),
                What::Word(word) => Entry::Word(*word),
                What::Unread => {
                    unread += 1;
                    Entry::Word(0)
                }
                What::Leaves { bits, memory } => {
                    let index =
                        types.index(*memory).ok_or_else(|| line.error("a ninth memory type"))?;
                    Entry::Leaf(bits & !shareability(geometry) | u64::from(index) << 2)
                }
            };
            let level = line.level.of(geometry);
            stretches.push(Stretch { range: line.range, level, entry });
        }
        // An area that is named after the last line starts where that ends.
        let start = |index: usize| match lines.get(index) {
            Some(line) => Some(line.range.start()),
            None => lines.last().map(|line| line.range.end()),
        };
        let areas = areas
            .into_iter()
            .filter_map(|(index, name)| Some(Area { start: start(index)?, name }))
            .collect();
        let tables = TextTables { geometry, stretches };
        let root = tables.address(geometry.root_level(), 0);
        let tree = FoundTree { geometry, root, most_tables: 1 << 24 };
        Ok(Self { tree, mair: types.mair(), areas, unread, tables })
    }
}

/// The bits of shareability, where they are the address's instead.
fn shareability(geometry: Geometry) -> u64 {
    match geometry.format() {
        Format::Lpa2 => 0b11 << 8,
        Format::Base | Format::Lpa => 0,
    }
}

/// Checks that lines come in the order of their addresses.
fn in_order(lines: &[Line]) -> Result<(), FormatError> {
    let mut last: Option<VirtAddr> = None;
    for line in lines {
        if last.is_some_and(|last| line.range.start() <= last) {
            return Err(line.error("it begins below the end of the one before"));
        }
        last = Some(line.range.last());
    }
    if lines.is_empty() { Err(FormatError::Short("first line of addresses")) } else { Ok(()) }
}

/// The memory types of a text, each at an index of a register: those of Linux at Linux's.
#[derive(Debug)]
struct MemoryTypes {
    mair: Mair,
    /// How many indices are taken.
    taken: u8,
}

impl Default for MemoryTypes {
    fn default() -> Self {
        Self { mair: Mair::KERNEL, taken: 5 }
    }
}

impl MemoryTypes {
    fn mair(&self) -> Mair {
        self.mair
    }

    /// The index of a type, which is added if it is new. `None` when there is no room.
    fn index(&mut self, memory: MemoryType) -> Option<u8> {
        let known = (0..self.taken).find(|index| {
            let index = MemoryIndex::new(*index);
            index.is_some_and(|index| self.mair.memory_type(index) == memory)
        });
        known.or_else(|| {
            let index = MemoryIndex::new(self.taken)?;
            self.mair = self.mair.with(index, memory);
            self.taken += 1;
            Some(index.value())
        })
    }
}

impl TextTables {
    /// Where the table of `level` is that translates the address `offset` above the half's lowest.
    fn address(&self, level: Level, offset: u64) -> PhysAddr {
        let page = self.geometry.granule().page_bits();
        let table = self.geometry.span_bits(level) + self.geometry.granule().index_bits();
        let number = offset.checked_shr(table).unwrap_or(0);
        let tag = u64::from(level.levels_below() + 1);
        PhysAddr::new(tag << LEVEL_BIT | number << page)
    }

    /// The level of the table at `at`, and the first address that the entry there translates.
    fn place(&self, at: PhysAddr) -> Option<(Level, u64)> {
        let below = u32::try_from(at.value() >> LEVEL_BIT).ok()?.checked_sub(1)?;
        let level = Level::with_levels_below(below)?;
        if below > self.geometry.root_level().levels_below() {
            return None;
        }
        let offset = at.value() & ((1 << LEVEL_BIT) - 1);
        let entry = offset / 8;
        let span = self.geometry.span_bits(level);
        Some((level, entry.checked_shl(span).filter(|bytes| bytes >> span == entry)?))
    }

    /// The entry of a table of `level` for the addresses from `offset` above the lowest on.
    fn word(&self, level: Level, offset: u64) -> u64 {
        let (lowest, _) = self.geometry.inputs();
        let address = lowest.wrapping_add(offset);
        let after = self.stretches.partition_point(|stretch| stretch.range.start() <= address);
        let found = after.checked_sub(1).and_then(|index| self.stretches.get(index));
        let Some(stretch) = found.filter(|stretch| stretch.range.contains(address)) else {
            return self.below_gap(level, address);
        };
        match (stretch.entry, level.next()) {
            (_, Some(next)) if stretch.level > level => {
                self.geometry.table_word(self.address(next, offset))
            }
            (Entry::Leaf(meaning), _) => {
                self.geometry.leaf_word(level, PhysAddr::new(offset), meaning)
            }
            (Entry::Word(word), _) => word,
        }
    }

    /// The entry for an address that no line names: a table where a line names one further on
    /// that the entry translates too.
    fn below_gap(&self, level: Level, address: VirtAddr) -> u64 {
        let after = self.stretches.partition_point(|stretch| stretch.range.start() <= address);
        let (lowest, _) = self.geometry.inputs();
        let last = address.wrapping_add(self.geometry.span_bytes(level) - 1);
        let next = self.stretches.get(after).filter(|next| next.range.start() <= last);
        match (next.and_then(|_| level.next()), address.offset_from(lowest)) {
            (Some(below), Some(offset)) => self.geometry.table_word(self.address(below, offset)),
            (_, _) => 0,
        }
    }
}

impl PhysicalMemory for TextTables {
    fn ranges(&self) -> &[PhysRange] {
        &[]
    }

    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        let mut at = at;
        for bytes in into.chunks_mut(8) {
            let (level, offset) = self.place(at).ok_or(ReadError::Absent(at))?;
            let is_inside = offset >> self.geometry.input_bits() == 0;
            let word = if is_inside { self.word(level, offset) } else { 0 };
            let word = word.to_le_bytes();
            bytes.copy_from_slice(word.get(..bytes.len()).unwrap_or_default());
            at = at.wrapping_add(8);
        }
        Ok(())
    }
}

/// The bits that a line's words stand for.
pub(super) const fn bit_of(word: &str) -> Option<u64> {
    Some(match word.as_bytes() {
        b"USR" => bits::UNPRIVILEGED,
        b"RW" | b"x" | b"BLK" => 0,
        b"ro" => bits::READ_ONLY,
        b"NX" => bits::PXN,
        b"SHD" => 0b11 << 8,
        b"AF" => bits::ACCESSED,
        b"NG" => bits::NOT_GLOBAL,
        b"CON" => bits::CONTIGUOUS,
        b"UXN" => bits::UXN,
        b"GP" => bits::GUARDED,
        _ => return None,
    })
}
