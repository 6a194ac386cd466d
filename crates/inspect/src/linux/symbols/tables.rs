//! The tables that symbols are in.
//!
//! A symbol's name is a length, of one byte or, where that has its top bit set, two (seven bits
//! each, the lower first), and so many numbers of tokens. There are 256 tokens, texts that end with
//! a zero, and a table of where each begins. The first character of the whole is the kind, by the
//! letters of `nm`. A symbol's address is 32 bits: signed, to be added to where they stand; or, in
//! kernels that say `kallsyms_relative_base`, unsigned, to be added to what is there.

use blockmap_vmsa::machine::{PhysAddr, PhysRange, VirtAddr};

use super::SymbolsError;
use crate::{PhysicalMemory, VmCoreInfo, format::Fields};

/// Symbols that are read at most: a kernel with everything built in has half a million.
const MOST_SYMBOLS: u32 = 1 << 22;

/// Bytes of names that are read at most.
const MOST_NAMES: u64 = 128 << 20;

/// The bytes of the table of where tokens begin: 256 numbers of 16 bits.
const INDEX_BYTES: u64 = 512;

/// The longest token.
const MOST_TOKEN: u64 = 512;

/// The longest name that is shown.
const MOST_SHOWN: usize = 512;

/// Memory that was read.
#[derive(Clone, Debug)]
struct Part {
    at: PhysAddr,
    bytes: Vec<u8>,
}

impl Part {
    fn read(memory: &dyn PhysicalMemory, at: PhysAddr, bytes: u64) -> Result<Self, SymbolsError> {
        let length = usize::try_from(bytes).map_err(|_| SymbolsError::Broken("their length"))?;
        memory.expect(PhysRange::new(at, bytes).as_slice());
        let mut part = Self { at, bytes: vec![0; length] };
        memory.read(at, &mut part.bytes)?;
        Ok(part)
    }
}

/// The tables as they are in memory.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    count: Part,
    names: Part,
    tokens: Part,
    index: Part,
    addresses: Part,
    /// The input address of `addresses`.
    addresses_at: VirtAddr,
    base: Option<Part>,
}

/// Where each name begins.
#[derive(Clone, Debug)]
pub(super) struct Names(Vec<u32>);

impl Tables {
    /// Reads them from where `linux` says that they are.
    pub(super) fn read(
        memory: &dyn PhysicalMemory,
        linux: &VmCoreInfo,
    ) -> Result<Self, SymbolsError> {
        let symbol = |key: &'static str, name: &str| {
            let found = linux.symbol(name);
            let found = found.and_then(|at| Some((at, linux.image_address(at)?)));
            found.ok_or(SymbolsError::Unsaid(key))
        };
        let (_, count) = symbol("SYMBOL(kallsyms_num_syms)", "kallsyms_num_syms")?;
        let (_, names) = symbol("SYMBOL(kallsyms_names)", "kallsyms_names")?;
        let (_, tokens) = symbol("SYMBOL(kallsyms_token_table)", "kallsyms_token_table")?;
        let (_, index) = symbol("SYMBOL(kallsyms_token_index)", "kallsyms_token_index")?;
        let (addresses_at, addresses) = symbol("SYMBOL(kallsyms_offsets)", "kallsyms_offsets")?;
        let base = symbol("", "kallsyms_relative_base").ok();

        let count = Part::read(memory, count, 4)?;
        let symbols = Fields(&count.bytes).u32(0);
        if !(1..=MOST_SYMBOLS).contains(&symbols) {
            return Err(SymbolsError::Broken("their number"));
        }
        // The names end where the tokens begin, or a little before.
        let bytes = tokens.offset_from(names).filter(|bytes| *bytes <= MOST_NAMES);
        let names = Part::read(memory, names, bytes.ok_or(SymbolsError::Broken("their names"))?)?;
        let index = Part::read(memory, index, INDEX_BYTES)?;
        let last = u64::from(Fields(&index.bytes).u16(510));
        let tokens = Part::read(memory, tokens, last + MOST_TOKEN)?;
        let addresses = Part::read(memory, addresses, 4 * u64::from(symbols))?;
        let base = base.map(|(_, at)| Part::read(memory, at, 8)).transpose()?;
        Ok(Self { count, names, tokens, index, addresses, addresses_at, base })
    }

    /// The symbols' addresses, in their order.
    pub(super) fn addresses(&self) -> Vec<u64> {
        let (words, _) = self.addresses.bytes.as_chunks();
        let base = self.base.as_ref().map(|base| Fields(&base.bytes).u64(0));
        let mut stands = self.addresses_at.value();
        let mut addresses = Vec::with_capacity(words.len());
        for word in words {
            addresses.push(match base {
                Some(base) => base.wrapping_add(u64::from(u32::from_le_bytes(*word))),
                None => stands.wrapping_add_signed(i64::from(i32::from_le_bytes(*word))),
            });
            stands = stands.wrapping_add(4);
        }
        addresses
    }

    /// Where each name begins.
    pub(super) fn names(&self) -> Result<Names, SymbolsError> {
        let count = self.addresses.bytes.len() / 4;
        let mut starts = Vec::with_capacity(count);
        let mut at = 0;
        for _ in 0..count {
            let (begin, end) = self.tokens_of(at).ok_or(SymbolsError::Broken("their names"))?;
            if end == begin {
                return Err(SymbolsError::Broken("one has no name"));
            }
            starts.push(u32::try_from(at).map_err(|_| SymbolsError::Broken("their names"))?);
            at = end;
        }
        Ok(Names(starts))
    }

    /// Where the tokens of the name at `at` begin and end, if it is all there.
    fn tokens_of(&self, at: usize) -> Option<(usize, usize)> {
        let names = &self.names.bytes;
        let first = usize::from(*names.get(at)?);
        let (length, begin) = if first < 0x80 {
            (first, at + 1)
        } else {
            (first & 0x7f | usize::from(*names.get(at + 1)?) << 7, at + 2)
        };
        let end = begin + length;
        (end <= names.len()).then_some((begin, end))
    }

    /// The kind and the name of the symbol number `index`.
    pub(super) fn name(&self, names: &Names, index: usize) -> (char, String) {
        let mut characters = self.bytes(names, index).map(|byte| match byte {
            0x21..=0x7e => char::from(byte),
            _ => '?',
        });
        let kind = characters.next().unwrap_or('?');
        (kind, characters.take(MOST_SHOWN).collect())
    }

    /// Whether the symbol number `index` has this name, or it and something behind a full stop.
    pub(super) fn spells(&self, names: &Names, index: usize, name: &str) -> bool {
        let mut bytes = self.bytes(names, index).skip(1);
        name.bytes().all(|byte| bytes.next() == Some(byte))
            && bytes.next().is_none_or(|byte| byte == b'.')
    }

    /// The kind and then the name of the symbol number `index`.
    fn bytes(&self, Names(starts): &Names, index: usize) -> impl Iterator<Item = u8> {
        let start = starts.get(index).and_then(|start| usize::try_from(*start).ok());
        let tokens = start.and_then(|start| self.tokens_of(start));
        let tokens = tokens.and_then(|(begin, end)| self.names.bytes.get(begin..end));
        tokens.unwrap_or_default().iter().flat_map(|token| self.token(*token)).copied()
    }

    /// The text of a token.
    fn token(&self, token: u8) -> &[u8] {
        let start = Fields(&self.index.bytes).u16(2 * usize::from(token));
        let rest = self.tokens.bytes.get(usize::from(start)..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The memory that was read.
    pub(super) fn stretches(&self) -> impl Iterator<Item = (PhysAddr, &[u8])> {
        let Self { count, names, tokens, index, addresses, addresses_at: _, base } = self;
        let parts = [count, names, tokens, index, addresses];
        parts.into_iter().chain(base).map(|part| (part.at, &*part.bytes))
    }
}
