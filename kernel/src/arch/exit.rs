//! The ways to end the machine.

use core::arch::asm;

use blockmap_kernel::devicetree::Conduit;
use smccc::{Hvc, Smc, psci};

use super::semihosting::Semihosting;
use crate::lock::Lock;

/// How the machine is ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// Not at all: the CPU waits for ever. What happens until another way is known.
    Wait,
    /// PSCI `SYSTEM_OFF`. The machine's status is always success.
    Psci(Conduit),
    /// Semihosting `SYS_EXIT`, which hands a status to whoever runs the machine. Only when the
    /// command line asks for it.
    Semihosting(Semihosting),
}

/// Why the machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// As asked, with the status that was asked for.
    Asked(u8),
    /// The kernel can't be started on this machine.
    Unstartable,
    /// The kernel panicked.
    Panic,
    /// An exception was nobody's.
    Exception,
    /// An exception was taken while another was reported.
    Recursion,
    /// The referee took an exception itself.
    Referee,
}

impl Status {
    /// The number that a host sees: what was asked for, or 100 to 104.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Asked(number) => number,
            Self::Unstartable => 100,
            Self::Panic => 101,
            Self::Exception => 102,
            Self::Recursion => 103,
            Self::Referee => 104,
        }
    }
}

static WAY: Lock<Way> = Lock::new(Way::Wait);

/// Ends the machine this way from now on.
pub(crate) fn set_way(way: Way) {
    *WAY.lock() = way;
}

/// Ends the machine. If it can't be ended, this CPU waits for ever.
pub(crate) fn exit(status: Status) -> ! {
    // Nothing but the setting of the way holds the lock.
    match WAY.try_lock().as_deref() {
        // What comes back is an error, and nobody is left to hear of it.
        Some(Way::Psci(Conduit::Hvc)) => drop(psci::system_off::<Hvc>()),
        Some(Way::Psci(Conduit::Smc)) => drop(psci::system_off::<Smc>()),
        Some(Way::Semihosting(host)) => host.exit(status.number()),
        Some(Way::Wait) | None => {}
    }
    wait()
}

/// Waits for ever, and lets nothing interrupt that.
pub(super) fn wait_masked() -> ! {
    super::interrupts::all_masked(|| wait())
}

/// Waits for ever.
pub(super) fn wait() -> ! {
    loop {
        // SAFETY: waiting changes nothing.
        unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) };
    }
}
