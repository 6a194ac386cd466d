//! Where the zone maps the registers of the interrupt controller.

use blockmap_kernel::devicetree::{Gic, MOST_REGIONS};
use blockmap_kernel::registers::{self, Placed};

use super::address_map::{GIC_CPU_INTERFACE, GIC_DISTRIBUTOR, GIC_REDISTRIBUTORS};
use crate::arch::gic::Registers;

/// Bytes of registers of a distributor or a CPU interface of version 2 that are used.
const BYTES: u64 = 0x1_0000;

/// The regions of registers of a controller, and where each is mapped.
struct Regions {
    distributor: Option<Placed>,
    cpu_interface: Option<Placed>,
    redistributors: [Option<Placed>; MOST_REGIONS],
}

impl Regions {
    fn of(gic: Gic) -> Self {
        let mut regions =
            Self { distributor: None, cpu_interface: None, redistributors: [None; MOST_REGIONS] };
        match gic {
            Gic::V2 { distributor, cpu_interface } => {
                regions.distributor = registers::place(GIC_DISTRIBUTOR, distributor, BYTES);
                regions.cpu_interface = registers::place(GIC_CPU_INTERFACE, cpu_interface, BYTES);
            }
            Gic::V3 { distributor, redistributors } => {
                regions.distributor = registers::place(GIC_DISTRIBUTOR, distributor, BYTES);
                let all = redistributors.into_iter().flatten();
                let placed = registers::in_a_row(GIC_REDISTRIBUTORS, all);
                for (place, placed) in regions.redistributors.iter_mut().zip(placed) {
                    *place = Some(placed);
                }
            }
        }
        regions
    }
}

/// All regions of registers that are mapped.
pub(super) fn regions(gic: Gic) -> impl Iterator<Item = Placed> {
    let Regions { distributor, cpu_interface, redistributors } = Regions::of(gic);
    [distributor, cpu_interface].into_iter().chain(redistributors).flatten()
}

/// Where the registers are once [`regions`] are mapped; `None` where there was no room for them.
pub(super) fn registers(gic: Gic) -> Option<Registers> {
    let Regions { distributor, cpu_interface, redistributors } = Regions::of(gic);
    let distributor = distributor?.registers;
    Some(match gic {
        Gic::V2 { .. } => Registers::V2(distributor, cpu_interface?.registers),
        Gic::V3 { .. } => {
            Registers::V3(distributor, redistributors.map(|place| Some(place?.registers)))
        }
    })
}
