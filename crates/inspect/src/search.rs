//! Looks for Linux's VMCOREINFO in memory.

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use crate::{PhysicalMemory, Provenance, Topic, VmCoreInfo, linux::MOST_BYTES};

/// Memory is looked at in steps of the smallest page: the text begins one.
const STEP: u64 = 4096;

/// The first VMCOREINFO in `memory`, by ascending addresses.
pub(crate) fn search(memory: &dyn PhysicalMemory, origin: &mut Provenance) -> Option<VmCoreInfo> {
    for range in memory.ranges() {
        let mut at = range.start().align_up(STEP)?;
        while range.contains(at) {
            let mut head = [0; VmCoreInfo::BEGINNING.len()];
            let is_there =
                memory.read(at, &mut head).is_ok() && head == *VmCoreInfo::BEGINNING.as_bytes();
            if let Some(info) = is_there.then(|| read(memory, *range, at)).flatten() {
                let text = format!("Linux {} (VMCOREINFO in memory at {at})", info.release());
                origin.add(Topic::Kernel, text);
                return Some(info);
            }
            at = at.checked_add(STEP)?;
        }
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
