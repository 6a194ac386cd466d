//! Looks for Linux's VMCOREINFO in memory.

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use crate::{PhysicalMemory, Provenance, Topic, VmCoreInfo, linux::MOST_BYTES};

/// Memory is looked at in steps of the smallest page: the text begins one.
const STEP: u64 = 4096;

/// How much is asked for at once.
const STRIDE: u64 = 32 << 20;

/// The first VMCOREINFO in `memory`, by ascending addresses.
pub(crate) fn search(memory: &dyn PhysicalMemory, origin: &mut Provenance) -> Option<VmCoreInfo> {
    let strides = memory.written().into_iter().flat_map(strides);
    let info = strides.into_iter().find_map(|stride| {
        memory.expect(&[stride]);
        in_stride(memory, stride)
    });
    let (at, info) = info?;
    let text = format!("Linux {} (VMCOREINFO in memory at {at})", info.release());
    origin.add(Topic::Kernel, text);
    Some(info)
}

/// A range in parts that are asked for at once.
fn strides(range: PhysRange) -> impl Iterator<Item = PhysRange> {
    let count = range.bytes().div_ceil(STRIDE);
    (0..count).filter_map(move |number| {
        let skipped = number * STRIDE;
        let bytes = (range.bytes() - skipped).min(STRIDE);
        PhysRange::new(range.start().checked_add(skipped)?, bytes)
    })
}

/// The first VMCOREINFO that begins in `range`.
fn in_stride(memory: &dyn PhysicalMemory, range: PhysRange) -> Option<(PhysAddr, VmCoreInfo)> {
    let mut at = range.start().align_up(STEP)?;
    while range.contains(at) {
        let mut head = [0; VmCoreInfo::BEGINNING.len()];
        let is_there =
            memory.read(at, &mut head).is_ok() && head == *VmCoreInfo::BEGINNING.as_bytes();
        if let Some(info) = is_there.then(|| read(memory, range, at)).flatten() {
            return Some((at, info));
        }
        at = at.checked_add(STEP)?;
    }
    None
}

/// The text at `at`.
fn read(memory: &dyn PhysicalMemory, range: PhysRange, at: PhysAddr) -> Option<VmCoreInfo> {
    let left = range.last().offset_from(at)?.saturating_add(1);
    let mut bytes = vec![0; usize::try_from(left).map_or(MOST_BYTES, |left| left.min(MOST_BYTES))];
    memory.read(at, &mut bytes).ok()?;
    VmCoreInfo::parse(&bytes)
}
