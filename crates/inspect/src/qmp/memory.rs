//! Memory that QEMU writes into files on request.

use std::cell::RefCell;
use std::collections::BTreeMap;

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use super::{Machine, QmpError};
use crate::{Pace, PhysicalMemory, ReadError};

/// Bytes that are asked for at once.
const MOST_BYTES: u64 = 64 << 20;

/// Bytes between two wanted ranges that are cheaper to read than another request.
const BRIDGED_BYTES: u64 = 64 << 10;

/// The memory of a machine that is stopped, asked for range by range.
#[derive(Debug)]
pub(crate) struct SavedMemory {
    /// Runs again when this is dropped, if it ran before.
    machine: RefCell<Machine>,
    ranges: Vec<PhysRange>,
    /// What was asked for last.
    fetched: RefCell<BTreeMap<PhysAddr, Vec<u8>>>,
}

impl SavedMemory {
    /// Stops the machine.
    pub(crate) fn new(mut machine: Machine) -> Result<Self, QmpError> {
        machine.stop()?;
        let ranges = machine.ram().to_vec();
        Ok(Self { machine: RefCell::new(machine), ranges, fetched: RefCell::default() })
    }

    /// Has QEMU write a range of memory, and reads it.
    fn save(&self, range: PhysRange) -> Result<Vec<u8>, QmpError> {
        let saved = self.machine.borrow_mut().save(&[range])?;
        let bytes = saved.into_iter().map(|(_, bytes)| bytes).next().unwrap_or_default();
        if u64::try_from(bytes.len()) != Ok(range.bytes()) {
            return Err(QmpError::Protocol(format!("{} bytes of {range}", bytes.len())));
        }
        Ok(bytes)
    }

    /// What is at hand of the bytes at `at`.
    fn fill(&self, at: PhysAddr, into: &mut [u8]) -> Option<()> {
        let fetched = self.fetched.borrow();
        let (start, bytes) = fetched.range(..=at).next_back()?;
        let offset = usize::try_from(at.offset_from(*start)?).ok()?;
        into.copy_from_slice(bytes.get(offset..)?.get(..into.len())?);
        Some(())
    }
}

impl PhysicalMemory for SavedMemory {
    fn ranges(&self) -> &[PhysRange] {
        &self.ranges
    }

    fn pace(&self) -> Pace {
        Pace::Slow
    }

    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        if self.fill(at, into).is_some() {
            return Ok(());
        }
        let bytes = u64::try_from(into.len()).unwrap_or(u64::MAX);
        let range = PhysRange::new(at, bytes).ok_or(ReadError::Absent(at))?;
        // Where there is no RAM, QEMU would make up zeros.
        if !self.ranges.iter().any(|own| own.covers(range)) {
            return Err(ReadError::Absent(at));
        }
        let failed = |error: QmpError| ReadError::Failed { at, why: error.to_string() };
        into.copy_from_slice(&self.save(range).map_err(failed)?);
        Ok(())
    }

    fn expect(&self, wanted: &[PhysRange]) {
        let requests = requests(wanted, &self.ranges);
        let saved = self.machine.borrow_mut().save(&requests).unwrap_or_default();
        let is_whole =
            |(range, bytes): &(PhysRange, Vec<u8>)| u64::try_from(bytes.len()) == Ok(range.bytes());
        let whole = saved.into_iter().filter(is_whole);
        let fetched = whole.map(|(range, bytes)| (range.start(), bytes)).collect();
        *self.fetched.borrow_mut() = fetched;
    }
}

/// Few ranges that cover all that is wanted, as far as there is memory.
fn requests(wanted: &[PhysRange], ranges: &[PhysRange]) -> Vec<PhysRange> {
    let mut requests: Vec<PhysRange> = Vec::new();
    for range in wanted {
        let Some(own) = ranges.iter().find(|own| own.covers(*range)) else {
            continue;
        };
        let joined = requests.last().and_then(|last| {
            let gap = range.start().offset_from(last.end())?;
            let bytes = range.end().offset_from(last.start())?;
            let is_near = gap <= BRIDGED_BYTES && bytes <= MOST_BYTES && own.covers(*last);
            if is_near { PhysRange::new(last.start(), bytes) } else { None }
        });
        match (joined, requests.last_mut()) {
            (Some(joined), Some(last)) => *last = joined,
            (_, _) => requests.push(*range),
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_one_request() {
        let range = |start, bytes| PhysRange::new(PhysAddr::new(start), bytes).unwrap();
        let ram = [range(0x4000_0000, 1 << 30), range(0x8000_0000, 1 << 30)];
        let wanted = [
            range(0x4000_0000, 0x1000),
            range(0x4000_3000, 0x1000),
            range(0x4010_0000, 0x1000),
            range(0x7fff_f000, 0x1000),
            range(0x8000_0000, 0x1000),
            range(0xd000_0000, 0x1000),
        ];
        let expected = [
            range(0x4000_0000, 0x4000),
            range(0x4010_0000, 0x1000),
            range(0x7fff_f000, 0x1000),
            range(0x8000_0000, 0x1000),
        ];
        assert_eq!(requests(&wanted, &ram), expected);
    }
}
