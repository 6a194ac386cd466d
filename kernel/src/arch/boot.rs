//! From assembly to `kernel_main`: what the kernel is told of how it was started.

use core::arch::global_asm;
use core::fmt;
use core::mem::offset_of;

use blockmap::vmsa::machine::PhysAddr;

use super::boot_window::BootWindow;
use super::early::SCTLR_OFF;
use super::ground::{self, Ground, Place, order, stage};
use super::per_cpu::PerCpu;
use crate::{disguise, referee};

// The referee's way in shares the pages of the identity map, so it is placed here.
const _: () = assert!(size_of::<Place>().is_power_of_two(), "parking.S shifts numbers of CPUs");

global_asm!(
    ".set SCTLR_EL1_OFF, {sctlr}",
    ".set REFEREE_START_LOW, {start_low}",
    ".set REFEREE_START_HIGH, {start_high}",
    ".set LAST_STACK, {last_stack}",
    ".set PLACES, {places}",
    ".set PLACE_SHIFT, {place_shift}",
    ".set CONDUIT, {conduit}",
    ".set REFEREE, {referee}",
    ".set REFEREE_STACK_SHIFT, {referee_stack_shift}",
    ".set STAGE, {stage}",
    ".set TICKET, {ticket}",
    ".set ORDER, {order}",
    ".set REPORT, {report}",
    ".set SEAT, {seat}",
    ".set STAGE_REPORTED, {reported}",
    ".set STAGE_UNFIT, {unfit}",
    ".set STAGE_LEFT, {left}",
    ".set STAGE_FAULTED, {faulted}",
    ".set ORDER_WAIT, {wait}",
    ".set ORDER_COME, {come}",
    ".set DISGUISE_LOW, {disguise_low}",
    ".set DISGUISE_HIGH, {disguise_high}",
    ".set DISGUISE_CPUS, {disguise_cpus}",
    ".set ERROR_LOW, {error_low}",
    ".set ERROR_HIGH, {error_high}",
    include_str!("boot.S"),
    include_str!("el2.S"),
    include_str!("idmap.S"),
    include_str!("parking.S"),
    include_str!("../referee/enter.S"),
    include_str!("../disguise/vectors.S"),
    sctlr = const SCTLR_OFF,
    last_stack = const offset_of!(PerCpu, last_stack),
    places = const offset_of!(Ground, places),
    place_shift = const size_of::<Place>().ilog2(),
    conduit = const offset_of!(Ground, conduit),
    referee = const offset_of!(Ground, referee),
    referee_stack_shift = const referee::STACK_SHIFT,
    stage = const offset_of!(Place, stage),
    ticket = const offset_of!(Place, ticket),
    order = const offset_of!(Place, order),
    report = const offset_of!(Place, report),
    seat = const offset_of!(Place, seat),
    reported = const stage::REPORTED,
    unfit = const stage::UNFIT,
    left = const stage::LEFT,
    faulted = const stage::FAULTED,
    wait = const order::WAIT,
    come = const order::COME,
    start_low = const referee::START & 0xffff,
    start_high = const referee::START >> 16,
    disguise_low = const disguise::CALL & 0xffff,
    disguise_high = const disguise::CALL >> 16,
    error_low = const disguise::ERROR_CALL & 0xffff,
    error_high = const disguise::ERROR_CALL >> 16,
    disguise_cpus = const disguise::MOST_CPUS,
);

/// The exception level that the image was entered at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExceptionLevel {
    /// EL1: firmware or a hypervisor keeps EL2.
    El1,
    /// EL2, which was left for EL1.
    El2,
}

impl fmt::Display for ExceptionLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::El1 => "EL1",
            Self::El2 => "EL2",
        })
    }
}

/// When start-up reached which point, in ticks of the virtual counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// The first instruction of the image.
    pub(crate) entered: u64,
    /// The first instruction at the link address.
    pub(crate) mmu_on: u64,
    /// `kernel_main`.
    pub(crate) main: u64,
}

/// What `kernel_main` is told.
#[derive(Debug)]
pub(crate) struct BootInfo {
    /// Where the firmware put the device tree; not looked at yet.
    pub(crate) dtb: PhysAddr,
    /// Where the image was loaded.
    pub(crate) load: PhysAddr,
    /// Where it was entered.
    pub(crate) entered_at: ExceptionLevel,
    /// When.
    pub(crate) timeline: Timeline,
    /// The way to reach other memory until there is a linear map.
    pub(crate) window: BootWindow,
}

/// Called by `boot.S`, once, on the boot stack, with the image mapped and its zeroed data zeroed.
#[unsafe(no_mangle)]
extern "C" fn boot_main(dtb: u64, load: u64, level: u64, entered: u64, mmu_on: u64) -> ! {
    let (dtb, load) = (PhysAddr::new(dtb), PhysAddr::new(load));
    ground::begin(load);
    // SAFETY: this is called once, by the boot CPU.
    let window = unsafe { BootWindow::open(load, dtb) };
    crate::kernel_main(BootInfo {
        dtb,
        load,
        entered_at: if level == 2 { ExceptionLevel::El2 } else { ExceptionLevel::El1 },
        timeline: Timeline { entered, mmu_on, main: blockmap_hw::ticks() },
        window,
    })
}
