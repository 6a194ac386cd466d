//! The areas that the kernel itself would print: the table in its image that its own dump of the
//! tables goes by, in kernels that were built with one (`CONFIG_PTDUMP`).
//!
//! Each row is an address and a pointer to a name; the last row has no name.

use blockmap_vmsa::{Geometry, machine::VirtAddr};

use super::{Area, Symbols};
use crate::{PhysicalMemory, format::Fields};

/// What the table is called.
const SYMBOL: &str = "address_markers";

/// Rows that are read at most.
const MOST_ROWS: usize = 64;

/// The longest name.
const MOST_NAME: usize = 64;

/// The areas by the kernel's own table, if there is one that says something.
pub(crate) fn areas_of_kernel(
    memory: &dyn PhysicalMemory,
    symbols: &Symbols,
    geometry: Geometry,
) -> Option<Vec<Area>> {
    let (lowest, highest) = geometry.inputs();
    let at = symbols.image_address(symbols.find(SYMBOL)?);
    let mut rows = [0; 16 * MOST_ROWS];
    memory.read(at, &mut rows).ok()?;
    let mut areas: Vec<Area> = Vec::new();
    let (rows, _) = rows.as_chunks::<16>();
    for row in rows {
        let (start, name) = (Fields(row).u64(0), Fields(row).u64(8));
        if name == 0 {
            // Linear map, modules, vmalloc, and more: one that says less was not filled in.
            return (areas.len() > 2).then_some(areas);
        }
        let start = VirtAddr::new(start);
        let is_next = areas.last().is_none_or(|last| last.start <= start);
        if !is_next || start < lowest || highest < start {
            return None;
        }
        let name = text(memory, symbols, VirtAddr::new(name))?;
        areas.push(Area { start, name });
    }
    None
}

/// The text at an address of the image.
fn text(memory: &dyn PhysicalMemory, symbols: &Symbols, at: VirtAddr) -> Option<String> {
    let mut bytes = [0; MOST_NAME];
    memory.read(symbols.image_address(at), &mut bytes).ok()?;
    let text = bytes.split(|byte| *byte == 0).next().filter(|text| text.len() < MOST_NAME)?;
    let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let text = Some(text).filter(|text| !text.is_empty() && text.iter().all(is_text))?;
    Some(str::from_utf8(text).ok()?.to_owned())
}
