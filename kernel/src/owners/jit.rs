//! Packs of tiny programs, made and run while the kernel runs.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use blockmap::machine::{VirtAddr, VirtRange};
use blockmap_kernel::frames::FRAME_BYTES;
use blockmap_kernel::jit::{PROGRAM_BYTES, Program};
use blockmap_kernel::module::Parts;
use blockmap_kernel::shelf::Shelf;
use thiserror::Error;

use crate::arch::probe::{self, Fault};
use crate::lock::Lock;
use crate::memory::{Executable, ExecutableError, Purpose, System};

/// Packs at a time.
const MOST_PACKS: usize = 64;

/// What programs are given first.
const ARGUMENT: u64 = 0x0123_4567_89ab_cdef;

/// Why something was not done with a pack.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum JitError {
    /// There is no memory for it. Nothing was made.
    #[error(transparent)]
    Memory(#[from] ExecutableError),
    /// There is no place to remember more. Nothing was made.
    #[error("{MOST_PACKS} packs are the most: free one first")]
    TooMany,
    /// There is none of this number.
    #[error("there is no pack {0}: `modules` lists all")]
    None(u32),
    /// It is running. It is there as it was.
    #[error("pack {0} is running")]
    Running(u32),
    /// A program did not return.
    #[error("program {0}: fault: {1}")]
    Fault(u32, Fault),
    /// A program returned something else than it computes.
    #[error("program {0} returned {1:#x}, and computes {2:#x}")]
    Wrong(u32, u64, u64),
}

/// Programs that are in one part.
#[derive(Debug)]
struct Pack {
    memory: Executable,
    programs: u32,
    running: AtomicU32,
}

/// A pack, as it is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackSeen {
    number: u32,
    range: VirtRange,
    alias: Option<VirtRange>,
    programs: u32,
}

static PACKS: Lock<Shelf<Pack, MOST_PACKS>> = Lock::new(Shelf::new());
static NEXT: AtomicU32 = AtomicU32::new(1);

/// Makes `programs` programs.
///
/// # Errors
/// See [`JitError`].
pub(crate) fn make(system: &'static System<'static>, programs: u32) -> Result<PackSeen, JitError> {
    let made = make_new(system, programs);
    if made.is_err() {
        system.release_executable();
    }
    made
}

fn make_new(system: &'static System<'static>, programs: u32) -> Result<PackSeen, JitError> {
    let bytes = u64::from(programs) * PROGRAM_BYTES;
    let bytes = bytes.next_multiple_of(FRAME_BYTES);
    let mut memory = system.take_executable(bytes, Purpose::Jit)?;
    memory.bytes().fill(0);
    let each = usize::try_from(PROGRAM_BYTES).unwrap_or(1);
    for (number, place) in (0..programs).zip(memory.bytes().chunks_exact_mut(each)) {
        Program::numbered(number).write(place);
    }
    let memory = memory.seal(Parts { text: bytes, ..Parts::default() });
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let pack = Pack { memory, programs, running: AtomicU32::new(0) };
    let seen = pack.seen(number);
    PACKS.lock().put(number, pack).map_err(|_| JitError::TooMany)?;
    Ok(seen)
}

/// Runs all programs of a pack, one after another, each on what the one before made; gives what the
/// last made.
///
/// # Errors
/// See [`JitError`]: the first that did not compute what it should.
pub(crate) fn run(number: u32) -> Result<(u32, u64), JitError> {
    let begin = |pack: &Pack| {
        pack.running.fetch_add(1, Ordering::Relaxed);
        (pack.memory.range().start(), pack.programs)
    };
    let (start, programs) = with(number, begin).ok_or(JitError::None(number))?;
    let result = run_all(start, programs);
    with(number, |pack| pack.running.fetch_sub(1, Ordering::Relaxed));
    result.map(|value| (programs, value))
}

fn run_all(start: VirtAddr, programs: u32) -> Result<u64, JitError> {
    (0..programs).try_fold(ARGUMENT, |argument, number| {
        let at = start.wrapping_add(u64::from(number) * PROGRAM_BYTES);
        // SAFETY: a program computes with two registers and returns; nobody frees it meanwhile.
        let result = unsafe { probe::execute(at, argument) };
        let value = result.map_err(|fault| JitError::Fault(number, fault))?;
        let expected = Program::numbered(number).value(argument);
        if value == expected { Ok(value) } else { Err(JitError::Wrong(number, value, expected)) }
    })
}

/// Gives a pack back.
///
/// # Errors
/// See [`JitError`].
pub(crate) fn free(system: &'static System<'static>, number: u32) -> Result<(), JitError> {
    with(number, |_| ()).ok_or(JitError::None(number))?;
    let is_idle = |kept, pack: &Pack| kept == number && pack.running.load(Ordering::Relaxed) == 0;
    let taken = PACKS.lock().take_where(is_idle);
    drop(taken.ok_or(JitError::Running(number))?);
    system.release_executable();
    Ok(())
}

/// All packs.
pub(crate) fn all() -> impl Iterator<Item = PackSeen> {
    (0..MOST_PACKS).map_while(|place| {
        let packs = PACKS.lock();
        packs.iter().nth(place).map(|(number, pack)| pack.seen(number))
    })
}

fn with<T>(number: u32, what: impl FnOnce(&Pack) -> T) -> Option<T> {
    let packs = PACKS.lock();
    packs.iter().find(|(kept, _)| *kept == number).map(|(_, pack)| what(pack))
}

impl Pack {
    fn seen(&self, number: u32) -> PackSeen {
        let (range, alias) = (self.memory.range(), self.memory.alias());
        PackSeen { number, range, alias, programs: self.programs }
    }
}

impl PackSeen {
    /// Its number.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }
}

impl fmt::Display for PackSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, range, alias, programs } = self;
        write!(f, "pack {number} at {range}: {programs} programs")?;
        alias.map_or(Ok(()), |alias| write!(f, ", in the linear map at {alias}"))
    }
}
