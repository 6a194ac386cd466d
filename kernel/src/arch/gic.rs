//! The interrupt controller, as far as CPUs interrupt each other with it: a GIC of version 2 or 3.

use core::arch::asm;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arm_gic::gicv2::registers::{Gicc, Gicd as GicdV2};
use arm_gic::gicv2::{self, GicV2};
use arm_gic::gicv3::registers::{Gicd as GicdV3, GicrSgi};
use arm_gic::gicv3::{self, GicCpuInterface, GicDistributor, GicRedistributorIterator};
use arm_gic::{IntId, InterruptGroup, UniqueMmioPointer};
use blockmap::vmsa::machine::VirtAddr;
use blockmap_kernel::devicetree::Mpidr;
use blockmap_kernel::interrupt::Pending;
use thiserror::Error;

use super::per_cpu;

pub(crate) use blockmap_kernel::interrupt::Ipi;

/// Where the registers are mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Registers {
    /// Version 2: distributor and CPU interface.
    V2(VirtAddr, VirtAddr),
    /// Version 3: the distributor, and the regions of redistributors.
    V3(VirtAddr, [Option<VirtAddr>; blockmap_kernel::devicetree::MOST_REGIONS]),
}

/// Why a CPU can't be interrupted by others. It goes on without.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum GicError {
    /// No interrupt controller was found.
    #[error("there is no interrupt controller that is known here")]
    None,
    /// No redistributor says that it is this CPU's.
    #[error("the interrupt controller has no redistributor for the CPU with affinity {0}")]
    NoRedistributor(Mpidr),
    /// The controller's identification registers make no sense.
    #[error("the interrupt controller: {0}")]
    Controller(#[from] gicv3::GicError),
    /// An interrupt for it would need the range selector, which not every controller has.
    #[error(
        "CPUs can't interrupt the one with affinity {0}: its lowest field is above 15, which is not \
         supported"
    )]
    OutOfReach(Mpidr),
    /// Version 2 serves eight CPUs.
    #[error("the interrupt controller does not know the CPU that asks")]
    NoInterface,
    /// The interrupt stays disabled.
    #[error("the interrupt controller: {0}")]
    Disabled(#[from] gicv2::Error),
}

/// The interrupt that asks for it.
const fn id(ipi: Ipi) -> IntId {
    IntId::sgi(ipi.number())
}

/// Which version there is: 0 none, 2 or 3; and for version 2 where its registers are.
static VERSION: AtomicU32 = AtomicU32::new(0);
static DISTRIBUTOR: AtomicU64 = AtomicU64::new(0);
static CPU_INTERFACE: AtomicU64 = AtomicU64::new(0);
/// Version 3's regions of redistributors; zero for none.
static REGIONS: [AtomicU64; blockmap_kernel::devicetree::MOST_REGIONS] =
    [const { AtomicU64::new(0) }; blockmap_kernel::devicetree::MOST_REGIONS];
/// Interrupts that nobody has asked for.
static UNKNOWN: AtomicU64 = AtomicU64::new(0);

/// Sets the controller up, on the boot CPU, with interrupts masked: whatever firmware had enabled
/// is disabled.
///
/// # Safety
/// A GIC of that version has its registers mapped there as device memory, for good; nobody else
/// uses them.
pub(crate) unsafe fn begin(registers: Registers) -> Result<(), GicError> {
    match registers {
        Registers::V2(distributor, cpu_interface) => {
            DISTRIBUTOR.store(distributor.value(), Ordering::Relaxed);
            CPU_INTERFACE.store(cpu_interface.value(), Ordering::Relaxed);
            VERSION.store(2, Ordering::Release);
            // Bit 0 is what a kernel without a secure side of its own needs, whatever group it
            // then stands for.
            v2().enable_group0(true);
        }
        Registers::V3(distributor, regions) => {
            let distributor = pointer::<GicdV3>(distributor.value());
            // SAFETY: the caller vouches for the registers.
            let registers = unsafe { UniqueMmioPointer::new(distributor) };
            let mut distributor = GicDistributor::new(registers);
            distributor.enable_all_interrupts(false);
            distributor.configure_default_settings();
            for (place, region) in REGIONS.iter().zip(regions) {
                place.store(region.map_or(0, VirtAddr::value), Ordering::Relaxed);
            }
            VERSION.store(3, Ordering::Release);
        }
    }
    begin_cpu()
}

/// Sets up what the controller has for this CPU, with interrupts masked.
pub(crate) fn begin_cpu() -> Result<(), GicError> {
    let ids = Ipi::ALL.map(id);
    match VERSION.load(Ordering::Acquire) {
        2 => {
            let mut gic = v2();
            gic.setup();
            gic.enable_all_interrupts(false);
            for id in ids {
                gic.enable_interrupt(id, true)?;
            }
            per_cpu::this().set_interface(interface().ok_or(GicError::NoInterface)?);
        }
        3 => {
            GicCpuInterface::enable_system_register_el1();
            // The other registers are there for later instructions.
            // SAFETY: a barrier makes no access.
            unsafe { asm!("isb", options(nostack, preserves_flags)) };
            let mpidr = per_cpu::this().mpidr();
            mpidr.target_bit().ok_or(GicError::OutOfReach(mpidr))?;
            let mut own = redistributors()
                .filter_map(Result::ok)
                .flatten()
                .find(|one| Mpidr::of_register(one.typer().core_mpidr()) == mpidr)
                .ok_or(GicError::NoRedistributor(mpidr))?;
            // Otherwise it is awake already.
            let _ = own.mark_core_awake();
            own.configure_default_settings();
            for id in ids {
                own.enable_interrupt(id, true)?;
            }
            // One write ends an interrupt, as it does unless firmware chose otherwise.
            // SAFETY: the register says how interrupts are ended, and no more.
            unsafe { asm!("msr s3_0_c12_c12_4, xzr", options(nostack, preserves_flags)) };
            GicCpuInterface::set_priority_mask(0xff);
            GicCpuInterface::enable_group1(true);
        }
        _ => return Err(GicError::None),
    }
    Ok(())
}

/// Interrupts the CPU `cpu`, which has called [`begin_cpu`].
pub(crate) fn send(ipi: Ipi, cpu: u32) {
    let data = per_cpu::of(cpu);
    // What the interrupt is about is seen by who takes it.
    // SAFETY: a barrier orders accesses and makes none.
    unsafe { asm!("dsb ishst", options(nostack, preserves_flags)) };
    match VERSION.load(Ordering::Relaxed) {
        2 => {
            // The only CPU of a machine has no bit: there the targets read as zero.
            let target_list_filter = if cpu == per_cpu::this().number() {
                gicv2::SgiTargetListFilter::ForwardSelfOnly
            } else {
                gicv2::SgiTargetListFilter::CPUTargetList
            };
            let target_list = data.interface();
            let target = gicv2::SgiTarget::List { target_list_filter, target_list };
            v2().send_sgi(id(ipi), target);
        }
        3 => {
            let [_, affinity1, affinity2, _, affinity3, ..] = data.mpidr().value().to_le_bytes();
            // INVARIANT: it has one, or its `begin_cpu` failed.
            let target_list = data.mpidr().target_bit().unwrap_or(0);
            let target = gicv3::SgiTarget::List { affinity3, affinity2, affinity1, target_list };
            let group = gicv3::SgiTargetGroup::CurrentGroup1;
            if let Err(error) = GicCpuInterface::send_sgi(id(ipi), target, group) {
                unreachable!("an interrupt for CPU {cpu}: {error}")
            }
        }
        _ => {}
    }
}

/// Whether there is a controller: without one nobody can tell what an interrupt is about.
pub(crate) fn is_there() -> bool {
    VERSION.load(Ordering::Relaxed) != 0
}

/// Takes the next interrupt that is pending on this CPU; `None` if there is none.
///
/// What its sender wrote before is seen by all that the caller does next.
pub(super) fn acknowledge() -> Option<Ipi> {
    loop {
        let pending = match VERSION.load(Ordering::Relaxed) {
            2 => {
                let mut gic = v2();
                let id = gic.get_and_acknowledge_interrupt(InterruptGroup::Group0)?;
                // Above the number it says who sent it.
                let pending = Pending::of_number(u32::from(id) & 0x3ff);
                if pending != Pending::Nothing {
                    gic.end_interrupt(id, InterruptGroup::Group0);
                }
                pending
            }
            3 => {
                let group = InterruptGroup::Group1;
                let id = GicCpuInterface::get_and_acknowledge_interrupt(group)?;
                let pending = Pending::of_number(u32::from(id));
                if pending != Pending::Nothing {
                    GicCpuInterface::end_interrupt(id, group);
                }
                pending
            }
            _ => return None,
        };
        // No load of what the interrupt is about may be from before it was acknowledged: a request
        // that came with this one would be missed. Its sender has a barrier too.
        // SAFETY: a barrier orders accesses and makes none.
        unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
        match pending {
            Pending::Nothing => return None,
            Pending::Ipi(ipi) => return Some(ipi),
            Pending::Unknown => UNKNOWN.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// Interrupts that nobody has asked for, until now.
pub(crate) fn unknown() -> u64 {
    UNKNOWN.load(Ordering::Relaxed)
}

/// The driver of version 2. Each CPU finds its own part of the registers behind the same addresses.
fn v2() -> GicV2<'static> {
    let distributor = pointer::<GicdV2>(DISTRIBUTOR.load(Ordering::Relaxed));
    let cpu_interface = pointer::<Gicc>(CPU_INTERFACE.load(Ordering::Relaxed));
    // SAFETY: `begin`'s caller vouches for the registers. Several of these exist, but what they
    // write after `begin` is either the CPU's own or takes effect as one write.
    unsafe { GicV2::new(distributor.as_ptr(), cpu_interface.as_ptr()) }
}

/// The bit of this CPU's interface of version 2: what the registers of its own interrupts' targets
/// read as.
fn interface() -> Option<u16> {
    let targets = pointer::<u8>(DISTRIBUTOR.load(Ordering::Relaxed)).as_ptr();
    // SAFETY: GICD_ITARGETSR0 is at 0x800, and may be read by bytes.
    let bits = unsafe { targets.wrapping_add(0x800).read_volatile() };
    // Where there is but one CPU it reads as zero.
    Some(u16::from(bits)).filter(|bits| bits.count_ones() <= 1)
}

/// Version 3's redistributors, region by region.
fn redistributors() -> impl Iterator<Item = Result<GicRedistributorIterator<'static>, GicError>> {
    let regions = REGIONS.iter().map(|region| region.load(Ordering::Relaxed));
    regions.filter(|region| *region != 0).map(|region| {
        // SAFETY: `begin`'s caller vouches for the registers; a CPU writes its own alone.
        unsafe { GicRedistributorIterator::new(pointer::<GicrSgi>(region)) }.map_err(Into::into)
    })
}

fn pointer<T>(address: u64) -> NonNull<T> {
    let address = usize::try_from(address).unwrap_or(0);
    NonNull::new(core::ptr::with_exposed_provenance_mut(address)).unwrap_or(NonNull::dangling())
}
