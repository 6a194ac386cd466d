//! What must hold in every state.

use blockmap_machine::{Entry, PhysAddr, VirtAddr};

use super::close::{Astray, Into, Reach};
use super::run::{Cause, Explorer, Moment, walk};
use super::state::{CpuState, Kind, Known, Others, State};
use crate::coherence::Lines;
use crate::profile::{SizeChange, WalkCache};
use crate::program::{Aliases, Context};
use crate::verdict::{Effect, Rule, Verdict};

/// A rule that a state breaks, for a CPU and the number of an address.
type Broken = (Rule, usize, usize);

impl Explorer<'_, '_> {
    /// Checks a state; records what is wrong. Says whether nothing is.
    pub(super) fn check(&mut self, state: &State, reaches: &[Reach], cause: Cause) -> bool {
        match self.broken(state, reaches, cause) {
            None => true,
            Some((rule, cpu, address)) => {
                let seen = self.seen(state, &reaches[cpu], (cpu, address));
                let at = self.slice.addresses[address];
                self.record(state, cause, verdict(rule, cpu, at, seen));
                false
            }
        }
    }

    /// Checks that a state in which nothing can happen is the end of every program.
    pub(super) fn check_stuck(&mut self, state: &State, cause: Cause) {
        let waits = |(cpu, ops): (&CpuState, &Vec<_>)| cpu.next < ops.len();
        if let Some(cpu) = state.cpus.iter().zip(&self.slice.ops).position(waits) {
            let at = self.slice.addresses.first().copied().unwrap_or_default();
            let seen = vec!["that it waits for ever".to_owned()];
            self.record(state, cause, verdict(Rule::NoDeadlock, cpu, at, seen));
        }
    }

    fn broken(&self, state: &State, reaches: &[Reach], cause: Cause) -> Option<Broken> {
        (0..state.cpus.len())
            .find_map(|cpu| {
                let astray = reaches[cpu].astray.map(|astray| (into(astray), cpu, astray.address));
                self.broken_moment(state, (cpu, &reaches[cpu]), cause).or(astray)
            })
            .or_else(|| {
                (0..state.cpus.len()).find_map(|cpu| {
                    (0..self.slice.addresses.len()).find_map(|address| {
                        let rule = self.broken_address(state, &reaches[cpu], (cpu, address), cause);
                        rule.map(|rule| (rule, cpu, address))
                    })
                })
            })
            .or_else(|| self.broken_tree(state))
            .or_else(|| self.broken_fetch(state))
            .or_else(|| self.broken_alias(state))
    }

    /// What the last step promises.
    fn broken_moment(
        &self,
        state: &State,
        (cpu, reach): (usize, &Reach),
        cause: Cause,
    ) -> Option<Broken> {
        let first = |bits: u64| usize::try_from(bits.trailing_zeros()).unwrap_or(0);
        match cause.moment {
            Moment::Any => None,
            Moment::Lost => (cpu == cause.cpu).then_some((Rule::HardwareUpdatesAreOff, cpu, 0)),
            Moment::Used(addresses) => {
                let faults = state.cpus[cpu].remembered & addresses;
                let is_user = cpu == cause.cpu && faults != 0;
                is_user.then(|| (Rule::SynchroniseAfterPublish, cpu, first(faults)))
            }
            Moment::Freed(table) => {
                let number = self.holds(state, cpu, table)?;
                let mut rule = self.why(state, (cpu, number), cause);
                if matches!(rule, Rule::StaleUntilInvalidated | Rule::InvalidateAfterPublish) {
                    rule = Rule::FreeAfterInvalidate;
                }
                let speaks_for = |at: &VirtAddr| self.items[number].range.contains(*at);
                let address = self.slice.addresses.iter().position(speaks_for)?;
                Some((rule, cpu, address))
            }
            Moment::Achieved => {
                let mapped = |(number, meant): (usize, &super::state::Meant)| {
                    if meant.may_fault() { 0 } else { 1_u64 << number }
                };
                let must: u64 = state.meanings.iter().enumerate().map(mapped).sum();
                let own = if cpu == cause.cpu { state.cpus[cpu].remembered } else { 0 };
                let faults = (own | reach.faults) & must;
                if faults != 0 {
                    return Some((Rule::SynchroniseAfterPublish, cpu, first(faults)));
                }
                let is_own = cpu == cause.cpu;
                let address = is_own.then(|| self.unmeant(state, cpu))??;
                Some((Rule::MapMeansWhatWasAsked, cpu, address))
            }
        }
    }

    /// An address that the tables, as `cpu` has written them, do not make what was asked.
    fn unmeant(&self, state: &State, cpu: usize) -> Option<usize> {
        let load = |entry: Entry| state.own(cpu, *self.slice.places.get(&entry)?);
        let is_wrong = |(at, meant): (&VirtAddr, &super::state::Meant)| {
            meant.open.is_empty() && walk(self.slice, *at, load) != meant.base
        };
        self.slice.addresses.iter().zip(&state.meanings).position(is_wrong)
    }

    /// Something that a CPU still has of a table: a pointer to it, or, where descriptors are cached
    /// by place, one of its descriptors.
    fn holds(&self, state: &State, cpu: usize, table: PhysAddr) -> Option<usize> {
        let mut held = state.cpus[cpu].tlb;
        held.join(state.cpus[cpu].pipeline);
        let is_of = |number: &usize| {
            let Known { item, .. } = &self.items[*number];
            let by_place = self.slice.program.cpus[cpu].profile.walk_cache == WalkCache::ByPlace;
            matches!(item.kind, Kind::Pointer { table: to, .. } if to == table)
                || by_place && item.from == table
        };
        held.numbers().find(is_of)
    }

    fn broken_address(
        &self,
        state: &State,
        reach: &Reach,
        (cpu, address): (usize, usize),
        cause: Cause,
    ) -> Option<Rule> {
        let meant = &state.meanings[address];
        if reach.faults >> address & 1 != 0 && !meant.may_fault() {
            return Some(Rule::MappedStaysMapped);
        }
        let mut held = state.cpus[cpu].tlb;
        held.join(state.cpus[cpu].pipeline);
        let wrong = held.numbers().find(|number| {
            let translation = self.items[*number].translations[address];
            translation.is_some_and(|translation| !meant.allows(translation))
        });
        if let Some(number) = wrong {
            return Some(self.unintended(state, (cpu, address), number, cause));
        }
        self.broken_pair(state, (cpu, address))
    }

    /// Which rule it breaks that an item translates an address as nobody intends.
    fn unintended(
        &self,
        state: &State,
        (cpu, address): (usize, usize),
        number: usize,
        cause: Cause,
    ) -> Rule {
        let Known { item, translations, .. } = &self.items[number];
        if cause.moment == Moment::Achieved {
            return self.why(state, (cpu, number), cause);
        }
        let at = self.slice.addresses[address];
        let is_own = item.base == at.align_down(self.slice.program.shape.span(item.height));
        if matches!(item.kind, Kind::Run { .. }) && !is_own {
            return Rule::RunChangesWhole;
        }
        let same = |same: fn(crate::meaning::Translation, crate::meaning::Translation) -> bool| {
            let translation = translations[address];
            state.meanings[address]
                .all()
                .flatten()
                .any(|allowed| translation.is_some_and(|translation| same(translation, allowed)))
        };
        if !same(|one, other| one.output == other.output) {
            Rule::OutputAsIntended
        } else if !same(|one, other| one.memory == other.memory) {
            Rule::TypeAsIntended
        } else {
            Rule::RightsAsIntended
        }
    }

    /// What two items for one address must not be together.
    fn broken_pair(&self, state: &State, (cpu, address): (usize, usize)) -> Option<Rule> {
        let at = self.slice.addresses[address];
        let held: Vec<&Known> =
            state.cpus[cpu].tlb.numbers().map(|number| &self.items[number]).collect();
        let here: Vec<&Known> = held.into_iter().filter(|known| known.range.contains(at)).collect();
        here.iter().enumerate().find_map(|(number, one)| {
            here[..number].iter().find_map(|other| {
                let rule = self.broken_by(one, other, (cpu, address))?;
                // What a parked CPU could have got from the tables, it has kept from before.
                let is_parked = state.cpus[cpu].context == Context::Reserved;
                Some(if is_parked { Rule::ParkedHoldsNothing } else { rule })
            })
        })
    }

    fn broken_by(
        &self,
        one: &Known,
        other: &Known,
        (cpu, address): (usize, usize),
    ) -> Option<Rule> {
        let program = self.slice.program;
        let on_size = match program.cpus[cpu].profile.size_change {
            SizeChange::NeedsBreak => Some(Rule::BreakBeforeMake),
            SizeChange::MayAbort => Some(Rule::SizeChangeByCpu),
            SizeChange::Quiet => None,
        };
        let (heights, leaves) = ((one.item.height, other.item.height), (one.leaf, other.leaf));
        match leaves {
            (None, None) => None,
            // A walk that goes on where a leaf ends it.
            (None, Some(_)) => on_size.filter(|_| heights.0 <= heights.1),
            (Some(_), None) => on_size.filter(|_| heights.1 <= heights.0),
            (Some(leaf), Some(beside)) => {
                let (first, second) = (one.translations[address]?, other.translations[address]?);
                let is_mixed = !program.are_alike(first.memory, second.memory)
                    || leaf.shareability != beside.shareability;
                let is_size = heights.0 != heights.1 || leaf.is_contiguous != beside.is_contiguous;
                let is_other = leaf.is_global != beside.is_global;
                if first.output != second.output || is_other {
                    Some(Rule::BreakBeforeMake)
                } else if is_mixed {
                    Some(Rule::TypeChangeBreaks)
                } else {
                    on_size.filter(|_| is_size)
                }
            }
        }
    }

    /// A CPU that walks the tree while its TLB may hold something of another.
    fn broken_tree(&self, state: &State) -> Option<Broken> {
        let mixes = |cpu: &CpuState| cpu.is_live() && cpu.others == Others::Something;
        let cpu = state.cpus.iter().position(mixes)?;
        (!self.slice.addresses.is_empty()).then_some((Rule::RootThroughEmptyTable, cpu, 0))
    }

    /// Memory that a CPU may execute, of which caches may hide the instructions.
    fn broken_fetch(&self, state: &State) -> Option<Broken> {
        if !state.lines.iter().any(|lines| lines.hide_code()) {
            return None;
        }
        let page = self.slice.program.shape.span(0);
        state.cpus.iter().enumerate().find_map(|(cpu, held)| {
            let mut held_too = held.tlb;
            held_too.join(held.pipeline);
            held_too.numbers().find_map(|number| {
                let all = self.items[number].translations.iter();
                let address = all.enumerate().find(|(_, translation)| {
                    let to = translation.filter(|to| to.rights.executes());
                    to.is_some_and(|to| {
                        let mut lines = self.slice.lines_of(state, to.output.align_down(page));
                        lines.any(Lines::hide_code)
                    })
                });
                address.map(|(address, _)| (Rule::CodeCleanBeforeRun, cpu, address))
            })
        })
    }

    /// A frame that is writable through one item and executable through another, on any CPUs.
    fn broken_alias(&self, state: &State) -> Option<Broken> {
        if self.slice.program.aliases == Aliases::Mixed {
            return None;
        }
        let page = self.slice.program.shape.span(0);
        let mut writes = Vec::new();
        let mut executes = Vec::new();
        for (cpu, held) in state.cpus.iter().enumerate() {
            let mut held_too = held.tlb;
            held_too.join(held.pipeline);
            for number in held_too.numbers() {
                for (address, translation) in self.items[number].translations.iter().enumerate() {
                    let Some(translation) = translation else { continue };
                    let frame = translation.output.align_down(page);
                    if translation.rights.writes() {
                        writes.push(frame);
                    }
                    if translation.rights.executes() {
                        executes.push((frame, cpu, address));
                    }
                }
            }
        }
        let both = executes.into_iter().find(|(frame, ..)| writes.contains(frame));
        both.map(|(_, cpu, address)| (Rule::NarrowThenWiden, cpu, address))
    }

    /// What a CPU could see at an address, a line each.
    fn seen(&self, state: &State, reach: &Reach, (cpu, address): (usize, usize)) -> Vec<String> {
        let mut held = state.cpus[cpu].tlb;
        held.join(state.cpus[cpu].pipeline);
        let at = self.slice.addresses[address];
        let items = held.numbers().map(|number| &self.items[number]);
        let mut lines: Vec<String> = items
            .filter(|known| known.range.contains(at))
            .map(|known| line(known, address))
            .collect();
        if reach.faults >> address & 1 != 0 {
            lines.push("a fault".to_owned());
        }
        if let Some(Astray { entry, into, .. }) = reach.astray {
            let what = match into {
                Into::Unwritten => "which holds anything",
                Into::Freed => "of a table that was given back",
                Into::Hidden => "of a table that caches may hide",
                Into::Torn => "of which half has been stored",
            };
            lines.push(format!("the entry {entry}, {what}"));
        }
        lines
    }
}

fn into(astray: Astray) -> Rule {
    match astray.into {
        Into::Unwritten => Rule::PublishAfterFill,
        Into::Freed => Rule::FreeAfterInvalidate,
        Into::Hidden => Rule::TablesOutOfCaches,
        Into::Torn => Rule::EntriesAreStoredWhole,
    }
}

fn verdict(rule: Rule, cpu: usize, address: VirtAddr, seen: Vec<String>) -> Verdict {
    let effect = Effect { cpu, step: 0, text: String::new() };
    Verdict { rule, cpu, address, effect, seen }
}

/// One item as text.
fn line(known: &Known, address: usize) -> String {
    let level = crate::shape::Shape::level_of(known.item.height);
    let from = known.item.from;
    match (known.item.kind, known.translations[address]) {
        (Kind::Pointer { table, .. }, _) => format!("a pointer of level {level} to table {table}"),
        (Kind::Run { .. }, Some(to)) => format!("{to} from a run of level {level} in {from}"),
        (_, to) => {
            let to = to.map_or_else(|| "nothing".to_owned(), |to| to.to_string());
            format!("{to} from a leaf of level {level} in {from}")
        }
    }
}
