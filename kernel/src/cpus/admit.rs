//! Admission: who may use the kernel's tables, and what follows for all.

use core::sync::atomic::{AtomicBool, Ordering};

use blockmap::Terms;
use blockmap::layout::{Admitted, Answer, KeptOff, Strategy};
use blockmap::vmsa::TlbiForm;
use blockmap_kernel::trace::Edge;
use thiserror::Error;

use super::job::Order;
use super::set::ADMITTED;
use super::start::{self, StartError};
use super::{Policy, admitted, announced, member, own, size_change, wait_until};
use crate::arch::gic::{self, Ipi};
use crate::arch::ground::{self, Seat, Stage};
use crate::arch::{per_cpu, psci};
use crate::console::pause;
use crate::memory::{self, System};
use crate::run::witness;

/// Why a CPU that has reported is not admitted. It stays in the identity map, or turns itself off.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum AdmitError {
    /// The command line keeps it off.
    #[error("CPU {cpu}: {why}")]
    KeptOff {
        /// The CPU.
        cpu: u32,
        /// What it does that is not wanted.
        why: KeptOff,
    },
    /// It was admitted and did not begin to run. It counts as admitted: nobody knows what it uses.
    #[error("CPU {0} was admitted and did not begin to run in time: nobody can be parked any more")]
    Stuck(u32),
    /// It has no interrupt controller, and went.
    #[error("CPU {0} left again")]
    Went(u32),
}

/// Why a CPU did not leave.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum LeaveError {
    /// There is no such CPU, or it does not run.
    #[error("CPU {0} does not run")]
    NotRunning(u32),
    /// The monitor runs on it.
    #[error("CPU {0} runs the monitor: it stays")]
    Own(u32),
    /// It did not do what it was told.
    #[error("CPU {0} did not leave in time: it still counts as one that uses the tables")]
    Stuck(u32),
    /// It left the tables, and firmware did not turn it off.
    #[error("CPU {0} has left the tables, but PSCI did not turn it off: it waits")]
    StaysOn(u32),
}

/// Admits a CPU that has reported and is fit.
///
/// Operations that are under way end under the terms they began with; those that come wait until
/// the CPU runs.
pub(super) fn admit(system: &'static System<'static>, cpu: u32) -> Result<(), AdmitError> {
    let (place, policy) = (ground::place(cpu), system.policy());
    let change = size_change(cpu, &policy.overrides).0;
    policy.choice.admits(change).map_err(|why| {
        place.go();
        AdmitError::KeptOff { cpu, why }
    })?;
    system.entrance().begin_change(pause);
    ADMITTED.add(cpu);
    let (stack, exception_stack, last_stack) = memory::stacks(cpu);
    let data = per_cpu::of(cpu);
    data.set_last_stack(last_stack);
    data.job.set_order(Order::Wait);
    witness(Edge::Calls(member(cpu, policy)));
    place.come(&Seat { root: system.root(), stack, exception_stack, per_cpu: data.address() });
    let result = if !wait_until(|| place.stage() != Stage::Reported) {
        Err(AdmitError::Stuck(cpu))
    } else if place.stage() == Stage::Running {
        witness(Edge::Runs(cpu));
        Ok(())
    } else {
        witness(Edge::Left(cpu));
        ADMITTED.remove(cpu);
        Err(AdmitError::Went(cpu))
    };
    system.entrance().end_change(terms_of_admitted(system.policy()));
    result
}

/// The terms that all admitted CPUs agree on.
fn terms_of_admitted(policy: &Policy) -> Terms {
    let strategy = strategy_with(policy, None, answer());
    let form = |cpu| ground::place(cpu).report().tlbi_form();
    let all_ranged = admitted().all(|cpu| form(cpu) == TlbiForm::Ranged);
    let tlbi = if all_ranged { TlbiForm::Ranged } else { TlbiForm::ByAddress };
    Terms { strategy, tlbi }
}

/// The strategy of all admitted CPUs and one more, if the answer is this.
pub(super) fn strategy_with(policy: &Policy, newcomer: Option<u32>, answer: Answer) -> Strategy {
    let change = |cpu| size_change(cpu, &policy.overrides).0;
    let others = admitted().chain(newcomer).filter(|cpu| *cpu != 0).map(change).min();
    Strategy::of(policy.choice, Admitted { boot: change(0), others, answer })
}

/// Whether CPUs are still expected.
pub(crate) fn answer() -> Answer {
    if IS_FINAL.load(Ordering::Relaxed) { Answer::Final } else { Answer::Open }
}

/// Whether all CPUs that were announced have been heard of, or will not be.
static IS_FINAL: AtomicBool = AtomicBool::new(false);

/// No CPU is expected any more: the terms are final.
pub(super) fn finish(system: &System<'static>) {
    system.entrance().begin_change(pause);
    IS_FINAL.store(true, Ordering::Relaxed);
    system.entrance().end_change(terms_of_admitted(system.policy()));
}

impl System<'static> {
    /// Starts a CPU, and admits it.
    pub(crate) fn cpu_on(&'static self, cpu: u32) -> Result<(), StartError> {
        start::start(self, cpu)
    }

    /// Has a CPU leave the tables, and turns it off.
    pub(crate) fn cpu_off(&'static self, cpu: u32) -> Result<(), LeaveError> {
        let is_running =
            cpu < announced() && ADMITTED.has(cpu) && ground::place(cpu).stage() == Stage::Running;
        if !is_running {
            return Err(LeaveError::NotRunning(cpu));
        }
        if cpu == own() || cpu == 0 {
            return Err(LeaveError::Own(cpu));
        }
        let (place, data) = (ground::place(cpu), per_cpu::of(cpu));
        if self.end_load(cpu).is_err() {
            return Err(LeaveError::Stuck(cpu));
        }
        self.entrance().begin_change(pause);
        data.job.set_order(Order::Leave);
        gic::send(Ipi::Wake, cpu);
        // It says so after its last use of the tables.
        let left = wait_until(|| place.stage() != Stage::Running);
        if left {
            witness(Edge::Left(cpu));
            ADMITTED.remove(cpu);
        }
        self.entrance().end_change(terms_of_admitted(self.policy()));
        if !left {
            return Err(LeaveError::Stuck(cpu));
        }
        let is_off = || psci::is_off(data.mpidr()).unwrap_or(true);
        if wait_until(|| is_off() || place.stage() == Stage::Reported) && is_off() {
            place.set_stage(Stage::Off);
            return Ok(());
        }
        Err(LeaveError::StaysOn(cpu))
    }
}
