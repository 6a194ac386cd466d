//! TLB conflict aborts: the TLB held two entries for one address, and the CPU would not choose.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use blockmap_hw::{FaultStatus, ticks};

use super::exceptions::Frame;

/// How many were recovered from.
static RECOVERED: AtomicU64 = AtomicU64::new(0);

/// The state that the last one was met in, and when it was recovered from.
static LAST: [AtomicU64; STATE_WORDS + 1] = [const { AtomicU64::new(0) }; STATE_WORDS + 1];

/// Words of [`state`].
const STATE_WORDS: usize = 35;

/// What is made of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is about something else.
    None,
    /// The TLB is empty: the instruction can be tried again.
    Recovered,
    /// It came again at once, though the TLB had been emptied.
    Again,
}

/// How many TLB conflict aborts were recovered from.
pub(crate) fn recovered() -> u64 {
    RECOVERED.load(Ordering::Relaxed)
}

/// Empties this CPU's TLB if that is what the exception asks for.
///
/// Whatever entries conflict, none of them is left: the walk that follows finds what the tables say.
/// If the access conflicts again with every register as it was, within a millisecond, then it was
/// tried again and nothing else was done, and it is not the TLB's contents that is wrong.
///
/// Source: RBLRKC, "TLB maintenance due to TLB conflict": only invalidating everything is certain to help.
pub(super) fn judge(frame: &Frame) -> Verdict {
    match frame.syndrome().abort().map(|abort| abort.status) {
        Some(FaultStatus::TlbConflict) => {}
        Some(_) | None => return Verdict::None,
    }
    let [last @ .., when] = &LAST;
    let state = state(frame);
    let is_same = state.iter().zip(last).all(|(now, then)| *now == then.load(Ordering::Relaxed));
    let elapsed = ticks().wrapping_sub(when.load(Ordering::Relaxed));
    if is_same && elapsed < blockmap_hw::frequency_hz() / 1000 {
        return Verdict::Again;
    }
    // SAFETY: a TLB holds copies of what the tables say; dropping them loses nothing.
    unsafe { asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack, preserves_flags)) };
    RECOVERED.fetch_add(1, Ordering::Relaxed);
    for (then, now) in last.iter().zip(state) {
        then.store(now, Ordering::Relaxed);
    }
    when.store(ticks(), Ordering::Relaxed);
    Verdict::Recovered
}

/// Every register of the code that met the conflict, and the address.
fn state(frame: &Frame) -> [u64; STATE_WORDS] {
    let mut state = [frame.sp; STATE_WORDS];
    let words = frame.x.into_iter().chain([frame.elr, frame.spsr, frame.far]);
    state.iter_mut().zip(words).for_each(|(place, word)| *place = word);
    state
}
