//! Physical memory through a gdbstub.

use std::cell::RefCell;

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use super::{Gdb, GdbError};
use crate::{Pace, PhysicalMemory, ReadError};

/// All memory of a machine behind a gdbstub. Which addresses have any is not known before they
/// are read.
#[derive(Debug)]
pub(crate) struct GdbMemory {
    gdb: RefCell<Gdb>,
}

impl GdbMemory {
    /// Makes the stub's addresses physical ones.
    pub(crate) fn new(mut gdb: Gdb) -> Result<Self, GdbError> {
        gdb.order("Qqemu.PhyMemMode:1")?;
        Ok(Self { gdb: RefCell::new(gdb) })
    }
}

impl PhysicalMemory for GdbMemory {
    fn ranges(&self) -> &[PhysRange] {
        &[]
    }

    fn pace(&self) -> Pace {
        Pace::Slow
    }

    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        let mut gdb = self.gdb.borrow_mut();
        // Two digits for each byte, and what frames them.
        let most = (gdb.packet_bytes / 2).saturating_sub(16) & !7;
        let failed = |at, why: String| ReadError::Failed { at, why };
        let mut at = at;
        for piece in into.chunks_mut(most.max(8)) {
            let request = format!("m{:x},{:x}", at.value(), piece.len());
            let answer = gdb.ask(&request).map_err(|error| failed(at, error.to_string()))?;
            match bytes(&answer) {
                Some(bytes) if bytes.len() == piece.len() => piece.copy_from_slice(&bytes),
                Some(_) | None => return Err(failed(at, format!("the gdbstub said `{answer}`"))),
            }
            at = at.wrapping_add(u64::try_from(piece.len()).unwrap_or_default());
        }
        Ok(())
    }
}

/// The bytes that an even number of hexadecimal digits stands for.
pub(super) fn bytes(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
