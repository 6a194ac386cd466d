//! PSCI: turning CPUs on and off.
//!
//! Source: "Power State Coordination Interface" (DEN0022).

use core::sync::atomic::{AtomicU32, Ordering};

use blockmap::vmsa::machine::PhysAddr;
use blockmap_kernel::devicetree::{Conduit, Mpidr};
use smccc::psci::{self, AffinityState, Error, LowestAffinityLevel};
use smccc::{Hvc, Smc};
use thiserror::Error;

use super::ground;

/// How PSCI is called: 0 not at all, 1 HVC, 2 SMC.
static CONDUIT: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" {
    /// In `parking.S`; only its address is taken.
    static secondary_entry: u8;
}

/// Why a CPU was not turned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum PsciError {
    /// The device tree names no PSCI.
    #[error("the device tree names no PSCI of version 0.2 or later")]
    None,
    /// PSCI refused.
    #[error("PSCI: {0}")]
    Refused(Error),
}

/// PSCI is called in this way from now on.
pub(crate) fn set_conduit(conduit: Conduit) {
    let number = match conduit {
        Conduit::Hvc => 1,
        Conduit::Smc => 2,
    };
    CONDUIT.store(number, Ordering::Relaxed);
    ground::set_conduit(conduit);
}

/// Starts the CPU `cpu`, whose affinity is `mpidr`, at its way into the identity map.
pub(crate) fn cpu_on(mpidr: Mpidr, cpu: u32) -> Result<(), PsciError> {
    let entry: PhysAddr = ground::memory_of(&raw const secondary_entry);
    let (target, entry, cpu) = (mpidr.value(), entry.value(), u64::from(cpu));
    match CONDUIT.load(Ordering::Relaxed) {
        1 => psci::cpu_on::<Hvc>(target, entry, cpu).map_err(PsciError::Refused),
        2 => psci::cpu_on::<Smc>(target, entry, cpu).map_err(PsciError::Refused),
        _ => Err(PsciError::None),
    }
}

/// Whether the CPU is off; `None` where PSCI does not say.
pub(crate) fn is_off(mpidr: Mpidr) -> Option<bool> {
    let level = LowestAffinityLevel::All;
    let state = match CONDUIT.load(Ordering::Relaxed) {
        1 => psci::affinity_info::<Hvc>(mpidr.value(), level).ok()?,
        2 => psci::affinity_info::<Smc>(mpidr.value(), level).ok()?,
        _ => return None,
    };
    Some(state == AffinityState::Off)
}
