//! Options about CPUs: `cpu.N.size-change=` and its kin, `park-fault=`.

use blockmap::vmsa::cpu::SizeChange;

use crate::number::number;

/// The most CPUs that options can name one by one.
pub const MOST_NAMED: usize = 16;

/// What the command line says about what CPUs do when live leaves change size, whatever they say
/// themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeChangeOverrides {
    boot: Option<SizeChange>,
    secondary: Option<SizeChange>,
    named: [Option<(u32, SizeChange)>; MOST_NAMED],
    list: AttestedList,
}

/// Whether the list of designs that change sizes quietly is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttestedList {
    /// It is.
    #[default]
    Believed,
    /// Only the CPU's registers are: `no-size-change-list`.
    Ignored,
}

impl SizeChangeOverrides {
    /// What is said of the CPU with this number, 0 being the one that booted.
    #[must_use]
    pub fn of(&self, cpu: u32) -> Option<SizeChange> {
        let named = self.named.iter().flatten().find(|(number, _)| *number == cpu);
        let kind = if cpu == 0 { self.boot } else { self.secondary };
        named.map(|(_, change)| *change).or(kind)
    }

    /// Whether the list of designs is believed.
    #[must_use]
    pub const fn list(&self) -> AttestedList {
        self.list
    }

    /// Has the list of designs ignored.
    pub(super) fn ignore_list(&mut self) {
        self.list = AttestedList::Ignored;
    }

    /// Takes `cpu.WHO.size-change=value`; `None` if it makes no sense, or names one CPU too many.
    pub(super) fn set(&mut self, who: &str, value: &str) -> Option<()> {
        let change = match value {
            "needs-break" => SizeChange::NeedsBreak,
            "may-abort" => SizeChange::MayAbort,
            "quiet" => SizeChange::Quiet,
            _ => return None,
        };
        match who {
            "boot" => self.boot = Some(change),
            "secondary" => self.secondary = Some(change),
            cpu => {
                let cpu = u32::try_from(number(cpu)?).ok()?;
                let is_same = |place: &&mut Option<_>| place.is_none_or(|(one, _)| one == cpu);
                *self.named.iter_mut().find(is_same)? = Some((cpu, change));
            }
        }
        Some(())
    }
}

/// Whose property the option with this name sets: `WHO` in `cpu.WHO.size-change`.
pub(super) fn who(name: &str) -> Option<&str> {
    name.strip_prefix("cpu.")?.strip_suffix(".size-change")
}

/// What a CPU does wrong on purpose when it is asked to park.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParkFault {
    /// Nothing.
    #[default]
    None,
    /// It never answers.
    Never,
    /// It answers the first request when that has been given up.
    Late,
    /// It stops on its way in, for ever.
    Dead,
    /// A system error comes for it while it is parked. It takes an EL2 to raise one.
    SystemError,
    /// Another CPU interrupts it while it is parked.
    Interrupt,
    /// It takes an exception on its way in, where the room's vectors are in force.
    Abort,
    /// It stops on its way out, for ever.
    Lost,
    /// It never gets as far as parking: firmware says that it was started, and it is not.
    Unstarted,
}

/// What `park-fault=` says: the CPU, a colon, the fault.
pub(super) fn park_fault(value: &str) -> Option<(u32, ParkFault)> {
    let (cpu, fault) = value.split_once(':')?;
    let fault = match fault {
        "never" => ParkFault::Never,
        "late" => ParkFault::Late,
        "dead" => ParkFault::Dead,
        "serror" => ParkFault::SystemError,
        "interrupt" => ParkFault::Interrupt,
        "abort" => ParkFault::Abort,
        "lost" => ParkFault::Lost,
        "unstarted" => ParkFault::Unstarted,
        _ => return None,
    };
    Some((u32::try_from(number(cpu)?).ok()?, fault))
}
