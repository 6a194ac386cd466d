//! Making code that was written fetchable.
//!
//! ```text timeline: publish code
//! 1. dc cvau    the new instructions reach the point of unification
//! 2. dsb ish
//! 3. ic ivau    no instruction cache holds what was there before
//! 4. dsb ish
//! 5. isb        this CPU's pipeline neither
//! ```
//!
//! Another CPU that will run the code needs its own context synchronisation after step 4: an
//! exception return is one. [code-clean-before-run]

use blockmap_machine::{Barrier, CacheOp, Event, Machine, PhysRange};

/// Makes instructions that were stored to `range` the ones that are fetched, before the memory is
/// made executable.
///
/// Source: "Synchronization and coherency issues between data and instruction accesses".
pub fn publish_code(machine: &impl Machine, range: PhysRange) {
    machine.perform(Event::Maintain { op: CacheOp::DcCvau, range });
    machine.barrier(Barrier::DsbIsh);
    machine.perform(Event::Maintain { op: CacheOp::IcIvau, range });
    machine.barrier(Barrier::DsbIsh);
    machine.barrier(Barrier::Isb);
}
