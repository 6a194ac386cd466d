//! What is stored while all other CPUs are parked.
//!
//! A CPU that may abort, or needs a break, must never see a leaf of one size become leaves of
//! another. So all others leave the tables, and the one that is left makes the change. Everything
//! that can be done before is: new tables are filled and published while everybody runs.
//!
//! Where the CPU that is left is not quiet itself, it breaks what it changes:
//!
//! ```text timeline: split parked
//! 1. fill   level 2 table            everybody walks: the 1 GiB block
//! 2. fill   level 3 table            everybody walks: the 1 GiB block
//! 3. store  level 2 table -> level 3 everybody walks: the 1 GiB block
//! 4. dsb ishst                       all others are parked after it, and hold nothing
//! 5. update level 1 entry, invalid   this CPU walks: the block, or nothing
//! 6. dsb ishst                       this CPU walks: nothing
//! 7. tlbi   the block                its TLB holds: the block, or nothing
//! 8. dsb ish                         its TLB holds: nothing
//! 9. isb
//! 10. store level 1 entry -> level 2 this CPU walks: nothing, or the small leaves
//! 11. dsb ishst                      this CPU walks: the small leaves
//! 12. isb                            all others return after it
//! ```
//!
//! A quiet one goes from step 4 to 10, and makes steps 6 to 9 after that: block and small leaves
//! may be met side by side, and at the end only the small ones are left. [size-change-by-cpu]
//! Of a contiguous run all entries are broken and made together. [run-changes-whole]

mod blocks;

use blockmap_machine::{Barrier, Entry, Event, Invalidate, Machine, PhysAddr, Span, VirtRange};
use blockmap_vmsa::bits;
use blockmap_vmsa::cpu::SizeChange;

use blocks::Blocks;

/// A prepared change of live entries, to be made by one CPU while no other uses the tables: what
/// it leads to is filled, and visible to every walker.
///
/// It holds all that is needed, and nothing is looked up: its size is fixed, and performing it
/// touches the tables of [`Switch::tables`] and no other memory.
#[derive(Clone, Debug)]
pub struct Switch {
    stores: Stores,
    trains: [Option<Train>; 2],
}

/// Which live entries change.
#[derive(Clone, Debug)]
enum Stores {
    /// Leaves that are in no run come apart.
    Blocks(Blocks),
    /// Leaves and runs come apart.
    Units { units: [Option<Unit>; 2], links: [Option<Link>; 2] },
    /// Entries of one table change, whatever they were.
    Exchange(Exchange),
    /// Entries of the root change, and with them whatever this CPU runs on.
    Root(Exchange),
}

/// How the one CPU that is left makes the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// It may not meet two sizes: entries become invalid and TLBs lose them before the new ones
    /// are stored. Whatever they map cannot be reached meanwhile.
    Break,
    /// It is [`SizeChange::Quiet`]: new entries are stored over the old ones, and TLBs lose these
    /// afterwards.
    Direct,
    /// It is parked itself: it uses another root, and its TLB is empty, while the new entries are
    /// stored over the old ones. Then nobody walks the tables at all, and nothing is broken for
    /// anybody.
    Outside,
}

/// A leaf or a contiguous run that comes apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    /// Its entries.
    pub(crate) span: Span,
    /// Whether they are valid: bit 0 as it is, and will be.
    pub(crate) valid: u64,
    /// What it translates.
    pub(crate) range: Option<VirtRange>,
}

/// Neighbouring entries of a live table that change all at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) live: Span,
    /// A table that holds, in the same places, what they become; zero for those that stay.
    pub(crate) after: PhysAddr,
    /// What they translate.
    pub(crate) range: Option<VirtRange>,
}

/// A table, filled and not linked, and the live entry it will replace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) entry: Entry,
    pub(crate) table: PhysAddr,
    /// The table descriptor.
    pub(crate) word: u64,
}

/// TLB invalidations whose operands are in arithmetic progression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Train {
    pub(crate) first: Invalidate,
    pub(crate) step: u64,
    pub(crate) count: u16,
}

impl Switch {
    /// The most tables that [`Switch::tables`] names.
    pub const MOST_TABLES: usize = 2;

    /// Of leaves and runs that come apart, and of those of their entries that become pointers.
    #[inline]
    pub(crate) fn units(
        units: [Option<Unit>; 2],
        links: [Option<Link>; 2],
        trains: [Option<Train>; 2],
    ) -> Self {
        let stores = match Blocks::of(&units, &links, &trains) {
            Some(blocks) => Stores::Blocks(blocks),
            None => Stores::Units { units, links },
        };
        Self { stores, trains }
    }

    /// Of entries that change all at once.
    pub(crate) const fn exchange(exchange: Exchange, trains: [Option<Train>; 2]) -> Self {
        Self { stores: Stores::Exchange(exchange), trains }
    }

    /// Of entries of the root that change all at once.
    pub(crate) const fn root(exchange: Exchange) -> Self {
        Self { stores: Stores::Root(exchange), trains: [None; 2] }
    }

    /// The live entries, and a table that holds in the same places what they become, zero for those
    /// that stay: where the change is made [`Alone::Outside`], which this library can't do.
    #[must_use]
    pub const fn outside(&self) -> Option<(Span, PhysAddr)> {
        match &self.stores {
            Stores::Root(exchange) => Some((exchange.live, exchange.after)),
            Stores::Blocks(_) | Stores::Units { .. } | Stores::Exchange(_) => None,
        }
    }

    /// The tables whose entries are read and stored, each once. They may lie in the very memory
    /// that cannot be reached meanwhile: where the change is made by [`Alone::Break`], the machine
    /// reaches them through windows that the change does not concern.
    pub fn tables(&self) -> impl Iterator<Item = PhysAddr> {
        let (first, second) = match &self.stores {
            Stores::Blocks(blocks) => blocks.tables(),
            Stores::Units { units, .. } => {
                let [first, second] = units.each_ref();
                let table = |unit: &Unit| unit.span.table;
                (first.as_ref().map(table), second.as_ref().map(table))
            }
            Stores::Exchange(Exchange { live, after, .. })
            | Stores::Root(Exchange { live, after, .. }) => (Some(live.table), Some(*after)),
        };
        first.into_iter().chain(second.filter(|second| Some(*second) != first))
    }

    /// What the entries that are stored translate: where [`Alone::Break`] is how the change is
    /// made, nothing can be reached here until it is made. Its translation is the same before and
    /// after.
    pub fn ranges(&self) -> impl Iterator<Item = VirtRange> {
        let ranges = match &self.stores {
            Stores::Blocks(blocks) => blocks.ranges(),
            Stores::Units { units, .. } => units.each_ref().map(|unit| unit.as_ref()?.range),
            Stores::Exchange(Exchange { range, .. }) => [*range, None],
            Stores::Root(_) => [None, None],
        };
        ranges.into_iter().flatten()
    }

    /// How a CPU with this property makes the change. [size-change-by-cpu]
    #[must_use]
    pub const fn alone(&self, own: SizeChange) -> Alone {
        match (&self.stores, own) {
            (Stores::Blocks(_) | Stores::Units { .. }, SizeChange::Quiet) => Alone::Direct,
            (Stores::Root(_), _) => Alone::Outside,
            // An entry that leads to another table is no change of size alone.
            (
                Stores::Blocks(_) | Stores::Units { .. },
                SizeChange::NeedsBreak | SizeChange::MayAbort,
            )
            | (Stores::Exchange(_), _) => Alone::Break,
        }
    }

    /// Makes the change, as [`Switch::alone`] says of this CPU. All other CPUs are parked, and hold
    /// nothing of the tables in their TLBs.
    #[inline]
    pub fn perform<M: Machine>(&self, machine: &M, alone: Alone) {
        match &self.stores {
            Stores::Blocks(blocks) => blocks.perform(machine, alone),
            Stores::Units { .. } | Stores::Exchange(_) | Stores::Root(_) => {
                self.perform_many(machine, alone);
            }
        }
    }

    #[inline(never)]
    fn perform_many<M: Machine>(&self, machine: &M, alone: Alone) {
        match (&self.stores, alone) {
            (Stores::Blocks(blocks), _) => return blocks.perform(machine, alone),
            (Stores::Units { units, links }, Alone::Break) => {
                for unit in units.iter().flatten() {
                    machine.perform(Event::Update { span: unit.span, clear: bits::VALID, set: 0 });
                }
                self.invalidate(machine);
                store_links(links, machine);
                // What has one entry has nothing besides the pointer.
                if has_runs(units) {
                    units.iter().flatten().for_each(|unit| unit.keep(links, machine));
                }
            }
            (Stores::Units { units, links }, Alone::Direct | Alone::Outside) => {
                if has_runs(units) {
                    leave_runs(units, machine);
                }
                store_links(links, machine);
                return self.invalidate(machine);
            }
            (Stores::Exchange(exchange), _) => {
                exchange.store(machine, |_| 0);
                self.invalidate(machine);
                exchange.store(machine, |word| word);
            }
            (Stores::Root(exchange), _) => exchange.store(machine, |word| word),
        }
        machine.barrier(Barrier::DsbIshst);
        machine.barrier(Barrier::Isb);
    }

    /// Makes TLBs lose what was made of the units' entries before they were last stored.
    /// [invalidate-after-publish] [complete-after-invalidate]
    fn invalidate<M: Machine>(&self, machine: &M) {
        machine.barrier(Barrier::DsbIshst);
        for Train { first, step, count } in self.trains.iter().flatten() {
            let mut operand = first.operand;
            for _ in 0..*count {
                machine.invalidate(Invalidate { op: first.op, operand });
                operand = operand.wrapping_add(*step);
            }
        }
        machine.barrier(Barrier::DsbIsh);
        machine.barrier(Barrier::Isb);
    }
}

/// Whether what comes apart has several entries.
#[inline]
fn has_runs(units: &[Option<Unit>; 2]) -> bool {
    units.iter().flatten().any(|unit| unit.span.count > 1)
}

/// No entry of a run may change in another way while a neighbour still says that it is in the run.
/// [run-changes-whole]
#[cold]
#[inline(never)]
fn leave_runs<M: Machine>(units: &[Option<Unit>; 2], machine: &M) {
    for unit in units.iter().flatten().filter(|unit| unit.span.count > 1) {
        let span = unit.span;
        machine.perform(Event::Update { span, clear: bits::CONTIGUOUS, set: 0 });
    }
    machine.barrier(Barrier::DsbIshst);
}

impl Exchange {
    /// Stores to each entry that changes what `word` makes of its new word.
    #[inline]
    fn store<M: Machine>(&self, machine: &M, word: impl Fn(u64) -> u64) {
        let Span { table, first, count } = self.live;
        for index in first..first + count {
            let new = machine.load(Entry { table: self.after, index });
            if new != 0 {
                machine.store(Entry { table, index }, word(new));
            }
        }
    }
}

/// Stores the pointers.
#[inline]
fn store_links<M: Machine>(links: &[Option<Link>; 2], machine: &M) {
    for Link { entry, word, .. } in links.iter().flatten() {
        machine.store(*entry, *word);
    }
}

impl Unit {
    /// Makes the broken entries that are none of the pointers what they were, each for itself.
    #[cold]
    #[inline(never)]
    fn keep<M: Machine>(&self, links: &[Option<Link>; 2], machine: &M) {
        let Span { table, first, count } = self.span;
        let end = first + count;
        let is_link =
            |index: u16| links.iter().flatten().any(|link| link.entry == Entry { table, index });
        let mut index = first;
        while index < end {
            let kept = (index..end).take_while(|index| !is_link(*index));
            let span = Entry { table, index }.span(kept.fold(0, |count, _| count + 1));
            if span.count > 0 {
                let (clear, set) = (bits::CONTIGUOUS, self.valid);
                machine.perform(Event::Update { span, clear, set });
            }
            index += span.count + 1;
        }
    }
}
