//! The parts of an address space, by name.

use blockmap_dump::vmsa::machine::{VirtAddr, VirtRange};
use blockmap_dump::vmsa::{Geometry, Half};
use blockmap_inspect::{Area, Inspected};
use clap::ValueEnum;
use serde::Serialize;

use crate::survey::Survey;

/// What a part of an address space is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Name {
    /// All memory, at one fixed distance.
    Linear,
    /// Code that was loaded.
    Modules,
    /// The kernel image.
    Image,
    /// Memory that is contiguous in virtual addresses only.
    Vmalloc,
    /// The records of pages.
    Vmemmap,
    /// Ports of PCI devices.
    PciIo,
    /// Windows at addresses that are known when the kernel is built.
    Fixmap,
    /// Anything else.
    Other,
}

impl Name {
    /// As it is typed and written.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Modules => "modules",
            Self::Image => "image",
            Self::Vmalloc => "vmalloc",
            Self::Vmemmap => "vmemmap",
            Self::PciIo => "pci-io",
            Self::Fixmap => "fixmap",
            Self::Other => "other",
        }
    }

    fn of_marker(marker: &str) -> Option<Self> {
        match marker {
            "Linear Mapping start" | "Linear map" => Some(Self::Linear),
            "Modules start" => Some(Self::Modules),
            "vmalloc() area" => Some(Self::Vmalloc),
            "vmemmap start" => Some(Self::Vmemmap),
            "PCI I/O start" => Some(Self::PciIo),
            "Fixmap start" => Some(Self::Fixmap),
            _ => None,
        }
    }
}

/// A part of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// What it is for.
    pub(crate) name: Name,
    /// Its addresses.
    pub(crate) range: VirtRange,
}

/// The parts of a kernel's address space that are known; none overlap, but for the image, which
/// lies in another part and comes first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Regions(Vec<Region>);

impl Regions {
    /// The parts that `inspected` tells of: those with markers, and the image, which is what of
    /// `survey` lies at the distance from its memory that Linux wrote down. Where nothing tells, the
    /// lower half of a kernel's addresses counts as the linear map.
    pub(crate) fn of(inspected: &Inspected, survey: &Survey) -> Self {
        let image = image(inspected, survey);
        let Self(areas) = Self::of_areas(&inspected.areas, survey.geometry);
        Self(image.into_iter().chain(areas).collect())
    }

    /// Those with markers alone.
    pub(crate) fn of_areas(found: &[Area], geometry: Geometry) -> Self {
        if found.is_empty() {
            return Self(lower_half(geometry).into_iter().collect());
        }
        Self(areas(found, geometry.inputs().1))
    }

    /// Every part, the image first.
    pub(crate) fn all(&self) -> &[Region] {
        &self.0
    }

    /// The part with this name, if it is known.
    pub(crate) fn get(&self, name: Name) -> Option<Region> {
        self.0.iter().copied().find(|region| region.name == name)
    }

    /// What `address` is part of.
    pub(crate) fn at(&self, address: VirtAddr) -> Name {
        let found = self.0.iter().find(|region| region.range.contains(address));
        found.map_or(Name::Other, |region| region.name)
    }
}

/// The lower half of a kernel's addresses: the linear map of Linux, and of this project's kernel.
fn lower_half(geometry: Geometry) -> Option<Region> {
    let (lowest, highest) = geometry.inputs();
    let bytes = highest.offset_from(lowest)? / 2 + 1;
    let range = VirtRange::new(lowest, bytes).filter(|_| geometry.half() == Half::Upper)?;
    Some(Region { name: Name::Linear, range })
}

/// The parts that markers start; each ends at the next marker.
fn areas(areas: &[Area], highest: VirtAddr) -> Vec<Region> {
    let mut regions = Vec::new();
    for (index, area) in areas.iter().enumerate() {
        let Some(name) = Name::of_marker(&area.name) else { continue };
        let next = areas.iter().skip(index + 1).find(|next| next.start > area.start);
        let bytes = match next {
            Some(next) => next.start.offset_from(area.start),
            None => highest.offset_from(area.start).and_then(|bytes| bytes.checked_add(1)),
        };
        let range = bytes.and_then(|bytes| VirtRange::new(area.start, bytes));
        regions.extend(range.map(|range| Region { name, range }));
    }
    regions
}

fn image(inspected: &Inspected, survey: &Survey) -> Option<Region> {
    let linux = inspected.linux.as_ref()?;
    let distance = linux.number("kimage_voffset")?;
    let text = linux.symbol("_stext")?;
    let mut stretches = survey.leaves.iter().filter(|leaf| {
        leaf.range.start().value().wrapping_sub(leaf.mapped.output.value()) == distance
    });
    // What lies at that distance beside the image would be another module's chance hit.
    let near =
        |leaf: &&crate::survey::Leaves| leaf.range.start().value().abs_diff(text.value()) < 1 << 30;
    let first = stretches.by_ref().find(near)?;
    let last = stretches.take_while(near).last().unwrap_or(first);
    let range = VirtRange::inclusive(first.range.start(), last.range.last())?;
    Some(Region { name: Name::Image, range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_end_where_the_next_marker_is() {
        let area = |start, name: &str| Area { start: VirtAddr::new(start), name: name.to_owned() };
        let found = [
            area(0xffff_0000_0000_0000, "Linear Mapping start"),
            area(0xffff_8000_0000_0000, "Linear Mapping end"),
            area(0xffff_8000_0000_0000, "Modules start"),
            area(0xffff_8000_8000_0000, "Modules end"),
            area(0xffff_ffff_ff00_0000, "Fixmap start"),
        ];
        let regions = Regions::of_areas(&found, Geometry::KERNEL_4K_48);
        let linear = regions.get(Name::Linear).unwrap().range;
        assert_eq!((linear.start().value(), linear.bytes()), (0xffff << 48, 1 << 47));
        assert_eq!(regions.at(VirtAddr::new(0xffff_8000_0000_1000)), Name::Modules);
        assert_eq!(regions.at(VirtAddr::new(0xffff_8000_8000_0000)), Name::Other);
        assert_eq!(regions.at(VirtAddr::new(u64::MAX)), Name::Fixmap);
    }
}
