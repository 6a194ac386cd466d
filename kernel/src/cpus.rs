//! The machine's CPUs: which there are, which of them use the kernel's tables, and how the others
//! come to do so.

mod admit;
mod announce;
mod job;
mod load;
mod park;
mod reader;
mod set;
mod start;
mod writers;

use core::sync::atomic::{AtomicU32, Ordering};

use blockmap::layout::{Inputs, SizeChoice};
use blockmap::vmsa::cpu::SizeChange;
use blockmap_hw::{frequency_hz, ticks};
use blockmap_kernel::cmdline::SizeChangeOverrides;
use blockmap_kernel::identity::Why;
use blockmap_kernel::trace::{Edge, Member, Record, Recording};

use crate::arch::{ground, per_cpu};
use crate::console;

pub(crate) use admit::answer;
pub(crate) use announce::announce;
pub(crate) use job::Job;
pub(crate) use load::wait_for_accesses;
pub(crate) use park::{MayPark, MayParkError, parkings, with_others_parked};
pub(crate) use reader::{begin_reading, end_reading};
pub(crate) use set::admitted;
pub(crate) use start::start_all;
pub(crate) use writers::Written;

/// What terms follow from, besides the CPUs themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// What CPUs do when live leaves change size, whatever they say themselves.
    pub(crate) overrides: SizeChangeOverrides,
    /// `size-change=`.
    pub(crate) choice: SizeChoice,
    /// What the map was decided from.
    pub(crate) inputs: Inputs,
}

/// How many CPUs have a number.
static ANNOUNCED: AtomicU32 = AtomicU32::new(1);

/// How many CPUs the machine has, as far as there is room for them; their numbers are all below.
pub(crate) fn announced() -> u32 {
    ANNOUNCED.load(Ordering::Relaxed)
}

/// Whether more than one CPU runs the kernel.
pub(crate) fn are_several() -> bool {
    admitted().count() > 1
}

/// What a CPU that has reported does when a live leaf changes its size, and how that is known.
pub(crate) fn size_change(cpu: u32, overrides: &SizeChangeOverrides) -> (SizeChange, Why) {
    ground::place(cpu).report().size_change(cpu, overrides)
}

/// What a CPU that has reported is, as a trace says it.
fn member(cpu: u32, policy: &Policy) -> Member {
    let report = ground::place(cpu).report();
    let size_change = report.size_change(cpu, &policy.overrides).0;
    Member { cpu, midr: report.midr(), size_change, tlbi: report.tlbi_form() }
}

/// Records who uses the tables when a recording begins.
pub(crate) fn record_members(recording: &Recording<'_>, policy: &Policy) {
    for cpu in admitted() {
        recording.add(Record::Edge(Edge::Present(member(cpu, policy))));
    }
}

/// The number of the CPU that executes this.
pub(crate) fn own() -> u32 {
    per_cpu::this().number()
}

/// Waits until `is_done`, and tells whether it was as long as one has [`Patience`]. Interrupts are
/// taken meanwhile, if they are on.
pub(crate) fn wait_until(is_done: impl Fn() -> bool) -> bool {
    let patience = Patience::begin();
    loop {
        if is_done() {
            return true;
        }
        if patience.has_ended() {
            return is_done();
        }
        console::pause();
    }
}

/// How long something is waited for.
struct Patience {
    begun: u64,
}

impl Patience {
    /// It ends in so many seconds that every CPU has its turn.
    fn begin() -> Self {
        Self { begun: ticks() }
    }

    fn has_ended(&self) -> bool {
        let seconds = LIMIT_SECONDS + u64::from(announced() / CPUS_A_SECOND);
        ticks().wrapping_sub(self.begun) > frequency_hz().saturating_mul(seconds)
    }
}

/// How long a CPU has to come, to park or to go. That takes microseconds; an emulator on a busy host
/// may let one of its CPUs wait for a good part of a second.
const LIMIT_SECONDS: u64 = 5;
/// How many CPUs take a second more: an emulator with many more CPUs than its host has lets each of those
/// that wait spin before one that is waited for has its turn.
const CPUS_A_SECOND: u32 = 16;
