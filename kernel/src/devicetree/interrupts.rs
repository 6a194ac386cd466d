//! The interrupt controller: a GIC of version 2 or 3.
//!
//! Source: Linux's device tree bindings "arm,gic" and "arm,gic-v3".

use blockmap::machine::PhysRange;

use super::device::physical;
use super::node::Node;
use super::{DeviceTree, NodeFault, TreeError};

/// The most regions of redistributors that are looked at.
pub const MOST_REGIONS: usize = 4;

const GIC_V3: &str = "arm,gic-v3";
/// Those that Linux's binding lists and that have a distributor and a CPU interface of version 2.
const GIC_V2: [&str; 4] =
    ["arm,cortex-a15-gic", "arm,gic-400", "arm,cortex-a7-gic", "arm,cortex-a9-gic"];

/// Where the registers of the interrupt controller are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gic {
    /// A GIC of version 2.
    V2 {
        /// The distributor.
        distributor: PhysRange,
        /// The CPU interface, which every CPU finds its own at.
        cpu_interface: PhysRange,
    },
    /// A GIC of version 3 or 4. CPU interfaces are system registers.
    V3 {
        /// The distributor.
        distributor: PhysRange,
        /// The regions of redistributors, the first of them first.
        redistributors: [Option<PhysRange>; MOST_REGIONS],
    },
}

impl<'a> DeviceTree<'a> {
    /// The interrupt controller, or `None` where there is none that is known here.
    ///
    /// # Errors
    /// There is one, but its node doesn't say where its registers are.
    pub fn interrupt_controller(&self) -> Result<Option<Gic>, TreeError<'a>> {
        let is_v3 = |node: &Node<'a>| node.lists("compatible", GIC_V3);
        let is_v2 = |node: &Node<'a>| GIC_V2.iter().any(|name| node.lists("compatible", name));
        let is_gic = |node: &Node<'a>| node.is_enabled() && (is_v3(node) || is_v2(node));
        let Some(node) = self.root().find(&is_gic) else {
            return Ok(None);
        };
        let distributor = region(&node, 0)?;
        if is_v3(&node) {
            let mut redistributors = [None; MOST_REGIONS];
            // What follows them are the CPU interface of version 2 and what belongs to virtual machines.
            let property = "#redistributor-regions";
            let count = usize::try_from(node.number(property)?.unwrap_or(1)).unwrap_or(usize::MAX);
            if count == 0 {
                let expected = "1 or more";
                return Err(node.fault(NodeFault::Value { property, expected }));
            }
            for (place, number) in redistributors.iter_mut().zip(1..).take(count) {
                *place = Some(region(&node, number)?);
            }
            return Ok(Some(Gic::V3 { distributor, redistributors }));
        }
        Ok(Some(Gic::V2 { distributor, cpu_interface: region(&node, 1)? }))
    }
}

/// A node's region of registers of this number, in physical memory.
fn region<'a>(node: &Node<'a>, number: usize) -> Result<PhysRange, TreeError<'a>> {
    let property = "reg";
    let mut entries = node.reg()?.ok_or_else(|| node.fault(NodeFault::Missing(property)))?;
    let expected = "the ranges of the controller's registers";
    let wrong = || node.fault(NodeFault::Value { property, expected });
    let (start, bytes) = entries.nth(number).ok_or_else(wrong)?;
    PhysRange::new(physical(node, start)?, bytes).ok_or_else(wrong)
}
