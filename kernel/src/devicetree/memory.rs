//! Memory: banks, reservations, the initial RAM disk.

use blockmap::layout::{AddError, FirmwareMap};
use blockmap::machine::{PhysAddr, PhysRange};

use super::node::{Node, Width, take};
use super::{DeviceTree, NodeFault, TreeError};

impl<'a> DeviceTree<'a> {
    /// Adds all that the tree says of memory to `map`: the banks of every enabled memory node, the
    /// reservations of both kinds, and the initial RAM disk. The blob's own place is not known here.
    ///
    /// A bank of no bytes (a NUMA node without memory) is left out. A `/reserved-memory` node with
    /// a size and no place leaves its place to the kernel; this kernel has no use for such a range
    /// and gives it none.
    ///
    /// # Errors
    /// Names the first node that makes no sense; part of the rest may have been added.
    pub fn add_memory(&self, map: &mut FirmwareMap) -> Result<(), TreeError<'a>> {
        for range in self.fdt.memory_reservations() {
            map.add_reserved(PhysAddr::new(range.address()), range.size())
                .map_err(TreeError::Reservation)?;
        }
        for node in self.root().children().filter(Node::is_enabled) {
            if node.lists("device_type", "memory") {
                add_banks(&node, map)?;
            } else if node.name() == "reserved-memory" {
                for child in node.children().filter(Node::is_enabled) {
                    add_reservations(&child, map)?;
                }
            }
        }
        if let Some(initrd) = self.initrd()? {
            map.set_initrd(initrd);
        }
        Ok(())
    }

    /// Where the boot loader put the initial RAM disk, if there is one: `/chosen`'s
    /// `linux,initrd-start` and `linux,initrd-end`.
    ///
    /// # Errors
    /// Only one of the two is there, or they are not the ends of a range.
    pub fn initrd(&self) -> Result<Option<PhysRange>, TreeError<'a>> {
        let Some(chosen) = self.root().child("chosen") else {
            return Ok(None);
        };
        let start = number(&chosen, "linux,initrd-start")?;
        let end = number(&chosen, "linux,initrd-end")?;
        match (start, end) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(chosen.fault(NodeFault::Missing("linux,initrd-end"))),
            (None, Some(_)) => Err(chosen.fault(NodeFault::Missing("linux,initrd-start"))),
            (Some(start), Some(end)) if start == end => Ok(None),
            (Some(start), Some(end)) => end
                .checked_sub(start)
                .and_then(|bytes| PhysRange::new(PhysAddr::new(start), bytes))
                .map(Some)
                .ok_or_else(|| {
                    let (property, expected) = ("linux,initrd-end", "above linux,initrd-start");
                    chosen.fault(NodeFault::Value { property, expected })
                }),
        }
    }
}

/// A property that is one number of one or two cells.
fn number<'a>(node: &Node<'a>, property: &'static str) -> Result<Option<u64>, TreeError<'a>> {
    let Some(mut bytes) = node.bytes(property) else {
        return Ok(None);
    };
    let width = match bytes.len() {
        4 => Width::One,
        8 => Width::Two,
        _ => {
            let expected = "one or two cells";
            return Err(node.fault(NodeFault::Value { property, expected }));
        }
    };
    Ok(take(&mut bytes, width))
}

fn add_banks<'a>(node: &Node<'a>, map: &mut FirmwareMap) -> Result<(), TreeError<'a>> {
    let banks = node.reg()?.ok_or_else(|| node.fault(NodeFault::Missing("reg")))?;
    sized(node)?;
    for (start, bytes) in banks.filter(|(_, bytes)| *bytes != 0) {
        let added = map.add_bank(PhysAddr::new(start), bytes);
        added.map_err(|error| node.fault(NodeFault::Range(error)))?;
    }
    Ok(())
}

fn add_reservations<'a>(node: &Node<'a>, map: &mut FirmwareMap) -> Result<(), TreeError<'a>> {
    let Some(ranges) = node.reg()? else {
        return match node.bytes("size") {
            Some(_) => Ok(()),
            None => Err(node.fault(NodeFault::Missing("reg"))),
        };
    };
    sized(node)?;
    let is_mapped = node.bytes("no-map").is_none();
    for (start, bytes) in ranges {
        let start = PhysAddr::new(start);
        let added: Result<(), AddError> =
            if is_mapped { map.add_reserved(start, bytes) } else { map.add_no_map(start, bytes) };
        added.map_err(|error| node.fault(NodeFault::Range(error)))?;
    }
    Ok(())
}

/// Checks that the sizes of a node's `reg` are there at all.
fn sized<'a>(node: &Node<'a>) -> Result<(), TreeError<'a>> {
    let parent = node.parent().unwrap_or(*node);
    match parent.cells()?.size {
        Width::None => Err(parent.fault(NodeFault::Cells("#size-cells", 0))),
        Width::One | Width::Two => Ok(()),
    }
}
