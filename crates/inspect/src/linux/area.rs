//! The areas of Linux's address space, by the names that its own dump has.

use blockmap_dump::Marker;
use blockmap_vmsa::{Geometry, machine::VirtAddr};

use super::VmCoreInfo;

/// A line of a dump that names an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Where the area starts or, for a line that says so, has ended.
    pub start: VirtAddr,
    /// What is written.
    pub name: String,
}

impl Area {
    fn new(start: u64, name: &str) -> Self {
        Self { start: VirtAddr::new(start), name: name.to_owned() }
    }

    /// As a dump takes it.
    #[must_use]
    pub fn marker(&self) -> Marker<'_> {
        Marker { start: self.start, name: &self.name }
    }
}

const MIB: u64 = 1 << 20;

/// Where the fixed mappings end, counted down from the end of the address space.
const FIXMAP_END: u64 = 8 * MIB;

/// The bytes of the fixed mappings in a kernel with 4 KiB pages and the usual configuration. It is
/// a number of the build that the kernel writes down nowhere.
const FIXMAP_BYTES: u64 = 0x3d_4000;

/// The areas by what Linux wrote down. `None` where that lacks something.
pub(crate) fn areas(
    info: &VmCoreInfo,
    geometry: Geometry,
    fixmap_start: Option<VirtAddr>,
) -> Option<Vec<Area>> {
    let (lowest, _) = geometry.inputs();
    let linear = lowest.value();
    let vmemmap_end = info.number("VMEMMAP_END")?;
    let modules = info.number("MODULES_VADDR")?;
    let areas = [
        (linear, "Linear Mapping start"),
        (linear_end(geometry), "Linear Mapping end"),
        (modules, "Modules start"),
        (info.number("MODULES_END")?, "Modules end"),
        (info.number("VMALLOC_START")?, "vmalloc() area"),
        (info.number("VMALLOC_END")?, "vmalloc() end"),
        (info.number("VMEMMAP_START")?, "vmemmap start"),
        (vmemmap_end, "vmemmap end"),
    ];
    Some(with_top(&areas, vmemmap_end, fixmap_start))
}

/// The areas of a Linux of today by the sizes of its addresses alone.
pub(crate) fn areas_by_size(geometry: Geometry, fixmap_start: Option<VirtAddr>) -> Vec<Area> {
    let (lowest, _) = geometry.inputs();
    let linear = lowest.value();
    let end = linear_end(geometry);
    let vmemmap_end = 0_u64.wrapping_sub(1 << 30);
    // A page's record has 64 bytes at most, and there is one for each page of the linear map.
    let records = end.wrapping_sub(linear) >> (geometry.granule().page_bits() - 6);
    let vmemmap = vmemmap_end.wrapping_sub(records);
    let areas = [
        (linear, "Linear Mapping start"),
        (end, "Linear Mapping end"),
        (end, "Modules start"),
        (end.wrapping_add(2 << 30), "Modules end"),
        (end.wrapping_add(2 << 30), "vmalloc() area"),
        (vmemmap.wrapping_sub(8 * MIB), "vmalloc() end"),
        (vmemmap, "vmemmap start"),
        (vmemmap_end, "vmemmap end"),
    ];
    with_top(&areas, vmemmap_end, fixmap_start)
}

/// Adds what is above the records of pages, and puts all in order.
fn with_top(below: &[(u64, &str)], vmemmap_end: u64, fixmap: Option<VirtAddr>) -> Vec<Area> {
    let io = vmemmap_end.wrapping_add(8 * MIB);
    let fixmap_end = 0_u64.wrapping_sub(FIXMAP_END);
    let fixmap = fixmap.map_or(fixmap_end.wrapping_sub(FIXMAP_BYTES), VirtAddr::value);
    let top = [
        (io, "PCI I/O start"),
        (io.wrapping_add(16 * MIB), "PCI I/O end"),
        (fixmap, "Fixmap start"),
        (fixmap_end, "Fixmap end"),
    ];
    let all = below.iter().chain(&top);
    let mut areas: Vec<Area> = all.map(|(start, name)| Area::new(*start, name)).collect();
    // Stable: an area's end stays before the start of the next at the same address.
    areas.sort_by_key(|area| area.start);
    areas
}

/// Where the linear map ends: half of the addresses that the smallest CPU has which this kernel
/// runs on. A kernel for 52 bits runs on CPUs with 48, or 47 with 16 KiB pages.
pub(super) fn linear_end(geometry: Geometry) -> u64 {
    let smallest = match (geometry.input_bits(), geometry.page_bytes()) {
        (49.., 0x4000) => 47,
        (49.., _) => 48,
        (bits, _) => bits,
    };
    0_u64.wrapping_sub(1 << (smallest - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_areas_of_48_bits_are_those_of_a_running_kernel() {
        let areas = areas_by_size(Geometry::KERNEL_4K_48, None);
        let found: Vec<_> =
            areas.iter().map(|area| (area.start.value(), area.name.as_str())).collect();
        // As Linux 7.3 prints them.
        let expected = [
            (0xffff_0000_0000_0000, "Linear Mapping start"),
            (0xffff_8000_0000_0000, "Linear Mapping end"),
            (0xffff_8000_0000_0000, "Modules start"),
            (0xffff_8000_8000_0000, "Modules end"),
            (0xffff_8000_8000_0000, "vmalloc() area"),
            (0xffff_fdff_bf80_0000, "vmalloc() end"),
            (0xffff_fdff_c000_0000, "vmemmap start"),
            (0xffff_ffff_c000_0000, "vmemmap end"),
            (0xffff_ffff_c080_0000, "PCI I/O start"),
            (0xffff_ffff_c180_0000, "PCI I/O end"),
            (0xffff_ffff_ff42_c000, "Fixmap start"),
            (0xffff_ffff_ff80_0000, "Fixmap end"),
        ];
        assert_eq!(found, expected);
    }
}
