//! Options about what CPUs say they are: `cpu.N.midr=`, `cpu.N.bbm=`, `cpu.N.tlb=`.

use super::cpu::MOST_NAMED;
use crate::number::number;

/// What a CPU is to say of itself; of what is not named here, the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disguise {
    /// What `MIDR_EL1` reads as.
    pub midr: Option<u64>,
    /// What `ID_AA64MMFR2_EL1.BBM` reads as, 0 to 15.
    pub size_changes: Option<u8>,
    /// What `ID_AA64ISAR0_EL1.TLB` reads as, 0 to 15.
    pub invalidations: Option<u8>,
}

/// The disguises of all CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disguises {
    boot: Disguise,
    secondary: Disguise,
    named: [Option<(u32, Disguise)>; MOST_NAMED],
}

/// Which part of a disguise an option sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Midr,
    SizeChanges,
    Invalidations,
}

/// Whose disguise the option with this name sets, and which part: `WHO` in `cpu.WHO.midr`.
pub(super) fn part(name: &str) -> Option<(&str, Part)> {
    let (who, part) = name.strip_prefix("cpu.")?.rsplit_once('.')?;
    let part = match part {
        "midr" => Part::Midr,
        "bbm" => Part::SizeChanges,
        "tlb" => Part::Invalidations,
        _ => return None,
    };
    Some((who, part))
}

impl Disguise {
    /// Whether the CPU is in any disguise.
    #[must_use]
    pub fn is_any(self) -> bool {
        self != Self::default()
    }

    /// This disguise, and what it does not name as `other` says.
    const fn or(self, other: Self) -> Self {
        let Self { midr, size_changes, invalidations } = self;
        Self {
            midr: if midr.is_some() { midr } else { other.midr },
            size_changes: if size_changes.is_some() { size_changes } else { other.size_changes },
            invalidations: if invalidations.is_some() {
                invalidations
            } else {
                other.invalidations
            },
        }
    }
}

impl Disguises {
    /// The disguise of the CPU with this number, 0 being the one that booted.
    #[must_use]
    pub fn of(&self, cpu: u32) -> Disguise {
        let kind = if cpu == 0 { self.boot } else { self.secondary };
        let named = self.named.iter().flatten().find(|(number, _)| *number == cpu);
        named.map_or(kind, |(_, named)| named.or(kind))
    }

    /// Takes a part of a disguise; `None` if it makes no sense, or names one CPU too many.
    pub(super) fn set(&mut self, who: &str, part: Part, value: &str) -> Option<()> {
        let value = number(value)?;
        let field = || u8::try_from(value).ok().filter(|field| *field < 16);
        let disguise = match part {
            Part::Midr => Disguise {
                midr: Some(value).filter(|midr| *midr != 0 && *midr >> 32 == 0),
                ..Disguise::default()
            },
            Part::SizeChanges => Disguise { size_changes: field(), ..Disguise::default() },
            Part::Invalidations => Disguise { invalidations: field(), ..Disguise::default() },
        };
        if !disguise.is_any() {
            return None;
        }
        let place = match who {
            "boot" => &mut self.boot,
            "secondary" => &mut self.secondary,
            cpu => {
                let cpu = u32::try_from(number(cpu)?).ok()?;
                let is_same = |place: &&mut Option<_>| place.is_none_or(|(one, _)| one == cpu);
                let place = self.named.iter_mut().find(is_same)?;
                &mut place.get_or_insert((cpu, Disguise::default())).1
            }
        };
        *place = disguise.or(*place);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use crate::cmdline::{CommandLine, Disguise};

    #[test]
    fn a_cpu_by_number_goes_before_its_kind_part_by_part() {
        let line = CommandLine::new(
            "cpu.secondary.midr=0x410fd811 cpu.secondary.bbm=2 cpu.2.bbm=0 cpu.boot.tlb=1",
        );
        assert_eq!(line.complaints().count(), 0);
        let disguises = line.options().disguises;
        let midr = Some(0x410f_d811);
        let secondary = |bbm| Disguise { midr, size_changes: Some(bbm), invalidations: None };
        assert_eq!(disguises.of(1), secondary(2));
        assert_eq!(disguises.of(2), secondary(0));
        assert_eq!(disguises.of(0), Disguise { invalidations: Some(1), ..Disguise::default() });
    }

    #[test]
    fn what_no_register_holds_is_refused() {
        for word in ["cpu.0.bbm=16", "cpu.x.midr=1", "cpu.0.midr=0", "cpu.0.midr=0x100000000"] {
            let line = CommandLine::new(word);
            assert_eq!(line.complaints().count(), 1, "{word}");
            assert!(!line.options().disguises.of(0).is_any(), "{word}");
        }
    }
}
