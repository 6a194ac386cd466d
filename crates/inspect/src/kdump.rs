//! Compressed dumps: what `makedumpfile` and QEMU's `dump-guest-memory -z`, `-l`, `-s` write, also
//! in the flattened form that goes through a pipe.
//!
//! Such a file has a header, a bitmap with a bit for each frame that is in it, a descriptor for
//! each of these, and the frames, each compressed by itself. Frames are those of the file's own
//! block size: QEMU writes 64 KiB ones whatever the kernel's pages are.

mod decompress;
mod flattened;

use std::cell::RefCell;
use std::collections::VecDeque;

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use crate::{
    FormatError, PhysicalMemory, ReadError, VmCoreInfo,
    format::{Fields, ReadAt, stretch},
};
use decompress::decompress;
pub(crate) use flattened::Flattened;

/// The most bytes of bitmap that are read: those of 32 TiB in 4 KiB frames.
const MOST_BITMAP: u64 = 1 << 30;

/// Bytes of frames that are kept uncompressed.
const MOST_KEPT: usize = 8 << 20;

/// Bytes of a descriptor of a frame.
const DESCRIPTOR: u64 = 24;

/// Bytes of bitmap whose bits are counted in advance.
const COUNTED: usize = 512;

/// The memory in a compressed dump.
#[derive(Debug)]
pub(crate) struct Kdump {
    file: Box<dyn ReadAt>,
    frame_bytes: u64,
    /// A bit for each frame that is there.
    bitmap: Vec<u8>,
    /// How many frames there are before each part of the bitmap.
    before: Vec<u64>,
    /// Where the first descriptor is.
    descriptors: u64,
    ranges: Vec<PhysRange>,
    kept: RefCell<VecDeque<(u64, Vec<u8>)>>,
    /// What Linux wrote down, if the dump has it in its header.
    pub(crate) linux: Option<VmCoreInfo>,
}

impl Kdump {
    /// Reads what there is, but the memory itself.
    pub(crate) fn open(file: Box<dyn ReadAt>) -> Result<Self, FormatError> {
        let header = stretch(&*file, (0, 464), 464, "header")?;
        let fields = Fields(&header);
        let value = |what, value: u32| Err(FormatError::Value { what, value: u64::from(value) });
        let block = fields.u32(428);
        if !block.is_power_of_two() || !(4096..=1 << 20).contains(&block) {
            return value("block size", block);
        }
        let (sub_blocks, bitmap_blocks) = (u64::from(fields.u32(432)), u64::from(fields.u32(436)));
        let frame_bytes = u64::from(block);
        let sub = stretch(&*file, (frame_bytes, 104), 104, "second header")?;
        let sub = Fields(&sub);
        if sub.u32(12) != 0 {
            let text = "it is a part of a dump that was split: join the parts with makedumpfile";
            return Err(FormatError::Unsupported(text));
        }
        // Two bitmaps: frames that the machine has, then those that are in the file.
        let each = bitmap_blocks / 2 * frame_bytes;
        let bitmaps = (1 + sub_blocks).saturating_mul(frame_bytes);
        let bitmap = stretch(&*file, (bitmaps.saturating_add(each), each), MOST_BITMAP, "bitmap")?;
        let linux = if fields.u32(8) >= 3 { vmcoreinfo(&*file, sub)? } else { None };
        let mut kdump = Self {
            descriptors: bitmaps.saturating_add(bitmap_blocks * frame_bytes),
            before: Vec::new(),
            ranges: ranges(&bitmap, frame_bytes),
            file,
            frame_bytes,
            bitmap,
            kept: RefCell::default(),
            linux,
        };
        let mut sum = 0;
        for part in kdump.bitmap.chunks(COUNTED) {
            kdump.before.push(sum);
            sum += ones(part);
        }
        Ok(kdump)
    }

    /// The number of a frame's descriptor, if the frame is there.
    fn number(&self, frame: u64) -> Option<u64> {
        let byte = usize::try_from(frame / 8).ok()?;
        let bits = *self.bitmap.get(byte)?;
        let bit = 1_u8 << (frame % 8);
        let part = byte / COUNTED;
        let counted = ones(self.bitmap.get(part * COUNTED..byte)?);
        let in_byte = u64::from((bits & (bit - 1)).count_ones());
        (bits & bit != 0).then_some(*self.before.get(part)? + counted + in_byte)
    }

    /// The content of a frame.
    fn frame(&self, frame: u64) -> Result<Vec<u8>, FormatError> {
        let number = self.number(frame).ok_or(FormatError::Broken("bitmap"))?;
        let at = self.descriptors.saturating_add(number.saturating_mul(DESCRIPTOR));
        let descriptor = stretch(&*self.file, (at, DESCRIPTOR), DESCRIPTOR, "frame descriptors")?;
        let fields = Fields(&descriptor);
        let place = (fields.u64(0), u64::from(fields.u32(8)));
        let packed = stretch(&*self.file, place, 2 * self.frame_bytes, "frames")?;
        let bytes = usize::try_from(self.frame_bytes).unwrap_or_default();
        decompress(fields.u32(12), packed, bytes)
    }

    /// Fills `into` from the frame that `at` is in, of which it does not leave.
    fn within_frame(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        let frame = at.value() / self.frame_bytes;
        let offset = usize::try_from(at.value() % self.frame_bytes).unwrap_or_default();
        let mut kept = self.kept.borrow_mut();
        if !kept.iter().any(|(number, _)| *number == frame) {
            if self.number(frame).is_none() {
                return Err(ReadError::Absent(at));
            }
            let content = self
                .frame(frame)
                .map_err(|error| ReadError::Failed { at, why: error.to_string() })?;
            if (kept.len() + 1).saturating_mul(content.len()) > MOST_KEPT {
                kept.pop_back();
            }
            kept.push_front((frame, content));
        }
        let content = kept.iter().find(|(number, _)| *number == frame);
        let bytes = content.and_then(|(_, bytes)| bytes.get(offset..)?.get(..into.len()));
        into.copy_from_slice(bytes.ok_or(ReadError::Absent(at))?);
        Ok(())
    }
}

fn ones(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(byte.count_ones())).sum()
}

/// What Linux wrote down, where the second header says.
fn vmcoreinfo(file: &dyn ReadAt, sub: Fields<'_>) -> Result<Option<VmCoreInfo>, FormatError> {
    let place = (sub.u64(32), sub.u64(40));
    if place.0 == 0 || place.1 == 0 {
        return Ok(None);
    }
    Ok(VmCoreInfo::parse(&stretch(file, place, 1 << 20, "VMCOREINFO")?))
}

/// The stretches of frames that are there.
fn ranges(bitmap: &[u8], frame_bytes: u64) -> Vec<PhysRange> {
    let mut ranges: Vec<PhysRange> = Vec::new();
    let bits = (0_u64..).zip(bitmap).filter(|(_, byte)| **byte != 0).flat_map(|(index, byte)| {
        (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| 8 * index + bit)
    });
    for frame in bits {
        let start = PhysAddr::new(frame * frame_bytes);
        match ranges.last_mut() {
            Some(last) if last.end() == start => {
                *last = PhysRange::new(last.start(), last.bytes() + frame_bytes).unwrap_or(*last);
            }
            Some(_) | None => ranges.extend(PhysRange::new(start, frame_bytes)),
        }
    }
    ranges
}

impl PhysicalMemory for Kdump {
    fn ranges(&self) -> &[PhysRange] {
        &self.ranges
    }

    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError> {
        let (mut at, mut rest) = (at, into);
        while !rest.is_empty() {
            let left = self.frame_bytes - at.value() % self.frame_bytes;
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            let (piece, later) = rest.split_at_mut(now);
            self.within_frame(at, piece)?;
            at = at.wrapping_add(left);
            rest = later;
        }
        Ok(())
    }
}
