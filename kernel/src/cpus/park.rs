//! Parking all other CPUs, and doing something meanwhile.

use blockmap::NotParked;
use blockmap_hw::ticks;
use blockmap_kernel::parking::Generation;
use blockmap_kernel::trace::Edge;
use thiserror::Error;

use super::{Patience, admitted, are_several, own, wait_until};
use crate::arch::gic::{self, Ipi};
use crate::arch::{ground, interrupts, per_cpu};
use crate::console::pause;
use crate::count;
use crate::lock::Lock;
use crate::run::{Account, account, witness};

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
    what: impl FnOnce(&T, Account),
) -> Result<(), NotParked> {
    // Whoever waits here answers requests: its interrupts are on.
    let mut parkings = PARKING.lock();
    let prepared = prepare();
    let generation = ground::gate().next();
    let cpus = u32::try_from(others().count()).unwrap_or(u32::MAX);
    witness(Edge::Asks(generation.number()));
    let result = bring_in(generation);
    // From here to the release every instruction is one that all others wait for.
    let (all, begun) = (ticks(), count::now());
    let account = account();
    match result {
        Ok(_) => interrupts::all_masked(|| {
            if account == Account::Kept {
                witness(Edge::AllIn { generation: generation.number(), cpus });
            }
            what(&prepared, account);
            release(generation, account);
        }),
        Err(_) => release(generation, account),
    }
    let (ended, end) = (count::now(), ticks());
    match result {
        Ok(first) => {
            parkings.count += 1;
            let last = |begun: u64, worst: u64| {
                let took = end.wrapping_sub(begun);
                (took, took.max(worst))
            };
            parkings.first = last(first.unwrap_or(all), parkings.first.1);
            parkings.all = last(all, parkings.all.1);
            parkings.cycles = count::between(begun, ended);
        }
        Err(_) => parkings.given_up += 1,
    }
    result.map(|_| ())
}

/// Lets go whoever is parked.
#[inline]
fn release(generation: Generation, account: Account) {
    if account == Account::Kept {
        witness(Edge::Opens(generation.number()));
    }
    ground::gate().open(generation);
    ground::wake_waiting();
}

/// Brings all others into the room, or gives up: then every ticket that was not taken is withdrawn,
/// and the caller opens the gate for the rest. Tells when the first of them came.
fn bring_in(generation: Generation) -> Result<Option<u64>, NotParked> {
    let result = ask(generation).and_then(|()| await_all(generation));
    if result.is_err() {
        for cpu in others() {
            ground::place(cpu).ticket.withdraw(generation);
        }
    }
    result
}

fn ask(generation: Generation) -> Result<(), NotParked> {
    for cpu in others() {
        // It may still be on its way out of the last parking.
        let ticket = &ground::place(cpu).ticket;
        if !wait_until(|| ticket.ask(generation)) {
            return Err(NotParked { cpu });
        }
        gic::send(Ipi::Park, cpu);
    }
    Ok(())
}

/// Waits for each of the others, as long as any of them comes: where there are many more CPUs than
/// an emulator's host has, one of them may come long after it was asked.
fn await_all(generation: Generation) -> Result<Option<u64>, NotParked> {
    let is_in = |cpu: &u32| ground::place(*cpu).ticket.is_parked(generation);
    let (mut first, mut came, mut patience) = (None, 0, Patience::begin());
    for cpu in others() {
        while !is_in(&cpu) {
            if first.is_none() && others().any(|cpu| is_in(&cpu)) {
                first = Some(ticks());
            }
            if patience.has_ended() {
                let count = others().filter(is_in).count();
                if count == came {
                    return Err(NotParked { cpu });
                }
                (came, patience) = (count, Patience::begin());
            }
            pause();
        }
    }
    Ok(first)
}

/// All CPUs that are admitted but the one that asks.
fn others() -> impl Iterator<Item = u32> {
    let own = own();
    admitted().filter(move |cpu| *cpu != own)
}
