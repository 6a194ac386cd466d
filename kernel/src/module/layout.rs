//! Where the sections of an object go: text, then what is only read, then what is written.

use elf::ElfBytes;
use elf::abi;
use elf::endian::LittleEndian;
use elf::section::{SectionHeader, SectionHeaderTable};

use super::{ModuleError, SectionFault};

/// The most sections of an object.
pub const MOST_SECTIONS: usize = 256;

/// What parts are a multiple of.
pub const PAGE_BYTES: u64 = 4096;

/// The most that a module may take.
pub const MOST_BYTES: u64 = 2 << 20;

/// Bytes of an instruction.
const INSTRUCTION_BYTES: u64 = 4;

/// Bytes of a module's parts, which follow each other: each a multiple of a page, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// What is executed.
    pub text: u64,
    /// What is only read.
    pub rodata: u64,
    /// What is written.
    pub data: u64,
}

impl Parts {
    /// Bytes of all of them.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.text + self.rodata + self.data
    }
}

/// One of a module's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Text,
    Rodata,
    Data,
}

/// Where a section goes.
#[derive(Clone, Copy, Debug)]
struct Placed {
    part: Part,
    /// From its part's start.
    offset: u64,
    bytes: u64,
}

/// Where all sections go.
#[derive(Debug)]
pub(super) struct Layout {
    sections: [Option<Placed>; MOST_SECTIONS],
    parts: Parts,
    /// Where code ends and the veneers begin.
    code_end: u64,
}

/// A number of a section or symbol as an index; one that is no index is that of nothing.
pub(super) fn index_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Layout {
    /// Places the sections of `elf` that are loaded.
    pub(super) fn of<'a>(
        elf: &ElfBytes<'a, LittleEndian>,
        sections: SectionHeaderTable<'a, LittleEndian>,
    ) -> Result<Self, ModuleError<'a>> {
        if sections.len() > MOST_SECTIONS {
            return Err(ModuleError::TooManySections(sections.len()));
        }
        let (mut places, mut ends) = ([None; MOST_SECTIONS], Parts::default());
        for (section, (header, place)) in sections.iter().zip(&mut places).enumerate() {
            let part = part_of(&header);
            let Some(part) = part.map_err(|fault| ModuleError::Section { section, fault })? else {
                continue;
            };
            // What the file has of it must be there: nothing is written yet.
            elf.section_data(&header)?;
            let end = match part {
                Part::Text => &mut ends.text,
                Part::Rodata => &mut ends.rodata,
                Part::Data => &mut ends.data,
            };
            let (offset, bytes) =
                (end.next_multiple_of(header.sh_addralign.max(1)), header.sh_size);
            *end = end_of(offset, bytes)?;
            *place = Some(Placed { part, offset, bytes });
        }
        let code_end = ends.text.next_multiple_of(INSTRUCTION_BYTES);
        let mut layout = Self { sections: places, parts: ends, code_end };
        for part in [&mut layout.parts.rodata, &mut layout.parts.data] {
            *part = part.next_multiple_of(PAGE_BYTES);
        }
        layout.add_veneers(0)?;
        Ok(layout)
    }

    /// Gives the code so many bytes of veneers, and no more.
    pub(super) fn add_veneers(&mut self, bytes: u64) -> Result<(), ModuleError<'static>> {
        self.parts.text = end_of(self.code_end, bytes)?.next_multiple_of(PAGE_BYTES);
        if self.parts.bytes() > MOST_BYTES { Err(ModuleError::TooLarge) } else { Ok(()) }
    }

    /// What the module takes.
    pub(super) const fn parts(&self) -> Parts {
        self.parts
    }

    /// Where code ends, and veneers begin.
    pub(super) const fn code_end(&self) -> u64 {
        self.code_end
    }

    /// How far from the module's start a section is, if it is loaded.
    pub(super) fn offset(&self, section: usize) -> Option<u64> {
        let Placed { part, offset, .. } = self.placed(section)?;
        let Parts { text, rodata, .. } = self.parts;
        Some(match part {
            Part::Text => offset,
            Part::Rodata => text + offset,
            Part::Data => text + rodata + offset,
        })
    }

    /// Bytes of a section; none if it is not loaded.
    pub(super) fn bytes_of(&self, section: usize) -> u64 {
        self.placed(section).map_or(0, |placed| placed.bytes)
    }

    /// Copies what `elf` has of the sections to their places in `memory`, which is zero.
    pub(super) fn copy<'a>(
        &self,
        elf: &ElfBytes<'a, LittleEndian>,
        sections: SectionHeaderTable<'a, LittleEndian>,
        memory: &mut [u8],
    ) -> Result<(), ModuleError<'a>> {
        for (index, header) in sections.iter().enumerate() {
            let Some(offset) = self.offset(index) else {
                continue;
            };
            let (content, _) = elf.section_data(&header)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let place = memory.get_mut(start..).and_then(|rest| rest.get_mut(..content.len()));
            // INVARIANT: `of` has placed as much as the file has of it.
            place.ok_or(ModuleError::TooLarge)?.copy_from_slice(content);
        }
        Ok(())
    }

    fn placed(&self, section: usize) -> Option<Placed> {
        self.sections.get(section).copied().flatten()
    }
}

/// Where `bytes` from `offset` on end, if a module may have that much.
fn end_of(offset: u64, bytes: u64) -> Result<u64, ModuleError<'static>> {
    offset.checked_add(bytes).filter(|end| *end <= MOST_BYTES).ok_or(ModuleError::TooLarge)
}

/// The part that a section goes to, if it is loaded.
fn part_of(header: &SectionHeader) -> Result<Option<Part>, SectionFault> {
    let has = |flag: u32| header.sh_flags & u64::from(flag) != 0;
    if !has(abi::SHF_ALLOC) {
        return Ok(None);
    }
    if !matches!(header.sh_type, abi::SHT_PROGBITS | abi::SHT_NOBITS | abi::SHT_NOTE) {
        return Err(SectionFault::Type(header.sh_type));
    }
    if has(abi::SHF_COMPRESSED) || has(abi::SHF_TLS) {
        return Err(SectionFault::Flags(header.sh_flags));
    }
    let align = header.sh_addralign;
    if align != 0 && !(align.is_power_of_two() && align <= PAGE_BYTES) {
        return Err(SectionFault::Alignment(align));
    }
    match (has(abi::SHF_WRITE), has(abi::SHF_EXECINSTR)) {
        (true, true) => Err(SectionFault::WritableAndExecutable),
        (false, true) => Ok(Some(Part::Text)),
        (false, false) => Ok(Some(Part::Rodata)),
        (true, false) => Ok(Some(Part::Data)),
    }
}
