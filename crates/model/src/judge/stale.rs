//! What TLBs may hold although the tables no longer say it.

use std::collections::BTreeMap;

use blockmap_machine::{PhysAddr, VirtRange};

use crate::rights::Rights;
use crate::shape::{HIGHEST, Shape};

/// Something that the tables said once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Old {
    /// The addresses that its entries are for.
    pub(super) range: VirtRange,
    /// The height of their table.
    pub(super) height: u32,
    /// Their table.
    pub(super) from: PhysAddr,
    pub(super) kind: OldKind,
    /// The CPUs, a bit each, that may hold it.
    pub(super) cpus: u64,
    pub(super) read: Read,
}

/// What it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OldKind {
    Pointer {
        table: PhysAddr,
        allows: Rights,
    },
    /// Leaves of neighbouring memory; the word is the first one's.
    Leaves {
        word: u64,
        allows: Rights,
    },
}

/// Until when walkers could read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// They still may: the CPU of this number has not published what replaced it.
    Still(usize),
    /// Others may not, once they know of this step of the CPU, which has let go of a lock; it may.
    Released(usize, u64),
    /// Until this step of this CPU.
    Until(usize, u64),
}

/// All that is stale.
#[derive(Debug, Default)]
pub(super) struct Stale {
    /// By height, then by first address and a number of its own.
    by_height: [BTreeMap<(u64, u64), Old>; 5],
    next: u64,
    /// Those that can still be read.
    fresh: Vec<(u32, (u64, u64))>,
    /// Tables with words that have been overwritten and may still be read, and by whom.
    pub(super) dirty: Vec<(usize, PhysAddr)>,
    /// What TLBs no longer hold and a pipeline may still use: whose, and what.
    pub(super) pipeline: Vec<(usize, Old)>,
}

/// Names one of them.
pub(super) type Key = (u32, (u64, u64));

impl Stale {
    pub(super) fn add(&mut self, old: Old) -> Key {
        self.next += 1;
        let key = (old.height, (old.range.start().value(), self.next));
        match old.read {
            Read::Still(_) | Read::Released(..) => self.fresh.push(key),
            Read::Until(..) => {}
        }
        self.map(old.height).insert(key.1, old);
        key
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.map(key.0).remove(&key.1);
    }

    /// Replaces the CPUs that hold one.
    pub(super) fn keep(&mut self, key: Key, cpus: u64) {
        if cpus == 0 {
            self.remove(key);
        } else if let Some(old) = self.map(key.0).get_mut(&key.1) {
            old.cpus = cpus;
        }
    }

    fn map(&mut self, height: u32) -> &mut BTreeMap<(u64, u64), Old> {
        let height = height.min(HIGHEST);
        &mut self.by_height[usize::try_from(height).unwrap_or(0)]
    }

    /// Those that have addresses in `range`.
    pub(super) fn overlapping(&self, shape: Shape, range: VirtRange) -> Vec<(Key, Old)> {
        let mut found = Vec::new();
        for (height, map) in (0..).zip(&self.by_height) {
            if map.is_empty() || height > shape.top() {
                continue;
            }
            // None is longer than a table's worth.
            let longest = shape.span(height) << (shape.page_bits() - 3);
            let from = range.start().value().saturating_sub(longest);
            let until = range.last().value();
            for (key, old) in map.range((from, 0)..=(until, u64::MAX)) {
                if old.range.overlaps(range) {
                    found.push(((height, *key), *old));
                }
            }
        }
        found
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (Key, &Old)> {
        (0..)
            .zip(&self.by_height)
            .flat_map(|(height, map)| map.iter().map(move |(key, old)| ((height, *key), old)))
    }

    /// What `cpu` has overwritten can no longer be read. What nobody holds of it is gone.
    pub(super) fn publish(&mut self, cpu: usize, time: u64) -> Vec<(Key, Old)> {
        let fresh = std::mem::take(&mut self.fresh);
        let mut gone = Vec::new();
        for key in fresh {
            match self.map(key.0).get_mut(&key.1) {
                Some(old) if old.read == Read::Still(cpu) && old.cpus == 0 => {
                    gone.push((key, *old));
                    self.remove(key);
                }
                Some(old) if old.read == Read::Still(cpu) => old.read = Read::Until(cpu, time),
                Some(old) => match old.read {
                    Read::Released(by, since) if by == cpu => old.read = Read::Until(by, since),
                    Read::Still(_) | Read::Released(..) => self.fresh.push(key),
                    Read::Until(..) => {}
                },
                None => {}
            }
        }
        gone
    }

    /// A CPU walks again: what has been overwritten and can still be read, it may read.
    pub(super) fn can_be_read_by(&mut self, cpu: usize) {
        for key in self.fresh.clone() {
            if let Some(old) = self.map(key.0).get_mut(&key.1)
                && matches!(old.read, Read::Still(_))
            {
                old.cpus |= 1 << cpu;
            }
        }
    }

    /// Who takes a lock that `cpu` lets go of now, can no longer read what that has overwritten.
    pub(super) fn release(&mut self, cpu: usize, time: u64) {
        for key in self.fresh.clone() {
            if let Some(old) = self.map(key.0).get_mut(&key.1)
                && old.read == Read::Still(cpu)
            {
                old.read = Read::Released(cpu, time);
            }
        }
    }

    /// The pipeline of `cpu` starts anew.
    pub(super) fn synchronise(&mut self, cpu: usize) {
        self.pipeline.retain(|(other, _)| *other != cpu);
    }
}

impl Old {
    /// The same for a part of its addresses that begins at the start of an entry.
    pub(super) fn part(self, range: VirtRange) -> Self {
        let kind = match self.kind {
            OldKind::Leaves { word, allows } => {
                let offset = range.start().offset_from(self.range.start()).unwrap_or(0);
                OldKind::Leaves { word: word.wrapping_add(offset), allows }
            }
            pointer @ OldKind::Pointer { .. } => pointer,
        };
        Self { range, kind, ..self }
    }
}
