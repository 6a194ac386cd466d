//! Dumps in ELF: QEMU's `dump-guest-memory`, a kdump kernel's `/proc/vmcore`, and `/proc/kcore`.

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use crate::{
    FormatError, VmCoreInfo,
    format::{Fields, ReadAt, stretch},
    raw::Piece,
};

/// `e_machine` of arm64.
const ARM64: u16 = 183;

/// The most program headers that are read, and the most bytes of notes.
const MOST_SEGMENTS: u64 = 1 << 20;
const MOST_NOTES: u64 = 64 << 20;

/// `e_phnum` where the number is in the first section header instead.
const MANY: u16 = 0xffff;

/// What an ELF file holds.
#[derive(Debug, Default)]
pub(crate) struct Core {
    /// Where its memory is, all in one file.
    pub(crate) pieces: Vec<Piece>,
    /// What Linux wrote down, if it is in a note.
    pub(crate) linux: Option<VmCoreInfo>,
}

/// One program header.
#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: u32,
    offset: u64,
    physical: u64,
    file_bytes: u64,
    memory_bytes: u64,
}

/// Reads what there is, but the memory itself.
pub(crate) fn read(file: &dyn ReadAt) -> Result<Core, FormatError> {
    let mut core = Core::default();
    for segment in segments(file)? {
        match segment.kind {
            1 => core.pieces.extend(piece(segment)),
            4 if core.linux.is_none() => {
                let place = (segment.offset, segment.file_bytes);
                core.linux = vmcoreinfo(&stretch(file, place, MOST_NOTES, "notes")?);
            }
            _ => {}
        }
    }
    if core.pieces.is_empty() {
        return Err(FormatError::Unsupported(
            "it has no memory with physical addresses: it is no dump of a machine",
        ));
    }
    Ok(core)
}

fn segments(file: &dyn ReadAt) -> Result<Vec<Segment>, FormatError> {
    let header = stretch(file, (0, 64), 64, "ELF header")?;
    let fields = Fields(&header);
    // 64-bit, little-endian.
    if header.get(4..6) != Some(&[2, 1]) {
        return Err(FormatError::Unsupported("it is not a 64-bit little-endian ELF file"));
    }
    let machine = fields.u16(18);
    if machine != ARM64 {
        return Err(FormatError::OtherMachine(machine));
    }
    let (first, each) = (fields.u64(32), fields.u16(54));
    if each != 56 {
        let value = u64::from(each);
        return Err(FormatError::Value { what: "program header size", value });
    }
    let count = match fields.u16(56) {
        MANY => {
            let section = stretch(file, (fields.u64(40), 64), 64, "first section header")?;
            u64::from(Fields(&section).u32(44))
        }
        count => u64::from(count),
    };
    let bytes = count.saturating_mul(56);
    let table = stretch(file, (first, bytes), 56 * MOST_SEGMENTS, "program headers")?;
    let (headers, _) = table.as_chunks::<56>();
    Ok(headers.iter().map(|header| Segment::of(Fields(header))).collect())
}

impl Segment {
    fn of(fields: Fields<'_>) -> Self {
        Self {
            kind: fields.u32(0),
            offset: fields.u64(8),
            physical: fields.u64(24),
            file_bytes: fields.u64(32),
            memory_bytes: fields.u64(40),
        }
    }
}

/// The memory of a segment. Those of `/proc/kcore` that are mapped by pages have no physical
/// address: all ones.
fn piece(segment: Segment) -> Option<Piece> {
    if segment.physical == u64::MAX {
        return None;
    }
    let bytes = segment.memory_bytes.max(segment.file_bytes);
    let range = PhysRange::new(PhysAddr::new(segment.physical), bytes)?;
    Some(Piece { range, file: 0, offset: segment.offset, held: segment.file_bytes })
}

/// The VMCOREINFO among notes.
pub(crate) fn vmcoreinfo(notes: &[u8]) -> Option<VmCoreInfo> {
    let padded = |bytes: u32| usize::try_from(bytes.checked_next_multiple_of(4)?).ok();
    let mut rest = notes;
    while rest.len() >= 12 {
        let fields = Fields(rest);
        let (name, content) = (fields.u32(0), fields.u32(4));
        let start = padded(name)?.checked_add(12)?;
        let bytes = usize::try_from(content).ok()?;
        let body = rest.get(start..start.checked_add(bytes)?)?;
        if rest.get(12..).is_some_and(|name| name.starts_with(b"VMCOREINFO\0")) {
            return VmCoreInfo::parse(body);
        }
        rest = rest.get(start.checked_add(padded(content)?)?..)?;
    }
    None
}
