//! Tables in which every address translates to itself: those the observer runs on, and stage 2,
//! whose permissions decide what of the kernel's accesses traps.

use blockmap::machine::{Barrier, Entry, Event, Machine, PhysAddr, PhysRange, VirtAddr};
use blockmap::vmsa::{Format, Geometry, Granule, Half, Kind, Level, Regime, cpu};
use thiserror::Error;

/// The observer's own translation: EL2&0, lower half, 4 KiB and 48 bits. Descriptors of stage 2
/// have the same shape; only what [`Stage2::meaning`] says is in other bits.
pub const WATCHER: Geometry =
    match Geometry::new((Regime::El2And0, Half::Lower), (Granule::Kib4, Format::Base), 48, 48) {
        Ok(geometry) => geometry,
        Err(_) => panic!("there is no such geometry"),
    };

/// What stage 2 lets the kernel do with memory. Its type is what stage 1 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage2 {
    /// Everything.
    ReadWrite,
    /// Everything but stores.
    ReadOnly,
    /// Nothing: every access traps.
    Nothing,
}

impl Stage2 {
    /// The bits of a leaf.
    ///
    /// Source: "VMSAv8-64 stage 2 descriptor formats": MemAttr Normal write-back (which restricts
    /// nothing), S2AP, SH inner, AF.
    #[must_use]
    pub const fn meaning(self) -> u64 {
        let valid = 0b1111 << 2 | 0b11 << 8 | 1 << 10 | 1;
        match self {
            Self::ReadWrite => valid | 0b11 << 6,
            Self::ReadOnly => valid | 0b01 << 6,
            Self::Nothing => 0,
        }
    }

    /// What the leaf `word` says.
    const fn of_leaf(word: u64) -> Self {
        match (word & 1, word >> 6 & 0b11) {
            (1, 0b11) => Self::ReadWrite,
            (1, 0b01) => Self::ReadOnly,
            _ => Self::Nothing,
        }
    }

    /// `VTCR_EL2` for a tree of four levels, on a CPU with this `ID_AA64MMFR0_EL1`; `None` if it
    /// has no such trees.
    ///
    /// Source: "VTCR_EL2, Virtualization Translation Control Register", "Implemented physical
    /// address size and stage 2 start level" for the 44 bits.
    #[must_use]
    pub const fn control(mmfr0: u64) -> Option<u64> {
        let bits = match cpu::output_bits(mmfr0) {
            bits @ 44..=48 => bits,
            52.. => 48,
            _ => return None,
        };
        // TGran4_2: 1 is missing; otherwise as stage 1 has it, or present.
        let has_granule = match mmfr0 >> 40 & 0xf {
            0 => {
                !matches!(cpu::granule_support(mmfr0, Granule::Kib4), cpu::GranuleSupport::Missing)
            }
            1 => false,
            _ => true,
        };
        if !has_granule {
            return None;
        }
        let output_size = if bits == 44 { 4 } else { 5 };
        #[expect(clippy::as_conversions, reason = "widening; From is not const")]
        let unused = (64 - bits) as u64;
        // RES1, PS, SH0 inner, ORGN0 and IRGN0 write-back, SL0 level 0, T0SZ.
        Some(1 << 31 | output_size << 16 | 3 << 12 | 1 << 10 | 1 << 8 | 2 << 6 | unused)
    }
}

/// The tables set aside are used up. What was mapped before still is; part of the range may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the tables set aside for the referee are used up")]
pub struct OutOfTables;

/// A tree of [`WATCHER`]'s shape in which what is mapped translates to itself.
#[derive(Debug)]
pub struct IdentityTree<M> {
    machine: M,
    root: PhysAddr,
    /// Tables that are not used yet.
    spare: Option<PhysRange>,
    /// Removes everything that came from this tree from all TLBs, and waits for it.
    flush: fn(),
}

impl<M: Machine> IdentityTree<M> {
    /// An empty tree with a root and further tables from `tables`, which is made of whole pages.
    ///
    /// `flush` is called while an entry in use is broken; it removes what the tree says from TLBs.
    ///
    /// # Errors
    /// If there is not even a root.
    pub fn new(machine: M, tables: PhysRange, flush: fn()) -> Result<Self, OutOfTables> {
        let spare = Some(tables);
        let mut tree = Self { machine, root: tables.start(), spare, flush };
        tree.root = tree.take()?;
        tree.fill(tree.root, (0, 0));
        Ok(tree)
    }

    /// The root table.
    pub const fn root(&self) -> PhysAddr {
        self.root
    }

    /// What performs the tree's effects.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// Maps `range`, made of whole pages, to itself with `meaning`, in the largest leaves. What was
    /// there before is replaced; the caller invalidates it.
    ///
    /// # Errors
    /// When tables run out.
    pub fn map(&mut self, range: PhysRange, meaning: u64) -> Result<(), OutOfTables> {
        let mut at = range.start();
        while let Some(left) = range.end().offset_from(at)
            && left > 0
        {
            let fits = |level: &Level| {
                let bytes = WATCHER.span_bytes(*level);
                at.is_aligned(bytes) && bytes <= left
            };
            let level = [Level::L1, Level::L2].into_iter().find(fits).unwrap_or(Level::L3);
            let entry = self.entry_at(at, level)?;
            let word = if meaning == 0 { 0 } else { WATCHER.leaf_word(level, at, meaning) };
            self.machine.store(entry, word);
            at = at.wrapping_add(WATCHER.span_bytes(level));
        }
        self.machine.barrier(Barrier::DsbIshst);
        Ok(())
    }

    /// The leaf that translates `address`, or the invalid entry where there is none.
    pub fn leaf(&self, address: PhysAddr) -> (Level, u64) {
        let mut table = self.root;
        let mut level = Level::L0;
        loop {
            let word = self.machine.load(entry(table, level, address));
            match (WATCHER.kind(level, word), level.next()) {
                (Kind::Table, Some(next)) => (table, level) = (WATCHER.table_address(word), next),
                _ => return (level, word),
            }
        }
    }

    /// What a tree of stage 2 lets the kernel do at `address`.
    pub fn rights(&self, address: PhysAddr) -> Stage2 {
        Stage2::of_leaf(self.leaf(address).1)
    }

    /// What a tree of stage 2 lets the kernel do at `address`, if that was decided for its page
    /// alone; `None` if it is part of a block.
    pub fn rights_of_page(&self, address: PhysAddr) -> Option<Stage2> {
        match self.leaf(address) {
            (Level::L3, word) => Some(Stage2::of_leaf(word)),
            (Level::Minus1 | Level::L0 | Level::L1 | Level::L2, _) => None,
        }
    }

    /// Where the entry of `level` for `address` is. Tables above it are made as needed, and leaves
    /// above it are split.
    fn entry_at(&mut self, address: PhysAddr, level: Level) -> Result<Entry, OutOfTables> {
        let (mut table, mut at) = (self.root, Level::L0);
        loop {
            let entry = entry(table, at, address);
            let next = match at.next() {
                Some(next) if at != level => next,
                Some(_) | None => return Ok(entry),
            };
            let word = self.machine.load(entry);
            table = match WATCHER.kind(at, word) {
                Kind::Table => WATCHER.table_address(word),
                Kind::Leaf => self.split(entry, (at, word), next)?,
                Kind::Invalid | Kind::PresentInvalid | Kind::Reserved => {
                    let below = self.take()?;
                    self.fill(below, (0, 0));
                    self.machine.store(entry, WATCHER.table_word(below));
                    below
                }
            };
            at = next;
        }
    }

    /// Puts a table in the place of the leaf `word`: the leaf is broken first, because nothing is
    /// known here of what a CPU makes of two sizes. [break-before-make]
    fn split(
        &mut self,
        entry: Entry,
        (level, word): (Level, u64),
        next: Level,
    ) -> Result<PhysAddr, OutOfTables> {
        let below = self.take()?;
        let output = WATCHER.leaf_output(level, word);
        let first = WATCHER.leaf_word(next, output, WATCHER.leaf_meaning(word));
        self.fill(below, (first, WATCHER.span_bytes(next)));
        self.machine.store(entry, 0);
        self.machine.barrier(Barrier::DsbIshst);
        (self.flush)();
        self.machine.store(entry, WATCHER.table_word(below));
        Ok(below)
    }

    fn fill(&self, table: PhysAddr, (value, step): (u64, u64)) {
        let span = Entry { table, index: 0 }.span(512);
        self.machine.perform(Event::Fill { span, value, step });
        // A walker may follow the pointer the moment it is stored. [publish-after-fill]
        self.machine.barrier(Barrier::DsbIshst);
    }

    fn take(&mut self) -> Result<PhysAddr, OutOfTables> {
        let spare = self.spare.ok_or(OutOfTables)?;
        let page = WATCHER.page_bytes();
        let left = spare.bytes().checked_sub(page).ok_or(OutOfTables)?;
        self.spare = PhysRange::new(spare.start().wrapping_add(page), left);
        Ok(spare.start())
    }
}

/// The entry of `table`, of `level`, that an address goes through.
fn entry(table: PhysAddr, level: Level, address: PhysAddr) -> Entry {
    Entry { table, index: WATCHER.index(level, VirtAddr::new(address.value())) }
}

#[cfg(test)]
mod tests;
