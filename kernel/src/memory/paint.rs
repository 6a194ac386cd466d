//! Filling the kernel's tree: the linear map, the image, the zone beside it.

use blockmap::layout::{LinearPlan, Rodata, Stretch};
use blockmap::machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap::vmsa::{Access, Attributes, Leaves, Mair, MemoryIndex, Shareability};
use blockmap::{MapError, Mapping, Space};
use blockmap_kernel::devicetree::Gic;
use blockmap_kernel::registers::Placed;

use super::address_map::{CONSOLE, FRAME_STATES, TRACE};
use super::arena::Arena;
use super::error::StartError;
use super::set_aside::SetAside;
use super::stacks;
use crate::arch::image;

/// Bytes of the console's registers.
const CONSOLE_BYTES: u64 = 0x1000;

/// Maps all memory that the plan names.
pub(super) fn linear(
    space: &Space<'_, Arena>,
    plan: &LinearPlan<'_>,
) -> Result<(), StartError<'static>> {
    let linear = plan.memory().linear();
    let mapping = |stretch: Stretch| {
        linear.input_range(stretch.range).map(|range| Mapping {
            range,
            output: stretch.range.start(),
            attributes: stretch.attributes,
            leaves: stretch.leaves,
        })
    };
    let recording = space.platform().recording();
    if recording.is_on() {
        let mappings = plan.stretches().filter_map(mapping);
        mappings.for_each(|mapping| recording.intend_map(space.geometry(), mapping));
    }
    let result = space.map_all(plan.stretches().filter_map(mapping));
    recording.ended(&result);
    Ok(result?)
}

/// Maps the image, loaded at `load`, at its link address: each part with its permissions, or all
/// of it writable with `rodata=off`.
pub(super) fn image(
    space: &Space<'_, Arena>,
    load: PhysAddr,
    rodata: Rodata,
) -> Result<(), MapError> {
    for section in image::sections() {
        let access = match (rodata, section.access) {
            (Rodata::Off, Access::ReadExecute) => Access::ReadWriteExecute,
            (Rodata::Off, Access::ReadOnly) => Access::ReadWrite,
            (Rodata::On | Rodata::NoAlias | Rodata::Off, access) => access,
        };
        let memory = image::physical(section.range, load);
        normal(space, section.range, memory.start(), access)?;
    }
    Ok(())
}

/// Maps the zone: registers, the stacks of `cpus` CPUs, the trace and the frames' states.
pub(super) fn zone(
    space: &Space<'_, Arena>,
    (uart, gic): (Option<PhysAddr>, Option<Gic>),
    cpus: u32,
    aside: SetAside,
) -> Result<(), MapError> {
    if let (Some(uart), Some(range)) = (uart, VirtRange::new(CONSOLE, CONSOLE_BYTES)) {
        device(space, range, uart.align_down(CONSOLE_BYTES))?;
    }
    for Placed { pages, memory, .. } in gic.into_iter().flat_map(super::gic::regions) {
        device(space, pages, memory.start())?;
    }
    if let Some(memory) = aside.stacks {
        for (range, memory) in stacks::all(cpus, memory) {
            normal(space, range, memory, Access::ReadWrite)?;
        }
    }
    for (at, memory) in
        aside.trace.map(|trace| (TRACE, trace)).into_iter().chain([(FRAME_STATES, aside.states)])
    {
        if let Some(range) = VirtRange::new(at, memory.bytes()) {
            normal(space, range, memory.start(), Access::ReadWrite)?;
        }
    }
    Ok(())
}

fn device(space: &Space<'_, Arena>, range: VirtRange, output: PhysAddr) -> Result<(), MapError> {
    let attributes = attributes(Mair::DEVICE_NGNRE, Shareability::Non, Access::ReadWrite);
    map(space, Mapping { range, output, attributes, leaves: Leaves::Largest })
}

fn normal(
    space: &Space<'_, Arena>,
    range: VirtRange,
    output: PhysAddr,
    access: Access,
) -> Result<(), MapError> {
    let attributes = attributes(Mair::NORMAL, Shareability::Inner, access);
    map(space, Mapping { range, output, attributes, leaves: Leaves::Largest })
}

/// Maps, and records what is meant by it.
fn map(space: &Space<'_, Arena>, mapping: Mapping) -> Result<(), MapError> {
    let recording = space.platform().recording();
    recording.intend_map(space.geometry(), mapping);
    let result = space.map(mapping);
    recording.ended(&result);
    result
}

const fn attributes(memory: MemoryIndex, shareability: Shareability, access: Access) -> Attributes {
    Attributes { memory, shareability, access }
}

/// Where the console's registers are mapped.
pub(super) fn console(uart: PhysAddr) -> VirtAddr {
    CONSOLE.wrapping_add(uart.value() % CONSOLE_BYTES)
}
