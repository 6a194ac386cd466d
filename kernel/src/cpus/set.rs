//! Sets of CPUs, and the set of those that use the kernel's tables.

use core::sync::atomic::{AtomicU64, Ordering};

use super::announced;
use crate::arch::ground::MOST_CPUS;

const WORDS: usize = MOST_CPUS / 64;

/// A set of CPUs.
#[derive(Debug)]
pub(super) struct CpuSet([AtomicU64; WORDS]);

impl CpuSet {
    /// No CPU.
    pub(super) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    fn word(&self, cpu: u32) -> (&AtomicU64, u64) {
        let [first, ..] = &self.0;
        let word = usize::try_from(cpu / 64).ok().and_then(|word| self.0.get(word));
        (word.unwrap_or(first), 1 << (cpu % 64))
    }

    /// Whether the CPU is in it.
    pub(super) fn has(&self, cpu: u32) -> bool {
        let (word, bit) = self.word(cpu);
        word.load(Ordering::Acquire) & bit != 0
    }

    /// Adds a CPU.
    pub(super) fn add(&self, cpu: u32) {
        let (word, bit) = self.word(cpu);
        word.fetch_or(bit, Ordering::AcqRel);
    }

    /// Removes a CPU.
    pub(super) fn remove(&self, cpu: u32) {
        let (word, bit) = self.word(cpu);
        word.fetch_and(!bit, Ordering::AcqRel);
    }
}

/// The CPUs that may use the kernel's tables: each is added before it begins to, and removed after
/// it has left them.
pub(super) static ADMITTED: CpuSet = CpuSet::new();

/// The CPUs that may use the kernel's tables. The set stands still for who holds the terms or the
/// parking lock.
pub(crate) fn admitted() -> impl Iterator<Item = u32> {
    (0..announced()).filter(|cpu| ADMITTED.has(*cpu))
}
