//! How entries change in memory: stores become visible, and hardware updates leaves.

use blockmap_machine::Entry;

use super::Tlb;
use super::change::Next;
use super::run::{Cause, Explorer, Moment};
use super::state::{CpuState, Kind, Known, Pending, State};
use crate::shape::Updates;

impl Explorer<'_, '_> {
    /// Each store of the CPU that no earlier store to the same entry holds back becomes visible;
    /// not those to tables that no walk can enter: nothing is gained by their being early.
    pub(super) fn become_visible(&self, state: &State, cpu: usize, next: &mut Next) {
        let buffer = &state.cpus[cpu].buffer;
        for (at, pending) in buffer.iter().enumerate() {
            let holds_back = |earlier: &Pending| {
                let are_halves = earlier.half.is_some() && pending.half.is_some();
                earlier.place == pending.place && !are_halves
            };
            let is_first = !buffer[..at].iter().any(holds_back);
            let is_awaited = !state.cpus[cpu].releases.is_empty();
            if is_first && (is_awaited || self.is_reachable(state, pending.place)) {
                let mut after = state.clone();
                let store = after.show(cpu, at);
                let has_changed =
                    store.made_from.is_some() && state.memory[store.place] != store.made_from;
                let moment =
                    if has_changed && self.is_updated() { Moment::Lost } else { Moment::Any };
                next.push((after, Cause { cpu, step: store.step, moment }));
            }
        }
    }

    /// A store that no walk can tell from what is there, made visible before anything else.
    pub(super) fn quiet_store(&self, state: &State) -> Option<(State, Cause)> {
        if self.tlb == Tlb::Subsets {
            return None;
        }
        state.cpus.iter().enumerate().find_map(|(cpu, CpuState { buffer, .. })| {
            let at = (0..buffer.len()).find(|at| {
                let store = buffer[*at];
                let is_first = !buffer[..*at].iter().any(|earlier| earlier.place == store.place);
                is_first
                    && store.half.is_none()
                    && faults(store.value)
                    && faults(state.memory[store.place])
            })?;
            let mut after = state.clone();
            let store = after.show(cpu, at);
            Some((after, Cause { cpu, step: store.step, moment: Moment::Any }))
        })
    }

    /// Whether hardware changes entries by itself.
    pub(super) fn is_updated(&self) -> bool {
        self.slice.program.shape.updates == Updates::ByHardware
    }

    /// The walker of the CPU sets an access flag, or makes a leaf writable.
    pub(super) fn update_entries(&self, state: &State, cpu: usize, next: &mut Next) {
        if !self.is_updated() {
            return;
        }
        let shape = self.slice.program.shape;
        let root = self.slice.program.root;
        let live = state.cpus[cpu].is_live().then_some((root, shape.top(), shape.inputs()));
        let held = state.cpus[cpu].tlb.numbers().filter_map(|number| {
            let Known { item, range, .. } = &self.items[number];
            match item.kind {
                Kind::Pointer { table, .. } => Some((table, item.height - 1, *range)),
                Kind::Leaf { .. } | Kind::Run { .. } => None,
            }
        });
        for (table, height, range) in live.into_iter().chain(held) {
            for at in self.slice.addresses.iter().filter(|at| range.contains(**at)) {
                let entry = Entry { table, index: shape.index(height, *at) };
                let Some(place) = self.slice.places.get(&entry).copied() else { continue };
                let updated = state.memory[place].and_then(|word| shape.updated(height, word));
                if updated.is_some() {
                    let mut after = state.clone();
                    after.memory[place] = updated;
                    let step = state.cpus[cpu].next.saturating_sub(1);
                    next.push((after, Cause { cpu, step, moment: Moment::Any }));
                }
            }
        }
    }

    /// Whether some walk can enter the table of a place.
    fn is_reachable(&self, state: &State, place: usize) -> bool {
        let within = self.slice.tables[place];
        let leads = |number: usize| matches!(self.items[number].item.kind, Kind::Pointer { table, .. } if table == within);
        self.tlb == Tlb::Subsets
            || within == self.slice.program.root
            || state.cpus.iter().any(|cpu| cpu.tlb.numbers().any(leads))
    }

    /// Makes the CPU's stores visible if no walk can enter the tables of any; says whether it has.
    pub(super) fn drain(&self, state: &mut State, cpu: usize) -> bool {
        let buffer = &state.cpus[cpu].buffer;
        if buffer.iter().any(|store| self.is_reachable(state, store.place)) {
            return false;
        }
        while !state.cpus[cpu].buffer.is_empty() {
            state.show(cpu, 0);
        }
        true
    }
}

/// Whether an entry that holds this ends every walk with a fault.
fn faults(value: Option<u64>) -> bool {
    value.is_some_and(|word| word & 1 == 0)
}
