//! Where the zone maps the registers of the interrupt controller.

use blockmap::machine::{PhysRange, VirtAddr};
use blockmap::vmsa::{Geometry, Level};
use blockmap_kernel::devicetree::{Gic, MOST_REGIONS};

use super::address_map::{
    GIC_CPU_INTERFACE, GIC_DISTRIBUTOR, GIC_REDISTRIBUTORS, REDISTRIBUTORS_BYTES,
};
use crate::arch::gic::Registers;

/// Bytes of registers of a distributor or a CPU interface of version 2 that are used.
const BYTES: u64 = 0x1_0000;
const PAGE: u64 = 4096;
const BLOCK: u64 = Geometry::KERNEL_4K_48.span_bytes(Level::L2);

/// All regions of registers, and where each is mapped. Of a region that is larger than its place
/// the lower part is.
pub(super) fn regions(gic: Gic) -> impl Iterator<Item = (VirtAddr, PhysRange)> {
    let mut found = [None; 1 + MOST_REGIONS];
    match gic {
        Gic::V2 { distributor, cpu_interface } => {
            let parts = [(GIC_DISTRIBUTOR, distributor), (GIC_CPU_INTERFACE, cpu_interface)];
            for (place, (at, part)) in found.iter_mut().zip(parts) {
                *place = lower_part(part, BYTES).map(|part| (at, part));
            }
        }
        Gic::V3 { distributor, redistributors } => {
            let [first, rest @ ..] = &mut found;
            *first = lower_part(distributor, BYTES).map(|part| (GIC_DISTRIBUTOR, part));
            for (place, (region, at)) in
                rest.iter_mut().zip(redistributors.into_iter().zip(places()))
            {
                let part = region.and_then(|region| {
                    let at = in_step(at, region);
                    let room = REDISTRIBUTORS_BYTES - region.start().value() % BLOCK;
                    Some((at, lower_part(region, room)?))
                });
                *place = part;
            }
        }
    }
    found.into_iter().flatten()
}

/// Where the registers are once [`regions`] are mapped.
pub(super) fn registers(gic: Gic) -> Registers {
    match gic {
        Gic::V2 { .. } => Registers::V2(GIC_DISTRIBUTOR, GIC_CPU_INTERFACE),
        Gic::V3 { redistributors, .. } => {
            let mut found = [None; MOST_REGIONS];
            for (place, (region, at)) in
                found.iter_mut().zip(redistributors.into_iter().zip(places()))
            {
                *place = region.map(|region| in_step(at, region));
            }
            Registers::V3(GIC_DISTRIBUTOR, found)
        }
    }
}

/// Where the regions of redistributors go.
fn places() -> impl Iterator<Item = VirtAddr> {
    let steps = core::iter::successors(Some(0), |step| Some(step + REDISTRIBUTORS_BYTES));
    steps.map(|step| GIC_REDISTRIBUTORS.wrapping_add(step))
}

/// As far into `at` as the region is into a block, so that blocks can map it.
fn in_step(at: VirtAddr, region: PhysRange) -> VirtAddr {
    at.wrapping_add(region.start().value() % BLOCK)
}

/// Whole pages from the start of `part`, of up to `bytes` bytes.
fn lower_part(part: PhysRange, bytes: u64) -> Option<PhysRange> {
    let bytes = part.bytes().min(bytes).next_multiple_of(PAGE);
    PhysRange::new(part.start().align_down(PAGE), bytes)
}
