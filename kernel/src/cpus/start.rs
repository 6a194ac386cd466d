//! Starting CPUs, and what a CPU does that was started.

use core::sync::atomic::{AtomicU32, Ordering};

use blockmap::layout::{Answer, Repaint, Strategy};
use blockmap::machine::{VirtAddr, VirtRange};
use blockmap::vmsa::Change;
use blockmap_kernel::cmdline::{Kpti, Options, ParkFault};
use blockmap_kernel::frames::FRAME_BYTES;
use blockmap_kernel::identity::Unfit;
use blockmap_kernel::trace::Edge;
use thiserror::Error;

use super::admit::{self, AdmitError};
use super::announce::STARTABLE;
use super::job::Order;
use super::{admitted, announced, wait_until};
use crate::arch::exit::{self, Status};
use crate::arch::ground::{self, Stage};
use crate::arch::psci::{self, PsciError};
use crate::arch::{gic, interrupts, per_cpu, room};
use crate::console::println;
use crate::disguise;
use crate::memory::System;
use crate::owners::share;
use crate::referee;
use crate::run::witness;

/// Why a CPU was not started.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum StartError {
    /// There is no CPU of this number.
    #[error("there is no CPU {0}")]
    Unknown(u32),
    /// It runs.
    #[error("CPU {0} runs already")]
    Runs(u32),
    /// The device tree does not say how, or in a way that is not known here.
    #[error("CPU {0} can't be started: its enable-method in the device tree is not psci")]
    Method(u32),
    /// Firmware did not do it.
    #[error("CPU {cpu} can't be started: {error}")]
    Psci {
        /// The CPU.
        cpu: u32,
        /// What firmware said.
        error: PsciError,
    },
    /// There is no stack for it at EL2.
    #[error("CPU {0} stays off: the referee watches {most} CPUs at most", most = referee::MOST_CPUS)]
    Unwatched(u32),
    /// It was started and not heard of.
    #[error("CPU {0} was started and did not report in time")]
    Silent(u32),
    /// It was told to turn itself off, and has not.
    #[error("CPU {0} was told to turn itself off and is still on: try again later")]
    Lingers(u32),
    /// It took an exception before it reported.
    #[error("CPU {cpu} took an exception on its way: ESR {esr:#x} at {elr:#x}")]
    Fault {
        /// The CPU.
        cpu: u32,
        /// The syndrome.
        esr: u64,
        /// Where.
        elr: u64,
    },
    /// It can't walk the kernel's tables.
    #[error("CPU {cpu} stays off: {unfit}")]
    Unfit {
        /// The CPU.
        cpu: u32,
        /// What it lacks.
        unfit: Unfit,
    },
    /// It is not admitted.
    #[error(transparent)]
    Admit(#[from] AdmitError),
}

/// Starts all CPUs, or as many as `maxcpus=` says, one by one. Says which did not come.
pub(crate) fn start_all(system: &'static System<'static>, options: &Options<'_>) {
    let most = options.max_cpus.unwrap_or(u32::MAX);
    let change = || {
        if let Some(address) = options.change_at_boot {
            change_page(system, address);
        }
    };
    change();
    for cpu in (1..announced()).filter(|cpu| STARTABLE.has(*cpu)) {
        if cpu >= most {
            break;
        }
        if let Err(error) = start(system, cpu) {
            println!("CPUs: {error}");
        }
        change();
    }
    make_pages(system, admit::strategy_with(system.policy(), None, Answer::Final));
    change();
    admit::finish(system);
    change();
    if options.kpti == Kpti::On {
        match system.make_non_global() {
            Ok(()) => println!("CPUs: no leaf of the kernel's map is global from here on"),
            Err(error) => println!("CPUs: kpti=on: leaves stay global: {error}"),
        }
    }
}

/// Makes a page read-only and writable again, and has it shared with the hypervisor and back, and says
/// how: at no moment of the boot may that fail.
/// It is another page each time: the next one of 2 MiB and one more page further on.
fn change_page(system: &'static System<'static>, address: VirtAddr) {
    static TIMES: AtomicU32 = AtomicU32::new(0);
    let times = TIMES.fetch_add(1, Ordering::Relaxed);
    let page = address.wrapping_add(u64::from(times) * ((2 << 20) + FRAME_BYTES));
    let Some(page) = VirtRange::new(page, FRAME_BYTES) else { return };
    let strategy = system.entrance().terms().strategy;
    let count = admitted().count();
    let result = [Change::ReadOnly, Change::ReadWrite].map(|change| system.protect(page, change));
    let shared = share::there_and_back(system, page);
    if let Err(error) = shared {
        println!("CPUs: {count} admitted, {strategy:?}: {page} is not shared: {error}");
    }
    for error in result.iter().filter_map(|result| result.err()) {
        println!("CPUs: {count} admitted, {strategy:?}: {page} does not change: {error}");
    }
    if result.iter().all(Result::is_ok) {
        println!("CPUs: {count} admitted, {strategy:?}: {page} changes");
    }
}

/// Makes pages of the map if that is what `strategy`, which is about to hold, asks for. Until then
/// sizes change as they did, so that there is no moment at which a page could not change its rights.
///
/// If it can't be done the machine ends: the command line wants no size to change, and single pages
/// could not change their rights.
fn make_pages(system: &System<'static>, strategy: Strategy) {
    match system.wanted_repaint(strategy) {
        Repaint::Nothing => {}
        Repaint::ToPages => match system.repaint_pages() {
            Ok(()) => println!("CPUs: sizes never change from here on: the map is in pages"),
            Err(error) => {
                println!("CPUs: size-change=never needs a map of pages: {error}");
                exit::exit(Status::Unstartable);
            }
        },
    }
}

/// Starts a CPU and admits it.
pub(super) fn start(system: &'static System<'static>, cpu: u32) -> Result<(), StartError> {
    if cpu >= announced() {
        return Err(StartError::Unknown(cpu));
    }
    let place = ground::place(cpu);
    match place.stage() {
        Stage::Off | Stage::Left => turn_on(cpu)?,
        // It reported earlier, and could not be turned off.
        Stage::Reported => {}
        Stage::Starting | Stage::Unfit | Stage::Faulted => heard_of(cpu)?,
        Stage::Running => return Err(StartError::Runs(cpu)),
    }
    if let Err(unfit) = place.report().check(system.needs()) {
        place.go();
        return Err(StartError::Unfit { cpu, unfit });
    }
    make_pages(system, admit::strategy_with(system.policy(), Some(cpu), admit::answer()));
    Ok(admit::admit(system, cpu)?)
}

/// Has firmware turn the CPU on, and waits until it has reported.
fn turn_on(cpu: u32) -> Result<(), StartError> {
    if !STARTABLE.has(cpu) {
        return Err(StartError::Method(cpu));
    }
    if referee::is_there() && cpu >= referee::MOST_CPUS {
        return Err(StartError::Unwatched(cpu));
    }
    let place = ground::place(cpu);
    if place.stage() == Stage::Left {
        // It was told to go, and must have read that before its place is used anew.
        let is_off = || psci::is_off(per_cpu::of(cpu).mpidr()).unwrap_or(true);
        let has_gone = || is_off() || place.stage() == Stage::Reported;
        if !wait_until(has_gone) {
            return Err(StartError::Lingers(cpu));
        }
        if place.stage() == Stage::Reported {
            return Ok(());
        }
    }
    place.begin(disguise::words_of(cpu));
    let data = per_cpu::of(cpu);
    if data.park_fault() != ParkFault::Unstarted
        && let Err(error) = psci::cpu_on(data.mpidr(), cpu)
    {
        place.set_stage(Stage::Off);
        return Err(StartError::Psci { cpu, error });
    }
    let has_moved = || {
        place.refresh();
        place.stage() != Stage::Starting
    };
    if wait_until(has_moved) { heard_of(cpu) } else { Err(StartError::Silent(cpu)) }
}

/// What was heard of a CPU since it was started: that it has reported, or else what is wrong.
fn heard_of(cpu: u32) -> Result<(), StartError> {
    let place = ground::place(cpu);
    place.refresh();
    match place.stage() {
        Stage::Reported => Ok(()),
        Stage::Unfit => Err(StartError::Unfit { cpu, unfit: Unfit::Granule }),
        Stage::Faulted => {
            let [esr, elr, _] = place.fault();
            Err(StartError::Fault { cpu, esr, elr })
        }
        Stage::Off | Stage::Starting | Stage::Running | Stage::Left => Err(StartError::Silent(cpu)),
    }
}

/// Called by `parking.S` on a CPU that was admitted, on its own stack and with interrupts masked.
#[unsafe(no_mangle)]
extern "C" fn secondary_main() -> ! {
    let data = per_cpu::this();
    let place = ground::place(data.number());
    witness(Edge::Came);
    if let Err(error) = gic::begin_cpu() {
        println!("CPUs: CPU {} goes: {error}", data.number());
        room::leave();
    }
    place.set_stage(Stage::Running);
    ground::wake_waiting();
    interrupts::turn_on();
    loop {
        match data.job.order() {
            Order::Wait => interrupts::wait_unless(|| data.job.order() != Order::Wait),
            Order::Load => data.job.run(),
            Order::Change => data.job.change(),
            Order::Read => data.job.read(),
            Order::Leave => {
                data.job.set_order(Order::Wait);
                room::leave();
            }
        }
    }
}
