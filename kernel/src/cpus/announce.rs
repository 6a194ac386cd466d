//! Which CPUs there are: what the device tree says of them.

use core::fmt;
use core::sync::atomic::Ordering;

use blockmap_kernel::cmdline::ParkFault;
use blockmap_kernel::devicetree::{DeviceTree, Mpidr, StartMethod, TreeError};

use super::set::{ADMITTED, CpuSet};
use super::{ANNOUNCED, admitted};
use crate::arch::ground::{self, MOST_CPUS};
use crate::arch::per_cpu;
use crate::console::println;

/// The CPUs that can be started.
pub(super) static STARTABLE: CpuSet = CpuSet::new();

/// What is wrong with a CPU of the device tree. It is left out, or at least not started.
#[derive(Debug)]
enum Complaint<'a> {
    /// Its node makes no sense.
    Node(TreeError<'a>),
    /// Two nodes are about one CPU.
    Twice(Mpidr),
    /// It can be started in ways only that are not known here.
    Method(u32, &'a str),
    /// Nothing says how it is started.
    NoMethod(u32),
    /// There are too many.
    TooMany(u32),
    /// The CPU that executes this is not among them.
    NotBoot(Mpidr),
}

impl fmt::Display for Complaint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(error) => write!(f, "device tree: {error}; this CPU is left out"),
            Self::Twice(mpidr) => {
                write!(f, "two CPUs say that their affinity is {mpidr}; one is left out")
            }
            Self::Method(cpu, method) => {
                write!(f, "CPU {cpu} stays off: its enable-method is {method}, not psci")
            }
            Self::NoMethod(cpu) => write!(f, "CPU {cpu} stays off: it has no enable-method"),
            Self::TooMany(left_out) => {
                write!(
                    f,
                    "{left_out} CPUs more than the {MOST_CPUS} that there is room for stay off"
                )
            }
            Self::NotBoot(mpidr) => {
                write!(f, "the device tree does not have the CPU that runs, of affinity {mpidr}")
            }
        }
    }
}

/// Gives every CPU of the device tree a number, on the boot CPU, whose number is 0; the others
/// follow in the tree's order. Says what is wrong with them.
pub(crate) fn announce(tree: &DeviceTree<'_>, park_fault: Option<(u32, ParkFault)>) {
    let boot = Mpidr::of_register(ground::place(0).report().mpidr);
    per_cpu::of(0).identify(0, boot);
    ADMITTED.add(0);
    let (mut count, mut left_out, mut is_boot_there) = (1, 0, false);
    for node in tree.cpus() {
        let node = match node {
            Ok(node) => node,
            Err(error) => {
                complain(&Complaint::Node(error));
                continue;
            }
        };
        if node.mpidr == boot && !is_boot_there {
            is_boot_there = true;
        } else if (0..count).any(|cpu| per_cpu::of(cpu).mpidr() == node.mpidr) {
            complain(&Complaint::Twice(node.mpidr));
        } else if usize::try_from(count) == Ok(MOST_CPUS) {
            left_out += 1;
        } else {
            per_cpu::of(count).identify(count, node.mpidr);
            match node.start {
                StartMethod::Psci => STARTABLE.add(count),
                StartMethod::Other(method) => complain(&Complaint::Method(count, method)),
                StartMethod::Unsaid => complain(&Complaint::NoMethod(count)),
            }
            count += 1;
        }
    }
    if left_out > 0 {
        complain(&Complaint::TooMany(left_out));
    }
    if count > 1 && !is_boot_there {
        complain(&Complaint::NotBoot(boot));
    }
    ANNOUNCED.store(count, Ordering::Relaxed);
    if let Some((cpu, fault)) = park_fault.filter(|(cpu, _)| *cpu < count) {
        per_cpu::of(cpu).set_park_fault(fault);
    }
    debug_assert!(admitted().eq([0]));
}

fn complain(complaint: &Complaint<'_>) {
    println!("CPUs: {complaint}");
}
