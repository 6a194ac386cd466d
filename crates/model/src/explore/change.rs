//! The transitions: what may happen next in a state.

use blockmap_machine::Barrier;

use super::Tlb;
use super::project::Op;
use super::run::{Cause, Explorer, Moment};
use super::state::{Extent, Kind, Open, Others, Pending, Set, State};
use crate::coherence::Touch;
use crate::maintenance::{Domain, Form, Maintenance, Reach};
use crate::profile::{Invalidation, Several, Synchronisation};
use crate::program::{Context, Intent, Meanwhile, Write};

pub(super) type Next = Vec<(State, Cause)>;

impl Explorer<'_, '_> {
    /// What programs and memory may do next; TLBs take in what they can by themselves.
    pub(super) fn changes(&self, state: &State) -> Next {
        if let Some(quiet) = self.quiet_store(state) {
            return vec![quiet];
        }
        let mut next = Vec::new();
        for cpu in 0..state.cpus.len() {
            self.become_visible(state, cpu, &mut next);
            self.take_effect(state, cpu, &mut next);
            self.update_entries(state, cpu, &mut next);
            self.execute(state, cpu, &mut next);
        }
        next
    }

    /// Each of the invalidations that `cpu` has sent takes effect on one more CPU; on all at once
    /// where no store can become visible before the barrier that completes it.
    fn take_effect(&self, state: &State, cpu: usize, next: &mut Next) {
        for (at, (issued, targets)) in state.cpus[cpu].sent.iter().enumerate() {
            let domain = self.slice.issued[*issued].names.domain;
            let is_still = self.tlb == Tlb::Collecting && self.is_still(state, cpu, domain);
            if is_still && !self.is_completing(state, cpu, domain) {
                continue;
            }
            let cause = Cause { cpu, step: self.slice.issued[*issued].step, moment: Moment::Any };
            let one_by_one = bits(*targets).map(|target| 1 << target);
            let parts: Vec<u64> = if is_still { vec![*targets] } else { one_by_one.collect() };
            for part in parts {
                let mut after = state.clone();
                for target in bits(part) {
                    self.invalidate(&mut after, (cpu, target), *issued);
                }
                let left = &mut after.cpus[cpu].sent;
                left[at].1 &= !part;
                if left[at].1 == 0 {
                    left.remove(at);
                }
                next.push((after, cause));
            }
        }
    }

    /// Whether no walk can read anything new before `cpu` completes its invalidations of a domain.
    fn is_still(&self, state: &State, cpu: usize, domain: Domain) -> bool {
        let moves = |op: &Op| {
            matches!(op, Op::Write { .. } | Op::Part { .. } | Op::Context(_) | Op::Free(_))
        };
        !self.is_updated()
            && state.cpus.iter().zip(&self.slice.ops).enumerate().all(|(other, (at, ops))| {
                let mut left = ops[at.next..].iter().map(|(_, op)| op);
                let is_quiet = if other == cpu {
                    !left.by_ref().take_while(|op| !completes(op, domain)).any(moves)
                } else {
                    !left.any(moves)
                };
                at.buffer.is_empty() && is_quiet
            })
    }

    /// Whether the CPU stands at a barrier that waits for its invalidations of a domain.
    fn is_completing(&self, state: &State, cpu: usize, domain: Domain) -> bool {
        let next = self.slice.ops[cpu].get(state.cpus[cpu].next);
        next.is_some_and(|(_, op)| completes(op, domain))
    }

    /// Removes from a TLB what an invalidation names.
    fn invalidate(&self, state: &mut State, (cpu, target): (usize, usize), issued: usize) {
        let names = self.slice.issued[issued].names;
        let profile = self.slice.program.cpus[target].profile;
        let held = state.cpus[target].tlb;
        if names.reach == Some(Reach::Everything) && names.asid.is_none() {
            state.cpus[target].others = Others::Nothing;
        }
        let knows = names.form == Form::Plain || profile.invalidation == Invalidation::Ranged;
        for number in held.numbers().filter(|_| knows) {
            if self.is_ambiguous((target, held), number, names) || !self.removes(names, number) {
                continue;
            }
            let executes = self.items[number].leaf.is_some_and(|leaf| leaf.rights.executes());
            let is_sure = profile.synchronisation != Synchronisation::Context && !executes;
            state.cpus[target].tlb.remove(number);
            if target == cpu && !is_sure {
                state.cpus[target].pipeline.insert(number);
            }
        }
        if target == cpu {
            return;
        }
        // Whose invalidation it is waits until nobody else uses what it names; that the user has
        // itself made its TLB lose it does not matter to that.
        let used = state.cpus[target].pipeline;
        for number in used.numbers().filter(|_| knows) {
            if self.removes(names, number) {
                state.cpus[target].pipeline.remove(number);
            }
        }
    }

    /// Whether an invalidation names an item.
    ///
    /// Source: "TLB maintenance instructions"; rules RCHVGJ, RVMSWQ, RSQXYZ, RLGSCG.
    pub(super) fn removes(&self, names: Maintenance, number: usize) -> bool {
        let known = &self.items[number];
        let is_level = match known.item.kind {
            Kind::Pointer { .. } => names.depth.has_pointers_to(known.item.height - 1),
            Kind::Leaf { .. } | Kind::Run { .. } => names.depth.has_leaves(known.item.height),
        };
        // The model's CPUs use address space 0, and others may have left pointers behind.
        let is_space = match (names.asid, known.leaf) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(asid), Some(leaf)) => {
                let is_by_address = names.reach != Some(Reach::Everything);
                if leaf.is_global { is_by_address } else { asid == 0 }
            }
        };
        names.touches(known.range) && is_level && is_space
    }

    /// Whether a CPU need not remove an item because it holds another size of the same address.
    pub(super) fn is_ambiguous(
        &self,
        (cpu, held): (usize, Set),
        number: usize,
        names: Maintenance,
    ) -> bool {
        self.slice.program.cpus[cpu].profile.several == Several::NoneRemoved
            && names.reach != Some(Reach::Everything)
            && held.numbers().any(|other| self.are_sizes_of_one(number, other))
    }

    /// Whether two items translate one address in two sizes.
    fn are_sizes_of_one(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.items[one], &self.items[other]);
        match (one.leaf, other.leaf) {
            (Some(leaf), Some(beside)) => {
                let size = (one.item.height, leaf.is_contiguous);
                size != (other.item.height, beside.is_contiguous) && one.range.overlaps(other.range)
            }
            _ => false,
        }
    }

    /// The CPU's next step, if it can be taken.
    fn execute(&self, state: &State, cpu: usize, next: &mut Next) {
        let Some((step, op)) = self.slice.ops[cpu].get(state.cpus[cpu].next) else { return };
        let mut cause = Cause { cpu, step: *step, moment: Moment::Any };
        let mut after = state.clone();
        after.cpus[cpu].next += 1;
        match op {
            Op::Write { place, write } => {
                // Whoever writes a table that was given back has got it anew.
                after.freed.retain(|table| *table != self.slice.tables[*place]);
                after.write(cpu, (*place, *write), (*step, None));
            }
            Op::Part { place, write } => {
                after.write(cpu, (*place, *write), (*step, Some(*write)));
            }
            Op::Lines(touch, pieces) => {
                after.touch(cpu, *touch, pieces);
            }
            Op::Dsb(barrier) => {
                let is_published = matches!(barrier, Barrier::DsbIsh | Barrier::DsbIshst);
                if is_published && !self.drain(&mut after, cpu) || !self.may_pass(&after, cpu, op) {
                    return;
                }
                let profile = self.slice.program.cpus[cpu].profile;
                after.settle_lines(cpu, *barrier);
                if is_published && profile.synchronisation != Synchronisation::Context {
                    after.cpus[cpu].remembered = 0;
                }
            }
            Op::Isb => {
                let cpu = &mut after.cpus[cpu];
                cpu.lingering = None;
                cpu.remembered = 0;
                cpu.pipeline = Set::default();
            }
            Op::Invalidate(issued) => {
                let targets = self.slice.targets(self.slice.issued[*issued]);
                after.cpus[cpu].sent.push((*issued, targets));
            }
            Op::Intend(intent) => self.intend(&mut after, cpu, *intent),
            Op::Achieved => {
                cause.moment = Moment::Achieved;
                after.achieve(cpu);
            }
            Op::Free(table) => {
                cause.moment = Moment::Freed(*table);
                self.free(&mut after, *table);
            }
            Op::Use(addresses) => cause.moment = Moment::Used(*addresses),
            Op::Lock(name, turn) if !is_free(after.names[*name], *turn) => return,
            Op::Unlock(name) => after.release(cpu, *name),
            Op::Lock(name, _) | Op::Signal(name) => after.names[*name] += 1,
            Op::Wait(name, count) if after.names[*name] < *count => return,
            Op::Wait(..) => {}
            Op::Context(context) => after.choose(cpu, *context),
        }
        next.push((after, cause));
    }

    /// Whether what the CPU has sent out lets it pass a barrier.
    ///
    /// Source: rules RSPVBD, RYNJCP, RPSMWS. A barrier of the non-shareable domain is not held to
    /// make stores visible to any walker, nor to complete what was broadcast: the weaker readings.
    fn may_pass(&self, state: &State, cpu: usize, op: &Op) -> bool {
        let mut sent = state.cpus[cpu].sent.iter();
        !sent.any(|(issued, _)| completes(op, self.slice.issued[*issued].names.domain))
    }

    fn intend(&self, state: &mut State, cpu: usize, intent: Intent) {
        for (at, meant) in self.slice.addresses.iter().zip(&mut state.meanings) {
            if let Some(offset) = at.offset_from(intent.range.start())
                && intent.range.contains(*at)
            {
                let target = intent.target.of(meant.base, offset);
                meant.open.push(Open { cpu, target, meanwhile: intent.meanwhile });
            }
        }
    }

    fn free(&self, state: &mut State, table: blockmap_machine::PhysAddr) {
        state.freed.push(table);
        for (place, within) in self.slice.tables.iter().enumerate() {
            if *within == table {
                state.memory[place] = None;
            }
        }
    }
}

impl State {
    fn write(
        &mut self,
        cpu: usize,
        (place, write): (usize, Write),
        (step, half): (usize, Option<Write>),
    ) {
        let extent = match (half, self.own_extent(cpu, place)) {
            (Some(_), Extent::Whole) => Extent::Half,
            (None, _) | (Some(_), Extent::Half) => Extent::Whole,
        };
        let old = self.own(cpu, place);
        let made_from = match write {
            Write::Bits { .. } if half.is_none() => old,
            Write::Value(_) | Write::Bits { .. } => None,
        };
        let value = write.apply(old);
        self.cpus[cpu].buffer.push(Pending { place, value, step, made_from, extent, half });
    }

    fn touch(&mut self, cpu: usize, touch: Touch, pieces: &[usize]) {
        for piece in pieces {
            self.lines[*piece] = self.lines[*piece].after(cpu, touch);
        }
    }

    fn settle_lines(&mut self, cpu: usize, barrier: Barrier) {
        for lines in &mut self.lines {
            *lines = lines.after_barrier(cpu, barrier);
        }
    }

    fn achieve(&mut self, cpu: usize) {
        for meant in &mut self.meanings {
            let is_done = |open: &Open| open.cpu == cpu && open.meanwhile != Meanwhile::Later;
            if let Some(last) = meant.open.iter().rev().find(|open| is_done(open)) {
                meant.base = last.target;
                meant.open.retain(|open| !is_done(open) && open.meanwhile != Meanwhile::Later);
            }
        }
    }

    fn choose(&mut self, cpu: usize, context: Context) {
        let cpu = &mut self.cpus[cpu];
        if cpu.context != context {
            cpu.lingering = Some(cpu.context);
            cpu.context = context;
        }
    }
}

/// Whether a lock can be taken that is in this state, as [`State::names`] has it.
const fn is_free(lock: u32, turn: u32) -> bool {
    lock & 1 == 0 && lock / 2 >= turn
}

/// Whether an operation waits for the invalidations of a domain that were sent before it.
fn completes(op: &Op, domain: Domain) -> bool {
    *op == Op::Dsb(Barrier::DsbIsh) || *op == Op::Dsb(Barrier::DsbNsh) && domain == Domain::Local
}

/// The positions of the bits that are set.
fn bits(word: u64) -> impl Iterator<Item = usize> {
    (0..64).filter(move |bit| word >> bit & 1 != 0)
}
