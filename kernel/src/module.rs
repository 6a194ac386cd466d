//! Modules: relocatable ELF objects, laid out, written and relocated wherever memory is.
//!
//! [`Object::new`] says what an object takes, or why it is none of this kernel's: nothing is
//! written then. [`Object::write`] makes what will run, in memory that is its writer's alone until
//! it succeeds.
//!
//! An object is a program that the kernel trusts once it runs, and a file that it does not trust at
//! all before: whatever it says of itself is checked.
//!
//! Source: *ELF for the Arm 64-bit Architecture*, "Relocation"; *System V ABI*, "Object Files".

mod error;
mod layout;
mod relocate;
#[cfg(test)]
mod tests;
mod veneer;

use blockmap::machine::VirtAddr;
use elf::ElfBytes;
use elf::abi;
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::relocation::Rela;
use elf::section::SectionHeaderTable;
use elf::string_table::StringTable;
use elf::symbol::{Symbol, SymbolTable};

pub use error::{ModuleError, RelocationFault, SectionFault, SymbolFault};
pub use layout::{MOST_BYTES, MOST_SECTIONS, PAGE_BYTES, Parts};
pub use veneer::MOST_IMPORTS;

use layout::{Layout, index_of};
use relocate::{Kind, Place};
use veneer::Imports;

/// The function that a module begins with: it takes a number and gives one.
pub const ENTRY: &str = "module_run";

/// A function or datum of the kernel that modules may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub address: VirtAddr,
}

/// A module's object. Holding one tells that its parts fit, that it has an entry, and that every
/// relocation of what is loaded is of a kind that is known.
#[derive(Debug)]
pub struct Object<'a> {
    elf: ElfBytes<'a, LittleEndian>,
    sections: SectionHeaderTable<'a, LittleEndian>,
    symbols: SymbolTable<'a, LittleEndian>,
    names: StringTable<'a>,
    layout: Layout,
    imports: Imports,
}

/// A relocation of something that is loaded.
struct Relocation {
    /// The section that has it, and its number there.
    number: (usize, usize),
    kind: Kind,
    /// What is changed: an offset from the module's start.
    at: u64,
    symbol: u32,
    addend: i64,
}

impl<'a> Object<'a> {
    /// The object in `bytes`.
    ///
    /// # Errors
    /// See [`ModuleError`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, ModuleError<'a>> {
        let elf = ElfBytes::<LittleEndian>::minimal_parse(bytes)?;
        let (class, kind, machine) = (elf.ehdr.class, elf.ehdr.e_type, elf.ehdr.e_machine);
        if (class, kind, machine) != (Class::ELF64, abi::ET_REL, abi::EM_AARCH64) {
            return Err(ModuleError::NotRelocatable { kind, machine });
        }
        let sections = elf.section_headers().ok_or(ModuleError::NoSections)?;
        let (symbols, names) = elf.symbol_table()?.ok_or(ModuleError::NoSymbols)?;
        let layout = Layout::of(&elf, sections)?;
        let imports = Imports::none();
        let mut object = Self { elf, sections, symbols, names, layout, imports };
        let mut imports = Imports::none();
        object.each_relocation(&mut |relocation| {
            let symbol = object.symbol(relocation.symbol)?;
            if relocation.kind == Kind::Branch26 && symbol.is_undefined() {
                imports.add(relocation.symbol)?;
            }
            Ok(())
        })?;
        object.imports = imports;
        object.layout.add_veneers(object.imports.bytes())?;
        object.entry()?;
        Ok(object)
    }

    /// What it takes.
    #[must_use]
    pub const fn parts(&self) -> Parts {
        self.layout.parts()
    }

    /// Writes the module into `memory`, all of [`Object::parts`], which will be at `base`; gives
    /// where it begins. What `memory` held is gone, also if this fails.
    ///
    /// # Errors
    /// A symbol is not among `exports`, or something is too far away: what was written must not run.
    pub fn write(
        &self,
        memory: &mut [u8],
        base: VirtAddr,
        exports: &[Export],
    ) -> Result<VirtAddr, ModuleError<'a>> {
        let bytes = u64::try_from(memory.len()).unwrap_or(u64::MAX);
        if bytes != self.parts().bytes() || !base.is_aligned(PAGE_BYTES) {
            return Err(ModuleError::Place { base, bytes });
        }
        memory.fill(0);
        self.layout.copy(&self.elf, self.sections, memory)?;
        self.each_relocation(&mut |relocation| {
            let target = self.address(relocation.symbol, base, exports)?;
            self.relocate(relocation, target, (base, memory))
        })?;
        Ok(base.wrapping_add(self.entry()?))
    }

    /// Has what `relocation` changes lead to `target`; through a veneer if it is an import that is
    /// too far away for a branch.
    fn relocate(
        &self,
        relocation: &Relocation,
        target: VirtAddr,
        (base, memory): (VirtAddr, &mut [u8]),
    ) -> Result<(), ModuleError<'a>> {
        let Relocation { number, kind, at, symbol, addend } = *relocation;
        let place = Place { base, at };
        let fault = |fault| ModuleError::Relocation { section: number.0, number: number.1, fault };
        let meant = target.value().wrapping_add_signed(addend);
        match (kind.apply(meant, place, memory), self.imports.offset(symbol)) {
            (Err(RelocationFault::TooFar(_)), Some(offset))
                if kind == Kind::Branch26 && addend == 0 =>
            {
                let at = self.layout.code_end() + offset;
                veneer::write(target, Place { base, at }, memory).map_err(fault)?;
                let veneer = base.wrapping_add(at).value();
                kind.apply(veneer, place, memory).map_err(fault)
            }
            (result, _) => result.map_err(fault),
        }
    }

    /// Calls `with` for every relocation of a section that is loaded.
    fn each_relocation(
        &self,
        with: &mut dyn FnMut(&Relocation) -> Result<(), ModuleError<'a>>,
    ) -> Result<(), ModuleError<'a>> {
        for (section, header) in self.sections.iter().enumerate() {
            let Some(start) = self.layout.offset(index_of(header.sh_info)) else {
                continue;
            };
            match header.sh_type {
                abi::SHT_RELA => {}
                abi::SHT_REL => {
                    let fault = SectionFault::NoAddends;
                    return Err(ModuleError::Section { section, fault });
                }
                _ => continue,
            }
            let bytes = self.layout.bytes_of(index_of(header.sh_info));
            for (number, entry) in self.elf.section_data_as_relas(&header)?.enumerate() {
                let Rela { r_offset, r_sym, r_type, r_addend } = entry;
                let fault = |fault| ModuleError::Relocation { section, number, fault };
                let Some(kind) = Kind::of(r_type).map_err(fault)? else {
                    continue;
                };
                let fits = r_offset.checked_add(kind.bytes()).is_some_and(|end| end <= bytes);
                if !fits {
                    return Err(fault(RelocationFault::Outside(r_offset)));
                }
                let at = start + r_offset;
                let number = (section, number);
                with(&Relocation { number, kind, at, symbol: r_sym, addend: r_addend })?;
            }
        }
        Ok(())
    }

    fn symbol(&self, number: u32) -> Result<Symbol, ModuleError<'a>> {
        self.symbols.get(index_of(number)).map_err(ModuleError::Unreadable)
    }

    /// Where a symbol is, in a module at `base`.
    fn address(
        &self,
        number: u32,
        base: VirtAddr,
        exports: &[Export],
    ) -> Result<VirtAddr, ModuleError<'a>> {
        let symbol = self.symbol(number)?;
        if symbol.st_shndx == abi::SHN_ABS {
            return Ok(VirtAddr::new(symbol.st_value));
        }
        if !symbol.is_undefined() {
            return self.offset(&symbol).map(|offset| base.wrapping_add(offset));
        }
        let name = self.name(&symbol)?;
        exports
            .iter()
            .find(|export| export.name == name)
            .map(|export| export.address)
            .ok_or(ModuleError::Symbol { name, fault: SymbolFault::NotExported })
    }

    /// How far from the module's start a symbol is that the module defines.
    fn offset(&self, symbol: &Symbol) -> Result<u64, ModuleError<'a>> {
        let section = usize::from(symbol.st_shndx);
        let fault = match self.layout.offset(section) {
            _ if symbol.st_shndx >= abi::SHN_LORESERVE => SymbolFault::Reserved(symbol.st_shndx),
            None => SymbolFault::NotLoaded,
            Some(_) if symbol.st_value > self.layout.bytes_of(section) => {
                SymbolFault::Outside(symbol.st_value)
            }
            Some(start) => return Ok(start + symbol.st_value),
        };
        Err(ModuleError::Symbol { name: self.name(symbol)?, fault })
    }

    fn name(&self, symbol: &Symbol) -> Result<&'a str, ModuleError<'a>> {
        Ok(self.names.get(index_of(symbol.st_name))?)
    }

    /// How far from the module's start its entry is.
    fn entry(&self) -> Result<u64, ModuleError<'a>> {
        for symbol in self.symbols.iter().filter(|symbol| !symbol.is_undefined()) {
            if symbol.st_bind() == abi::STB_GLOBAL && self.name(&symbol)? == ENTRY {
                let offset = self.offset(&symbol)?;
                let fits = offset.is_multiple_of(4) && offset < self.layout.code_end();
                let fault = SymbolFault::NoCode;
                let error = ModuleError::Symbol { name: ENTRY, fault };
                return if fits { Ok(offset) } else { Err(error) };
            }
        }
        Err(ModuleError::NoEntry)
    }
}
