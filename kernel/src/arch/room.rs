//! The parking room: how a CPU leaves the kernel's tables, waits while they are changed, and
//! returns.

use core::arch::asm;

use blockmap::vmsa::machine::{PhysAddr, VirtAddr};
use blockmap_hw::Syndrome;
use blockmap_kernel::cmdline::ParkFault;
use blockmap_kernel::parking::Generation;
use blockmap_kernel::trace::Edge;

use super::gic::{self, Ipi};
use super::ground;
use super::per_cpu;
use super::{exit, interrupts, ttbr};
use crate::console::{self, println};
use crate::disguise;
use crate::run::witness;

unsafe extern "C" {
    /// In `parking.S`; taken as addresses because they are called where they were loaded.
    static park_here: u8;
    static leave_here: u8;
    static exchange_here: u8;
}

/// Parks this CPU if it is asked to, and returns when it may go on.
///
/// It is called with interrupts masked, or by who waits for something that may take until others
/// were parked.
pub(super) fn answer() {
    let data = per_cpu::this();
    let place = ground::place(data.number());
    match data.park_fault() {
        ParkFault::None
        | ParkFault::SystemError
        | ParkFault::Interrupt
        | ParkFault::Abort
        | ParkFault::Lost
        | ParkFault::Unstarted => {}
        ParkFault::Never => return,
        ParkFault::Late => {
            // Until the request was given up; answering it then is too late.
            let asked = place.ticket.asked();
            while asked.is_some() && place.ticket.asked() == asked {
                console::pause();
            }
            data.set_park_fault(ParkFault::None);
        }
        ParkFault::Dead => {
            if place.ticket.enter().is_some() {
                exit::wait_masked();
            }
        }
    }
    if let Some(generation) = place.ticket.enter() {
        interrupts::all_masked(|| {
            let mut shown = ground::memory_of(place);
            match data.park_fault() {
                ParkFault::SystemError => disguise::raise_system_error(),
                ParkFault::Interrupt => gic::send(Ipi::Wake, data.number()),
                // The identity map maps nothing there.
                ParkFault::Abort => shown = PhysAddr::new(0),
                ParkFault::None
                | ParkFault::Never
                | ParkFault::Late
                | ParkFault::Dead
                | ParkFault::Lost
                | ParkFault::Unstarted => {}
            }
            witness(Edge::Enters(generation.number()));
            park(shown, generation);
            witness(Edge::Returns(generation.number()));
            if data.park_fault() == ParkFault::Interrupt && interrupts::is_pending() {
                println!("CPU {}: an interrupt waited until it had returned", data.number());
            }
        });
        if data.park_fault() == ParkFault::Lost {
            exit::wait_masked();
        }
        place.ticket.leave();
    }
}

/// Leaves the tables and waits at the gate; `place` is where this CPU's place is in the identity map.
fn park(place: PhysAddr, generation: Generation) {
    let code = ground::memory_of(&raw const park_here);
    in_identity_map(|empty| {
        // SAFETY: the code is in the identity map, and touches the place and the gate alone, which
        // are too; it returns with the upper half as it was.
        unsafe {
            asm!(
                "blr {code}",
                code = in(reg) code.value(),
                inout("x0") place.value() => _,
                inout("x1") ground::memory_of(ground::gate()).value() => _,
                inout("x2") empty.value() => _,
                inout("x3") generation.number() => _,
                inout("x4") generation.parked_word() => _,
                clobber_abi("C"),
            );
        }
    });
}

/// Leaves the kernel's tables for good, and turns this CPU off.
pub(crate) fn leave() -> ! {
    let place = ground::place(per_cpu::this().number());
    let code = ground::memory_of(&raw const leave_here);
    interrupts::all_masked(|| {
        witness(Edge::Leaves);
        in_identity_map(|empty| {
            // SAFETY: as in `park`, but that it never returns.
            unsafe {
                asm!(
                    "br {code}",
                    code = in(reg) code.value(),
                    in("x0") ground::memory_of(place).value(),
                    in("x2") empty.value(),
                    options(noreturn),
                );
            }
        });
    });
    unreachable!("a CPU came back from where it left for good")
}

/// Stores the first `count` of what [`ground::list_changes`] listed, 1 or more, to the root that this
/// CPU uses, which the identity map shows at `root`.
///
/// # Safety
/// All other CPUs are parked, and all exceptions masked here. The identity map shows the root
/// there, and nobody else writes it. With the new entries everything that this CPU uses is mapped as
/// it was.
pub(crate) unsafe fn exchange(root: VirtAddr, count: u64) {
    let code = ground::memory_of(&raw const exchange_here);
    in_identity_map(|empty| {
        // SAFETY: the code is in the identity map, and touches what the caller vouches for alone; it
        // returns to the upper half, of which the same is mapped.
        unsafe {
            asm!(
                "blr {code}",
                code = in(reg) code.value(),
                inout("x0") root.value() => _,
                inout("x1") ground::changes().value() => _,
                inout("x2") empty.value() => _,
                inout("x3") count => _,
                clobber_abi("C"),
            );
        }
    });
}

/// Does `what`, which is told the empty root, with the identity map in the lower half and all
/// exceptions masked.
fn in_identity_map(what: impl FnOnce(PhysAddr)) {
    let load = ground::load();
    let empty = ttbr::empty_root(load);
    // SAFETY: the lower half maps nothing that anybody uses.
    unsafe { ttbr::install_lower(ttbr::identity_root(load), load) };
    what(empty);
    // SAFETY: as above.
    unsafe { ttbr::install_lower(empty, load) };
}

/// Called by `parking.S` on the kernel's tables: this CPU took an exception on its way into the
/// room or in it.
#[unsafe(no_mangle)]
extern "C" fn fault_while_parked() -> ! {
    let cpu = per_cpu::this().number();
    let [esr, elr, far] = ground::place(cpu).fault();
    console::seize();
    println!();
    println!("!!! CPU {cpu}: exception while it was parked: {}", Syndrome::new(esr));
    println!("    at   {elr:#018x}   FAR {far:#018x}   ESR {esr:#010x}");
    exit::exit(exit::Status::Exception)
}
