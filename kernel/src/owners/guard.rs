//! The guard pool: objects with a page for themselves, whose pages are valid while they are taken and
//! invalid before and after, so that whoever is past an object's end or too late is found.
//!
//! Its pages change from any context: taking and giving back is done in an interrupt handler here,
//! wherever there is an interrupt controller.

use core::sync::atomic::{AtomicU64, Ordering};

use blockmap::machine::{PhysRange, VirtAddr};
use blockmap::vmsa::Change;
use blockmap::{CarveError, Grain, PartError};
use blockmap_hw::ticks;
use blockmap_kernel::cmdline::GuardPool;
use blockmap_kernel::frames::Purpose;
use blockmap_kernel::guard::{
    Exchange, GiveError, Moment, OBJECTS, POOL_BYTES, Pool, Story, TakeError,
};
use blockmap_kernel::trace::Edge;
use thiserror::Error;

use crate::arch::gic::{self, Ipi};
use crate::arch::interrupts;
use crate::cpus;
use crate::lock::Lock;
use crate::memory::{Owned, System};
use crate::run::witness;

/// Log2 of the pages of a pool.
const POOL_ORDER: u32 = 9;

/// Why the guard pool did not do what was asked. Nothing was changed.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum GuardError {
    /// There is to be none.
    #[error("there is no guard pool: say guard-pool=early or guard-pool=late on the command line")]
    Off,
    /// It is not there yet.
    #[error("the guard pool is not on: guard on makes it")]
    NotOn,
    /// It is there.
    #[error("the guard pool is on")]
    On,
    /// It stays.
    #[error("the guard pool was placed at boot, and stays")]
    Early,
    /// Somebody has an object.
    #[error("{0} objects of the guard pool are taken: give them back first")]
    Taken(u32),
    /// There is no memory in one piece.
    #[error("{POOL_BYTES:#x} bytes of memory in one piece are not free")]
    NoMemory,
    /// Its memory can't be carved.
    #[error(transparent)]
    Carve(#[from] CarveError),
    /// The rights of a page can't be changed.
    #[error(transparent)]
    Part(#[from] PartError),
    /// An object can't be taken.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// An object can't be given back.
    #[error(transparent)]
    Give(#[from] GiveError),
    /// The CPU did not answer.
    #[error("CPU {0} does not run, or does not take the interrupt")]
    NoAnswer(u32),
}

/// The pool's memory, and when it came.
#[derive(Debug)]
struct Ground {
    owned: Owned,
    memory: PhysRange,
    comes: GuardPool,
}

/// What a CPU is asked to do in an interrupt handler.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    /// Take an object of so many bytes.
    Take(u64),
    /// Give the object at this address back.
    Give(VirtAddr),
}

/// One request on its way, and its answer.
type Asked = Exchange<Request, Result<VirtAddr, GuardError>>;

static NUMBER: AtomicU64 = AtomicU64::new(0);
static POOL: Pool = Pool::new();
/// Held with interrupts masked, and never for long: interrupt handlers wait for it.
static GROUND: Lock<Option<Ground>> = Lock::new(None);
/// As [`GROUND`].
static EXCHANGE: Lock<Asked> = Lock::new(Exchange::Idle);

/// Does `what` with what the lock is for, and with interrupts masked: no handler waits for a lock that
/// the code that it interrupted holds.
fn with<T, R>(lock: &Lock<T>, what: impl FnOnce(&mut T) -> R) -> R {
    interrupts::all_masked(|| what(&mut lock.lock()))
}

/// Makes the pool: in `memory`, whose leaves are pages already, or in free memory that it is carved
/// from.
pub(crate) fn begin(
    system: &'static System<'static>,
    (comes, memory): (GuardPool, Option<PhysRange>),
) -> Result<(), GuardError> {
    if with(&GROUND, |ground| ground.is_some()) {
        return Err(GuardError::On);
    }
    let memory = match (comes, memory) {
        (GuardPool::Off, _) => return Err(GuardError::Off),
        (GuardPool::Early, memory) => memory.ok_or(GuardError::NoMemory)?,
        (GuardPool::Late, _) => {
            let block = system.frame_states().allocate_block(Purpose::Data, POOL_ORDER);
            block.ok_or(GuardError::NoMemory)?
        }
    };
    match carve(system, memory) {
        Ok(owned) => {
            POOL.forget();
            with(&GROUND, |ground| *ground = Some(Ground { owned, memory, comes }));
            Ok(())
        }
        Err(error) => {
            give_memory(system, (comes, memory));
            Err(error)
        }
    }
}

/// Unmakes a pool that came late: its memory is as it was.
pub(crate) fn end(system: &'static System<'static>) -> Result<(), GuardError> {
    let taken = with(&GROUND, |ground| match ground {
        None => Err(GuardError::NotOn),
        Some(Ground { comes: GuardPool::Early, .. }) => Err(GuardError::Early),
        Some(_) if POOL.taken() > 0 => Err(GuardError::Taken(POOL.taken())),
        Some(_) => Ok(ground.take()),
    })?;
    if let Some(Ground { owned, memory, comes }) = taken {
        owned.restore();
        give_memory(system, (comes, memory));
    }
    Ok(())
}

/// Has a CPU do what is asked in an interrupt handler, or does it here with interrupts masked where
/// CPUs can't interrupt each other. Gives the object's address.
pub(crate) fn ask(cpu: u32, request: Request) -> Result<VirtAddr, GuardError> {
    if !gic::is_there() {
        return interrupts::all_masked(|| carry_out(request));
    }
    if !cpus::admitted().any(|one| one == cpu) {
        return Err(GuardError::NoAnswer(cpu));
    }
    // Two numbers for each request: one for the request, one for its answer.
    let number = NUMBER.fetch_add(2, Ordering::Relaxed);
    witness(Edge::Tells(number));
    with(&EXCHANGE, |exchange| exchange.ask((cpu, number), request));
    gic::send(Ipi::Guard, cpu);
    cpus::wait_until(|| with(&EXCHANGE, |exchange| exchange.is_answered(number)));
    let answer =
        with(&EXCHANGE, |exchange| exchange.end(number)).ok_or(GuardError::NoAnswer(cpu))?;
    witness(Edge::IsTold(number + 1));
    answer
}

/// In an interrupt handler: does what this CPU is asked to do, if it is.
pub(crate) fn interrupted() {
    let asked = with(&EXCHANGE, |exchange| exchange.take(cpus::own()));
    if let Some((number, request)) = asked {
        witness(Edge::IsTold(number));
        let answer = carry_out(request);
        witness(Edge::Tells(number + 1));
        let late = with(&EXCHANGE, |exchange| exchange.answer(number, answer)).err();
        // Nobody knows of the object.
        if let (Request::Take(_), Some(Ok(object))) = (request, late) {
            let _given = carry_out(Request::Give(object));
        }
    }
}

/// What there is to tell of an address, if it is in the pool: from any context.
pub(crate) fn story(address: VirtAddr) -> Option<Story> {
    let ground = GROUND.try_lock()?;
    let start = ground.as_ref()?.owned.range().start();
    POOL.story(start, address)
}

/// Where the pool is, how many of its objects are taken, and how many there are.
pub(crate) fn state() -> Option<(PhysRange, u32, u32)> {
    with(&GROUND, |ground| ground.as_ref().map(|ground| (ground.memory, POOL.taken(), OBJECTS)))
}

/// With interrupts masked: takes an object or gives one back.
fn carry_out(request: Request) -> Result<VirtAddr, GuardError> {
    let ground = GROUND.lock();
    let owned = &ground.as_ref().ok_or(GuardError::NotOn)?.owned;
    let start = owned.range().start();
    let now = Moment { cpu: cpus::own(), ticks: ticks() };
    match request {
        Request::Take(bytes) => {
            let object = POOL.take((start, bytes), now)?;
            owned.protect(object.page, Change::Valid)?;
            Ok(object.range.start())
        }
        Request::Give(address) => {
            // Nobody takes it before its page is invalid: they would wait for the lock.
            let object = POOL.give_back((start, address), now)?;
            owned.protect(object.page, Change::Invalid)?;
            Ok(address)
        }
    }
}

/// Makes `memory` a range of invalid pages that change one by one.
fn carve(system: &'static System<'static>, memory: PhysRange) -> Result<Owned, GuardError> {
    let range = system.linear_range(memory).ok_or(GuardError::NoMemory)?;
    let owned = system.carve(range, Grain::Bytes(blockmap_kernel::frames::FRAME_BYTES))?;
    owned.protect(range, Change::Invalid)?;
    Ok(owned)
}

fn give_memory(system: &System<'static>, (comes, memory): (GuardPool, PhysRange)) {
    match comes {
        GuardPool::Off | GuardPool::Early => {}
        GuardPool::Late => {
            if let Err(error) = system.frame_states().free_block(Purpose::Data, memory) {
                panic!("the guard pool's memory can't be freed: {error}");
            }
        }
    }
}
