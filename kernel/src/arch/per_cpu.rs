//! What every CPU has for itself, in the image, where no size ever changes.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use blockmap::vmsa::machine::VirtAddr;
use blockmap_kernel::cmdline::ParkFault;
use blockmap_kernel::devicetree::Mpidr;

use super::ground::MOST_CPUS;
use super::tables::address_of;
use crate::cpus::Job;

/// One CPU's own data.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct PerCpu {
    /// The upper end of the stack for an exception taken while one is handled.
    pub(super) last_stack: AtomicU64,
    /// The stack pointer to go back to when the code that is being probed faults; zero when none
    /// is.
    pub(super) execute_stack: AtomicU64,
    /// Which CPU it is, by its affinity.
    mpidr: AtomicU64,
    /// Its number.
    number: AtomicU32,
    /// How many locks it holds.
    locks: AtomicU32,
    /// The bit of its interface to an interrupt controller of version 2.
    interface: AtomicU32,
    /// What is wrong with it on purpose: a [`ParkFault`].
    park_fault: AtomicU32,
    /// What it does besides waiting.
    pub(crate) job: Job,
}

/// The data of the CPU with each number.
#[unsafe(no_mangle)]
static PER_CPU: [PerCpu; MOST_CPUS] = [const { PerCpu::new() }; MOST_CPUS];

/// The data of the CPU that executes this.
pub(crate) fn this() -> &'static PerCpu {
    let address: usize;
    // SAFETY: reading a register changes nothing.
    unsafe {
        asm!("mrs {}, tpidr_el1", out(reg) address, options(nomem, nostack, preserves_flags));
    }
    let pointer = core::ptr::with_exposed_provenance::<PerCpu>(address);
    // SAFETY: every CPU has the address of its element of `PER_CPU` there before it runs Rust.
    unsafe { &*pointer }
}

/// The data of the CPU with this number.
///
/// # Panics
/// If there is no such CPU.
pub(crate) fn of(cpu: u32) -> &'static PerCpu {
    let data = usize::try_from(cpu).ok().and_then(|cpu| PER_CPU.get(cpu));
    data.unwrap_or_else(|| panic!("there is no room for a CPU {cpu}"))
}

impl PerCpu {
    const fn new() -> Self {
        Self {
            last_stack: AtomicU64::new(0),
            execute_stack: AtomicU64::new(0),
            mpidr: AtomicU64::new(0),
            number: AtomicU32::new(0),
            locks: AtomicU32::new(0),
            interface: AtomicU32::new(0),
            park_fault: AtomicU32::new(0),
            job: Job::new(),
        }
    }

    /// Says who the CPU is.
    pub(crate) fn identify(&self, number: u32, mpidr: Mpidr) {
        self.number.store(number, Ordering::Relaxed);
        self.mpidr.store(mpidr.value(), Ordering::Relaxed);
    }

    /// Says where the CPU's last stack ends.
    pub(crate) fn set_last_stack(&self, end: VirtAddr) {
        self.last_stack.store(end.value(), Ordering::Relaxed);
    }

    /// Its number: 0 is the CPU that booted.
    pub(crate) fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    /// Which of the machine's CPUs it is.
    pub(crate) fn mpidr(&self) -> Mpidr {
        Mpidr::of_register(self.mpidr.load(Ordering::Relaxed))
    }

    /// The bit of its interface to an interrupt controller of version 2.
    pub(super) fn interface(&self) -> u16 {
        u16::try_from(self.interface.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// On the CPU itself: it has this interface.
    pub(super) fn set_interface(&self, bit: u16) {
        self.interface.store(bit.into(), Ordering::Relaxed);
    }

    /// What is wrong with it on purpose.
    pub(crate) fn park_fault(&self) -> ParkFault {
        match self.park_fault.load(Ordering::Relaxed) {
            0 => ParkFault::None,
            1 => ParkFault::Never,
            2 => ParkFault::Late,
            3 => ParkFault::Dead,
            4 => ParkFault::SystemError,
            6 => ParkFault::Interrupt,
            7 => ParkFault::Abort,
            8 => ParkFault::Lost,
            _ => ParkFault::Unstarted,
        }
    }

    /// Something is wrong with it from now on, or nothing any more.
    pub(crate) fn set_park_fault(&self, fault: ParkFault) {
        let number = match fault {
            ParkFault::None => 0,
            ParkFault::Never => 1,
            ParkFault::Late => 2,
            ParkFault::Dead => 3,
            ParkFault::SystemError => 4,
            ParkFault::Unstarted => 5,
            ParkFault::Interrupt => 6,
            ParkFault::Abort => 7,
            ParkFault::Lost => 8,
        };
        self.park_fault.store(number, Ordering::Relaxed);
    }

    /// Where it is.
    pub(crate) fn address(&self) -> VirtAddr {
        address_of(&raw const *self)
    }

    /// On the CPU itself: it holds one lock more.
    pub(crate) fn add_lock(&self) {
        self.locks.fetch_add(1, Ordering::Relaxed);
    }

    /// On the CPU itself: it holds one lock less.
    pub(crate) fn remove_lock(&self) {
        self.locks.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many locks the CPU holds.
    pub(crate) fn locks(&self) -> u32 {
        self.locks.load(Ordering::Relaxed)
    }
}
