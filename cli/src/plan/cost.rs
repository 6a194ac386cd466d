//! What one map of memory costs: tables, leaves, TLB entries.

use blockmap_dump::vmsa::cpu::Mte;
use blockmap_dump::vmsa::{Format, Geometry, Granule, Half, Leaves, Level, Regime};
use blockmap_layout::{FirmwareMap, LinearPlan, MemoryMap, Paint, Rodata};
use serde::Serialize;

/// The cost of one map.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cost {
    /// Bytes of a page.
    pub(crate) page_bytes: u64,
    /// Bits of an input address.
    pub(crate) va_bits: u32,
    /// `blocks` or `pages`.
    pub(crate) leaves: &'static str,
    /// Bytes that are mapped.
    pub(crate) mapped_bytes: u64,
    /// Table pages below the root.
    pub(crate) tables: u64,
    /// Their bytes.
    pub(crate) table_bytes: u64,
    /// Table pages of each level that has any.
    pub(crate) levels: Vec<LevelTables>,
    /// TLB entries that hold the whole map at once.
    pub(crate) tlb_entries: u64,
    /// How many leaves, or contiguous runs of them, there are of each size, the largest first.
    pub(crate) sizes: Vec<SizeCount>,
}

/// Table pages of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LevelTables {
    /// The level.
    pub(crate) level: i8,
    /// How many.
    pub(crate) tables: u64,
}

/// Leaves of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SizeCount {
    /// Bytes of each.
    pub(crate) bytes: u64,
    /// How many.
    pub(crate) count: u64,
}

/// The geometry of a kernel's map with this granule and these input bits.
///
/// # Errors
/// There is none.
pub(crate) fn geometry(granule: Granule, va_bits: u32) -> Result<Geometry, String> {
    let wide = match granule {
        Granule::Kib4 | Granule::Kib16 => Format::Lpa2,
        Granule::Kib64 => Format::Lpa,
    };
    let (format, output_bits) = if va_bits > 48 { (wide, 52) } else { (Format::Base, 48) };
    let made =
        Geometry::new((Regime::El1And0, Half::Upper), (granule, format), va_bits, output_bits);
    made.map_err(|error| error.to_string())
}

/// What a map of `firmware`'s memory costs in tables of `geometry`.
///
/// # Errors
/// Says why the memory can't be mapped so.
pub(crate) fn cost(
    firmware: &FirmwareMap,
    geometry: Geometry,
    rodata: Rodata,
    leaves: Leaves,
) -> Result<Cost, String> {
    let memory = MemoryMap::new(firmware, geometry).map_err(|error| error.to_string())?;
    let plan = LinearPlan::new(&memory, Paint::of_kernel(rodata, Mte::Missing), leaves);
    let tables = plan.table_counts();
    let level = |level: Level| LevelTables { level: level.number(), tables: tables.at(level) };
    let mut sizes: Vec<SizeCount> = Vec::new();
    for piece in plan.pieces() {
        let bytes = piece.size.bytes();
        match sizes.iter_mut().find(|size| size.bytes == bytes) {
            Some(size) => size.count += piece.count,
            None => sizes.push(SizeCount { bytes, count: piece.count }),
        }
    }
    sizes.sort_by_key(|size| u64::MAX - size.bytes);
    Ok(Cost {
        page_bytes: geometry.page_bytes(),
        va_bits: geometry.input_bits(),
        leaves: match leaves {
            Leaves::Largest => "blocks",
            Leaves::Pages => "pages",
        },
        mapped_bytes: sizes.iter().map(|size| size.bytes * size.count).sum(),
        tables: tables.total(),
        table_bytes: tables.bytes(),
        levels: Level::ALL.into_iter().map(level).filter(|level| level.tables > 0).collect(),
        tlb_entries: sizes.iter().map(|size| size.count).sum(),
        sizes,
    })
}

#[cfg(test)]
mod tests {
    use blockmap_dump::vmsa::machine::PhysAddr;

    use super::*;

    fn one_bank(bytes: u64) -> FirmwareMap {
        let mut firmware = FirmwareMap::new();
        firmware.add_bank(PhysAddr::new(1 << 30), bytes).unwrap();
        firmware
    }

    #[test]
    fn twelve_gib_in_pages_take_what_linux_takes() {
        let geometry = geometry(Granule::Kib4, 48).unwrap();
        let cost = cost(&one_bank(12 << 30), geometry, Rodata::On, Leaves::Pages).unwrap();
        assert_eq!((cost.tables, cost.table_bytes), (6157, 24_628 << 10));
        let levels: Vec<_> = cost.levels.iter().map(|level| level.tables).collect();
        assert_eq!(levels, [1, 12, 6144]);
        assert_eq!(cost.tlb_entries, 3_145_728);
        assert_eq!(cost.mapped_bytes, 12 << 30);
    }

    #[test]
    fn memory_above_48_bits_needs_52() {
        let mut firmware = FirmwareMap::new();
        firmware.add_bank(PhysAddr::new(1 << 48), 1 << 30).unwrap();
        for granule in Granule::ALL {
            let of = |bits| {
                let geometry = geometry(granule, bits).unwrap();
                cost(&firmware, geometry, Rodata::On, Leaves::Largest)
            };
            assert!(of(48).unwrap_err().contains("above the 48 bits"));
            assert_eq!(of(52).unwrap().mapped_bytes, 1 << 30);
        }
    }
}
