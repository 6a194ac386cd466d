//! The generic timer's virtual counter, the clock of boot timelines; and the cycle counter, for what
//! is too short for that.

use core::arch::asm;

/// The virtual count, in ticks of [`frequency_hz`], read after everything before it is done.
///
/// Source: "The Generic Timer in AArch64 state".
#[inline]
#[must_use]
pub fn ticks() -> u64 {
    // The counter may be read ahead of earlier instructions otherwise.
    // SAFETY: ISB touches neither memory nor registers.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
    arm_sysregs::el0::accessors::read_cntvct_el0().bits()
}

/// Ticks of the counter in a second, as firmware wrote it down; zero where it didn't.
#[inline]
#[must_use]
pub fn frequency_hz() -> u64 {
    arm_sysregs::el0::accessors::read_cntfrq_el0().bits()
}

/// The counters of cycles and of instructions. Holding one tells that the CPU which made it has them, and
/// that they count. What another CPU's counters say is not known by it.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    /// Whether instructions are counted too.
    retired: Retired,
}

/// Whether a CPU counts the instructions that it has executed.
#[derive(Clone, Copy, Debug)]
enum Retired {
    Counted,
    NotCounted,
}

/// What the counters said at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Cycles of the CPU.
    pub cycles: u64,
    /// Instructions that were executed, modulo 2 to the 32; `None` where they are not counted.
    pub instructions: Option<u32>,
    /// Ticks of [`frequency_hz`].
    pub ticks: u64,
}

impl Reading {
    /// What passed on each counter since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let instructions = self.instructions.zip(earlier.instructions);
        Self {
            cycles: self.cycles.wrapping_sub(earlier.cycles),
            instructions: instructions.map(|(now, then)| now.wrapping_sub(then)),
            ticks: self.ticks.wrapping_sub(earlier.ticks),
        }
    }

    /// The same without what reading takes.
    #[must_use]
    pub fn without(self, overhead: Self) -> Self {
        let instructions = self.instructions.zip(overhead.instructions);
        Self {
            cycles: self.cycles.saturating_sub(overhead.cycles),
            instructions: instructions.map(|(all, own)| all.saturating_sub(own)),
            ticks: self.ticks.saturating_sub(overhead.ticks),
        }
    }
}

/// The event of an instruction that was executed.
const INST_RETIRED: u64 = 8;

impl Counters {
    /// Has the counters of the CPU that executes this count from zero on; `None` if it has none, or
    /// some of a kind that is not the architecture's.
    ///
    /// Source: "The Performance Monitors Extension"; `ID_AA64DFR0_EL1.PMUVer`, `PMCEID0_EL0`.
    #[must_use]
    pub fn begin() -> Option<Self> {
        let debug: u64;
        // SAFETY: reading a register changes nothing.
        unsafe {
            asm!("mrs {}, id_aa64dfr0_el1", out(reg) debug, options(nomem, nostack, preserves_flags));
        }
        let version = debug >> 8 & 0xf;
        if matches!(version, 0 | 0xf) {
            return None;
        }
        let (common, control): (u64, u64);
        // SAFETY: reading registers that are there changes nothing.
        unsafe {
            asm!(
                "mrs {common}, pmceid0_el0",
                "mrs {control}, pmcr_el0",
                common = out(reg) common,
                control = out(reg) control,
                options(nomem, nostack, preserves_flags),
            );
        }
        let has_event = common >> INST_RETIRED & 1 != 0 && control >> 11 & 0x1f != 0;
        // PMCR_EL0: enable, begin at zero, cycles in 64 bits.
        let control = 1_u64 | 1 << 1 | 1 << 2 | 1 << 6;
        // SAFETY: the registers are there, and nothing of the kernel depends on them.
        unsafe {
            asm!(
                "msr pmccfiltr_el0, xzr",
                "msr pmcntenset_el0, {cycles}",
                "msr pmcr_el0, {control}",
                "isb",
                cycles = in(reg) 1_u64 << 31,
                control = in(reg) control,
                options(nomem, nostack, preserves_flags),
            );
        }
        if !has_event {
            return Some(Self { retired: Retired::NotCounted });
        }
        // SAFETY: there is a first event counter, and the CPU knows the event.
        unsafe {
            asm!(
                "msr pmevtyper0_el0, {event}",
                "msr pmcntenset_el0, {first}",
                "isb",
                event = in(reg) INST_RETIRED,
                first = in(reg) 1_u64,
                options(nomem, nostack, preserves_flags),
            );
        }
        Some(Self { retired: Retired::Counted })
    }

    /// What the counters say, read after everything before it is done. An emulator that counts
    /// instructions (`-icount shift=0` of QEMU's) has each take a cycle and a nanosecond.
    #[inline]
    #[must_use]
    pub fn read(self) -> Reading {
        let cycles = self.cycles();
        let instructions = match self.retired {
            Retired::Counted => Some(retired()),
            Retired::NotCounted => None,
        };
        Reading { cycles, instructions, ticks: ticks() }
    }

    /// The cycles so far, read after everything before it is done.
    #[inline]
    #[must_use]
    pub fn cycles(self) -> u64 {
        let cycles: u64;
        // SAFETY: the counter is there, and reading it changes nothing. The barrier has it read after
        // what stands before.
        unsafe {
            asm!("isb", "mrs {}, pmccntr_el0", out(reg) cycles, options(nostack, preserves_flags));
        }
        cycles
    }
}

/// What the first event counter says; its upper half is not the same on every CPU.
#[inline]
fn retired() -> u32 {
    let count: u64;
    // SAFETY: whoever calls has made sure that there is an event counter; reading it changes nothing.
    unsafe {
        asm!("mrs {}, pmevcntr0_el0", out(reg) count, options(nostack, preserves_flags));
    }
    u32::try_from(count & 0xffff_ffff).unwrap_or(0)
}
