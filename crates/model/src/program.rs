//! What is judged: initial tables, and for each CPU a list of steps.

use std::collections::BTreeMap;

use blockmap_machine::{Entry, Event, PhysAddr, PhysRange, Span, VirtRange};

use crate::meaning::Translation;
use crate::profile::Profile;
use crate::rights::Rights;
use crate::shape::Shape;

/// A machine and what its CPUs do to its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The shape of the tree.
    pub shape: Shape,
    /// The root table.
    pub root: PhysAddr,
    /// The attribute bytes of the eight memory types.
    pub types: [u8; 8],
    /// Whether writable and executable translations of one frame may coexist.
    pub aliases: Aliases,
    /// What memory holds before the first step: stores, fills and updates. An entry that none of
    /// them writes holds anything.
    pub initially: Vec<Event>,
    /// The CPUs.
    pub cpus: Vec<Cpu>,
}

/// Whether writable and executable translations of one frame may coexist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aliases {
    /// Never, on any CPUs: [narrow-then-widen].
    Apart,
    /// They may: a system that was told not to protect itself.
    Mixed,
}

/// One CPU: what it may do, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its properties.
    pub profile: Profile,
    /// Its steps in program order.
    pub steps: Vec<Step>,
}

/// One step of one CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An effect on tables, order, TLBs or caches.
    Effect(Event),
    /// From here on the CPU changes what a range means.
    Intend(Intent),
    /// All that this CPU intends is in force, on every CPU.
    Achieved,
    /// A table is given back: its memory may be used for anything.
    Free(PhysAddr),
    /// From here on this CPU relies on a range being mapped.
    Use(VirtRange),
    /// Half a store of an entry: 32 of its bits. The other half is another step.
    Part(Entry, Part, u32),
    /// Instructions have been stored to this memory, as data.
    Code(PhysRange),
    /// From here on this CPU's stores to this memory go past the caches, which may have had
    /// anything of it before.
    PastCaches(PhysRange),
    /// Waits until nobody holds the lock of this name, and takes it.
    Lock {
        /// The lock.
        name: String,
        /// How often it must have been let go of before: whose turn it was in the run that was
        /// written down. `None` is any order.
        turn: Option<u32>,
    },
    /// Lets go of the lock. Everybody sees what this CPU stored before as soon as somebody can see
    /// that: a store-release.
    Unlock(String),
    /// Adds one to the counter of this name. It orders nothing: barriers do.
    Signal(String),
    /// Waits until the counter of this name has reached the number.
    Wait(String, u32),
    /// Changes the root that this half's walks start from; `isb` makes it sure.
    Context(Context),
}

impl Step {
    /// The effect, if the step is one. Half a store is an update of half the bits.
    #[must_use]
    pub const fn event(&self) -> Option<Event> {
        match self {
            Self::Effect(event) => Some(*event),
            Self::Part(entry, part, bits) => {
                let (clear, set) = part.masks(*bits);
                Some(Event::Update { span: entry.span(1), clear, set })
            }
            Self::Code(_)
            | Self::PastCaches(_)
            | Self::Intend(_)
            | Self::Achieved
            | Self::Free(_)
            | Self::Use(_)
            | Self::Lock { .. }
            | Self::Unlock(_)
            | Self::Signal(_)
            | Self::Wait(..)
            | Self::Context(_) => None,
        }
    }

    /// The range that the step names, if it names one.
    #[must_use]
    pub const fn range(&self) -> Option<VirtRange> {
        match self {
            Self::Intend(intent) => Some(intent.range),
            Self::Use(range) => Some(*range),
            Self::Effect(_)
            | Self::Achieved
            | Self::Free(_)
            | Self::Part(..)
            | Self::Code(_)
            | Self::PastCaches(_)
            | Self::Lock { .. }
            | Self::Unlock(_)
            | Self::Signal(_)
            | Self::Wait(..)
            | Self::Context(_) => None,
        }
    }
}

/// Which half of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Bits 31 to 0.
    Low,
    /// Bits 63 to 32.
    High,
}

impl Part {
    /// The bits of the half, and `bits` where they stand in an entry.
    const fn masks(self, bits: u32) -> (u64, u64) {
        let [a, b, c, d] = bits.to_le_bytes();
        match self {
            Self::Low => (0xffff_ffff, u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0])),
            Self::High => (0xffff_ffff << 32, u64::from_le_bytes([0, 0, 0, 0, a, b, c, d])),
        }
    }
}

/// The root that walks of one CPU start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// The judged tree's.
    Live,
    /// An empty table's: the CPU is parked.
    Reserved,
    /// Another tree's. A CPU whose first step this is has walked that one from the start.
    Other,
}

/// What a range shall mean, and what may be seen meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The range.
    pub range: VirtRange,
    /// What it becomes.
    pub target: Target,
    /// Whether accesses may fault before it is achieved; they may anyway where old or new is
    /// unmapped.
    pub meanwhile: Meanwhile,
}

/// What a range becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Unmapped.
    Unmapped,
    /// Mapped as before with these rights.
    Rights(Rights),
    /// Mapped like this, from its start on.
    Mapped(Translation),
}

/// Whether a range may be broken before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meanwhile {
    /// Accesses go on all the time.
    Accessible,
    /// Nobody accesses it.
    Idle,
    /// Nobody accesses it, and what it was may be seen beyond the end of the operation: until another
    /// intent for it is achieved.
    Later,
}

impl Target {
    /// What it makes of one address `offset` bytes into the range, which meant `old`.
    #[must_use]
    pub fn of(self, old: Option<Translation>, offset: u64) -> Option<Translation> {
        match self {
            Self::Unmapped => None,
            Self::Rights(rights) => old.map(|old| Translation { rights, ..old }),
            Self::Mapped(translation) => Some(translation.above(offset)),
        }
    }
}

/// The kernel's memory types: write-back, tagged, non-cacheable, two of devices.
pub const KERNEL_TYPES: [u8; 8] = [0xff, 0xf0, 0x44, 0x00, 0x04, 0, 0, 0];

impl Program {
    /// A program of `cpus` CPUs of one profile with nothing in memory and nothing to do.
    #[must_use]
    pub fn new(shape: Shape, root: PhysAddr, profile: Profile, cpus: usize) -> Self {
        Self {
            shape,
            root,
            types: KERNEL_TYPES,
            aliases: Aliases::Apart,
            initially: Vec::new(),
            cpus: vec![Cpu { profile, steps: Vec::new() }; cpus],
        }
    }

    /// Whether two memory types may be mixed: the same, or tagged and untagged write-back.
    #[must_use]
    pub fn are_alike(&self, one: u8, other: u8) -> bool {
        let normal = |index: u8| match self.types[usize::from(index & 7)] {
            0xf0 => 0xff,
            byte => byte,
        };
        one == other || normal(one) == normal(other)
    }
}

/// Memory as a list of words: what is written, in program order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    tables: BTreeMap<u64, Vec<Option<u64>>>,
}

impl Memory {
    /// Memory after `events`.
    #[must_use]
    pub fn after(events: &[Event]) -> Self {
        let mut memory = Self::default();
        for event in events {
            memory.perform(*event);
        }
        memory
    }

    /// What an entry holds; `None` if nobody has written it.
    #[must_use]
    pub fn load(&self, entry: Entry) -> Option<u64> {
        *self.tables.get(&entry.table.value())?.get(usize::from(entry.index))?
    }

    /// Carries out an effect as if it were visible at once.
    pub fn perform(&mut self, event: Event) {
        each_write(event, |entry, write| self.write(entry, write));
    }

    /// Writes one entry.
    pub fn write(&mut self, entry: Entry, write: Write) {
        let words = self.tables.entry(entry.table.value()).or_default();
        let index = usize::from(entry.index);
        if words.len() <= index {
            words.resize(index + 1, None);
        }
        words[index] = write.apply(words[index]);
    }

    /// The entries that somebody has written.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.tables.iter().flat_map(|(table, words)| {
            let known = |(index, word): (u16, &Option<u64>)| {
                word.map(|_| Entry { table: PhysAddr::new(*table), index })
            };
            (0..).zip(words).filter_map(known)
        })
    }
}

/// What a bulk effect does to one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// Writes this.
    Value(u64),
    /// Clears and then sets.
    Bits {
        /// Bits to clear.
        clear: u64,
        /// Bits to set.
        set: u64,
    },
}

impl Write {
    /// What the entry holds afterwards.
    #[must_use]
    pub const fn apply(self, old: Option<u64>) -> Option<u64> {
        match (self, old) {
            (Self::Value(value), _) => Some(value),
            (Self::Bits { clear, set }, Some(old)) => Some(old & !clear | set),
            (Self::Bits { .. }, None) => None,
        }
    }
}

/// The entries that an effect writes; no entries for barriers and maintenance.
#[must_use]
pub fn written(event: Event) -> Option<Span> {
    match event {
        Event::Store { entry, .. } => Some(entry.span(1)),
        Event::Fill { span, .. } | Event::Update { span, .. } => Some(span),
        Event::Barrier(_) | Event::Invalidate(_) | Event::Maintain { .. } => None,
    }
}

/// What an effect does to the entry of `index`, if it writes it.
#[must_use]
pub fn write_to(event: Event, index: u16) -> Option<Write> {
    let span = written(event)?;
    let offset = index.checked_sub(span.first).filter(|offset| *offset < span.count)?;
    match event {
        Event::Store { value, .. } => Some(Write::Value(value)),
        Event::Fill { value, step, .. } => {
            Some(Write::Value(value.wrapping_add(step.wrapping_mul(u64::from(offset)))))
        }
        Event::Update { clear, set, .. } => Some(Write::Bits { clear, set }),
        Event::Barrier(_) | Event::Invalidate(_) | Event::Maintain { .. } => None,
    }
}

/// Calls `each` for every entry that an effect writes.
pub fn each_write(event: Event, mut each: impl FnMut(Entry, Write)) {
    let Some(Span { table, first, count }) = written(event) else { return };
    for index in first..first.saturating_add(count) {
        if let Some(write) = write_to(event, index) {
            each(Entry { table, index }, write);
        }
    }
}
