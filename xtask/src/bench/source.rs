//! Whose an instruction of the kernel is: by the source files that it was made from.

use addr2line::Context as Lines;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use anyhow::{Context, Result, bail, ensure};
use object::{File, Object, ObjectSection, ObjectSymbol};

/// Whose work an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The frame allocator's, and its reserve of tables.
    Frames,
    /// Vmalloc's account of its areas.
    Areas,
    /// Anybody else's.
    Others,
}

/// Where the owner's files are, and whose those are. The first that fits counts; `None` is what works
/// for whoever calls it.
const FILES: [(&str, Option<Owner>); 10] = [
    ("kernel/src/frames", Some(Owner::Frames)),
    ("kernel/src/memory/reserve", Some(Owner::Frames)),
    ("kernel/src/areas", Some(Owner::Areas)),
    ("kernel/src/memory/vmalloc", Some(Owner::Areas)),
    ("kernel/src/lock.rs", None),
    ("kernel/src/sync.rs", None),
    ("crates/machine/src/", None),
    ("crates/vmsa/src/", None),
    ("kernel/src/", Some(Owner::Others)),
    ("crates/", Some(Owner::Others)),
];

/// What is known of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Whose it is; `None` if it is that of whoever called.
    pub(super) owner: Option<Owner>,
    /// Whether it calls a function, which returns behind it.
    pub(super) is_call: bool,
}

/// The kernel's program with its lines.
pub(super) struct Program<'d> {
    lines: Lines<EndianSlice<'d, LittleEndian>>,
    /// The first address of its code, and the code.
    text: (u64, &'d [u8]),
    /// What was found out already, for each instruction.
    known: Vec<Option<Instruction>>,
    /// The function that reads the counters.
    pub(super) mark: u64,
}

impl<'d> Program<'d> {
    /// The program in an ELF file.
    pub(super) fn read(elf: &'d [u8]) -> Result<Self> {
        let file = File::parse(elf).context("the kernel is no ELF file")?;
        let section = |id: SectionId| {
            let section = file.section_by_name(id.name());
            let bytes = section.map_or(Ok(&[][..]), |section| section.data())?;
            Ok::<_, object::Error>(EndianSlice::new(bytes, LittleEndian))
        };
        let dwarf = Dwarf::load(section).context("the kernel's lines can't be read")?;
        let lines = Lines::from_dwarf(dwarf).context("the kernel's lines can't be read")?;
        let marks = file.symbols().filter(|symbol| symbol.name().is_ok_and(is_mark));
        let marks: Vec<u64> = marks.map(|symbol| symbol.address()).collect();
        let [mark] = marks[..] else {
            bail!("{} functions of the kernel are count::read, not one", marks.len());
        };
        let text = file.section_by_name(".text").context("the kernel has no code")?;
        let text = (text.address(), text.data().context("the kernel's code can't be read")?);
        let known = vec![None; text.1.len() / 4];
        let mut program = Self { lines, text, known, mark };
        let own = program.instruction(mark)?.and_then(|found| found.owner);
        ensure!(own == Some(Owner::Others), "the kernel has no lines: {own:?}");
        Ok(program)
    }

    /// The instruction at `address`; `None` outside the kernel's code.
    pub(super) fn instruction(&mut self, address: u64) -> Result<Option<Instruction>> {
        let Some(offset) = address.checked_sub(self.text.0) else { return Ok(None) };
        let offset = usize::try_from(offset)?;
        let Some(slot) = self.known.get_mut(offset / 4) else { return Ok(None) };
        if slot.is_none() {
            let word = self.text.1.get(offset..).and_then(|code| code.first_chunk::<4>());
            let word = word.map_or(0, |word| u32::from_le_bytes(*word));
            // BL, and BLR.
            let is_call = word >> 26 == 0b10_0101 || word & 0xffff_fc1f == 0xd63f_0000;
            let mut frames = self.lines.find_frames(address).skip_all_loads()?;
            let mut owner = None;
            while let (None, Some(frame)) = (owner, frames.next()?) {
                let file = frame.location.and_then(|location| location.file);
                owner = owner_of(file.unwrap_or_default());
            }
            *slot = Some(Instruction { owner, is_call });
        }
        Ok(*slot)
    }
}

/// Whether a symbol is that of the function that reads the counters.
fn is_mark(symbol: &str) -> bool {
    symbol.contains("5count4read17h")
}

fn owner_of(file: &str) -> Option<Owner> {
    FILES.iter().find(|(part, _)| file.contains(part)).and_then(|(_, owner)| *owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_first_owner_that_fits() {
        let owner = |file: &str| owner_of(&format!("/somewhere/{file}"));
        assert_eq!(owner("kernel/src/frames/chunk.rs"), Some(Owner::Frames));
        assert_eq!(owner("kernel/src/memory/vmalloc/purge.rs"), Some(Owner::Areas));
        assert_eq!(owner("kernel/src/lock.rs"), None);
        assert_eq!(owner("crates/engine/src/cut.rs"), Some(Owner::Others));
        assert_eq!(owner("library/core/src/num/mod.rs"), None);
    }
}
