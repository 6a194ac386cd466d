//! Symbols of a small kernel, in both forms, and of one that is damaged.

use blockmap_dump::vmsa::Geometry;
use blockmap_vmsa::machine::PhysRange;
use proptest::prelude::*;

use super::super::{Area, areas_of_kernel};
use super::*;

const BASE: u64 = 0x4000_0000;
const OFFSET: u64 = 0xffff_8000_4000_0000;
/// Where the image is linked.
const IMAGE: u64 = BASE + OFFSET;
const NAMES: u64 = 0x1000;
const TOKENS: u64 = 0x8000;
const INDEX: u64 = 0xa000;
const ADDRESSES: u64 = 0xb000;
const RELATIVE_BASE: u64 = 0xc000;
const MARKERS: u64 = 0xd000;

/// Two tokens that stand for more than a character.
const LONG: [(u8, &str); 2] = [(1, "do_"), (0xff, "Tpage")];

const SYMBOLS: [(u64, &str); 10] = [
    (0, "T_text"),
    (0, "t__pi__text"),
    (0x10, "tdo_work"),
    (0x20, "d$d"),
    (0x20, "t__pi_page_fault"),
    (0x20, "Tpage_fault"),
    (0x20, "tpage_fault_too"),
    (0x30, "t$x"),
    (0xd000, "daddress_markers.2"),
    (0xf000, "B_end"),
];

/// How addresses are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// By their distance from where that stands.
    FromThere,
    /// By their distance from the image.
    FromBase,
}

#[derive(Debug)]
struct Memory {
    range: [PhysRange; 1],
    bytes: Vec<u8>,
}

impl Memory {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let at = usize::try_from(at).unwrap();
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl PhysicalMemory for Memory {
    fn ranges(&self) -> &[PhysRange] {
        &self.range
    }

    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        let offset = at.offset_from(PhysAddr::new(BASE));
        let offset = offset.and_then(|offset| usize::try_from(offset).ok());
        let held = offset.and_then(|offset| self.bytes.get(offset..)?.get(..into.len()));
        into.copy_from_slice(held.ok_or(ReadError::Absent(at))?);
        Ok(())
    }
}

/// A name in tokens; one of two hundred characters and more has two bytes of length.
fn packed(name: &str) -> Vec<u8> {
    let mut tokens = Vec::new();
    let mut rest = name;
    while let Some(byte) = rest.bytes().next() {
        let long = LONG.iter().find(|(_, text)| rest.starts_with(text));
        let (token, text) = long.copied().unwrap_or((byte, &rest[..1]));
        tokens.push(token);
        rest = &rest[text.len()..];
    }
    let length = tokens.len();
    let mut packed = if length < 0x80 {
        vec![u8::try_from(length).unwrap()]
    } else {
        vec![u8::try_from(length & 0x7f | 0x80).unwrap(), u8::try_from(length >> 7).unwrap()]
    };
    packed.extend(tokens);
    packed
}

fn kernel(form: Form, symbols: &[(u64, &str)]) -> (Memory, VmCoreInfo) {
    let range = PhysRange::new(PhysAddr::new(BASE), 0x1_0000).unwrap();
    let mut memory = Memory { range: [range], bytes: vec![0; 0x1_0000] };
    memory.put(NAMES - 4, &u32::try_from(symbols.len()).unwrap().to_le_bytes());
    let names: Vec<u8> = symbols.iter().flat_map(|(_, name)| packed(name)).collect();
    memory.put(NAMES, &names);
    let mut at = 0;
    for token in 0..=255_u8 {
        let long = LONG.iter().find(|(known, _)| *known == token);
        let text = long.map_or(vec![token], |(_, text)| text.as_bytes().to_vec());
        memory.put(INDEX + 2 * u64::from(token), &u16::try_from(at).unwrap().to_le_bytes());
        memory.put(TOKENS + at, &text);
        at += u64::try_from(text.len()).unwrap() + 1;
    }
    for (index, (address, _)) in (0..).zip(symbols) {
        let stands = ADDRESSES + 4 * index;
        let from = match form {
            Form::FromThere => stands,
            Form::FromBase => 0,
        };
        let word = u32::try_from(address.wrapping_sub(from) & 0xffff_ffff).unwrap();
        memory.put(stands, &word.to_le_bytes());
    }
    memory.put(RELATIVE_BASE, &IMAGE.to_le_bytes());
    for (row, (start, name)) in (0..).zip([
        (0xffff_0000_0000_0000_u64, "Linear Mapping start"),
        (0xffff_8000_0000_0000, "Linear Mapping end"),
        (0xffff_ffff_ff22_6000, "Fixmap start"),
    ]) {
        let text = MARKERS + 0x400 + 64 * row;
        memory.put(MARKERS + 16 * row, &start.to_le_bytes());
        memory.put(MARKERS + 16 * row + 8, &(IMAGE + text).to_le_bytes());
        memory.put(text, name.as_bytes());
    }
    memory.put(MARKERS + 48, &u64::MAX.to_le_bytes());
    let base = match form {
        Form::FromThere => String::new(),
        Form::FromBase => format!("SYMBOL(kallsyms_relative_base)={:x}\n", IMAGE + RELATIVE_BASE),
    };
    let text = format!(
        "OSRELEASE=6.1.0\nSYMBOL(swapper_pg_dir)=0\nNUMBER(kimage_voffset)={OFFSET:#x}\n\
         SYMBOL(kallsyms_num_syms)={:x}\nSYMBOL(kallsyms_names)={:x}\n\
         SYMBOL(kallsyms_token_table)={:x}\nSYMBOL(kallsyms_token_index)={:x}\n\
         SYMBOL(kallsyms_offsets)={:x}\n{base}",
        IMAGE + NAMES - 4,
        IMAGE + NAMES,
        IMAGE + TOKENS,
        IMAGE + INDEX,
        IMAGE + ADDRESSES,
    );
    (memory, VmCoreInfo::parse(text.as_bytes()).unwrap())
}

fn at(symbols: &Symbols, offset: u64) -> Option<String> {
    symbols.at(VirtAddr::new(IMAGE.wrapping_add(offset))).map(|place| place.to_string())
}

#[test]
fn a_place_has_the_name_of_the_last_symbol_that_says_something() {
    for form in [Form::FromThere, Form::FromBase] {
        let (memory, linux) = kernel(form, &SYMBOLS);
        let symbols = Symbols::read(&memory, &linux).unwrap();
        let named = |offset| at(&symbols, offset).unwrap();
        assert_eq!(named(0), "_text");
        assert_eq!(named(0xf), "_text+0xf");
        assert_eq!(named(0x10), "do_work");
        assert_eq!(named(0x20), "page_fault", "global, and neither a mark nor a second name");
        assert_eq!(named(0x31), "page_fault+0x11", "over the mark");
        assert_eq!(named(0xefff), "address_markers.2+0x1fff");
        assert_eq!(at(&symbols, 0xf000), None, "the image's end");
        assert_eq!(at(&symbols, 0_u64.wrapping_sub(1)), None);
        let place = symbols.in_memory(PhysAddr::new(BASE + 0x14)).unwrap();
        assert_eq!((&*place.name, place.offset), ("do_work", 4));
    }
}

#[test]
fn a_long_name_has_two_bytes_of_length() {
    let name = format!("t{}", "x".repeat(300));
    let (memory, linux) = kernel(Form::FromThere, &[(0, &name), (0x10, "T_end")]);
    let symbols = Symbols::read(&memory, &linux).unwrap();
    assert_eq!(at(&symbols, 0).unwrap(), "x".repeat(300));
}

#[test]
fn the_kernels_own_table_names_its_areas() {
    let (memory, linux) = kernel(Form::FromThere, &SYMBOLS);
    let symbols = Symbols::read(&memory, &linux).unwrap();
    let areas = areas_of_kernel(&memory, &symbols, Geometry::KERNEL_4K_48).unwrap();
    let last =
        Area { start: VirtAddr::new(0xffff_ffff_ff22_6000), name: "Fixmap start".to_owned() };
    assert_eq!((areas.len(), areas.last()), (3, Some(&last)));
    let (mut empty, linux) = kernel(Form::FromThere, &SYMBOLS);
    empty.put(MARKERS, &[0; 0x400]);
    let symbols = Symbols::read(&empty, &linux).unwrap();
    assert_eq!(areas_of_kernel(&empty, &symbols, Geometry::KERNEL_4K_48), None, "not filled in");
}

#[test]
fn what_is_missing_is_said() {
    let (mut memory, linux) = kernel(Form::FromThere, &SYMBOLS);
    let without = linux.text().replace("SYMBOL(kallsyms_names)", "SYMBOL(other)");
    let without = VmCoreInfo::parse(without.as_bytes()).unwrap();
    let unsaid = Symbols::read(&memory, &without).unwrap_err();
    assert_eq!(unsaid, SymbolsError::Unsaid("SYMBOL(kallsyms_names)"));
    memory.put(NAMES - 4, &[0xff; 4]);
    let broken = Symbols::read(&memory, &linux).unwrap_err();
    assert_eq!(broken, SymbolsError::Broken("their number"));
    memory.put(NAMES - 4, &[0, 0, 1, 0]);
    let short = Symbols::read(&memory, &linux).unwrap_err();
    assert!(matches!(short, SymbolsError::Unreadable(_)), "{short}");
    let (mut unsorted, linux) = kernel(Form::FromThere, &SYMBOLS);
    unsorted.put(ADDRESSES, &[0xff, 0xff, 0, 0]);
    let unsorted = Symbols::read(&unsorted, &linux).unwrap_err();
    assert_eq!(unsorted, SymbolsError::Broken("their addresses are in no order"));
}

proptest! {
    /// Whatever is there, reading it ends, and what was read can be asked.
    #[test]
    fn the_tables_may_hold_anything(
        damage in proptest::collection::vec((0xfec_u64..0xd400, any::<[u8; 3]>()), 0..40),
        count in 0_u32..200,
        offset in any::<u64>(),
    ) {
        let (mut memory, linux) = kernel(Form::FromBase, &SYMBOLS);
        memory.put(NAMES - 4, &count.to_le_bytes());
        for (at, bytes) in damage {
            memory.put(at, &bytes);
        }
        if let Ok(symbols) = Symbols::read(&memory, &linux) {
            for offset in (0..0x100).chain([offset]) {
                if let Some(Place { name, .. }) = symbols.at(VirtAddr::new(IMAGE.wrapping_add(offset))) {
                    prop_assert!(name.len() <= 512 && name.is_ascii());
                }
            }
            let _ = areas_of_kernel(&memory, &symbols, Geometry::KERNEL_4K_48);
        }
    }
}
