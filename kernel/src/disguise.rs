//! CPUs that say they are others: EL2 answers EL1's reads of identification registers as the command
//! line says, so that machines of unlike CPUs can be started where all are alike.
//!
//! The kernel reads its registers as on any machine, and can't tell. It needs EL2, which the image
//! leaves prepared: `vectors.S`.

use blockmap_kernel::cmdline::{Disguise, Disguises};
use smccc::{Call, Hvc};
use spin::Once;
use thiserror::Error;

use crate::arch::boot::ExceptionLevel;

/// The number of the call by which a CPU puts its disguise on: a fast call of 64 bits among the
/// vendor-specific services of a hypervisor, as the referee's are.
pub(crate) const CALL: u32 = 1 << 31 | 1 << 30 | 6 << 24 | 0x100;

/// The number of the call by which a CPU has a system error come for it.
pub(crate) const ERROR_CALL: u32 = CALL + 1;

/// How many CPUs can be in disguise: those for which there is a stack at EL2.
pub(crate) const MOST_CPUS: u32 = 1024;

/// All disguises, for CPUs that start later.
static ALL: Once<Disguises> = Once::new();

/// Keeps what the command line says of all CPUs.
pub(crate) fn keep(disguises: &Disguises) {
    ALL.call_once(|| *disguises);
}

/// What the CPU with this number is to tell EL2 when it starts.
pub(crate) fn words_of(cpu: u32) -> [u64; 2] {
    ALL.get().map_or([0, 0], |all| words(all.of(cpu)))
}

/// What a disguise is to EL2: the value of `MIDR_EL1` or zero, and the fields of other registers, each
/// below a bit that says that it counts. The highest bit says that this is a disguise.
fn words(disguise: Disguise) -> [u64; 2] {
    let field = |value: Option<u8>| value.map_or(0, |value| u64::from(value) | 1 << 4);
    let fields = field(disguise.size_changes) | field(disguise.invalidations) << 8;
    [disguise.midr.unwrap_or(0), fields | 1 << 63]
}

/// Why this CPU is not in the disguise that the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cpu.…: nobody answers at EL2, so CPUs say what they are: boot with virtualization=on")]
pub(crate) struct NoEl2;

/// Has this CPU, which entered the image at `entered_at`, say from now on what `disguise` says.
pub(crate) fn put_on(disguise: Disguise, entered_at: ExceptionLevel) -> Result<(), NoEl2> {
    match entered_at {
        // The call is for firmware, or for nobody.
        ExceptionLevel::El1 => return Err(NoEl2),
        ExceptionLevel::El2 => {}
    }
    let mut arguments = [0; 17];
    arguments.iter_mut().zip(words(disguise)).for_each(|(argument, word)| *argument = word);
    let [status, ..] = Hvc::call64(CALL, arguments);
    if status == 0 { Ok(()) } else { Err(NoEl2) }
}

/// Has a system error come for this CPU as soon as it does not mask them, if there is an EL2 that
/// answers; otherwise firmware knows no such call, and nothing happens.
pub(crate) fn raise_system_error() {
    Hvc::call64(ERROR_CALL, [0; 17]);
}
