//! Why an object is no module.

use blockmap::machine::VirtAddr;
use elf::ParseError;
use thiserror::Error;

use super::{ENTRY, MOST_BYTES, MOST_IMPORTS, MOST_SECTIONS};

/// Why a module was not made of an object. Nothing of it may run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModuleError<'a> {
    /// A structure of the file is broken.
    #[error("the object can't be read: {0}")]
    Unreadable(ParseError),
    /// It is an ELF file of another kind.
    #[error(
        "it is no relocatable object for AArch64 (ELF type {kind}, machine {machine}): compile it with --emit=obj"
    )]
    NotRelocatable {
        /// What kind of ELF file it is; 1 would be right.
        kind: u16,
        /// For which machine; 183 would be right.
        machine: u16,
    },
    /// It has no sections.
    #[error("the object has no sections")]
    NoSections,
    /// It has no symbols, and so no entry.
    #[error("the object has no symbols")]
    NoSymbols,
    /// It has more sections than there is room for.
    #[error("the object has {0} sections; {MOST_SECTIONS} can be kept account of")]
    TooManySections(usize),
    /// More functions of the kernel are called than there is room for.
    #[error("the object calls more than {MOST_IMPORTS} functions of the kernel")]
    TooManyImports,
    /// It takes more memory than a module may.
    #[error("the module takes more than {MOST_BYTES} bytes")]
    TooLarge,
    /// A section is not as it must be.
    #[error("section {section}: {fault}")]
    Section {
        /// Its number.
        section: usize,
        /// What is wrong with it.
        fault: SectionFault,
    },
    /// A relocation can't be made.
    #[error("relocation {number} of section {section}: {fault}")]
    Relocation {
        /// The number of the section that has it.
        section: usize,
        /// Its number there.
        number: usize,
        /// What is wrong with it.
        fault: RelocationFault,
    },
    /// A symbol leads nowhere.
    #[error("{name}: {fault}")]
    Symbol {
        /// Its name.
        name: &'a str,
        /// What is wrong with it.
        fault: SymbolFault,
    },
    /// There is no entry.
    #[error("the object defines no global function {ENTRY}")]
    NoEntry,
    /// The memory is not what the module takes.
    #[error("{bytes} bytes at {base} are not what the module takes")]
    Place {
        /// Where the module was to be.
        base: VirtAddr,
        /// How much memory there was.
        bytes: u64,
    },
}

impl From<ParseError> for ModuleError<'_> {
    fn from(error: ParseError) -> Self {
        Self::Unreadable(error)
    }
}

/// What is wrong with a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SectionFault {
    /// It would be writable and executable.
    #[error("it would be writable and executable")]
    WritableAndExecutable,
    /// Its alignment is no power of two, or more than a page.
    #[error("its alignment {0:#x} is not a power of two up to a page")]
    Alignment(u64),
    /// It is of a kind that the loader doesn't know.
    #[error("it is loaded and of type {0:#x}, which modules may not have")]
    Type(u32),
    /// It is compressed, or for each thread.
    #[error("its flags {0:#x} are not for modules")]
    Flags(u64),
    /// Its relocations have no addends of their own.
    #[error("its relocations have no addends: only those with addends are made")]
    NoAddends,
}

/// What is wrong with a relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RelocationFault {
    /// It is of a kind that is not known.
    #[error("type {0} is not known here: compile with relocation-model=static")]
    Type(u32),
    /// What it changes is not in its section.
    #[error("{0:#x} is outside the section")]
    Outside(u64),
    /// An instruction is not at a multiple of its size.
    #[error("{0:#x} is no place for an instruction")]
    Unaligned(u64),
    /// Its target is too far away.
    #[error("{0:#x} is too far away")]
    TooFar(u64),
    /// Its target is not at a multiple of what is accessed there.
    #[error("{0:#x} is not a multiple of what is accessed there")]
    Misaligned(u64),
}

/// What is wrong with a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SymbolFault {
    /// The kernel has nothing of that name for modules.
    #[error("the kernel exports nothing of that name")]
    NotExported,
    /// Its section is not loaded.
    #[error("its section is not loaded")]
    NotLoaded,
    /// It lies outside its section.
    #[error("{0:#x} is outside its section")]
    Outside(u64),
    /// Its section's number has a meaning that modules have no use for: common data, for example.
    #[error("its section number {0:#x} is reserved")]
    Reserved(u16),
    /// It is no code.
    #[error("it is not in the module's code")]
    NoCode,
}
