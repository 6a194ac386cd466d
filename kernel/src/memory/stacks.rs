//! The stacks of the CPUs that start after the first: in the zone, each above a page that is never
//! mapped.

use blockmap::machine::{PhysAddr, PhysRange, VirtAddr, VirtRange};

use super::address_map::{STACKS, TRACE};
use crate::arch::ground::MOST_CPUS;
use crate::cpus;

/// One of a CPU's stacks.
#[derive(Clone, Copy, Debug)]
struct Stack {
    name: &'static str,
    /// From the start of the CPU's part, of the guard page.
    guard: u64,
    /// Bytes above the guard page.
    bytes: u64,
}

const PAGE: u64 = 4096;

/// Exceptions are handled on the first, parking included; the second is for an exception that is
/// taken meanwhile; the CPU runs on the third.
const OF_ONE_CPU: [Stack; 3] = [
    Stack { name: "exception", guard: 0, bytes: 4 * PAGE },
    Stack { name: "last exception", guard: 5 * PAGE, bytes: 2 * PAGE },
    Stack { name: "main", guard: 8 * PAGE, bytes: 7 * PAGE },
];

/// Bytes of addresses of one CPU.
const STEP: u64 = 16 * PAGE;
/// Bytes of memory of one CPU.
const BYTES: u64 = 13 * PAGE;

const _: () = assert!(
    MOST_CPUS.is_power_of_two() && STACKS.value() + (STEP << MOST_CPUS.ilog2()) <= TRACE.value(),
    "the stacks of all CPUs fit below the trace"
);

/// Bytes of memory that the stacks of `cpus` CPUs take, the first having its own.
pub(super) fn bytes_needed(cpus: u32) -> u64 {
    u64::from(cpus.saturating_sub(1)) * BYTES
}

/// Every stack of `cpus` CPUs, and its memory, when all of it is `memory`.
pub(super) fn all(cpus: u32, memory: PhysRange) -> impl Iterator<Item = (VirtRange, PhysAddr)> {
    let mut at = memory.start();
    (1..cpus).flat_map(|cpu| OF_ONE_CPU.map(|stack| range(cpu, stack))).map(move |range| {
        let here = at;
        at = at.wrapping_add(range.bytes());
        (range, here)
    })
}

/// The upper ends of the stacks of the CPU with this number, which is not the first: main,
/// exception, last exception.
pub(crate) fn stacks(cpu: u32) -> (VirtAddr, VirtAddr, VirtAddr) {
    let [exception, last, main] = OF_ONE_CPU.map(|stack| range(cpu, stack).end());
    (main, exception, last)
}

/// The CPU and the stack whose guard page holds `address`.
pub(crate) fn guarded_stack(address: VirtAddr) -> Option<(u32, &'static str)> {
    let offset = address.offset_from(STACKS)?;
    let cpu = u32::try_from(offset / STEP).ok()?.checked_add(1)?;
    let is_guard = |stack: &Stack| (stack.guard..stack.guard + PAGE).contains(&(offset % STEP));
    let stack = OF_ONE_CPU.into_iter().find(is_guard)?;
    (cpu < cpus::announced()).then_some((cpu, stack.name))
}

fn range(cpu: u32, stack: Stack) -> VirtRange {
    let part = STACKS.wrapping_add(u64::from(cpu - 1) * STEP);
    match VirtRange::new(part.wrapping_add(stack.guard + PAGE), stack.bytes) {
        Some(range) => range,
        None => unreachable!("the zone does not wrap"),
    }
}
