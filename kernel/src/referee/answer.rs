//! What the referee does when the kernel calls.

use blockmap::machine::{PhysAddr, PhysRange, VirtAddr};
use blockmap::vmsa::Kind;
use blockmap_kernel::witness::{OutOfTables, Stage2, WATCHER};

use super::call::{CallError, Function, Tally};
use super::frame::Frame;
use super::state::{PAGE_BYTES, Referee};
use super::{observe, registers};

/// Answers a call: x0 says how it went, and the registers after it what was asked for.
pub(super) fn answer(referee: &mut Referee, frame: &mut Frame) {
    let (first, second) = (frame.register(1), frame.register(2));
    let result = match Function::of(frame.register(0)) {
        Some(Function::Watch) => set_rights(referee, (first, second), Stage2::ReadOnly),
        Some(Function::Forget) => set_rights(referee, (first, second), Stage2::ReadWrite),
        Some(Function::Tally) => {
            let tally = tally(referee);
            (1..).zip(tally).for_each(|(number, value)| frame.set_register(number, value));
            Ok(())
        }
        Some(Function::Conflict) => conflict(referee, VirtAddr::new(first), second),
        Some(Function::Start) | None => Err(CallError::Unknown),
    };
    let status = result.err().map_or(0, CallError::number);
    frame.set_register(0, status.cast_unsigned());
}

/// The counts, in the order of [`Tally`]'s fields.
fn tally(referee: &Referee) -> [u64; 8] {
    let counts = referee.counts;
    let tally = Tally {
        stores: counts.stores,
        invalidations: counts.invalidations,
        kept: u64::try_from(referee.log.kept()).unwrap_or(u64::MAX),
        dropped: referee.log.dropped(),
        watched: counts.watched,
        missed: counts.missed,
        refused: counts.refused,
        conflicts: counts.conflicts,
    };
    tally.words()
}

/// Whether the kernel may have tables at `page`.
fn is_the_kernels(referee: &Referee, page: PhysAddr) -> bool {
    let (level, word) = referee.stage2.leaf(page);
    let is_mapped = matches!(WATCHER.kind(level, word), Kind::Leaf);
    is_mapped && !referee.own.contains(page)
}

fn set_rights(
    referee: &mut Referee,
    (start, bytes): (u64, u64),
    rights: Stage2,
) -> Result<(), CallError> {
    let range = PhysRange::new(PhysAddr::new(start), bytes).ok_or(CallError::NotMemory)?;
    let first = range.start().align_down(PAGE_BYTES);
    let pages = range.last().offset_from(first).map_or(0, |bytes| bytes / PAGE_BYTES + 1);
    let mut result = Ok(());
    for page in (0..pages).map(|number| first.wrapping_add(number * PAGE_BYTES)) {
        let set = if is_the_kernels(referee, page) {
            referee.set_watched(page, rights).map_err(out_of_tables)
        } else {
            Err(CallError::NotMemory)
        };
        if set.is_err() && rights == Stage2::ReadOnly {
            referee.counts.missed += 1;
        }
        result = result.and(set);
    }
    registers::flush_stage2();
    result
}

fn conflict(referee: &mut Referee, address: VirtAddr, times: u64) -> Result<(), CallError> {
    referee.end_conflict().map_err(out_of_tables)?;
    let page = observe::kernels(address).ok_or(CallError::NotMapped)?.align_down(PAGE_BYTES);
    if !is_the_kernels(referee, page) {
        return Err(CallError::NotMemory);
    }
    referee.begin_conflict(page, times).map_err(out_of_tables)
}

const fn out_of_tables(_: OutOfTables) -> CallError {
    CallError::OutOfTables
}
