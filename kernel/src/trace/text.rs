//! A trace as text: what it is of, and then a line for every record.
//!
//! Effects are the lines that `blockmap_machine::trace` reads; everything else is a comment, a line
//! that begins with `#`.

use core::fmt::{self, Write};

use blockmap::Terms;
use blockmap::machine::PhysAddr;
use blockmap::vmsa::Geometry;
use blockmap::vmsa::cpu::Midr;

use super::{Piece, Record, Recording};

/// What was recorded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The shape of the tables.
    pub geometry: Geometry,
    /// The root table.
    pub root: PhysAddr,
    /// Where the image is in memory.
    pub load: PhysAddr,
    /// The CPU.
    pub midr: Midr,
    /// How leaves change their size, and how TLBs are invalidated.
    pub terms: Terms,
}

/// Prints a recording as text that can be read back. Nothing may be recorded meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct TraceText<'a> {
    /// What was recorded.
    pub recording: &'a Recording<'a>,
    /// Where.
    pub origin: Origin,
}

impl fmt::Display for TraceText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header(f)?;
        let mut records = self.recording.records().peekable();
        while let Some(record) = records.next() {
            match record {
                Record::Event(event) => write!(f, "{event}")?,
                Record::Taken(table) => write!(f, "# table taken {table}")?,
                Record::Freed(table) => write!(f, "# table freed {table}")?,
                Record::Note(piece) => write!(f, "# {piece}")?,
                Record::More(piece) => write!(f, "{piece}")?,
            }
            if !matches!(records.peek(), Some(Record::More(_))) {
                writeln!(f)?;
            }
        }
        match self.recording.dropped() {
            0 => Ok(()),
            dropped => writeln!(f, "# {dropped} records more were dropped here"),
        }
    }
}

impl TraceText<'_> {
    fn header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { geometry, root, load, midr, terms } = self.origin;
        let (start, last) = geometry.inputs();
        writeln!(f, "# blockmap trace")?;
        writeln!(
            f,
            "# geometry: {:?}, {} KiB granule, inputs {start} to {last}, {}-bit outputs",
            geometry.regime(),
            geometry.page_bytes() >> 10,
            geometry.output_bits()
        )?;
        writeln!(f, "# root: {root}")?;
        writeln!(f, "# image: loaded at {load}")?;
        writeln!(f, "# CPU: {midr}, MIDR {:#010x}", midr.value())?;
        writeln!(f, "# strategy: {:?}; TLB invalidation: {:?}", terms.strategy, terms.tlbi)?;
        let is_event = |record: &Record| matches!(record, Record::Event(_));
        let records = self.recording.records().count();
        let events = self.recording.records().filter(is_event).count();
        let dropped = self.recording.dropped();
        writeln!(f, "# events: {events}; other records: {}", records.saturating_sub(events))?;
        write!(f, "# dropped records: {dropped}")?;
        match dropped {
            0 => writeln!(f),
            _ => writeln!(f, ", all after those below; a larger trace=EVENTS has room for more"),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.characters().try_for_each(|character| f.write_char(character))
    }
}
