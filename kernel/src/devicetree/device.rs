//! Devices: the console's UART, PSCI.

use blockmap::machine::PhysAddr;

use super::node::{Node, Width, take};
use super::{DeviceTree, NodeFault, TreeError};

const UART: &str = "arm,pl011";

/// The instruction that calls the firmware that implements PSCI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// `hvc`: the hypervisor.
    Hvc,
    /// `smc`: the secure monitor.
    Smc,
}

impl<'a> DeviceTree<'a> {
    /// Where the registers of the console's PL011 are: of the one that `/chosen`'s `stdout-path`
    /// names, else of the first; `None` where there is none.
    ///
    /// # Errors
    /// The UART's node does not say where it is.
    pub fn console(&self) -> Result<Option<PhysAddr>, TreeError<'a>> {
        let is_uart = |node: &Node<'a>| node.lists("compatible", UART) && node.is_enabled();
        let chosen = self.stdout().filter(is_uart);
        let uart = chosen.or_else(|| self.root().find(&is_uart));
        uart.map(|uart| registers(&uart)).transpose()
    }

    /// The node that `stdout-path` names, by its path or by an alias, options after a colon.
    fn stdout(&self) -> Option<Node<'a>> {
        let root = self.root();
        let text = root.child("chosen")?.text("stdout-path").ok()??;
        let name = text.split(':').next().unwrap_or(text);
        if name.starts_with('/') {
            return root.descendant(name);
        }
        let aliased = root.child("aliases")?.bytes(name)?.strip_suffix(&[0])?;
        root.descendant(core::str::from_utf8(aliased).ok()?)
    }

    /// How PSCI 0.2 or later is called, or `None` where there is none.
    ///
    /// # Errors
    /// There is one, but its node doesn't say how.
    pub fn conduit(&self) -> Result<Option<Conduit>, TreeError<'a>> {
        let is_psci = |node: &Node<'a>| {
            node.is_enabled()
                && (node.lists("compatible", "arm,psci-0.2")
                    || node.lists("compatible", "arm,psci-1.0"))
        };
        let Some(psci) = self.root().find(&is_psci) else {
            return Ok(None);
        };
        let property = "method";
        match psci.text(property)? {
            Some("hvc") => Ok(Some(Conduit::Hvc)),
            Some("smc") => Ok(Some(Conduit::Smc)),
            Some(_) => {
                let expected = "hvc or smc";
                Err(psci.fault(NodeFault::Value { property, expected }))
            }
            None => Err(psci.fault(NodeFault::Missing(property))),
        }
    }
}

/// The physical address of a device's first register.
fn registers<'a>(device: &Node<'a>) -> Result<PhysAddr, TreeError<'a>> {
    let missing = || device.fault(NodeFault::Missing("reg"));
    let (first, _) = device.reg()?.and_then(|mut entries| entries.next()).ok_or_else(missing)?;
    physical(device, first)
}

/// The physical address of what a device's `reg` says is at `first`.
pub(super) fn physical<'a>(device: &Node<'a>, first: u64) -> Result<PhysAddr, TreeError<'a>> {
    let mut address = first;
    let mut bus = device.parent();
    // The root's addresses are physical; every bus between says how it maps its children's.
    while let Some((this, above)) = bus.and_then(|this| Some((this, this.parent()?))) {
        let mapped = translate(&this, &above, address)?;
        address = mapped.ok_or_else(|| device.fault(NodeFault::Unreachable(first)))?;
        bus = Some(above);
    }
    Ok(PhysAddr::new(address))
}

/// What an address below `bus` is above it, where `bus` says so.
fn translate<'a>(
    bus: &Node<'a>,
    above: &Node<'a>,
    address: u64,
) -> Result<Option<u64>, TreeError<'a>> {
    let Some(bytes) = bus.bytes("ranges") else {
        return Ok(None);
    };
    if bytes.is_empty() {
        return Ok(Some(address));
    }
    let (here, there) = (bus.cells()?, above.cells()?);
    let widths = [here.address, there.address, here.size];
    let entry = widths.iter().map(|width| width.bytes()).sum();
    let mut entries = bus.entries("ranges", bytes, entry)?;
    Ok(entries.find_map(|entry| through(entry, widths, address)))
}

/// What `address` is through one entry of `ranges`, if it lies in its range.
fn through(mut entry: &[u8], [child, parent, size]: [Width; 3], address: u64) -> Option<u64> {
    let from = take(&mut entry, child)?;
    let to = take(&mut entry, parent)?;
    let bytes = take(&mut entry, size)?;
    let offset = address.checked_sub(from).filter(|offset| *offset < bytes)?;
    to.checked_add(offset)
}
