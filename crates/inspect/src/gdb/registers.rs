//! The registers of translation, of the CPU that tells most.

use blockmap_vmsa::{Regime, Ttbr};

use super::{Gdb, GdbError, features::Numbers};
use crate::{Provenance, Registers, Topic};

/// CPUs that are asked at most.
const MOST_CPUS: usize = 4096;

/// `HCR_EL2.E2H`.
const VHE: u64 = 1 << 34;

/// The names of a regime's registers: TCR, TTBR0, TTBR1 and MAIR.
const fn names(regime: Regime) -> [Option<&'static str>; 4] {
    match regime {
        Regime::El1And0 => {
            [Some("TCR_EL1"), Some("TTBR0_EL1"), Some("TTBR1_EL1"), Some("MAIR_EL1")]
        }
        Regime::El2 => [Some("TCR_EL2"), Some("TTBR0_EL2"), None, Some("MAIR_EL2")],
        Regime::El2And0 => {
            [Some("TCR_EL2"), Some("TTBR0_EL2"), Some("TTBR1_EL2"), Some("MAIR_EL2")]
        }
        Regime::El3 => [Some("TCR_EL3"), Some("TTBR0_EL3"), None, Some("MAIR_EL3")],
    }
}

impl Gdb {
    /// The registers of translation, of `regime` if one is given. A CPU that runs a program may
    /// have another map than the kernel's in TTBR1, so a CPU inside the kernel is preferred.
    pub(crate) fn registers(
        &mut self,
        regime: Option<Regime>,
        origin: &mut Provenance,
    ) -> Result<Registers, GdbError> {
        let numbers = self.numbers()?;
        let cpus = self.cpus()?;
        let mut chosen = None;
        for cpu in &cpus {
            self.order(&format!("Hg{cpu}"))?;
            let state = self.register(&numbers, "cpsr")?.unwrap_or_default();
            let level = state >> 2 & 0b11;
            if chosen.is_none() || level != 0 {
                chosen = Some((self.of_regime(&numbers, regime)?, cpu, level));
            }
            if level != 0 {
                break;
            }
        }
        let (registers, cpu, level) = chosen.ok_or(GdbError::NoRegister("TCR_EL1"))?;
        let name = match registers.regime {
            Regime::El1And0 => "EL1",
            Regime::El2 | Regime::El2And0 => "EL2",
            Regime::El3 => "EL3",
        };
        let text = format!(
            "TCR_{name} {:#x}, TTBR0_{name} {:#x}, TTBR1_{name} {:#x}, MAIR_{name} {:#x} \
             (gdbstub, CPU {cpu} at EL{level})",
            registers.tcr,
            registers.ttbr0.value(),
            registers.ttbr1.map_or(0, Ttbr::value),
            registers.mair.unwrap_or_default(),
        );
        origin.add(Topic::Registers, text);
        if level == 0 {
            let text = "every CPU is at EL0: TTBR1 may hold the map that programs see, not the \
                        kernel's own";
            origin.add(Topic::Warning, text);
        }
        Ok(registers)
    }

    /// The registers of one regime of the current CPU: a kernel at EL2 uses those of EL2&0, and
    /// its registers of EL1 hold what was there before.
    fn of_regime(
        &mut self,
        numbers: &Numbers,
        regime: Option<Regime>,
    ) -> Result<Registers, GdbError> {
        let control = self.register(numbers, "HCR_EL2")?.unwrap_or_default();
        let found = if control & VHE == 0 { Regime::El1And0 } else { Regime::El2And0 };
        let regime = regime.unwrap_or(found);
        let [tcr, ttbr0, ttbr1, mair] = names(regime);
        let mut value = |name: Option<&'static str>| match name {
            Some(name) => self.register(numbers, name),
            None => Ok(None),
        };
        Ok(Registers {
            regime,
            tcr: value(tcr)?.ok_or(GdbError::NoRegister(tcr.unwrap_or_default()))?,
            ttbr0: value(ttbr0)?
                .map(Ttbr::new)
                .ok_or(GdbError::NoRegister(ttbr0.unwrap_or_default()))?,
            ttbr1: value(ttbr1)?.map(Ttbr::new),
            mair: value(mair)?,
        })
    }

    /// The names of the CPUs, as the stub has them.
    fn cpus(&mut self) -> Result<Vec<String>, GdbError> {
        let mut cpus = Vec::new();
        let mut answer = self.ask("qfThreadInfo")?;
        while let Some(list) = answer.strip_prefix('m') {
            cpus.extend(list.split(',').map(str::to_owned));
            if cpus.len() > MOST_CPUS {
                return Err(GdbError::Protocol("a list of CPUs without an end".to_owned()));
            }
            answer = self.ask("qsThreadInfo")?;
        }
        if cpus.is_empty() {
            cpus.push("0".to_owned());
        }
        Ok(cpus)
    }

    /// The value of a register of the current CPU, if it has one by this name.
    fn register(&mut self, numbers: &Numbers, name: &str) -> Result<Option<u64>, GdbError> {
        let Some(number) = numbers.of(name) else {
            return Ok(None);
        };
        let request = format!("p{number:x}");
        let answer = self.ask(&request)?;
        match little_endian(&answer) {
            Some(value) => Ok(Some(value)),
            None => Err(GdbError::Refused { request: format!("register {name}"), answer }),
        }
    }
}

/// The value of up to eight bytes in hexadecimal, the lowest first.
fn little_endian(digits: &str) -> Option<u64> {
    let bytes = super::memory::bytes(digits)?;
    let mut value = [0; 8];
    value.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    (!bytes.is_empty()).then_some(u64::from_le_bytes(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_with_the_lowest_byte_first() {
        assert_eq!(little_endian("0c354c6b1f00d50d"), Some(0x0dd5_001f_6b4c_350c));
        assert_eq!(little_endian("c5030060"), Some(0x6000_03c5));
        assert_eq!(little_endian("E14"), None);
        assert_eq!(little_endian(""), None);
        assert_eq!(little_endian("000000000000000000"), None);
    }
}
