//! Parking all other CPUs, and doing something meanwhile.

use core::sync::atomic::{AtomicU64, Ordering};

use blockmap::NotParked;
use blockmap_hw::ticks;
use blockmap_kernel::parking::Generation;
use blockmap_kernel::trace::Edge;
use thiserror::Error;

use super::{admitted, are_several, own, wait_until};
use crate::arch::gic::{self, Ipi};
use crate::arch::{ground, interrupts, per_cpu};
use crate::count;
use crate::lock::Lock;
use crate::run::witness;

/// Proof that its holder may wait for other CPUs: its interrupts are on, and it holds no lock.
#[derive(Debug)]
pub(crate) struct MayPark(());

/// Why a CPU may not park others at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum MayParkError {
    /// It could not answer when others want to park it.
    #[error("interrupts are masked: nobody may be parked from here")]
    Masked,
    /// Somebody who is to park may wait for a lock of its.
    #[error("{0} locks are held: nobody may be parked from here")]
    Locks(u32),
}

impl MayPark {
    /// Sees whether the CPU that asks may. While it is the only one, nobody asks it anything.
    pub(crate) fn check() -> Result<Self, MayParkError> {
        if !interrupts::are_on() && are_several() {
            return Err(MayParkError::Masked);
        }
        match per_cpu::this().locks() {
            0 => Ok(Self(())),
            locks => Err(MayParkError::Locks(locks)),
        }
    }
}

/// How often CPUs were parked, and for how long, in ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parkings {
    /// How often.
    pub(crate) count: u64,
    /// How often it was given up.
    pub(crate) given_up: u64,
    /// From the first CPU's arrival to the release: the last time, and the longest.
    pub(crate) first: (u64, u64),
    /// From the last CPU's arrival to the release: the last time, and the longest.
    pub(crate) all: (u64, u64),
    /// The same of the last time in cycles, if these were counted.
    pub(crate) cycles: u64,
}

static PARKING: Lock<Parkings> =
    Lock::new(Parkings { count: 0, given_up: 0, first: (0, 0), all: (0, 0), cycles: 0 });

/// How often CPUs were parked.
pub(crate) fn parkings() -> Parkings {
    *PARKING.lock()
}

/// Does `what` while no other CPU that is admitted uses the kernel's tables, or holds anything of
/// them. What `prepare` makes before is dropped afterwards, when all run again; nobody else parks
/// CPUs while it exists.
///
/// # Errors
/// A CPU did not come; `what` was not done.
pub(crate) fn with_others_parked<T>(
    _: &MayPark,
    prepare: impl FnOnce() -> T,
    what: impl FnOnce(&T),
) -> Result<(), NotParked> {
    // Whoever waits here answers requests: its interrupts are on.
    let mut parkings = PARKING.lock();
    let prepared = prepare();
    let gate = ground::gate();
    let generation = gate.next();
    let others = u32::try_from(admitted().count()).unwrap_or(u32::MAX).saturating_sub(1);
    witness(Edge::Asks(generation.number()));
    let first = AtomicU64::new(0);
    let result = bring_in(generation, &first);
    if result.is_ok() {
        witness(Edge::AllIn { generation: generation.number(), cpus: others });
    }
    let (all, begun) = (ticks(), count::now());
    if result.is_ok() {
        interrupts::all_masked(|| what(&prepared));
    }
    witness(Edge::Opens(generation.number()));
    gate.open(generation);
    ground::wake_waiting();
    let (ended, end) = (count::now(), ticks());
    match result {
        Ok(()) => {
            parkings.count += 1;
            let last = |begun: u64, worst: u64| {
                let took = end.wrapping_sub(begun);
                (took, took.max(worst))
            };
            let first = first.load(Ordering::Relaxed);
            parkings.first = last(if first == 0 { all } else { first }, parkings.first.1);
            parkings.all = last(all, parkings.all.1);
            parkings.cycles = count::between(begun, ended);
        }
        Err(_) => parkings.given_up += 1,
    }
    result
}

/// Brings all others into the room, or gives up: then every ticket that was not taken is withdrawn,
/// and the caller opens the gate for the rest.
fn bring_in(generation: Generation, first: &AtomicU64) -> Result<(), NotParked> {
    let own = own();
    let others = || admitted().filter(move |cpu| *cpu != own);
    let is_in = |cpu| ground::place(cpu).ticket.is_parked(generation);
    let mut result = Ok(());
    for cpu in others() {
        // It may still be on its way out of the last parking.
        let ticket = &ground::place(cpu).ticket;
        if !wait_until(|| ticket.ask(generation)) {
            result = Err(NotParked { cpu });
            break;
        }
        gic::send(Ipi::Park, cpu);
    }
    if result.is_ok() {
        for cpu in others() {
            let came = wait_until(|| {
                let came = is_in(cpu);
                if first.load(Ordering::Relaxed) == 0 && (came || others().any(is_in)) {
                    first.store(ticks(), Ordering::Relaxed);
                }
                came
            });
            if !came {
                result = Err(NotParked { cpu });
                break;
            }
        }
    }
    if result.is_err() {
        for cpu in others() {
            ground::place(cpu).ticket.withdraw(generation);
        }
    }
    result
}
