//! The CPUs, and how they are started.

use core::fmt;

use super::node::Node;
use super::{DeviceTree, NodeFault, TreeError};

/// A CPU's affinity: the fields Aff3 to Aff0 of its `MPIDR_EL1`, where that register has them.
///
/// Source: "MPIDR_EL1, Multiprocessor Affinity Register".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mpidr(u64);

impl Mpidr {
    const AFFINITY: u64 = 0xff_00ff_ffff;

    /// The affinity that `register`, a value of `MPIDR_EL1`, has.
    #[must_use]
    pub const fn of_register(register: u64) -> Self {
        Self(register & Self::AFFINITY)
    }

    /// The fields; every other bit is zero.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Its bit among the 16 CPUs that an interrupt controller of version 3 interrupts by one request:
    /// those that differ in the lowest four bits of Aff0 alone. `None` if Aff0 is above 15: the
    /// request would have to select a range, which not every controller can.
    ///
    /// Source: GIC architecture specification, "ICC_SGI1R_EL1".
    #[must_use]
    pub const fn target_bit(self) -> Option<u16> {
        match self.0 & 0xff {
            aff0 @ 0..16 => Some(1 << aff0),
            _ => None,
        }
    }
}

impl fmt::Display for Mpidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A CPU that the tree announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuNode<'a> {
    /// Which CPU it is.
    pub mpidr: Mpidr,
    /// How it is started.
    pub start: StartMethod<'a>,
}

/// How a CPU is started: its node's `enable-method`, or that of `/cpus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMethod<'a> {
    /// By PSCI `CPU_ON`.
    Psci,
    /// In a way that is not known here.
    Other(&'a str),
    /// Nothing says how. So it is where there is only the CPU that runs already.
    Unsaid,
}

impl<'a> DeviceTree<'a> {
    /// The CPUs, in the tree's order: every enabled child of `/cpus` that is one.
    ///
    /// An item is an error where a CPU's node does not say its affinity, or how it is started in
    /// something that is no text.
    pub fn cpus(&self) -> impl Iterator<Item = Result<CpuNode<'a>, TreeError<'a>>> + use<'a> {
        let parent = self.root().child("cpus");
        let nodes = parent.into_iter().flat_map(|cpus| cpus.children());
        nodes
            .filter(|node| node.lists("device_type", "cpu") && node.is_enabled())
            .map(|node| Ok(CpuNode { mpidr: affinity(&node)?, start: method(&node)? }))
    }
}

fn affinity<'a>(cpu: &Node<'a>) -> Result<Mpidr, TreeError<'a>> {
    let property = "reg";
    let mut entries = cpu.reg()?.ok_or_else(|| cpu.fault(NodeFault::Missing(property)))?;
    match entries.next() {
        Some((value, _)) if value & !Mpidr::AFFINITY == 0 => Ok(Mpidr(value)),
        Some(_) | None => {
            let expected = "a CPU's affinity";
            Err(cpu.fault(NodeFault::Value { property, expected }))
        }
    }
}

fn method<'a>(cpu: &Node<'a>) -> Result<StartMethod<'a>, TreeError<'a>> {
    let property = "enable-method";
    let said = match cpu.text(property)? {
        Some(own) => Some(own),
        None => cpu.parent().map(|cpus| cpus.text(property)).transpose()?.flatten(),
    };
    Ok(match said {
        None => StartMethod::Unsaid,
        Some("psci") => StartMethod::Psci,
        Some(other) => StartMethod::Other(other),
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_beyond_the_first_sixteen_of_its_neighbours_has_no_target_bit() {
        assert_eq!(Mpidr::of_register(0x8000_0000).target_bit(), Some(1));
        assert_eq!(Mpidr::of_register(0x1_0001_030f).target_bit(), Some(1 << 15));
        assert_eq!(Mpidr::of_register(0x10).target_bit(), None);
        assert_eq!(Mpidr::of_register(0xff).target_bit(), None);
    }
}
