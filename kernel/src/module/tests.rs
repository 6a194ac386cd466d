//! Objects made here, section by section: what they become, and what is refused.

extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const BASE: VirtAddr = VirtAddr::new(0xffff_8000_0000_0000);
const TEXT: u64 = 0x6;
const RODATA: u64 = 0x2;
const DATA: u64 = 0x3;
const RELA: u32 = 4;

/// A section: type, flags, alignment, info, content.
struct Section(u32, u64, u64, u32, Vec<u8>);

/// A symbol: name, section, value.
struct Sym(&'static str, u16, u64);

/// An object of `sections`, the first of which has number 1, and global `symbols`, likewise.
fn object(sections: &[Section], symbols: &[Sym]) -> Vec<u8> {
    let (mut names, mut table) = (vec![0], vec![0; 24]);
    for Sym(name, section, value) in symbols {
        table.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
        table.extend([0x10, 0]);
        table.extend(section.to_le_bytes());
        table.extend(value.to_le_bytes());
        table.extend(0_u64.to_le_bytes());
        names.extend(name.bytes().chain([0]));
    }
    let count = u32::try_from(sections.len()).unwrap();
    let symtab = Section(2, 0, 8, 1, table);
    let strtab = Section(3, 0, 1, 0, names);
    let all: Vec<&Section> = sections.iter().chain([&symtab, &strtab]).collect();
    let (mut body, mut headers) = (Vec::<u8>::new(), vec![0_u8; 64]);
    for Section(kind, flags, align, info, content) in all {
        let link = match *kind {
            2 => count + 2,
            _ => count + 1,
        };
        let entry: u64 = if matches!(*kind, 2 | RELA) { 24 } else { 0 };
        let nobits = *kind == abi::SHT_NOBITS;
        headers.extend([0, 0, 0, 0]);
        headers.extend(kind.to_le_bytes());
        headers.extend(flags.to_le_bytes());
        headers.extend(0_u64.to_le_bytes());
        headers.extend(u64::try_from(64 + body.len()).unwrap().to_le_bytes());
        headers.extend(u64::try_from(content.len()).unwrap().to_le_bytes());
        headers.extend(link.to_le_bytes());
        headers.extend(info.to_le_bytes());
        headers.extend(align.to_le_bytes());
        headers.extend(entry.to_le_bytes());
        if !nobits {
            body.extend(content);
        }
    }
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([1, 0, 183, 0, 1, 0, 0, 0]);
    file.extend([0; 16]);
    file.extend(u64::try_from(64 + body.len()).unwrap().to_le_bytes());
    file.extend([0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0]);
    file.extend(u16::try_from(count + 3).unwrap().to_le_bytes());
    file.extend([0, 0]);
    file.extend(body);
    file.extend(headers);
    file
}

/// An entry of a table of relocations.
fn rela(offset: u64, (kind, symbol): (u32, u32), addend: i64) -> Vec<u8> {
    let info = u64::from(symbol) << 32 | u64::from(kind);
    [offset.to_le_bytes(), info.to_le_bytes(), addend.to_le_bytes()].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn text(code: &[u32]) -> Section {
    Section(1, TEXT, 4, 0, words(code))
}

/// Two words of code with one relocation in the first, of `kind` with `addend`, to `symbol`.
fn with_one(code: u32, (kind, addend): (u32, i64), symbol: Sym) -> Vec<u8> {
    let relocation = rela(0, (kind, 2), addend);
    object(
        &[
            text(&[code, 0xd65f_03c0]),
            Section(RELA, 0, 8, 1, relocation),
            Section(1, DATA, 8, 0, vec![0x5a; 24]),
        ],
        &[Sym(ENTRY, 1, 0), symbol],
    )
}

fn exports(address: u64) -> [Export; 1] {
    [Export { name: "kernel_print", address: VirtAddr::new(address) }]
}

/// Writes the module where the kernel would.
fn written(file: &[u8], exports: &[Export]) -> Result<(Vec<u8>, VirtAddr), String> {
    let object = Object::new(file).map_err(|error| error.to_string())?;
    let mut memory = vec![0xcc; usize::try_from(object.parts().bytes()).unwrap()];
    let entry = object.write(&mut memory, BASE, exports).map_err(|error| error.to_string())?;
    Ok((memory, entry))
}

fn word(memory: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(memory[at..at + 4].try_into().unwrap())
}

/// The first word of the code after its relocation.
fn relocated(code: u32, relocation: (u32, i64), symbol: Sym) -> Result<u32, String> {
    let file = with_one(code, relocation, symbol);
    written(&file, &exports(0xffff_8000_8000_1238)).map(|(memory, _)| word(&memory, 0))
}

#[test]
fn parts_follow_each_other_in_pages() {
    let file = object(
        &[
            Section(1, DATA, 16, 0, vec![1; 5]),
            text(&[0xd65f_03c0; 1025]),
            Section(1, RODATA, 1, 0, vec![2; 3]),
            Section(8, DATA, 64, 0, vec![0; 5000]),
            Section(1, 0, 1, 0, vec![9; 9]),
            Section(7, RODATA, 4, 0, vec![3; 4]),
            text(&[0xd503_201f]),
        ],
        &[Sym(ENTRY, 7, 0)],
    );
    let parts = Object::new(&file).unwrap().parts();
    assert_eq!(parts, Parts { text: 0x2000, rodata: 0x1000, data: 0x2000 });
    let (memory, entry) = written(&file, &[]).unwrap();
    assert_eq!(entry, BASE.wrapping_add(4100));
    assert_eq!(word(&memory, 4100), 0xd503_201f);
    assert_eq!(&memory[0x2000..0x2009], [2, 2, 2, 0, 3, 3, 3, 3, 0]);
    assert_eq!(&memory[0x3000..0x3006], [1, 1, 1, 1, 1, 0]);
    assert!(memory[0x3006..].iter().all(|byte| *byte == 0), "what has no content is zero");
}

#[test]
fn every_kind_of_relocation_says_where_its_target_is() {
    let data = |offset| Sym("datum", 3, offset);
    // The data are a page behind the code, which is at the base.
    let check = |code, relocation, offset, expected: u32| {
        assert_eq!(relocated(code, relocation, data(offset)), Ok(expected), "{relocation:?}");
    };
    check(0x9000_0000, (275, 0), 8, 0xb000_0000);
    check(0x9000_0000, (275, -0x2000), 8, 0xf0ff_ffe0);
    check(0x1000_0000, (274, 0), 8, 0x1000_8040);
    check(0x9100_0000, (277, 3), 8, 0x9100_2c00);
    check(0x3940_0000, (278, 3), 8, 0x3940_2c00);
    check(0x7940_0000, (284, 2), 8, 0x7940_1400);
    check(0xb940_0000, (285, 4), 8, 0xb940_0c00);
    check(0xf940_0000, (286, 0), 8, 0xf940_0400);
    check(0x3dc0_0000, (299, 8), 8, 0x3dc0_0400);
    check(0x9400_0000, (283, 4), 8, 0x9400_0403);
    check(0x1400_0000, (282, -0x1008), 8, 0x1400_0000);
    check(0x1400_0000, (282, -0x100c), 8, 0x17ff_ffff);
    check(0xb400_0000, (280, 0), 8, 0xb400_8040);
    check(0x3600_0000, (279, 0), 8, 0x3600_8040);
    check(0x5800_0000, (273, 0), 8, 0x5800_8040);
    check(0x1234_5678, (261, 1), 8, 0x1009);
    check(0x1234_5678, (0, 0), 8, 0x1234_5678);
    let (memory, _) = written(&with_one(0, (257, 5), data(8)), &[]).unwrap();
    assert_eq!((word(&memory, 0), word(&memory, 4)), (0x100d, 0xffff_8000));
    let (memory, _) = written(&with_one(0, (260, -0x2000), data(0)), &[]).unwrap();
    assert_eq!((word(&memory, 0), word(&memory, 4)), (0xffff_f000, 0xffff_ffff));
}

#[test]
fn a_function_that_is_too_far_away_is_called_through_a_veneer() {
    let import = || Sym("kernel_print", 0, 0);
    let file = with_one(0x9400_0000, (283, 0), import());
    let (memory, _) = written(&file, &exports(0xffff_8000_8000_1238)).unwrap();
    // The veneer lies behind the two words of code.
    assert_eq!(word(&memory, 0), 0x9400_0002);
    assert_eq!(
        [8, 12, 16].map(|at| word(&memory, at)),
        [0x9040_0010 | 1 << 29, 0x9108_e210, 0xd61f_0200]
    );
    // A near one is called as it is.
    let (memory, _) = written(&file, &exports(BASE.value() + 0x10_0000)).unwrap();
    assert_eq!(word(&memory, 0), 0x9404_0000);
    let far = written(&file, &exports(0x1000)).unwrap_err();
    assert_eq!(far, "relocation 0 of section 2: 0x1000 is too far away");
    // Only a branch goes through a veneer, and only to where the function begins.
    assert!(relocated(0x1000_0000, (274, 0), import()).unwrap_err().ends_with("too far away"));
    assert!(relocated(0x9400_0000, (283, 4), import()).unwrap_err().ends_with("too far away"));
}

#[test]
fn a_relocation_that_can_t_be_made_is_refused() {
    let refused = |relocation, symbol, why: &str| {
        let error = relocated(0, relocation, symbol).unwrap_err();
        assert_eq!(error, format!("relocation 0 of section 2: {why}"));
    };
    let data = || Sym("datum", 3, 8);
    let unknown = "type 311 is not known here: compile with relocation-model=static";
    refused((311, 0), data(), unknown);
    let misaligned = "0xffff800000001009 is not a multiple of what is accessed there";
    refused((286, 1), data(), misaligned);
    refused((283, 1), data(), misaligned);
    refused((261, 1 << 32), data(), "0xffff800100001008 is too far away");
    refused((280, 1 << 20), data(), "0xffff800000101008 is too far away");
    let place = |offset, kind| {
        let relocation = rela(offset, (kind, 1), 0);
        let sections = [text(&[0; 2]), Section(RELA, 0, 8, 1, relocation)];
        written(&object(&sections, &[Sym(ENTRY, 1, 0)]), &[]).unwrap_err()
    };
    assert!(place(5, 257).ends_with("0x5 is outside the section"));
    assert!(place(u64::MAX, 257).ends_with("0xffffffffffffffff is outside the section"));
    assert!(place(2, 283).ends_with("0xffff800000000002 is no place for an instruction"));
}

#[test]
fn a_symbol_that_leads_nowhere_is_refused_by_name() {
    let error = |symbol| relocated(0, (257, 0), symbol).unwrap_err();
    assert_eq!(error(Sym("puts", 0, 0)), "puts: the kernel exports nothing of that name");
    assert_eq!(error(Sym("far", 3, 25)), "far: 0x19 is outside its section");
    assert_eq!(error(Sym("named", 2, 0)), "named: its section is not loaded");
    assert_eq!(error(Sym("common", 0xfff2, 8)), "common: its section number 0xfff2 is reserved");
    assert!(relocated(0, (257, 0), Sym("absolute", 0xfff1, 8)).is_ok());
}

#[test]
fn an_object_needs_an_entry_in_its_code() {
    let error = |symbols: &[Sym]| {
        let sections = [text(&[0; 2]), Section(1, DATA, 8, 0, vec![0; 8])];
        written(&object(&sections, symbols), &[]).unwrap_err()
    };
    let none = "the object defines no global function module_run";
    assert_eq!(error(&[]), none);
    assert_eq!(error(&[Sym(ENTRY, 0, 0)]), none);
    let no_code = "module_run: it is not in the module's code";
    for symbol in [Sym(ENTRY, 2, 0), Sym(ENTRY, 1, 8), Sym(ENTRY, 1, 2)] {
        assert_eq!(error(&[symbol]), no_code);
    }
}

#[test]
fn a_section_that_is_not_for_modules_is_refused() {
    let error =
        |section| written(&object(&[section, text(&[0])], &[Sym(ENTRY, 2, 0)]), &[]).unwrap_err();
    let bytes = || vec![0; 8];
    let both = "section 1: it would be writable and executable";
    assert_eq!(error(Section(1, 0x7, 4, 0, bytes())), both);
    let alignment = "section 1: its alignment 0x2000 is not a power of two up to a page";
    assert_eq!(error(Section(1, DATA, 0x2000, 0, bytes())), alignment);
    assert!(error(Section(1, DATA, 3, 0, bytes())).contains("alignment 0x3"));
    let array = "section 1: it is loaded and of type 0xe, which modules may not have";
    assert_eq!(error(Section(14, DATA, 8, 0, bytes())), array);
    assert!(error(Section(1, DATA | 1 << 10, 8, 0, bytes())).contains("flags 0x403"));
    assert!(error(Section(8, DATA, 8, 0, vec![0; 0x20_0000])).contains("more than 2097152 bytes"));
    assert!(
        error(Section(9, 0, 8, 2, bytes())).contains("section 1: its relocations have no addends")
    );
}

#[test]
fn another_kind_of_file_is_refused() {
    let error = |file: &[u8]| written(file, &[]).unwrap_err();
    assert!(error(b"#!/bin/sh").starts_with("the object can't be read: "));
    let mut program = with_one(0, (0, 0), Sym("datum", 3, 0));
    program[16] = 2;
    assert!(error(&program).contains("(ELF type 2, machine 183)"));
    program[16] = 1;
    program[18] = 62;
    assert!(error(&program).contains("(ELF type 1, machine 62)"));
    let many: Vec<Section> = (0..300).map(|_| Section(1, 0, 1, 0, vec![])).collect();
    let error = error(&object(&many, &[]));
    assert_eq!(error, "the object has 303 sections; 256 can be kept account of");
}

#[test]
fn more_functions_than_there_is_room_for_are_refused_and_each_counts_once() {
    let calls = |functions: u32| {
        let all = (0..functions).chain(0..functions);
        let table = all.flat_map(|one| rela(0, (283, 2 + one), 0)).collect();
        let sections = [text(&[0x9400_0000]), Section(RELA, 0, 8, 1, table)];
        let imports = (0..functions).map(|_| Sym("kernel_print", 0, 0));
        object(&sections, &[Sym(ENTRY, 1, 0)].into_iter().chain(imports).collect::<Vec<_>>())
    };
    assert!(written(&calls(64), &exports(0xffff_8000_8000_0000)).is_ok());
    let error = written(&calls(65), &[]).unwrap_err();
    assert_eq!(error, "the object calls more than 64 functions of the kernel");
}

#[test]
fn memory_that_is_not_what_the_module_takes_is_refused() {
    let file = with_one(0, (0, 0), Sym("datum", 3, 0));
    let object = Object::new(&file).unwrap();
    let mut memory = vec![0; 0x2000];
    assert!(object.write(&mut memory[..0x1000], BASE, &[]).is_err());
    assert!(object.write(&mut memory, BASE.wrapping_add(8), &[]).is_err());
    assert!(object.write(&mut memory, BASE, &[]).is_ok());
}

proptest! {
    #[test]
    fn any_change_of_an_object_is_a_module_or_an_error(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)
    ) {
        let mut file = with_one(0x9400_0000, (283, 0), Sym("kernel_print", 0, 0));
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        if let Err(error) = written(&file, &exports(0xffff_8000_8000_1238)) {
            prop_assert!(!error.is_empty());
        }
    }
}
