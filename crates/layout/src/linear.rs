//! Where physical memory appears in the linear map.

use blockmap_vmsa::machine::{PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap_vmsa::{Geometry, LeafSize, Level};

/// The lower half of a table tree's input addresses, where all memory is mapped at one fixed
/// distance: holding one tells that memory fits.
///
/// It takes whole entries of the root table, so its tables are shared with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "PAGE_OFFSET")]
pub struct LinearMap {
    base: VirtAddr,
    memstart: PhysAddr,
    bytes: u64,
}

/// What the start of memory is always rounded down to.
const LEAST_ALIGNMENT: u64 = 1 << 30;

impl LinearMap {
    /// The linear map of a tree of `geometry` for memory that lies within `memory`, or `None` if
    /// it is too wide for half the tree's input addresses.
    ///
    /// Where the map starts, memory's lowest address appears rounded down to 1 GiB, or further, to
    /// the largest leaf that could map part of `memory`, if it still fits then: an address and
    /// where it appears are equally aligned for every leaf.
    #[must_use]
    pub fn new(geometry: Geometry, memory: PhysRange) -> Option<Self> {
        let (base, _) = geometry.inputs();
        let bytes = Self::most_bytes(geometry);
        let fitting = |alignment| {
            let memstart = memory.start().align_down(alignment);
            let span = memory.last().offset_from(memstart)?;
            (span < bytes).then_some(Self { base, memstart, bytes })
        };
        large_leaves(geometry)
            .into_iter()
            .flatten()
            .map(LeafSize::bytes)
            .filter(|leaf| (LEAST_ALIGNMENT..=memory.bytes()).contains(leaf))
            .find_map(fitting)
            .or_else(|| fitting(LEAST_ALIGNMENT))
    }

    /// How many bytes of input addresses the linear map of a tree of `geometry` may use.
    #[must_use]
    pub const fn most_bytes(geometry: Geometry) -> u64 {
        // Input addresses have at least 25 bits.
        1_u64.unbounded_shl(geometry.input_bits().saturating_sub(1))
    }

    /// The lowest input address of the map.
    #[inline]
    #[must_use]
    pub const fn base(self) -> VirtAddr {
        self.base
    }

    /// The output address that appears at [`LinearMap::base`].
    #[inline]
    #[must_use]
    #[doc(alias = "PHYS_OFFSET")]
    #[doc(alias = "memstart_addr")]
    pub const fn memstart(self) -> PhysAddr {
        self.memstart
    }

    /// How many bytes of input addresses the map may use: half of the tree's.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Where `output` appears, or `None` if it lies below or above what the map can show.
    #[inline]
    #[must_use]
    #[doc(alias = "phys_to_virt")]
    pub const fn input(self, output: PhysAddr) -> Option<VirtAddr> {
        match output.offset_from(self.memstart) {
            Some(offset) if offset < self.bytes => self.base.checked_add(offset),
            Some(_) | None => None,
        }
    }

    /// What `input` leads to if it is mapped, or `None` if it lies outside the linear map.
    #[inline]
    #[must_use]
    #[doc(alias = "virt_to_phys")]
    pub const fn output(self, input: VirtAddr) -> Option<PhysAddr> {
        match input.offset_from(self.base) {
            Some(offset) if offset < self.bytes => self.memstart.checked_add(offset),
            Some(_) | None => None,
        }
    }

    /// What all of `input` leads to if it is mapped, or `None` if part of it lies outside the linear map.
    #[inline]
    #[must_use]
    pub const fn output_range(self, input: VirtRange) -> Option<PhysRange> {
        match input.start().offset_from(self.base) {
            Some(offset) => match self.bytes.checked_sub(offset) {
                Some(left) if input.bytes() <= left => {
                    PhysRange::new(self.memstart.wrapping_add(offset), input.bytes())
                }
                Some(_) | None => None,
            },
            None => None,
        }
    }

    /// Where all of `output` appears, or `None` if part of it lies outside what the map can show.
    #[inline]
    #[must_use]
    pub const fn input_range(self, output: PhysRange) -> Option<VirtRange> {
        match (self.input(output.start()), self.input(output.last())) {
            (Some(start), Some(_)) => VirtRange::new(start, output.bytes()),
            (Some(_) | None, _) => None,
        }
    }
}

/// The sizes of a geometry's large leaves, the largest first.
fn large_leaves(geometry: Geometry) -> [Option<LeafSize>; 4] {
    [
        geometry.leaf_size(Level::L0),
        geometry.leaf_size(Level::L1),
        geometry.run_size(Level::L2),
        geometry.leaf_size(Level::L2),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockmap_vmsa::{Format, Granule, Half, Regime};

    const GIB: u64 = 1 << 30;

    fn memory(start: u64, bytes: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), bytes).unwrap()
    }

    fn memstart(granule: (Granule, Format), input_bits: u32, memory: PhysRange) -> Option<u64> {
        let half = (Regime::El1And0, Half::Upper);
        let geometry = Geometry::new(half, granule, input_bits, 48).unwrap();
        LinearMap::new(geometry, memory).map(|linear| linear.memstart().value())
    }

    #[test]
    fn the_kernels_linear_map_is_where_linux_has_it() {
        let virt = memory(GIB, 12 * GIB);
        let linear = LinearMap::new(Geometry::KERNEL_4K_48, virt).unwrap();
        assert_eq!(linear.base(), VirtAddr::new(0xffff_0000_0000_0000));
        assert_eq!(linear.memstart(), PhysAddr::new(GIB));
        assert_eq!(linear.bytes(), 1 << 47);
        let image = PhysAddr::new(0x4020_0000);
        let alias = VirtAddr::new(0xffff_0000_0020_0000);
        assert_eq!(linear.input(image), Some(alias));
        assert_eq!(linear.output(alias), Some(image));
        assert_eq!(linear.input(PhysAddr::new(GIB - 1)), None);
        assert_eq!(linear.input(PhysAddr::new(GIB + (1 << 47))), None);
        assert_eq!(linear.output(VirtAddr::new(0xffff_8000_0000_0000)), None);
        assert_eq!(linear.output(VirtAddr::new(0)), None);
        assert_eq!(linear.input_range(virt).unwrap().bytes(), 12 * GIB);
        assert_eq!(linear.input_range(memory(0, 2 * GIB)), None);
    }

    #[test]
    fn the_start_of_memory_is_rounded_as_far_as_leaves_ask() {
        let wide = (Granule::Kib4, Format::Lpa2);
        assert_eq!(memstart(wide, 52, memory(600 * GIB, 12 * GIB)), Some(600 * GIB));
        assert_eq!(memstart(wide, 52, memory(600 * GIB, 2048 * GIB)), Some(512 * GIB));
        let large = (Granule::Kib64, Format::Base);
        assert_eq!(memstart(large, 48, memory(3 * GIB + 5, 12 * GIB)), Some(3 * GIB));
        assert_eq!(memstart(large, 48, memory(17 * GIB, 64 * GIB)), Some(16 * GIB));
    }

    #[test]
    fn memory_that_is_too_wide_is_refused_and_rounding_never_makes_it_so() {
        let small = (Granule::Kib4, Format::Base);
        assert_eq!(memstart(small, 39, memory(GIB, 256 * GIB)), Some(GIB));
        assert_eq!(memstart(small, 39, memory(GIB, 256 * GIB + 1)), None);
        assert_eq!(memstart(small, 39, memory(GIB + 1, 256 * GIB)), None);
        let large = (Granule::Kib64, Format::Base);
        assert_eq!(memstart(large, 36, memory(17 * GIB, 32 * GIB)), Some(17 * GIB));
        assert_eq!(memstart(small, 48, memory(u64::MAX, 1)), Some(u64::MAX << 30));
    }
}
