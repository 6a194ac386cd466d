//! Calls from the kernel to the referee, by HVC.
//!
//! Source: "SMC Calling Convention" (DEN 0028), fast calls of 64 bits in the range of
//! vendor-specific hypervisor services.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use blockmap::machine::{PhysRange, VirtAddr};
use smccc::{Call, Hvc};
use thiserror::Error;

/// A call that the referee answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Function {
    /// Come into being; `enter.S` knows the registers.
    Start = 1,
    /// These pages are tables: x1 start, x2 bytes.
    Watch = 2,
    /// These pages are tables no more: x1 start, x2 bytes.
    Forget = 3,
    /// How often what happened, from x1 on.
    Tally = 4,
    /// The next x2 accesses to the page of the address x1 conflict.
    Conflict = 5,
}

/// Fast, 64 bits, vendor-specific hypervisor service.
const RANGE: u32 = 1 << 31 | 1 << 30 | 6 << 24;

impl Function {
    const ALL: [Self; 5] = [Self::Start, Self::Watch, Self::Forget, Self::Tally, Self::Conflict];

    /// The function identifier.
    pub(super) const fn identifier(self) -> u32 {
        #[expect(clippy::as_conversions, reason = "the number that the enum gives it")]
        let number = self as u32;
        RANGE | number
    }

    /// The function with this identifier.
    pub(super) fn of(identifier: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| u64::from(known.identifier()) == identifier)
    }
}

/// Why the referee did not do as it was asked. Of a range, what could be done was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    /// There is no referee, or not this call.
    #[error("no referee is there: boot with `cargo xtask boot --referee`")]
    Unknown,
    /// There is no memory there that the kernel could have tables in, or the referee is there.
    #[error("that is not the kernel's memory")]
    NotMemory,
    /// The referee has used up its own tables.
    #[error("the referee has no tables left to watch single pages with")]
    OutOfTables,
    /// The kernel's tables lead nowhere from the address.
    #[error("nothing is mapped there")]
    NotMapped,
}

impl CallError {
    /// The number in x0. Zero is success, and −1 what the calling convention says of calls that
    /// nobody answers.
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Unknown => -1,
            Self::NotMemory => -2,
            Self::OutOfTables => -3,
            Self::NotMapped => -4,
        }
    }

    const fn result(number: i64) -> Result<(), Self> {
        match number {
            0 => Ok(()),
            -2 => Err(Self::NotMemory),
            -3 => Err(Self::OutOfTables),
            -4 => Err(Self::NotMapped),
            _ => Err(Self::Unknown),
        }
    }
}

/// Whether there is a referee: without one no call is made.
static IS_THERE: AtomicBool = AtomicBool::new(false);

/// The referee is there from now on.
pub(super) fn set_there() {
    IS_THERE.store(true, Ordering::Relaxed);
}

/// Whether there is a referee.
pub(crate) fn is_there() -> bool {
    IS_THERE.load(Ordering::Relaxed)
}

/// Makes a call with these values in x1 and the registers after it, and gives the answer's.
pub(super) fn call<const N: usize>(
    function: Function,
    values: [u64; N],
) -> Result<[u64; 17], CallError> {
    let mut arguments = [0; 17];
    arguments.iter_mut().zip(values).for_each(|(argument, value)| *argument = value);
    let [status, answers @ ..] = Hvc::call64(function.identifier(), arguments);
    CallError::result(status.cast_signed()).map(|()| answers)
}

/// As [`call`], if there is a referee.
fn ask<const N: usize>(function: Function, values: [u64; N]) -> Result<[u64; 17], CallError> {
    if IS_THERE.load(Ordering::Relaxed) { call(function, values) } else { Err(CallError::Unknown) }
}

/// Tells the referee, if there is one, that tables are in `pages` from now on.
///
/// It counts what it can't watch; [`Tally`] says so.
pub(crate) fn watch(pages: PhysRange) {
    let _counted = ask(Function::Watch, [pages.start().value(), pages.bytes()]);
}

/// Tells the referee, if there is one, that no tables are in `pages` any more.
pub(crate) fn forget(pages: PhysRange) {
    let _counted = ask(Function::Forget, [pages.start().value(), pages.bytes()]);
}

/// How often what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Stores to tables.
    pub(crate) stores: u64,
    /// TLB maintenance instructions.
    pub(crate) invalidations: u64,
    /// How much of what was seen is kept, from the first on.
    pub(crate) kept: u64,
    /// How much came after the last for which there was room.
    pub(crate) dropped: u64,
    /// Pages that are watched.
    pub(crate) watched: u64,
    /// Pages that could not be watched.
    pub(crate) missed: u64,
    /// Accesses that the referee could not do for the kernel.
    pub(crate) refused: u64,
    /// TLB conflict aborts that it injected.
    pub(crate) conflicts: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stores, invalidations, kept, dropped, watched, missed, refused, conflicts } =
            self;
        writeln!(f, "seen: {stores} stores to tables, {invalidations} TLB invalidations")?;
        writeln!(f, "kept: {kept} in order; {dropped} dropped after that")?;
        writeln!(f, "watched: {watched} pages; {missed} could not be watched")?;
        write!(f, "refused: {refused} accesses; TLB conflicts injected: {conflicts}")
    }
}

impl Tally {
    /// The values in the order in which a call passes them.
    pub(super) const fn words(self) -> [u64; 8] {
        let Self { stores, invalidations, kept, dropped, watched, missed, refused, conflicts } =
            self;
        [stores, invalidations, kept, dropped, watched, missed, refused, conflicts]
    }
}

/// What the referee has counted so far.
pub(crate) fn tally() -> Result<Tally, CallError> {
    let [stores, invalidations, kept, dropped, watched, missed, refused, conflicts, ..] =
        ask(Function::Tally, [])?;
    Ok(Tally { stores, invalidations, kept, dropped, watched, missed, refused, conflicts })
}

/// Has the next `times` accesses to the page of `address` end in a TLB conflict abort, before they
/// reach memory. With none, ends what was asked for before.
pub(crate) fn conflict(address: VirtAddr, times: u64) -> Result<(), CallError> {
    ask(Function::Conflict, [address.value(), times]).map(|_| ())
}
