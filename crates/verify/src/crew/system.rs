//! What the writers share: memory, table memory, locks, readers, and whose turn it is.

use std::collections::HashMap;

use blockmap::{Root, Scope};
use blockmap_machine::{Entry, Event, PhysAddr, Span, VirtAddr};
use blockmap_model::program::{each_write, written};
use blockmap_vmsa::{Geometry, Kind, Level};

use super::scopes::{Loads, are_apart};
use super::{Interrupts, Noted};
use crate::draw::Draw;

/// What a table holds while nobody has it: an entry of none that the engine writes.
const POISON: u64 = 0x5a5a_5a5a_5a5a_5a5a;

#[derive(Debug)]
pub(super) struct System {
    pub(super) geometry: Geometry,
    words: HashMap<PhysAddr, Vec<u64>>,
    /// Where the tables stand that walkers can reach: level, and first address.
    pub(super) positions: HashMap<PhysAddr, (Level, VirtAddr)>,
    /// The tables that are nowhere yet, and who has taken them.
    pub(super) owners: HashMap<PhysAddr, usize>,
    given_back: Vec<PhysAddr>,
    /// How often each table was given back since the beginning.
    pub(super) freed: HashMap<PhysAddr, u32>,
    unused: u64,
    most: u32,
    reserved: u32,
    /// Reservations made since the beginning, and those of them that fail.
    pub(super) reservations: u32,
    pub(super) failing: std::ops::Range<u32>,
    pub(super) held: Vec<(usize, Scope)>,
    pub(super) readers: Vec<u32>,
    pub(super) initially: Vec<Event>,
    /// What each CPU did, and when.
    pub(super) notes: Vec<Vec<(u64, Noted)>>,
    time: u64,
    pub(super) turn: usize,
    /// Who has not finished its job; nobody while one CPU works alone.
    at_work: Vec<usize>,
    waits_in_a_row: usize,
    pub(super) has_failed: bool,
    interrupts: Interrupts,
    draw: Draw,
    pub(super) points: Vec<u64>,
    pub(super) loads: Loads,
}

impl System {
    pub(super) const BASE: PhysAddr = PhysAddr::new(0x4000_0000);

    pub(super) fn new(geometry: Geometry, cpus: usize, tables: u32) -> Self {
        let entries = usize::from(geometry.granule().entries());
        let root = (geometry.root_level(), geometry.inputs().0);
        let span = Span { table: Self::BASE, first: 0, count: geometry.granule().entries() };
        Self {
            geometry,
            words: HashMap::from([(Self::BASE, vec![0; entries])]),
            positions: HashMap::from([(Self::BASE, root)]),
            owners: HashMap::new(),
            given_back: Vec::new(),
            freed: HashMap::new(),
            unused: 1,
            most: tables,
            reserved: 0,
            reservations: 0,
            failing: 0..0,
            held: Vec::new(),
            readers: vec![0; cpus],
            initially: vec![Event::Fill { span, value: 0, step: 0 }],
            notes: vec![Vec::new(); cpus],
            time: 0,
            turn: 0,
            at_work: Vec::new(),
            waits_in_a_row: 0,
            has_failed: false,
            interrupts: Interrupts::Never,
            draw: Draw::new(0),
            points: vec![0; cpus],
            loads: Loads::default(),
        }
    }

    pub(super) fn plan(&mut self, interrupts: Interrupts) {
        self.interrupts = interrupts;
        self.points.fill(0);
        self.reservations = 0;
        self.loads = Loads::default();
        if let Interrupts::Random(seed, _) = interrupts {
            self.draw = Draw::new(seed);
        }
    }

    pub(super) fn note(&mut self, cpu: usize, noted: Noted) {
        self.time += 1;
        self.notes[cpu].push((self.time, noted));
    }

    pub(super) fn word(&self, entry: Entry) -> u64 {
        let words = self.words.get(&entry.table);
        let words = words.unwrap_or_else(|| panic!("{} is no table of anybody", entry.table));
        words[usize::from(entry.index)]
    }

    /// Writes an effect to memory, and finds the tables that it links.
    pub(super) fn perform(&mut self, event: Event) {
        let Some(Span { table, .. }) = written(event) else { return };
        each_write(event, |entry, write| {
            let words = self.words.get_mut(&table);
            let words = words.unwrap_or_else(|| panic!("{table} is no table of anybody"));
            let word = &mut words[usize::from(entry.index)];
            *word = write.apply(Some(*word)).unwrap_or(POISON);
        });
        if let Some((level, start)) = self.positions.get(&table).copied() {
            each_write(event, |entry, _| self.place_below(entry, level, start));
        }
    }

    fn place_below(&mut self, entry: Entry, level: Level, start: VirtAddr) {
        let word = self.word(entry);
        let (Kind::Table, Some(below)) = (self.geometry.kind(level, word), level.next()) else {
            return;
        };
        let table = self.geometry.table_address(word);
        let start = start.wrapping_add(self.geometry.span_bytes(level) * u64::from(entry.index));
        self.owners.remove(&table);
        self.positions.insert(table, (below, start));
        for index in 0..self.geometry.entries(below) {
            self.place_below(Entry { table, index }, below, start);
        }
    }

    /// How many tables can be set aside.
    pub(super) fn available(&self) -> u32 {
        let in_use = u32::try_from(self.words.len()).unwrap();
        self.most.saturating_sub(in_use + self.reserved)
    }

    pub(super) fn reserve(&mut self, tables: u32) -> Result<(), u32> {
        let number = self.reservations;
        self.reservations += 1;
        let available = self.available();
        if self.failing.contains(&number) {
            return Err(available.min(tables - 1));
        }
        if tables > available {
            return Err(available);
        }
        self.reserved += tables;
        Ok(())
    }

    pub(super) fn unreserve(&mut self, tables: u32) {
        self.reserved -= tables;
    }

    /// Hands out a table, and how often it was given back before.
    pub(super) fn take(&mut self, cpu: usize) -> (PhysAddr, u32) {
        self.reserved -= 1;
        let table = self.given_back.pop().unwrap_or_else(|| {
            self.unused += 1;
            Self::BASE.wrapping_add((self.unused - 1) * self.geometry.page_bytes())
        });
        let entries = usize::from(self.geometry.granule().entries());
        self.words.insert(table, vec![POISON; entries]);
        self.owners.insert(table, cpu);
        (table, self.freed.get(&table).copied().unwrap_or(0))
    }

    /// Takes a table back. Whoever reads it afterwards fails.
    pub(super) fn give_back(&mut self, table: PhysAddr) {
        assert!(self.words.remove(&table).is_some(), "{table} was nobody's");
        self.positions.remove(&table);
        self.owners.remove(&table);
        *self.freed.entry(table).or_default() += 1;
        self.given_back.push(table);
    }

    /// Takes back a table that was never linked: it is set aside again.
    pub(super) fn put_back(&mut self, table: PhysAddr) {
        assert!(self.owners.remove(&table).is_some(), "{table} was used or nobody's");
        self.words.remove(&table);
        self.given_back.push(table);
        self.reserved += 1;
    }

    /// How many tables there are, the root included.
    pub(super) fn tables(&self) -> usize {
        self.words.len()
    }

    /// Takes the locks of a scope if nobody else holds one of them.
    pub(super) fn try_lock(&mut self, cpu: usize, scope: Scope) -> bool {
        let is_free = self.held.iter().all(|(_, other)| are_apart(*other, scope));
        if is_free {
            self.held.push((cpu, scope));
        }
        is_free
    }

    pub(super) fn unlock(&mut self, cpu: usize, scope: Scope) {
        let at = self.held.iter().position(|held| *held == (cpu, scope));
        self.held.swap_remove(at.expect("other locks than were taken"));
    }

    /// The scope that a CPU holds.
    pub(super) fn scope(&self, cpu: usize) -> Option<Scope> {
        self.held.iter().find(|(holder, _)| *holder == cpu).map(|(_, scope)| *scope)
    }

    /// Whether `cpu` may link and unlink tables above the slots, and so nobody else may.
    pub(super) fn has_root(&self, cpu: usize) -> bool {
        self.scope(cpu).is_some_and(|scope| scope.root == Root::Changes)
    }

    pub(super) fn open(&mut self, jobs: usize) {
        self.at_work = (0..jobs).collect();
        self.turn = 0;
    }

    /// A step at which `cpu` can be interrupted: hands on the turn if it is.
    pub(super) fn point(&mut self, cpu: usize) {
        self.waits_in_a_row = 0;
        let number = self.points[cpu];
        self.points[cpu] += 1;
        if self.at_work.len() < 2 {
            return;
        }
        let is_interrupted = match self.interrupts {
            Interrupts::Never => false,
            Interrupts::Once(whose, at) => (whose, at) == (cpu, number),
            Interrupts::Random(_, one_in) => self.draw.below(one_in) == 0,
        };
        if is_interrupted {
            self.hand_on(cpu);
        }
    }

    /// Whether it is the turn of `cpu`, or nobody else is at work.
    pub(super) fn may_go_on(&self, cpu: usize) -> bool {
        self.at_work.is_empty() || self.turn == cpu
    }

    /// `cpu` cannot go on: hands on the turn.
    pub(super) fn wait(&mut self, cpu: usize) {
        self.waits_in_a_row += 1;
        assert!(self.waits_in_a_row <= self.at_work.len(), "everybody waits for somebody");
        self.hand_on(cpu);
    }

    fn hand_on(&mut self, cpu: usize) {
        let others: Vec<usize> =
            self.at_work.iter().copied().filter(|other| *other != cpu).collect();
        let next = others.iter().find(|other| **other > cpu).or(others.first());
        self.turn = next.copied().unwrap_or(cpu);
    }

    pub(super) fn leave(&mut self, cpu: usize, has_failed: bool) {
        self.has_failed |= has_failed;
        self.waits_in_a_row = 0;
        self.hand_on(cpu);
        self.at_work.retain(|other| *other != cpu);
    }
}
