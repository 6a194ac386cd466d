//! What a writer may read and write under the locks it holds.

use blockmap::{Root, Scope};
use blockmap_machine::Entry;
use blockmap_vmsa::Level;

use super::system::System;

/// Who may change an entry that a writer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Nobody: the reader holds its slot, or has just taken its table.
    Nobody,
    /// Whoever holds the root: it is above the slots, and the reader has only announced itself.
    Root,
    /// The holder of another slot: the reader looks whether it is empty, or whether a leaf goes on
    /// there. Its tables stay: the reader holds the root, or has announced itself.
    Neighbour,
}

/// How often entries were read, by who could have changed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    /// [`Watch::Nobody`].
    pub nobody: u64,
    /// [`Watch::Root`].
    pub root: u64,
    /// [`Watch::Neighbour`].
    pub neighbour: u64,
}

/// Whether two scopes share no lock.
pub(super) fn are_apart(one: Scope, other: Scope) -> bool {
    let slots = one.last_slot < other.first_slot || other.last_slot < one.first_slot;
    slots && (one.root == Root::Untouched || other.root == Root::Untouched)
}

impl System {
    /// Counts a load by an operation, which must be allowed to read the entry; those who only look
    /// at tables may read all.
    pub(super) fn watch_load(&mut self, cpu: usize, entry: Entry) {
        if self.scope(cpu).is_none() && self.readers[cpu] > 0 {
            return;
        }
        match self.watch(cpu, entry) {
            Watch::Nobody => self.loads.nobody += 1,
            Watch::Root => self.loads.root += 1,
            Watch::Neighbour => self.loads.neighbour += 1,
        }
    }

    /// Checks that nobody else may write an entry that `cpu` writes.
    pub(super) fn watch_store(&self, cpu: usize, entry: Entry) {
        let watch = self.watch(cpu, entry);
        assert_eq!(watch, Watch::Nobody, "CPU {cpu} writes {entry}, which is not its own");
    }

    /// Who may change an entry while `cpu` works.
    fn watch(&self, cpu: usize, entry: Entry) -> Watch {
        if self.owners.get(&entry.table) == Some(&cpu) {
            return Watch::Nobody;
        }
        let position = self.positions.get(&entry.table).copied();
        let (level, start) = position.unwrap_or_else(|| panic!("CPU {cpu} uses a lost {entry}"));
        let scope = self.scope(cpu).unwrap_or_else(|| panic!("CPU {cpu} uses {entry} unlocked"));
        let bytes = self.geometry.span_bytes(level);
        let slot_level = self.geometry.root_level().max(Level::L1);
        let at = start.wrapping_add(bytes * u64::from(entry.index));
        let above = at.value() - self.geometry.inputs().0.value();
        let slot_bytes = self.geometry.span_bytes(slot_level);
        let slot = u32::try_from(above / slot_bytes).unwrap();
        let last = u32::try_from((above + (bytes - 1)) / slot_bytes).unwrap();
        if scope.first_slot <= slot && last <= scope.last_slot {
            Watch::Nobody
        } else if level < slot_level {
            if scope.root == Root::Changes { Watch::Nobody } else { Watch::Root }
        } else {
            let may_look = self.has_root(cpu) || self.readers[cpu] > 0;
            assert!(may_look, "CPU {cpu} uses {entry} of slot {slot}, and holds {scope:?}");
            Watch::Neighbour
        }
    }
}
