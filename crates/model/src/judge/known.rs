//! Which steps of other CPUs come before a step in every order: those that locks and counters put
//! there.

use std::collections::HashMap;

/// What the CPUs know of each other.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Of each CPU, by when it was: of each CPU the last step that comes before for sure.
    by_cpu: Vec<Vec<(u64, Vec<u64>)>>,
    /// Of each lock what came before its last unlock, of each counter what came before its signals.
    by_name: HashMap<String, Vec<u64>>,
}

impl Known {
    pub(super) fn new(cpus: usize) -> Self {
        Self { by_cpu: vec![vec![(0, vec![0; cpus])]; cpus], by_name: HashMap::new() }
    }

    /// The last step of `other` that comes before the step of `cpu` at `time` in every order.
    pub(super) fn of(&self, cpu: usize, time: u64, other: usize) -> u64 {
        if cpu == other {
            return time;
        }
        let known = &self.by_cpu[cpu];
        let later = known.partition_point(|(since, _)| *since <= time);
        later.checked_sub(1).map_or(0, |at| known[at].1[other])
    }

    /// A CPU lets go of a lock, or signals.
    pub(super) fn tell(&mut self, cpu: usize, time: u64, name: &str) {
        let mut all: Vec<u64> =
            (0..self.by_cpu.len()).map(|other| self.of(cpu, time, other)).collect();
        if let Some(before) = self.by_name.get(name) {
            join(&mut all, before);
        }
        self.by_name.insert(name.to_owned(), all);
    }

    /// A CPU takes a lock, or has waited for a counter.
    pub(super) fn learn(&mut self, cpu: usize, time: u64, name: &str) {
        let Some(told) = self.by_name.get(name) else { return };
        let Some((_, last)) = self.by_cpu[cpu].last() else { return };
        let mut all = last.clone();
        join(&mut all, told);
        self.by_cpu[cpu].push((time, all));
    }
}

fn join(all: &mut [u64], others: &[u64]) {
    for (one, other) in all.iter_mut().zip(others) {
        *one = (*one).max(*other);
    }
}
