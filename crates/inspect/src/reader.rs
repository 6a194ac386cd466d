//! Reads tables out of memory: whole blocks at once, the last few kept.

use std::cell::RefCell;
use std::fmt;

use blockmap_dump::ReadTable;
use blockmap_vmsa::machine::PhysAddr;

use crate::{PhysicalMemory, ReadError};

/// Bytes that are read at once.
const BLOCK: u64 = 4096;

/// Blocks that are kept.
const SLOTS: usize = 64;

/// Reads tables from a source's memory. It keeps at most 256 KiB, however large the tree.
pub struct TableReader<'m> {
    memory: &'m dyn PhysicalMemory,
    slots: RefCell<Vec<Slot>>,
}

/// A block that was read, or none.
#[derive(Clone, Default)]
struct Slot {
    block: Option<PhysAddr>,
    bytes: Vec<u8>,
}

impl fmt::Debug for TableReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableReader").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl<'m> TableReader<'m> {
    /// A reader of `memory`.
    #[must_use]
    pub fn new(memory: &'m dyn PhysicalMemory) -> Self {
        Self { memory, slots: RefCell::new(vec![Slot::default(); SLOTS]) }
    }

    /// Fills `words` from `at` on, which do not leave the block that `at` is in.
    fn within_block(&self, at: PhysAddr, words: &mut [u64]) -> Result<(), ReadError> {
        let block = at.align_down(BLOCK);
        let number = block.value() / BLOCK;
        // Tables of neighbouring levels are often a power of two apart.
        let slot = usize::try_from((number ^ number >> 6 ^ number >> 12) % 64).unwrap_or_default();
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(slot) else {
            return Err(ReadError::Absent(at));
        };
        if slot.block != Some(block) {
            slot.block = None;
            slot.bytes.resize(usize::try_from(BLOCK).unwrap_or_default(), 0);
            if self.memory.read(block, &mut slot.bytes).is_err() {
                // The source may begin or end inside the block.
                return self.exactly(at, words);
            }
            slot.block = Some(block);
        }
        let offset = usize::try_from(at.value() % BLOCK).unwrap_or_default();
        let bytes = slot.bytes.get(offset..).unwrap_or_default();
        fill(words, bytes);
        Ok(())
    }

    /// Fills `words` from `at` on, and reads nothing else.
    fn exactly(&self, at: PhysAddr, words: &mut [u64]) -> Result<(), ReadError> {
        let mut bytes = vec![0; size_of_val(words)];
        self.memory.read(at, &mut bytes)?;
        fill(words, &bytes);
        Ok(())
    }
}

/// Makes words of little-endian bytes.
pub(crate) fn fill(words: &mut [u64], bytes: &[u8]) {
    let (eights, _) = bytes.as_chunks();
    for (word, eight) in words.iter_mut().zip(eights) {
        *word = u64::from_le_bytes(*eight);
    }
}

impl ReadTable for TableReader<'_> {
    type Error = ReadError;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), ReadError> {
        let absent = ReadError::Absent(table);
        let mut at = table.checked_add(8 * u64::from(first)).ok_or(absent.clone())?;
        let mut rest = words;
        while !rest.is_empty() {
            let room = usize::try_from((BLOCK - at.value() % BLOCK) / 8).unwrap_or_default();
            let (now, later) = rest.split_at_mut(room.clamp(1, rest.len()));
            self.within_block(at, now)?;
            at = at
                .checked_add(8 * u64::try_from(now.len()).unwrap_or_default())
                .ok_or(absent.clone())?;
            rest = later;
        }
        Ok(())
    }
}
