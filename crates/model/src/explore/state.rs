//! One moment of a slice.

use blockmap_machine::{PhysAddr, VirtAddr, VirtRange};

use super::project::{Op, Projected};
use crate::coherence::Lines;
use crate::decode::Leaf;
use crate::meaning::Translation;
use crate::program::{Context, Meanwhile, Write};
use crate::rights::Rights;

/// A moment: everything that what follows depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// What walkers of all CPUs read at each place; `None` is anything.
    pub(super) memory: Vec<Option<u64>>,
    pub(super) cpus: Vec<CpuState>,
    /// Locks and counters by name: twice how often a lock was let go of, and one if it is held; or
    /// a count.
    pub(super) names: Vec<u32>,
    /// The tables that have been given back and not been written since.
    pub(super) freed: Vec<PhysAddr>,
    /// What each address means.
    pub(super) meanings: Vec<Meant>,
    /// The places of which walkers read half a store.
    pub(super) torn: Vec<usize>,
    /// What caches have of the slice's pieces of memory.
    pub(super) lines: Vec<Lines>,
}

/// One CPU at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CpuState {
    /// How many of its operations it has executed.
    pub(super) next: usize,
    /// Its stores that are not visible to others, in program order.
    pub(super) buffer: Vec<Pending>,
    /// The locks it has let go of that the others still see held, and how many of its stores, from
    /// the first on, must be visible before they see otherwise.
    pub(super) releases: Vec<(usize, usize)>,
    /// Its invalidations that have not taken effect everywhere: which, and where not yet.
    pub(super) sent: Vec<(usize, u64)>,
    /// What its TLB holds, or could.
    pub(super) tlb: Set,
    /// What its TLB no longer holds and its pipeline may still use.
    pub(super) pipeline: Set,
    /// The addresses at which its pipeline may still fault, a bit each.
    pub(super) remembered: u64,
    /// The root it has chosen.
    pub(super) context: Context,
    /// The root that it may still use beside that one.
    pub(super) lingering: Option<Context>,
    /// What its TLB may hold of another tree.
    pub(super) others: Others,
}

/// What a TLB may hold of another tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Others {
    Nothing,
    Something,
}

/// A store that is not visible yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    pub(super) place: usize,
    pub(super) value: Option<u64>,
    pub(super) step: usize,
    /// What the value was made from, where it was.
    pub(super) made_from: Option<u64>,
    /// How much of the entry the CPU itself has stored then.
    pub(super) extent: Extent,
    /// The half that is stored, if it is one: halves become visible in any order.
    pub(super) half: Option<Write>,
}

/// How much of an entry has been stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Extent {
    Whole,
    /// One half, the other not yet.
    Half,
}

/// What an address means: as last achieved, and as now intended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Meant {
    pub(super) base: Option<Translation>,
    pub(super) open: Vec<Open>,
}

/// An intent that is not achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Open {
    pub(super) cpu: usize,
    pub(super) target: Option<Translation>,
    pub(super) meanwhile: Meanwhile,
}

impl Meant {
    /// Whether an access may translate like this.
    pub(super) fn allows(&self, translation: Translation) -> bool {
        self.all().any(|allowed| allowed == Some(translation))
    }

    /// Whether an access may fault.
    pub(super) fn may_fault(&self) -> bool {
        self.all().any(|allowed| allowed.is_none())
            || self.open.iter().any(|open| open.meanwhile != Meanwhile::Accessible)
    }

    /// All it may translate to, the last achieved first.
    pub(super) fn all(&self) -> impl Iterator<Item = Option<Translation>> {
        std::iter::once(self.base).chain(self.open.iter().map(|open| open.target))
    }
}

impl CpuState {
    /// Whether a walk may start from the judged tree's root.
    pub(super) fn is_live(&self) -> bool {
        self.uses(Context::Live)
    }

    /// Whether a walk may start from this root.
    pub(super) fn uses(&self, context: Context) -> bool {
        self.context == context || self.lingering == Some(context)
    }
}

impl State {
    /// Before the first step: TLBs empty, each address as the tables say.
    pub(super) fn new(slice: &Projected<'_>, meanings: Vec<Option<Translation>>) -> Self {
        let cpu = CpuState {
            next: 0,
            buffer: Vec::new(),
            releases: Vec::new(),
            sent: Vec::new(),
            tlb: Set::default(),
            pipeline: Set::default(),
            remembered: 0,
            context: Context::Live,
            lingering: None,
            others: Others::Nothing,
        };
        let start = |ops: &Vec<(usize, Op)>| {
            let is_other = matches!(ops.first(), Some((_, Op::Context(Context::Other))));
            let context = if is_other { Context::Other } else { Context::Live };
            CpuState { context, ..cpu.clone() }
        };
        let meant = |base| Meant { base, open: Vec::new() };
        Self {
            memory: slice.initial.clone(),
            cpus: slice.ops.iter().map(start).collect(),
            names: vec![0; slice.names],
            freed: Vec::new(),
            meanings: meanings.into_iter().map(meant).collect(),
            torn: Vec::new(),
            lines: slice.lines.iter().map(|(_, lines)| *lines).collect(),
        }
    }

    /// What a place holds to the program of `cpu`: its own last store, or memory.
    pub(super) fn own(&self, cpu: usize, place: usize) -> Option<u64> {
        let own = self.cpus[cpu].buffer.iter().rev().find(|pending| pending.place == place);
        own.map_or(self.memory[place], |pending| pending.value)
    }

    /// How much of a store to a place the program of `cpu` has done.
    pub(super) fn own_extent(&self, cpu: usize, place: usize) -> Extent {
        let own = self.cpus[cpu].buffer.iter().rev().find(|pending| pending.place == place);
        let memory = if self.torn.contains(&place) { Extent::Half } else { Extent::Whole };
        own.map_or(memory, |pending| pending.extent)
    }

    /// A store becomes visible, and the locks that only it held back are seen to be free.
    pub(super) fn show(&mut self, cpu: usize, at: usize) -> Pending {
        let store = self.cpus[cpu].buffer.remove(at);
        let Self { cpus, names, .. } = self;
        cpus[cpu].releases.retain_mut(|(name, behind)| {
            *behind -= usize::from(at < *behind);
            names[*name] += u32::from(*behind == 0);
            *behind != 0
        });
        self.store(store);
        store
    }

    /// A CPU lets go of a lock; others see it once they see what it stored before.
    pub(super) fn release(&mut self, cpu: usize, name: usize) {
        match self.cpus[cpu].buffer.len() {
            0 => self.names[name] += 1,
            behind => self.cpus[cpu].releases.push((name, behind)),
        }
    }

    fn store(&mut self, store: Pending) {
        let was_torn = self.torn.contains(&store.place);
        self.torn.retain(|place| *place != store.place);
        match store.half {
            None => self.memory[store.place] = store.value,
            Some(half) => {
                self.memory[store.place] = half.apply(self.memory[store.place]);
                if !was_torn {
                    self.torn.push(store.place);
                    self.torn.sort_unstable();
                }
            }
        }
    }
}

/// A set of up to 256 translations by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Set([u64; 4]);

impl Set {
    /// How many numbers there are.
    pub(super) const SIZE: usize = 256;

    /// Adds a number; says whether it is new.
    pub(super) fn insert(&mut self, number: usize) -> bool {
        let (word, bit) = (&mut self.0[number / 64], 1 << (number % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(super) fn remove(&mut self, number: usize) {
        self.0[number / 64] &= !(1 << (number % 64));
    }

    pub(super) fn contains(self, number: usize) -> bool {
        self.0[number / 64] & 1 << (number % 64) != 0
    }

    pub(super) fn join(&mut self, other: Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }

    /// The numbers in ascending order.
    pub(super) fn numbers(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, bits)| {
            std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)))
                .take_while(|bits| *bits != 0)
                .map(move |bits| word * 64 + usize::try_from(bits.trailing_zeros()).unwrap_or(0))
        })
    }
}

/// Something a TLB can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Item {
    /// The first address that its descriptor is for.
    pub(super) base: VirtAddr,
    /// The height of the table that the descriptor stands in.
    pub(super) height: u32,
    /// That table.
    pub(super) from: PhysAddr,
    pub(super) kind: Kind,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The next table of a walk.
    Pointer { table: PhysAddr, allows: Rights },
    /// A leaf.
    Leaf { word: u64, allows: Rights },
    /// A whole contiguous run, known from one of its leaves.
    Run { word: u64, allows: Rights },
}

/// An item with what is asked of it again and again.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) item: Item,
    /// The addresses it speaks for.
    pub(super) range: VirtRange,
    pub(super) leaf: Option<Leaf>,
    /// What it translates each of the slice's addresses to, if it does.
    pub(super) translations: Vec<Option<Translation>>,
}
