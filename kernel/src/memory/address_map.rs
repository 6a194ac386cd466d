//! Where everything is in the upper half. `docs/ADDRESS-MAP.md` has the picture.

use blockmap::dump::Marker;
use blockmap::machine::{VirtAddr, VirtRange};
use blockmap_kernel::trace::{MOST_RECORDS, Slot};

/// The linear map's first address, as in Linux.
pub(crate) const LINEAR_START: VirtAddr = VirtAddr::new(0xffff_0000_0000_0000);
/// The first address above the linear map: modules.
pub(crate) const MODULES: VirtAddr = VirtAddr::new(0xffff_8000_0000_0000);
/// The kernel image.
pub(crate) const IMAGE: VirtAddr = VirtAddr::new(0xffff_8000_8000_0000);
/// The image-side zone: the memory that a commit itself may run on. Leaf sizes never change here.
pub(crate) const ZONE: VirtAddr = VirtAddr::new(0xffff_8000_c000_0000);
/// The console's registers.
pub(crate) const CONSOLE: VirtAddr = ZONE;
/// The interrupt controller's distributor.
pub(crate) const GIC_DISTRIBUTOR: VirtAddr = VirtAddr::new(0xffff_8000_c010_0000);
/// The CPU interface of an interrupt controller of version 2.
pub(crate) const GIC_CPU_INTERFACE: VirtAddr = VirtAddr::new(0xffff_8000_c014_0000);
/// Redistributors of one of version 3: up to four regions, one after the other. There are 80 MiB, where
/// 512 CPUs need 64 in one region.
pub(crate) const GIC_REDISTRIBUTORS: VirtRange =
    between(VirtAddr::new(0xffff_8000_c100_0000), STACKS);
/// The stacks of all CPUs but the first.
pub(crate) const STACKS: VirtAddr = VirtAddr::new(0xffff_8000_c600_0000);
/// The trace: records of what was done to the tables, if the command line asks for them.
pub(crate) const TRACE: VirtAddr = VirtAddr::new(0xffff_8000_c800_0000);
/// The frames' states.
pub(crate) const FRAME_STATES: VirtAddr = VirtAddr::new(0xffff_8000_d000_0000);
/// Bytes from the frames' states up to the end of the zone: enough for 11.5 TiB of memory.
pub(crate) const FRAME_STATES_BYTES: u64 = VMALLOC.value() - FRAME_STATES.value();
/// Memory mapped page by page.
pub(crate) const VMALLOC: VirtAddr = VirtAddr::new(0xffff_8001_0000_0000);

const _: () = assert!(
    MOST_RECORDS.next_power_of_two() == MOST_RECORDS
        && FRAME_STATES.value() - TRACE.value()
            == (1 << MOST_RECORDS.trailing_zeros()) * Slot::BYTES,
    "the largest trace fills the zone up to the frames' states"
);

/// The linear map.
pub(crate) const LINEAR: VirtRange = between(LINEAR_START, MODULES);
/// Modules and other executable memory.
pub(crate) const MODULES_RANGE: VirtRange = between(MODULES, IMAGE);
/// What areas are taken from; the last GiB of the half is left free.
pub(crate) const VMALLOC_RANGE: VirtRange = between(VMALLOC, VirtAddr::new(0xffff_ffff_c000_0000));
/// The image and the zone beside it.
pub(crate) const IMAGE_SIDE: VirtRange = between(IMAGE, VMALLOC);

/// The names of the areas, for dumps.
pub(crate) const MARKERS: [Marker<'static>; 6] = [
    Marker { start: LINEAR_START, name: "Linear Mapping start" },
    Marker { start: MODULES, name: "Linear Mapping end" },
    Marker { start: MODULES, name: "Modules start" },
    Marker { start: IMAGE, name: "Modules end" },
    Marker { start: ZONE, name: "Image-side zone start" },
    Marker { start: VMALLOC, name: "vmalloc() area" },
];

const fn between(start: VirtAddr, end: VirtAddr) -> VirtRange {
    match VirtRange::new(start, end.value().wrapping_sub(start.value())) {
        Some(range) => range,
        None => panic!("the areas are not in ascending order"),
    }
}
