//! Reading memory out of a flattened device tree.

use blockmap_dump::vmsa::machine::PhysAddr;
use blockmap_layout::{AddError, FirmwareMap};
use dtoolkit::error::FdtParseError;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node as _, Property as _};
use thiserror::Error;

/// Why a blob tells of no memory.
#[derive(Debug, Error)]
pub(crate) enum TreeError {
    /// It is not well formed.
    #[error("it is damaged: {0}")]
    Malformed(FdtParseError),
    /// Addresses or sizes of a node are not of one or two cells, or are cut off.
    #[error("`reg` of {0} does not have whole addresses and sizes of one or two cells")]
    Reg(String),
    /// A range makes no sense, or there is no room for it.
    #[error("{node}: {error}")]
    Range {
        /// The node.
        node: String,
        /// What is wrong.
        error: AddError,
    },
    /// There is no memory node with a bank.
    #[error("it has no memory: firmware adds it at boot, so use /sys/firmware/fdt of the machine")]
    NoMemory,
}

/// The banks and reservations that the tree in `blob` tells of.
///
/// # Errors
/// Names the first node that makes no sense.
pub(crate) fn read(blob: &[u8]) -> Result<FirmwareMap, TreeError> {
    let fdt = Fdt::new(blob).map_err(TreeError::Malformed)?;
    let mut map = FirmwareMap::new();
    for range in fdt.memory_reservations() {
        let added = map.add_reserved(PhysAddr::new(range.address()), range.size());
        let node = "the list of reservations".to_owned();
        added.map_err(|error| TreeError::Range { node, error })?;
    }
    let root = fdt.root();
    for node in root.children().filter(is_enabled) {
        if bytes(&node, "device_type") == Some(b"memory\0") {
            add(&root, &node, |start, size| match size {
                // A NUMA node without memory.
                0 => Ok(()),
                _ => map.add_bank(start, size),
            })?;
        } else if node.name_without_address() == "reserved-memory" {
            for child in node.children().filter(is_enabled) {
                let is_mapped = bytes(&child, "no-map").is_none();
                add(&node, &child, |start, size| {
                    if is_mapped {
                        map.add_reserved(start, size)
                    } else {
                        map.add_no_map(start, size)
                    }
                })?;
            }
        }
    }
    if map.banks().is_empty() { Err(TreeError::NoMemory) } else { Ok(map) }
}

/// Hands the ranges in `reg` of `node` to `take`.
fn add(
    parent: &FdtNode<'_>,
    node: &FdtNode<'_>,
    mut take: impl FnMut(PhysAddr, u64) -> Result<(), AddError>,
) -> Result<(), TreeError> {
    let fault = || TreeError::Reg(node.name().to_owned());
    let (address, size) = (cells(parent, "#address-cells", 2), cells(parent, "#size-cells", 1));
    let (Some(address), Some(size)) = (address, size) else {
        return Err(fault());
    };
    let Some(reg) = bytes(node, "reg") else {
        return Ok(());
    };
    let entries = reg.chunks_exact(address + size);
    if !entries.remainder().is_empty() {
        return Err(fault());
    }
    for entry in entries {
        let (start, bytes) = entry.split_at(address);
        take(PhysAddr::new(number(start)), number(bytes))
            .map_err(|error| TreeError::Range { node: node.name().to_owned(), error })?;
    }
    Ok(())
}

/// Bytes of a number that has as many cells as the property says: four or eight.
fn cells(node: &FdtNode<'_>, property: &str, default: u8) -> Option<usize> {
    match bytes(node, property) {
        None => Some(4 * usize::from(default)),
        Some([0, 0, 0, count @ 1..=2]) => Some(4 * usize::from(*count)),
        Some(_) => None,
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn bytes<'a>(node: &FdtNode<'a>, name: &str) -> Option<&'a [u8]> {
    node.properties().find(|property| property.name() == name)?.value_as().ok()
}

fn is_enabled(node: &FdtNode<'_>) -> bool {
    bytes(node, "status").is_none_or(|status| status == b"okay\0" || status == b"ok\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_memory_node_is_read() {
        let blob = include_bytes!("../../../kernel/tests/fixtures/virt-256g-numa.dtb");
        let map = read(blob).unwrap();
        let bytes: u64 = map.banks().iter().map(|bank| bank.bytes()).sum();
        assert_eq!(bytes, 256 << 30);
        assert!(map.banks().len() > 1, "{:?}", map.banks());
    }

    #[test]
    fn damage_is_an_error_wherever_it_is() {
        let blob = include_bytes!("../../../kernel/tests/fixtures/virt-12g.dtb");
        for end in (0..blob.len()).step_by(97) {
            assert!(read(&blob[..end]).is_err());
        }
        for place in (0..blob.len()).step_by(13) {
            let mut damaged = blob.to_vec();
            damaged[place] ^= 0xff;
            drop(read(&damaged));
        }
    }
}
