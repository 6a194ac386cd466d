//! What a CPU says of itself, and what follows from it for who may use the kernel's tables.

use core::fmt;

use blockmap::vmsa::cpu::{self, GranuleSupport, Midr, Mte, SizeChange};
use blockmap::vmsa::{Geometry, TlbiForm};
use thiserror::Error;

use crate::cmdline::{AttestedList, SizeChangeOverrides};

/// The identification registers of one CPU, as it read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// `MIDR_EL1`.
    pub midr: u64,
    /// `REVIDR_EL1`.
    pub revidr: u64,
    /// `ID_AA64MMFR0_EL1` to `ID_AA64MMFR3_EL1`.
    pub mmfr: [u64; 4],
    /// `ID_AA64ISAR0_EL1`.
    pub isar0: u64,
    /// `ID_AA64PFR1_EL1`.
    pub pfr1: u64,
    /// `MPIDR_EL1`.
    pub mpidr: u64,
}

/// How it is known what a CPU does when a live leaf changes size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// From the CPU.
    Cpu(cpu::Why),
    /// From the command line.
    CommandLine,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(why) => why.fmt(f),
            Self::CommandLine => f.write_str("the command line says so"),
        }
    }
}

/// Why a CPU can't use the kernel's tables. It stays off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// The kernel's tables have pages of 4 KiB.
    #[error("it has no translation tables of 4 KiB")]
    Granule,
    /// There is memory that it can't address.
    #[error("it has physical addresses of {has} bits, and memory needs {needed}")]
    Addresses {
        /// Bits it has.
        has: u32,
        /// Bits of the highest address of memory.
        needed: u32,
    },
    /// The tables say that memory has tags, which is no memory type that it knows.
    #[error("it has no memory with tags, and the map says that memory has")]
    Tags,
}

/// What the map that a CPU is to use asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Bits of the highest physical address that is mapped.
    pub output_bits: u32,
    /// Whether memory is mapped as memory with tags.
    pub mte: Mte,
}

impl Report {
    /// Who the CPU is.
    #[must_use]
    pub const fn midr(&self) -> Midr {
        Midr::new(self.midr)
    }

    /// What happens on the CPU with this number when a live leaf changes its size, and how that is
    /// known. [size-change-by-cpu]
    #[must_use]
    pub fn size_change(&self, cpu: u32, overrides: &SizeChangeOverrides) -> (SizeChange, Why) {
        if let Some(change) = overrides.of(cpu) {
            return (change, Why::CommandLine);
        }
        let midr = match overrides.list() {
            AttestedList::Believed => self.midr(),
            // Nobody's design.
            AttestedList::Ignored => Midr::new(0),
        };
        let [_, _, mmfr2, _] = self.mmfr;
        let (change, why) = cpu::size_change(midr, mmfr2);
        (change, Why::Cpu(why))
    }

    /// Which TLB invalidations it acts on.
    #[must_use]
    pub const fn tlbi_form(&self) -> TlbiForm {
        cpu::tlbi_form(self.isar0)
    }

    /// Bits of its physical addresses.
    #[must_use]
    pub const fn output_bits(&self) -> u32 {
        let [mmfr0, ..] = self.mmfr;
        cpu::output_bits(mmfr0)
    }

    /// Whether it can use a map that needs this.
    ///
    /// # Errors
    /// Says what it lacks.
    pub fn check(&self, needs: Needs) -> Result<(), Unfit> {
        let [mmfr0, ..] = self.mmfr;
        let granule = Geometry::KERNEL_4K_48.granule();
        if cpu::granule_support(mmfr0, granule) == GranuleSupport::Missing {
            return Err(Unfit::Granule);
        }
        let (has, needed) = (self.output_bits(), needs.output_bits);
        if has < needed {
            return Err(Unfit::Addresses { has, needed });
        }
        let tags = (needs.mte, cpu::mte(self.pfr1));
        match tags {
            (Mte::TaggedMemory, Mte::Missing | Mte::InstructionsOnly) => Err(Unfit::Tags),
            (Mte::TaggedMemory, Mte::TaggedMemory) | (Mte::Missing | Mte::InstructionsOnly, _) => {
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs { output_bits: 34, mte: Mte::Missing };

    #[test]
    fn a_cpu_that_lacks_something_is_unfit() {
        let fit = Report { mmfr: [5, 0, 0, 0], ..Report::default() };
        assert_eq!(fit.check(NEEDS), Ok(()));
        let small = Report { mmfr: [0, 0, 0, 0], ..fit };
        assert_eq!(small.check(NEEDS), Err(Unfit::Addresses { has: 32, needed: 34 }));
        let coarse = Report { mmfr: [0xf << 28 | 5, 0, 0, 0], ..fit };
        assert_eq!(coarse.check(NEEDS), Err(Unfit::Granule));
        let tagged = Needs { mte: Mte::TaggedMemory, ..NEEDS };
        assert_eq!(fit.check(tagged), Err(Unfit::Tags));
        assert_eq!(Report { pfr1: 2 << 8, ..fit }.check(tagged), Ok(()));
    }

    #[test]
    fn the_command_line_has_the_last_word() {
        use crate::cmdline::CommandLine;
        let overrides = |line| CommandLine::new(line).options().overrides;
        let ampere = Report { midr: 0xc00f_ac30, mmfr: [0, 0, 2 << 52, 0], ..Report::default() };
        let change = |line, cpu| ampere.size_change(cpu, &overrides(line)).0;
        assert_eq!(change("", 1), SizeChange::Quiet);
        assert_eq!(change("no-size-change-list", 1), SizeChange::MayAbort);
        let line = "cpu.secondary.size-change=may-abort cpu.2.size-change=needs-break";
        assert_eq!(
            [0, 1, 2].map(|cpu| change(line, cpu)),
            [SizeChange::Quiet, SizeChange::MayAbort, SizeChange::NeedsBreak]
        );
        assert_eq!(change("cpu.boot.size-change=needs-break", 0), SizeChange::NeedsBreak);
    }
}
